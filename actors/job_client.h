// SPDX-License-Identifier: Apache-2.0
// JobClient: the client's end of the jobs socket as an actor, used by the command line and by the simulator's users. It
// dials the edge, never binds, and hands every answer to one sink in the order it came.
// Runs on its loop only; the sink runs there too and must not block.
#pragma once

#include <concepts>
#include <functional>
#include <string>
#include <utility>
#include <variant>

#include "protocol/codec.h"
#include "runtime/actor/actor.h"

namespace baton {

class JobClient {
 public:
  using Inbox = std::variant<ClientAccepted, ClientTokens, ClientChoiceDone, ClientDone, ClientError, ClientCancelled, StatusReport, FsckReport, TraceReport, EventsReport, ClusterCommandDone, LinkDown>;
  using Sink = std::function<void(const Inbox&, Outbox&)>;

  JobClient(NodeId edge, std::string edge_address, Sink sink)
      : edge_{edge, {}, 0, 0}, edge_address_(std::move(edge_address)), sink_(std::move(sink)) {}

  // Request: ClientSubmit, ClientCancel, Alive, StatusRequest, FsckRequest, TraceRequest, EventsRequest, ClusterCommand or ClientAttach.
  template <class Request>
  void ask(const Request& request, Outbox& out) {
    out.introduce(edge_.node, edge_address_);
    out.send(edge_, request);
  }

  template <class Answer>
    requires std::constructible_from<Inbox, const Answer&>
  void on(const Answer& answer, Outbox& out) {
    sink_(Inbox(answer), out);
  }
  void tick(Outbox&) {}

 private:
  const ActorRef edge_;
  const std::string edge_address_;
  const Sink sink_;
};

}  // namespace baton
