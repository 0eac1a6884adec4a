// SPDX-License-Identifier: Apache-2.0
// GatewayClient: the JobPort of the gateway's HTTP thread, and the actor beside the edge of its node that asks for it. To the
// edge it is a client like any other of its socket.
//
// Two threads: the JobPort's calls and callbacks are the HTTP thread's, on() and tick() the loop's. Between them goes one list
// of events under a lock: at most one delivery is posted at a time, what comes meanwhile joins it. Messages are encoded, and
// checked, on the HTTP thread: what the edge would not accept never reaches the loop. Bounded by the edge's streams_max: it
// refuses what is more.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "protocol/codec.h"
#include "runtime/actor/actor.h"
#include "runtime/actor/executor.h"
#include "server/http_thread.h"
#include "server/job_port.h"

namespace baton {

class GatewayClient final : public JobPort {
 public:
  using Inbox =
      std::variant<ClientAccepted, ClientTokens, ClientChoiceDone, ClientDone, ClientError, ClientCancelled, StatusReport>;

  // Borrows both; the loop gives turns to `slot`. `random_key`: names of jobs that bring none are made from it.
  GatewayClient(HttpThread& http, Executor& loop, std::uint32_t slot, const ActorRef& edge, std::uint64_t random_key)
      : http_(http), loop_(loop), slot_(slot), edge_(edge), random_key_(random_key) {}

  Ticket submit(ClientSubmit job, Sink sink) override;
  void cancel(Ticket ticket) override;
  void status(bool traffic, std::function<void(std::optional<StatusReport>)> answer) override;
  std::size_t jobs() const { return jobs_.size(); }  // HTTP thread

  void on(const ClientAccepted&, Outbox&);
  void on(const ClientTokens&, Outbox&);
  void on(const ClientChoiceDone&, Outbox&);
  void on(const ClientDone&, Outbox&);
  void on(const ClientError&, Outbox&);
  void on(const ClientCancelled&, Outbox&) {}
  void on(const StatusReport&, Outbox&);
  void tick(Outbox& out);

 private:
  struct Job {
    std::string id;
    Sink sink;  // empty: cancelled, its end is still to come
  };
  // The open one, while somebody waits for it.
  struct Question {
    std::uint64_t tag = 0;
    std::vector<std::function<void(std::optional<StatusReport>)>> askers;
  };
  using Arrival = std::variant<std::pair<Ticket, Event>, StatusReport>;

  // HTTP thread.
  Result<Payload> message_of(const ClientSubmit& job) const;
  void ask(Payload message);
  void refuse(Ticket ticket, const Error& error);
  void deliver();
  void deliver(Ticket ticket, const std::vector<Event>& events);
  Question* question_of(std::uint64_t tag);
  void ask_status(std::uint64_t tag);
  void answer_status(std::uint64_t tag, std::optional<StatusReport> report);
  // Loop.
  void note(Arrival arrival, Outbox& out);

  HttpThread& http_;
  Executor& loop_;
  const std::uint32_t slot_;
  const ActorRef edge_;
  const std::uint64_t random_key_;

  // HTTP thread.
  std::map<Ticket, Job> jobs_;
  std::set<std::string> ids_;
  Ticket last_ticket_ = 0;
  std::array<Question, 2> questions_;  // without traffic, with it
  std::uint64_t last_question_ = 0;

  // Loop.
  std::vector<Arrival> turn_;

  std::mutex mutex_;
  std::vector<Arrival> arrived_;  // under the mutex; not empty: a delivery is posted
};

}  // namespace baton
