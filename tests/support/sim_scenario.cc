// SPDX-License-Identifier: Apache-2.0
#include "tests/support/sim_scenario.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "tests/support/sim_hostile.h"
#include "tests/support/sim_leftovers.h"
#include "tests/support/sim_users.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::uint32_t between(Random& random, std::uint32_t low, std::uint32_t high) {
  return low + static_cast<std::uint32_t>(random.below(high - low + 1));
}

// Links that give a silent peer up after a while that a partition can last, and windows of a few messages.
LinkLimits draw_link_limits(Random& random) {
  LinkLimits limits;
  if (random.chance(1, 2)) limits.unreachable_after = milliseconds(between(random, 300, 1500));
  if (random.chance(1, 4)) limits.session.window_bytes = between(random, 1, 4096);
  if (random.chance(1, 4)) limits.session.held_frames_max = between(random, 0, 4);
  return limits;
}

// Pools large enough for one job of the largest size, and often hardly larger: always so where answers are long, so that jobs that
// were admitted together do not fit together when they have grown.
SimClusterOptions draw_cluster(Random& random, const SimUsersOptions& users, bool faults) {
  SimClusterOptions options;
  options.model.block_tokens = 1u << random.below(6);
  options.model.max_model_len = 512;
  options.model.salt = random.next();
  const std::uint32_t needed = (users.prompt_max + users.tokens_max) / options.model.block_tokens + 1;
  const bool growing = users.tokens_max > users.prompt_max;
  const auto pool = [&](const char* name, Role role) {
    SimPool made;
    made.name = name;
    made.role = role;
    made.replicas = between(random, 1, 3);
    made.blocks = needed + between(random, 0, growing ? needed / 2 : 4 * needed);
    made.limits.max_num_seqs = growing ? 64 : 1u << random.below(7);
    made.limits.max_num_batched_tokens = 1u << (3 + random.below(7));
    made.limits.long_prefill_token_threshold = random.chance(1, 2) ? 0 : 1 + static_cast<std::uint32_t>(random.below(made.limits.max_num_batched_tokens));
    made.prefix_caching = !random.chance(1, 8);
    if (random.chance(1, 4)) made.prefix_hash_mask = random.below(8);  // most prefixes collide
    return made;
  };
  // One worker a pool, hardly larger than the largest job: with a burst of jobs both sides are full at once.
  const bool tight = faults && random.chance(1, 4);
  const std::uint64_t shape = tight ? 2 + random.below(2) : random.below(8);
  if (shape == 0) {
    options.pools = {pool("both", Role::kBoth)};
  } else {
    options.pools = {pool("prefill", Role::kPrefill), pool("decode", Role::kDecode)};
    if (shape == 1 || shape == 3) options.pools.push_back(pool("both", Role::kBoth));
  }
  for (SimPool& crowded : options.pools) {
    if (!tight) break;
    crowded.replicas = 1;
    crowded.blocks = needed + between(random, 0, needed / 2);
    crowded.limits.max_num_seqs = 64;
  }
  options.coordinator.cluster_name = "sim";
  options.coordinator.supervisor_key = "sim";
  options.coordinator.request_time_limit = seconds(20);
  options.coordinator.heartbeat_interval = milliseconds(between(random, 20, 200));
  options.coordinator.heartbeat_miss = between(random, 3, 6);
  options.restart_after = milliseconds(between(random, 1, 500));
  options.edge_apart = random.chance(1, 2);
  options.coordinator.recovery_time = milliseconds(between(random, 100, 1000));
  if (!faults) return options;
  options.world.network = draw_network_options(random);
  options.worker_links = draw_link_limits(random);
  if (random.chance(1, 8)) options.coordinator.jobs_max = between(random, 4, 40);
  if (random.chance(1, 4)) {  // slow workers: jobs are refused by prediction, by the queue's tokens, and when they are lost again
    options.step_per_token = std::chrono::microseconds(between(random, 100, 1000));
    options.coordinator.ttft_limit = milliseconds(between(random, 1, 200));
    options.coordinator.queued_tokens_max = between(random, 200, 2000);
    options.coordinator.retry_budget = {0, between(random, 0, 2), seconds(60)};
    options.coordinator.overload_calm = milliseconds(between(random, 1, 1000));
  }
  const auto sometimes = [&](std::uint32_t ppm) { return random.chance(1, 2) ? static_cast<std::uint32_t>(random.below(ppm)) : 0; };
  options.fabric.faults = {sometimes(50'000), sometimes(50'000), sometimes(50'000), sometimes(50'000), sometimes(50'000)};
  return options;
}

class Scenario {
 public:
  Scenario(std::uint64_t seed, const SimScenarioOptions& options)
      : heap_(seed), faults_(options.faults), users_options_(make_users(options, heap_.random())), cluster_options_(draw_cluster(heap_.random(), users_options_, faults_)),
        cluster_(heap_, cluster_options_), users_(cluster_, cluster_options_.model, users_options_) {
    if (faults_ && heap_.random().chance(1, 4)) hostile_.emplace(cluster_, between(heap_.random(), 1, 40), seconds(1));
  }

  SimVerdict run() {
    if (faults_) schedule_faults();
    heap_.run_until(Time{} + seconds(2));
    heal();
    const bool live = cluster_.world().run_while_not([this] { return users_.all_ended(); }, seconds(60));
    if (!live) complain("not every job ended:" + users_.unfinished());
    heap_.run_until(heap_.now() + seconds(15));  // links to dead clients are given up after 10
    check_baseline();
    return verdict();
  }

 private:
  static SimUsersOptions make_users(const SimScenarioOptions& options, Random& random) {
    SimUsersOptions users;
    users.jobs = options.jobs;
    users.errors_allowed = options.faults;
    users.prefixes = random.chance(1, 4) ? 0 : between(random, 1, 4);
    users.next_turn_in = random.chance(1, 4) ? 0 : between(random, 2, 4);
    users.salts = between(random, 1, 3);
    // Answers much longer than prompts: what is admitted grows past the pool.
    if (random.chance(1, 2)) {
      users.prompt_max = 60;
      users.tokens_max = 200;
    }
    if (!options.faults) {
      users.from = milliseconds(20);  // the edge has joined by then: nothing explains a refusal
      return users;
    }
    users.reattach = true;
    users.cancel_in = random.chance(1, 4) ? 1 + static_cast<std::uint32_t>(random.below(3)) : 8;
    users.double_in = random.chance(1, 4) ? 4 : 0;
    if (random.chance(1, 2)) users.over = milliseconds(between(random, 1, 20));
    users.hurried_in = random.chance(1, 4) ? 4 : 0;
    return users;
  }

  void complain(const std::string& what) { complaints_.push_back(what); }

  enum Strike : std::uint64_t { kKill, kStop, kCutCoordinator, kCutWorker, kCutEdge, kCutData, kResetLinks, kKillClient, kDrain, kRole, kKillControl, kStrikes };

  void schedule_faults() {
    Random& random = heap_.random();
    const std::uint64_t kinds = random.below(1u << kStrikes);
    for (std::uint32_t strike = between(random, 0, 16); strike > 0; --strike) {
      const Duration when = milliseconds(between(random, 1, 1500));
      const std::string victim = cluster_.workers()[random.below(cluster_.workers().size())];
      const auto kind = static_cast<Strike>(random.below(kStrikes));
      if ((kinds >> kind & 1) == 0) continue;
      heap_.after(when, [this, victim, kind] { this->strike(victim, kind); });
    }
  }

  void strike(const std::string& victim, Strike kind) {
    if (!cluster_.world().alive(victim)) return;
    ++strikes_;
    Random& random = heap_.random();
    const std::vector<std::string>& all = cluster_.workers();
    const std::string other = all[random.below(all.size())];
    const Duration lasts = milliseconds(1 + random.below(random.chance(1, 2) ? 800 : 3000));
    switch (kind) {
      case kKill: return cluster_.kill_worker(victim);
      case kStop:
        cluster_.pause_worker(victim);
        return heap_.after(lasts / 2, [this, victim] { cluster_.resume_worker(victim); });
      case kCutCoordinator: return cut(victim, "coordinator", lasts);
      case kCutWorker: return cut(victim, other, lasts);
      case kCutEdge: return cut(victim, "edge/jobs", lasts);
      case kCutData:
        cluster_.cut_data(victim, other);
        return heap_.after(lasts, [this] { cluster_.heal_data(); });
      case kResetLinks: return cluster_.world().network().reset(node_id(victim));
      case kKillClient: return kill_client(lasts / 2);
      case kDrain:
        command(ClusterAction::kDrain, victim);
        return heap_.after(lasts, [this, victim] { command(ClusterAction::kUndrain, victim); });
      case kRole: return command(ClusterAction::kRole, victim);
      case kKillControl: return cluster_.kill_control(lasts / 8);
      case kStrikes: return;
    }
  }

  void command(ClusterAction action, const std::string& victim) {
    ClusterCommand command;
    command.action = action;
    command.worker = victim.substr(victim.find('/') + 1);
    command.role = static_cast<Role>(heap_.random().below(3));
    cluster_.command(command);
  }

  void cut(const std::string& a, const std::string& b, Duration lasts) {
    if (a != b) cluster_.world().partition(a, b, heap_.random().chance(1, 2));
    heap_.after(lasts, [this] { cluster_.world().heal(); });
  }

  void kill_client(Duration dead_for) {
    if (!cluster_.world().alive(SimUsers::kNode)) return;
    users_.die();
    heap_.after(dead_for, [this] {
      if (!cluster_.world().alive(SimUsers::kNode)) cluster_.world().restart(SimUsers::kNode);
    });
  }

  void heal() {
    SimNetworkOptions& network = cluster_.world().network().options();
    network.loss_ppm = network.duplicate_ppm = network.reorder_ppm = network.refuse_ppm = network.reset_ppm = 0;
    network.tail_one_in = 0;  // a tail longer than the heartbeat's patience costs a worker its membership, rightly
    cluster_.fabric().set_faults({});
    cluster_.world().heal();
    cluster_.heal_data();
    for (const std::string& name : cluster_.workers()) {
      cluster_.resume_worker(name);
      command(ClusterAction::kUndrain, name);
    }
  }

  void check_baseline() {
    for (const std::string& complaint : users_.complaints()) complain(complaint);
    for (const std::string& complaint : sim_leftovers(cluster_)) complain(complaint);
    for (const std::string& name : cluster_.workers()) {
      const Worker* worker = cluster_.worker(name);
      if (worker == nullptr) continue;
      verdict_.preemptions += worker->stats().num_preemptions;
      verdict_.prefix_hits += worker->stats().prefix_cache_hits;
    }
  }

  SimVerdict verdict() {
    SimVerdict verdict = verdict_;
    verdict.complaints = complaints_;
    verdict.hash = heap_.hash();
    verdict.events = heap_.events();
    const SimNetworkCounters& network = cluster_.world().network().counters();
    verdict.faults = strikes_ + network.lost + network.duplicated + network.reordered + network.refused + network.resets;
    verdict.jobs = users_options_.jobs;
    verdict.finished = users_.finished();
    verdict.failed = users_.failed();
    verdict.transferred = users_.transferred();
    verdict.worst_gap = users_.worst_gap();
    verdict.tokens = users_.tokens();
    verdict.reattached = users_.reattached();
    verdict.control_kills = cluster_.control_kills();
    verdict.retries = cluster_.coordinator().retries();
    verdict.admission = cluster_.coordinator().admission();
    verdict.late_bytes = cluster_.fabric().late_writes();
    verdict.virtual_seconds = std::chrono::duration<double>(heap_.now().time_since_epoch()).count();
    return verdict;
  }

  EventHeap heap_;
  const bool faults_;
  const SimUsersOptions users_options_;
  const SimClusterOptions cluster_options_;
  SimCluster cluster_;
  SimUsers users_;
  std::optional<SimHostile> hostile_;
  std::uint64_t strikes_ = 0;
  std::vector<std::string> complaints_;
  SimVerdict verdict_;  // the counts noted on the way
};

}  // namespace

SimVerdict run_scenario(std::uint64_t seed, const SimScenarioOptions& options) { return Scenario(seed, options).run(); }

}  // namespace baton
