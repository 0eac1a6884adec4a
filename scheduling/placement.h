// SPDX-License-Identifier: Apache-2.0
// Least-loaded placement: which worker prefills a job and which decodes it. Load is the number of tokens a worker still has to
// answer for; ties go to the lower node id, so equal histories place equally. add, remove, load changes and choose cost
// O(log workers). Pure book-keeping, owned by the coordinator.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "protocol/messages.h"

namespace baton {

class LeastLoaded {
 public:
  struct Choice {
    NodeId prefill;
    NodeId decode;  // equal to prefill: one worker does both, nothing is transferred
  };

  // jobs_max: jobs this worker is given at one time; the rest waits at the coordinator.
  void add(NodeId worker, Role role, std::uint32_t jobs_max);
  void remove(NodeId worker);
  // Another role. What it has been assigned stays.
  void set_role(NodeId worker, Role role);
  // Closed: it is chosen no more. What it has been assigned stays.
  void set_open(NodeId worker, bool open);
  // Nothing if no worker (or no pair of them) has room. A prefill worker is paired with the least loaded worker that decodes.
  // `preferred` is the prefill worker if it can be (it may have the job's KV in its cache); none of `avoid` is chosen, at a cost of
  // O(avoid).
  std::optional<Choice> choose(NodeId preferred = {}, const std::set<NodeId>& avoid = {}) const;
  // The least loaded worker that decodes.
  std::optional<NodeId> choose_decode() const;
  bool has_room(NodeId worker) const;
  void assign(NodeId worker, std::uint64_t tokens);
  void unassign(NodeId worker, std::uint64_t tokens);
  std::uint64_t load(NodeId worker) const { return workers_.at(worker).tokens; }

 private:
  struct Worker {
    Role role = Role::kBoth;
    std::uint32_t jobs = 0;
    std::uint32_t jobs_max = 0;
    std::uint64_t tokens = 0;
    bool open = true;
  };
  using Ranked = std::set<std::pair<std::uint64_t, NodeId>>;
  static std::optional<NodeId> first_of(const Ranked& ranked, const std::set<NodeId>& avoid);
  void rank(NodeId id, const Worker& worker);
  void unrank(NodeId id, const Worker& worker);

  std::map<NodeId, Worker> workers_;
  Ranked prefill_;  // workers with room, by load: role prefill or both
  Ranked decode_;   // role decode or both
};

}  // namespace baton
