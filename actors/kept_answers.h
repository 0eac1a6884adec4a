// SPDX-License-Identifier: Apache-2.0
// KeptAnswers: answers of detached jobs, so that a client may come for them later, or again. Owned by an edge. Bounded: so many
// bytes in all; a running answer that outgrows what is left loses its first tokens, ended ones are forgotten after
// kKeptFor, the oldest sooner if room is needed. O(log answers) per call, and per token.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "protocol/messages.h"
#include "runtime/actor/actor_ref.h"
#include "runtime/base/time.h"

namespace baton {

class KeptAnswers {
 public:
  static constexpr Duration kKeptFor = std::chrono::minutes(10);

  using End = std::variant<ClientDone, ClientError>;
  struct Answer {
    ClientAccepted accepted;
    std::deque<ClientToken> tokens;  // the first has index tokens_gone
    std::uint32_t tokens_gone = 0;
    std::uint64_t bytes = 0;
    std::optional<End> end;
    ActorRef viewer;  // invalid: none
    std::uint64_t viewer_tag = 0;
    std::uint32_t viewer_from = 0;  // it wants no token before that one
  };

  explicit KeptAnswers(std::uint64_t bytes_max = std::uint64_t{256} << 20, std::size_t answers_max = 4096) : bytes_max_(bytes_max), answers_max_(answers_max) {}

  // Of a new job, when full() is not; an ended one of that id is forgotten.
  void open(const ClientAccepted& accepted);
  // From now on this client is sent what comes, and what there is from token `from` on.
  void watch(const std::string& id, const ActorRef& viewer, std::uint64_t tag, std::uint32_t from = 0);
  // All that are kept go on, and there is room for no more.
  bool full() const { return answers_.size() >= answers_max_ && ended_.empty(); }
  void add(const std::string& id, const std::vector<ClientToken>& tokens);
  void end(const std::string& id, End end, Time now);
  Answer* find(const std::string& id);
  // Its client has gone.
  void leave(NodeId node, Incarnation life);
  void expire(Time now);
  Time next_expiry() const { return ended_.empty() ? kNever : ended_.front().first; }

  std::size_t size() const { return answers_.size(); }
  std::uint64_t bytes() const { return bytes_; }

 private:
  void forget(const std::string& id);
  void make_room(Answer& growing);

  const std::uint64_t bytes_max_;
  const std::size_t answers_max_;
  std::map<std::string, Answer> answers_;
  std::deque<std::pair<Time, std::string>> ended_;  // when to forget which; in order of their ends
  std::uint64_t bytes_ = 0;
};

}  // namespace baton
