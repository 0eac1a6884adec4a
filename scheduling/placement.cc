// SPDX-License-Identifier: Apache-2.0
#include "scheduling/placement.h"

#include "runtime/base/check.h"

namespace baton {

void LeastLoaded::rank(NodeId id, const Worker& worker) {
  if (!worker.open || worker.jobs >= worker.jobs_max) return;
  if (worker.role != Role::kDecode) prefill_.emplace(worker.tokens, id);
  if (worker.role != Role::kPrefill) decode_.emplace(worker.tokens, id);
}

void LeastLoaded::unrank(NodeId id, const Worker& worker) {
  prefill_.erase({worker.tokens, id});
  decode_.erase({worker.tokens, id});
}

void LeastLoaded::add(NodeId worker, Role role, std::uint32_t jobs_max) {
  const auto [it, fresh] = workers_.emplace(worker, Worker{role, 0, jobs_max, 0});
  CHECK(fresh, "a worker was added twice");
  rank(worker, it->second);
}

void LeastLoaded::set_role(NodeId worker, Role role) {
  Worker& entry = workers_.at(worker);
  unrank(worker, entry);
  entry.role = role;
  rank(worker, entry);
}

void LeastLoaded::set_open(NodeId worker, bool open) {
  Worker& entry = workers_.at(worker);
  unrank(worker, entry);
  entry.open = open;
  rank(worker, entry);
}

void LeastLoaded::remove(NodeId worker) {
  const auto it = workers_.find(worker);
  if (it == workers_.end()) return;
  unrank(worker, it->second);
  workers_.erase(it);
}

std::optional<NodeId> LeastLoaded::first_of(const Ranked& ranked, const std::set<NodeId>& avoid) {
  for (const auto& [tokens, id] : ranked)
    if (!avoid.contains(id)) return id;
  return std::nullopt;
}

std::optional<LeastLoaded::Choice> LeastLoaded::choose(NodeId preferred, const std::set<NodeId>& avoid) const {
  std::optional<NodeId> prefill = first_of(prefill_, avoid);
  if (const auto it = workers_.find(preferred); it != workers_.end() && !avoid.contains(preferred) && prefill_.contains({it->second.tokens, preferred}))
    prefill = preferred;
  if (!prefill) return std::nullopt;
  if (workers_.at(*prefill).role == Role::kBoth) return Choice{*prefill, *prefill};
  const std::optional<NodeId> decode = first_of(decode_, avoid);
  if (!decode) return std::nullopt;
  return Choice{*prefill, *decode};
}

std::optional<NodeId> LeastLoaded::choose_decode() const { return first_of(decode_, {}); }

bool LeastLoaded::has_room(NodeId worker) const {
  const auto it = workers_.find(worker);
  return it != workers_.end() && it->second.open && it->second.jobs < it->second.jobs_max;
}

void LeastLoaded::assign(NodeId worker, std::uint64_t tokens) {
  Worker& entry = workers_.at(worker);
  unrank(worker, entry);
  ++entry.jobs;
  entry.tokens += tokens;
  rank(worker, entry);
}

void LeastLoaded::unassign(NodeId worker, std::uint64_t tokens) {
  const auto it = workers_.find(worker);
  if (it == workers_.end()) return;  // it left with the job on it
  CHECK(it->second.jobs > 0 && it->second.tokens >= tokens, "a worker's load went below zero");
  unrank(worker, it->second);
  --it->second.jobs;
  it->second.tokens -= tokens;
  rank(worker, it->second);
}

}  // namespace baton
