// SPDX-License-Identifier: Apache-2.0
// JobPort: how the HTTP side submits jobs to the edge of its process, whose loop runs on another thread. All calls and all
// callbacks are on the HTTP thread. The real one is GatewayClient; tests have one of their own.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <variant>
#include <vector>

#include "protocol/messages.h"

namespace baton {

class JobPort {
 public:
  using Event = std::variant<ClientAccepted, ClientTokens, ClientChoiceDone, ClientDone, ClientError>;
  // Events of one job in order, those of one turn of the loop together. ClientDone or ClientError is the last.
  using Sink = std::function<void(const std::vector<Event>&)>;
  using Ticket = std::uint64_t;

  virtual ~JobPort() = default;
  // `job.tag` is set here. The sink is never called before submit() returned.
  virtual Ticket submit(ClientSubmit job, Sink sink) = 0;
  // The job ends in the cluster too; no event comes after this. Unknown and ended ones are left alone.
  virtual void cancel(Ticket ticket) = 0;
  // nullopt: the coordinator did not answer in time. `traffic`: with what workers sent to each other, which may be much.
  virtual void status(bool traffic, std::function<void(std::optional<StatusReport>)> answer) = 0;
};

}  // namespace baton
