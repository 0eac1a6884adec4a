// SPDX-License-Identifier: Apache-2.0
#include "launcher/sim_wire.h"

#include <algorithm>
#include <utility>

#include "kvstore/digest.h"
#include "launcher/watched_plane.h"
#include "models/oracle_tokenizer.h"
#include "runtime/base/check.h"

namespace baton {

// The simulated device: a step takes virtual time and reads and writes the pool at one moment of it, now at the beginning, now at
// the end, so that a block that changes hands during a step shows.
class SimCluster::SimEngine final : public EnginePort {
 public:
  SimEngine(std::unique_ptr<Engine> engine, const SimClusterOptions& options, SimNodeContext& context)
      : engine_(std::move(engine)), options_(options), context_(context) {}

  void submit(BatchPlan plan, std::function<void(StepResult, Outbox&)> done) override {
    std::size_t tokens = 0;
    for (const SequencePlan& sequence : plan.sequences) tokens += sequence.tokens.size();
    const Duration takes = options_.step_base + static_cast<std::int64_t>(tokens) * options_.step_per_token;
    const bool early = context_.heap().random().chance(1, 2);
    auto result = std::make_shared<StepResult>();
    if (early) *result = engine_->step(plan);
    context_.after(takes, [this, early, result, plan = std::move(plan), done = std::move(done)] {
      if (!early) *result = engine_->step(plan);
      context_.executor().post(0, [result, done](Outbox& out) { done(std::move(*result), out); });
    });
  }

 private:
  std::unique_ptr<Engine> engine_;
  const SimClusterOptions& options_;
  SimNodeContext& context_;
};

class SimCluster::Exit final : public ProcessControl {
 public:
  Exit(SimCluster& cluster, SimNodeContext& context) : cluster_(cluster), context_(context) {}
  void exit(int, const std::string&) override {
    if (asked_) return;
    asked_ = true;
    context_.after(Duration{0}, [this] {
      ++cluster_.worker_exits_;
      cluster_.worker_ended(context_.name(), false);
    });
  }

 private:
  SimCluster& cluster_;
  SimNodeContext& context_;
  bool asked_ = false;
};

// What is put gathers until the disk has the group before; a process that dies loses what was not yet there.
class SimCluster::SimJournal final : public Journal {
 public:
  SimJournal(JournalRecords& disk, SimNodeContext& context) : disk_(disk), context_(context) {}
  void put(const JournalKey& key, std::string record, std::function<void(bool, Outbox&)> durable) override {
    waiting_.push_back({key, std::move(record), std::move(durable)});
    sync();
  }
  void erase(const JournalKey& key) override {
    waiting_.push_back({key, std::nullopt, {}});
    sync();
  }

 private:
  struct Write {
    JournalKey key;
    std::optional<std::string> record;
    std::function<void(bool, Outbox&)> durable;
  };
  void sync() {
    if (!group_.empty() || waiting_.empty()) return;
    group_ = std::exchange(waiting_, {});
    context_.after(std::chrono::microseconds(100 + context_.heap().random().below(5000)), [this] {
      for (Write& write : std::exchange(group_, {})) {
        if (write.record) disk_[write.key] = *write.record;
        else disk_.erase(write.key);
        if (write.durable) context_.executor().post(0, [durable = std::move(write.durable)](Outbox& out) { durable(true, out); });
      }
      sync();
    });
  }

