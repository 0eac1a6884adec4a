// SPDX-License-Identifier: Apache-2.0
#include "scheduling/placement.h"

#include "runtime/base/check.h"

namespace baton {

void LeastLoaded::rank(NodeId id, const Worker& worker) {
  if (worker.jobs >= worker.jobs_max) return;
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

void LeastLoaded::remove(NodeId worker) {
  const auto it = workers_.find(worker);
  if (it == workers_.end()) return;
  unrank(worker, it->second);
  workers_.erase(it);
}

std::optional<LeastLoaded::Choice> LeastLoaded::choose() const {
  if (prefill_.empty()) return std::nullopt;
  const NodeId prefill = prefill_.begin()->second;
  if (workers_.at(prefill).role == Role::kBoth) return Choice{prefill, prefill};
  if (decode_.empty()) return std::nullopt;
  return Choice{prefill, decode_.begin()->second};
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
