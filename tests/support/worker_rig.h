// SPDX-License-Identifier: Apache-2.0
// WorkerRig: one worker whose engine, data plane and peers are the test's. The engine is the oracle over real bytes, run step by
// step, so every stream can be held against what it must be; the plane notes what it is asked. One thread.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/worker.h"
#include "engine/oracle_engine.h"
#include "runtime/base/random.h"
#include "tests/support/engine_pool.h"
#include "tests/support/test_outbox.h"

namespace baton::test {

// Steps run when the test says so.
struct SteppedEngine final : EnginePort {
  explicit SteppedEngine(Engine& real) : engine(real) {}
  void submit(BatchPlan plan, std::function<void(StepResult, Outbox&)> then) override {
    ASSERT_FALSE(waiting.has_value());
    waiting = std::move(plan);
    done = std::move(then);
  }
  bool step(Outbox& out) {
    if (!waiting) return false;
    plans.push_back(*std::exchange(waiting, std::nullopt));
    std::exchange(done, nullptr)(engine.step(plans.back()), out);
    return true;
  }
  Engine& engine;
  std::optional<BatchPlan> waiting;
  std::function<void(StepResult, Outbox&)> done;
  std::vector<BatchPlan> plans;
};

struct NotedPlane final : DataPlane {
  struct Opened {
    TransferId transfer;
    std::vector<Place> places;
  };
  struct Pushed {
    std::uint64_t ticket;
    TransferId transfer;
    std::vector<Piece> pieces;
  };
  const std::string& address() const override { return name; }
  void open(const TransferId& transfer, const PeerKey&, std::vector<Place> places, Duration) override { opened.push_back({transfer, std::move(places)}); }
  void close(const TransferId& transfer) override { closed.push_back(transfer); }
  void connect(const PeerKey&, const std::string&) override {}
  void disconnect(const PeerKey&) override {}
  void push(std::uint64_t ticket, const PeerKey&, const TransferId& transfer, std::vector<Piece> pieces) override { pushed.push_back({ticket, transfer, std::move(pieces)}); }
  void abandon(const TransferId&) override {}
  std::string transport(const PeerKey&) const override { return "none"; }
  std::string name = "nowhere";
  std::vector<Opened> opened;
  std::vector<TransferId> closed;
  std::vector<Pushed> pushed;
};

struct NoExit final : ProcessControl {
  void exit(int, const std::string& reason) override { FAIL() << reason; }
};

struct WorkerRig {
  void start(std::uint32_t blocks, const BatchLimits& limits = {}, bool prefix_caching = true) {
    pool.emplace(info.geometry, blocks);
    oracle = make_oracle_engine(model, pool->bytes());
    engine.emplace(*oracle);
    WorkerOptions options;
    options.name = "both-0";
    options.coordinator_node = coordinator.node;
    options.blocks_total = blocks;
    options.limits = limits;
    options.prefix_caching = prefix_caching;
    worker.emplace(options, info, *engine, plane, process);
    worker->start(out);
    out.set_sender(coordinator);
    worker->on(JoinAccepted{1, 200'000'000, 5}, out);
    worker->on(PeersJoined{{{peer, "peer-0", "tcp://p", "ucx://p"}}}, out);
  }

  static std::vector<TokenId> text(std::size_t tokens, std::uint64_t seed) {
    Random random(seed);
    std::vector<TokenId> drawn(tokens);
    for (TokenId& token : drawn) token = static_cast<TokenId>(1 + random.below(kOracleVocabulary - 1));
    return drawn;
  }
  static SamplingParams sampling(std::uint32_t max_tokens) {
    SamplingParams params;
    params.max_tokens = max_tokens;
    params.ignore_eos = true;
    return params;
  }
  std::vector<TokenId> answer(const std::vector<TokenId>& prompt, std::uint32_t max_tokens) const { return oracle_stream(model, prompt, sampling(max_tokens)); }

  void prefill(std::uint64_t job, const std::vector<TokenId>& prompt, std::uint32_t max_tokens, const ActorRef& decode = {}, const std::string& salt = {}) {
    out.set_sender(coordinator);
    worker->on(StartPrefill{JobId{job}, 1, edge, decode, prompt, sampling(max_tokens), salt}, out);
  }
  void decode(std::uint64_t job, const std::vector<TokenId>& prompt, std::uint32_t max_tokens) {
    out.set_sender(coordinator);
    worker->on(StartDecode{JobId{job}, 1, edge, peer, prompt, sampling(max_tokens), {}}, out);
  }
  // One step, with everything that can be checked about the accounts afterwards.
  bool step() {
    const bool stepped = engine->step(out);
    const auto problems = worker->account().problems;
    EXPECT_TRUE(problems.empty()) << problems.front();
    return stepped;
  }
  void run() {
    while (step()) {
    }
  }
  // What the edge has been sent of a job; a position sent twice must be equal.
  std::vector<TokenId> stream(std::uint64_t job) const {
    std::map<std::uint32_t, TokenId> tokens;
    for (const TokenBatch& batch : out.messages_to<TokenBatch>(edge))
      for (const TokenItem& item : batch.tokens) {
        if (item.job != JobId{job}) continue;
        EXPECT_EQ(tokens.emplace(item.index, item.token).first->second, item.token) << "at " << item.index;
      }
    std::vector<TokenId> list;
    for (const auto& [index, token] : tokens) {
      EXPECT_EQ(index, list.size());
      list.push_back(token);
    }
    return list;
  }
  // The shares the sequence of the n-th start had, in order.
  std::vector<SequencePlan> shares(std::uint64_t sequence) const {
    std::vector<SequencePlan> found;
    for (const BatchPlan& plan : engine->plans)
      for (const SequencePlan& share : plan.sequences)
        if (share.sequence == sequence) found.push_back(share);
    return found;
  }
  Grant grant_for(std::uint64_t job, std::uint32_t first, std::uint32_t count) const {
    Grant grant;
    grant.transfer = TransferId{job, 1};
    grant.job = JobId{job};
    grant.epoch = 1;
    grant.first_block = first;
    for (std::uint32_t i = 0; i < count; ++i) grant.blocks.push_back(i);
    return grant;
  }
  void expect_all_back() const {
    const FsckAccount account = worker->account();
    EXPECT_TRUE(account.problems.empty());
    EXPECT_EQ(account.free + account.cached, account.blocks_total);
    EXPECT_EQ(account.sequences, 0u);
  }

  const ActorRef coordinator{NodeId{10}, Incarnation{100}, 0, 0};
  const ActorRef peer{NodeId{20}, Incarnation{200}, 0, 0};
  const ActorRef edge{NodeId{30}, Incarnation{300}, 0, 0};
  const OracleOptions model{};
  const EngineInfo info = oracle_info(model);
  std::optional<EnginePool> pool;
  std::unique_ptr<Engine> oracle;
  std::optional<SteppedEngine> engine;
  NotedPlane plane;
  NoExit process;
  TestOutbox out;
  std::optional<Worker> worker;
};

}  // namespace baton::test