  JournalRecords& disk_;
  SimNodeContext& context_;
  std::vector<Write> waiting_, group_;
};

struct SimCluster::CoordinatorProcess final : SimProcess {
  CoordinatorProcess(const CoordinatorOptions& options, JournalRecords& disk, SimNodeContext& context) : journal(disk, context), actor(options, &journal), cell(actor) {
    const JournalRecords found = disk;
    actor.recover(found, context.heap().now());
  }
  SimJournal journal;
  Coordinator actor;
  ActorCell<Coordinator> cell;
};

struct SimCluster::EdgeProcess final : SimProcess {
  EdgeProcess(EdgeOptions options, const Tokenizer& tokenizer, SimCluster& cluster, SimNodeContext& context)
      : exit(cluster, context), actor(std::move(options), tokenizer, exit), cell(actor) {}
  Exit exit;
  Edge actor;
  ActorCell<Edge> cell;
};

struct SimCluster::WorkerProcess final : SimProcess {
  WorkerProcess(SimCluster& cluster, WorkerOptions options, SimNodeContext& context)
      : key{context.node(), context.incarnation()},
        plane(cluster.fabric_.make(
            key, options.blocks_total * oracle_info(cluster.options_.model).geometry.block_bytes(),
            [this, &context](DataPlaneEvent event) {
              context.executor().post(0, [this, event = std::move(event)](Outbox& out) {
                watched.check(event);
                actor.on_data_plane(event, out);
              });
            },
            [geometry = oracle_info(cluster.options_.model).geometry](std::span<const std::byte> bytes, std::uint64_t tag) {
              return block_digest(geometry, bytes, digest_tag_position(tag), digest_tag_tokens(tag));
            })),
        watched(
            *plane, oracle_info(cluster.options_.model).geometry.block_bytes(), [this](BlockId block) { return actor.blocks().generation(block); },
            [&cluster, &context](const std::string& what) { cluster.complaints_.push_back(context.name() + ": " + what); }),
        exit(cluster, context),
        engine(make_oracle_engine(cluster.options_.model, plane->pool()), cluster.options_, context),
        actor(std::move(options), oracle_info(cluster.options_.model), engine, watched, exit),
        cell(actor) {}
  PeerKey key;
  std::unique_ptr<SimDataPlane> plane;
  WatchedPlane watched;
  Exit exit;
  SimEngine engine;
  Worker actor;
  ActorCell<Worker> cell;
};

struct SimCluster::ClientProcess final : SimProcess {
  explicit ClientProcess(JobClient::Sink sink) : actor(edge_node(), SimWorld::address_of("edge/jobs"), std::move(sink)), cell(actor) {}
  JobClient actor;
  ActorCell<JobClient> cell;
};

SimCluster::SimCluster(EventHeap& heap, const SimClusterOptions& options)
    : heap_(heap),
      options_(options),
      fabric_(heap, options.fabric),
      world_(heap, options.world),
      tokenizer_(make_oracle_tokenizer(kOracleVocabulary)) {
  world_.add_node("coordinator", [this](SimNodeContext& context) {
    auto process = std::make_unique<CoordinatorProcess>(options_.coordinator, disk_, context);
    context.add(0, process->cell);
    return process;
  });
  world_.add_node("edge/jobs", [this](SimNodeContext& context) {
    EdgeOptions edge;
    edge.name = "jobs";
    edge.control_address = context.address();
    edge.coordinator_address = SimWorld::address_of("coordinator");
    edge.coordinator_node = coordinator_node();
    edge.max_model_len = options_.model.max_model_len;
    edge.resumable = !options_.edge_apart;
    edge.adoption_limit = std::chrono::seconds(5);
    auto process = std::make_unique<EdgeProcess>(std::move(edge), *tokenizer_, *this, context);
    context.add(0, process->cell);
    context.executor().post(0, [actor = &process->actor](Outbox& out) { actor->start(out); });
    return process;
  });
  add_client(
      "client/operator", [](const JobClient::Inbox&, Outbox&) {},
      [this](JobClient& client, Outbox&, SimNodeContext& context) {
        operator_ = &client;
        operator_context_ = &context;
      });
  world_.set_link_limits(options_.worker_links);
  for (const SimPool& pool : options_.pools)
    for (std::uint32_t i = 0; i < pool.replicas; ++i) add_worker(pool, i);
}

SimCluster::~SimCluster() = default;

void SimCluster::add_worker(const SimPool& pool, std::uint32_t index) {
  const std::string name = pool.name + "-" + std::to_string(index);
  workers_.push_back("worker/" + name);
  world_.add_node(workers_.back(), [this, pool, name](SimNodeContext& context) {
    WorkerOptions worker;
    worker.name = name;
    worker.pool = pool.name;
    worker.role = pool.role;
    worker.pid = pids_["worker/" + name] = ++last_pid_;
    worker.control_address = context.address();
    worker.coordinator_address = SimWorld::address_of("coordinator");
    worker.coordinator_node = coordinator_node();
    worker.blocks_total = pool.blocks;
    worker.limits = pool.limits;
    worker.prefix_caching = pool.prefix_caching;
    worker.prefix_hash_mask = pool.prefix_hash_mask;
    worker.grant_time_limit = options_.coordinator.request_time_limit;
    worker.transfer_time_limit = options_.transfer_time_limit;
    auto process = std::make_unique<WorkerProcess>(*this, std::move(worker), context);
    context.add(0, process->cell);
    context.executor().post(0, [actor = &process->actor](Outbox& out) { actor->start(out); });
    return process;
  });
}

void SimCluster::kill_worker(const std::string& name) {
  if (world_.alive(name)) worker_ended(name, true);
}

void SimCluster::worker_ended(const std::string& name, bool crashed) {
  const bool is_worker = std::find(workers_.begin(), workers_.end(), name) != workers_.end();
  if (auto* process = world_.process(name); is_worker && process != nullptr) fabric_.kill(static_cast<WorkerProcess*>(process)->key);
  world_.kill(name);
  if (is_worker) {
    ClusterCommand ended;
    ended.action = ClusterAction::kProcessEnded;
    ended.worker = name.substr(name.find('/') + 1);
    ended.pid = pids_.at(name);
    ended.detail = crashed ? "killed" : "exit status 1";
    ended.crashed = crashed;
    ended.key = options_.coordinator.supervisor_key;
    heap_.after(options_.notice_after, [this, ended] { command(ended); });
  }
  heap_.after(options_.restart_after, [this, name] {
    if (!world_.alive(name)) world_.restart(name);
  });
}

void SimCluster::command(ClusterCommand command) {
  if (operator_ == nullptr) return;
  operator_context_->executor().post(0, [this, command = std::move(command)](Outbox& out) { operator_->ask(command, out); });
}

void SimCluster::kill_control(Duration dead_for) {
  if (!world_.alive("coordinator")) return;
  ++control_kills_;
  world_.kill("coordinator");
  if (!options_.edge_apart) world_.kill("edge/jobs");
  heap_.after(dead_for, [this] {
    world_.restart("coordinator");
    if (!world_.alive("edge/jobs")) world_.restart("edge/jobs");
  });
}

void SimCluster::pause_worker(const std::string& name) {
  if (auto* process = static_cast<WorkerProcess*>(world_.process(name))) {
    fabric_.pause(process->key);
    world_.pause(name);
  }
}

void SimCluster::resume_worker(const std::string& name) {
  if (auto* process = static_cast<WorkerProcess*>(world_.process(name))) fabric_.resume(process->key);
  world_.resume(name);
}

void SimCluster::cut_data(const std::string& a, const std::string& b) {
  const auto* first = static_cast<WorkerProcess*>(world_.process(a));
  const auto* second = static_cast<WorkerProcess*>(world_.process(b));
  if (first == nullptr || second == nullptr || a == b) return;
  cuts_.emplace_back(first->key, second->key);
  fabric_.partition(first->key, second->key);
}

void SimCluster::heal_data() {
  for (const auto& [a, b] : std::exchange(cuts_, {})) fabric_.heal(a, b);
}

const Worker* SimCluster::worker(const std::string& name) {
  const auto* process = static_cast<WorkerProcess*>(world_.process(name));
  return process == nullptr ? nullptr : &process->actor;
}

const Coordinator& SimCluster::coordinator() { return static_cast<CoordinatorProcess*>(world_.process("coordinator"))->actor; }
const Edge& SimCluster::edge() { return static_cast<EdgeProcess*>(world_.process("edge/jobs"))->actor; }

void SimCluster::add_client(const std::string& name, JobClient::Sink sink,
                            std::function<void(JobClient&, Outbox&, SimNodeContext&)> ready) {
  world_.add_node(
      name,
      [sink = std::move(sink), ready = std::move(ready)](SimNodeContext& context) {
        auto process = std::make_unique<ClientProcess>(sink);
        context.add(0, process->cell);
        context.executor().post(0, [actor = &process->actor, ready, &context](Outbox& out) { ready(*actor, out, context); });
        return process;
      },
      false);
}

}  // namespace baton
