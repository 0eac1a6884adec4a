// SPDX-License-Identifier: Apache-2.0
// The worker alone: what it does when told things the simulator rarely brings about.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "actors/worker.h"
#include "engine/oracle_engine.h"
#include "tests/support/test_outbox.h"

namespace baton {
namespace {

struct NoEngine final : EnginePort {
  void submit(BatchPlan plan, std::function<void(StepResult, Outbox&)> then) override {
    plans.push_back(std::move(plan));
    done = std::move(then);
  }
  std::vector<BatchPlan> plans;
  std::function<void(StepResult, Outbox&)> done;
};

struct NoPlane final : DataPlane {
  const std::string& address() const override { return name; }
  void open(const TransferId& transfer, const PeerKey&, std::vector<Place>, Duration) override { opened.push_back(transfer); }
  void close(const TransferId& transfer) override { closed.push_back(transfer); }
  void connect(const PeerKey&, const std::string&) override { ++connects; }
  void disconnect(const PeerKey&) override { ++disconnects; }
  void push(std::uint64_t ticket, const PeerKey&, const TransferId&, std::vector<Piece>) override { pushed.push_back(ticket); }
  void abandon(const TransferId&) override {}
  std::string transport(const PeerKey&) const override { return "none"; }
  std::string name = "nowhere";
  std::vector<TransferId> opened, closed;
  std::vector<std::uint64_t> pushed;
  int connects = 0;
  int disconnects = 0;
};

struct NotedExit final : ProcessControl {
  void exit(int, const std::string& reason) override { reasons.push_back(reason); }
  std::vector<std::string> reasons;
};

struct WorkerTest : ::testing::Test {
  WorkerTest() : worker(options(), info, engine, plane, process) { worker.start(out); }

  static WorkerOptions options() {
    WorkerOptions options;
    options.name = "decode-0";
    options.coordinator_node = NodeId{10};
    options.blocks_total = 64;
    return options;
  }
  void join() {
    out.set_sender(coordinator);
    worker.on(JoinAccepted{1, 200'000'000, 5}, out);
  }

  const ActorRef coordinator{NodeId{10}, Incarnation{100}, 0, 0};
  EngineInfo info = oracle_info(OracleOptions{});
  NoEngine engine;
  NoPlane plane;
  NotedExit process;
  TestOutbox out;
  Worker worker;
};

TEST_F(WorkerTest, FencedBeforeItJoinedItEndsInsteadOfKnockingForEver) {
  out.clear();
  worker.on(LinkDown{NodeId{10}, Incarnation{100}, "fenced", LinkEnd::kFenced}, out);
  EXPECT_EQ(process.reasons.size(), 1u);
  EXPECT_TRUE(out.messages<WorkerHello>().empty());
}

TEST_F(WorkerTest, KeepsKnockingWhileNobodyAnswers) {
  out.clear();
  worker.on(LinkDown{NodeId{10}, Incarnation{}, "unreachable"}, out);
  EXPECT_TRUE(process.reasons.empty());
  EXPECT_EQ(out.messages<WorkerHello>().size(), 1u);
}

TEST_F(WorkerTest, SaysHelloAgainUntilItIsAnswered) {
  out.clear();
  out.advance(std::chrono::seconds(1));
  worker.tick(out);
  EXPECT_EQ(out.messages<WorkerHello>().size(), 1u);
  join();
  out.clear();
  out.advance(std::chrono::seconds(1));
  worker.tick(out);
  EXPECT_TRUE(out.messages<WorkerHello>().empty());
  EXPECT_EQ(out.messages<Heartbeat>().size(), 1u);
}

// The coordinator may have sent it jobs before it knew: what it sent is here once it answers what was said after the leave.
TEST_F(WorkerTest, LeavesOnceTheCoordinatorKnows) {
  join();  // its first heartbeat is not answered yet
  out.clear();
  worker.leave(out);
  EXPECT_EQ(out.messages<WorkerLeaving>().size(), 1u);
  EXPECT_TRUE(worker.idle());
  out.set_sender(coordinator);
  worker.on(HeartbeatAck{}, out);
  EXPECT_FALSE(worker.may_end(out.now()));
  worker.on(HeartbeatAck{}, out);
  EXPECT_TRUE(worker.may_end(out.now()));
}

TEST_F(WorkerTest, LeavesACoordinatorThatIsSilent) {
  join();
  worker.leave(out);
  EXPECT_FALSE(worker.may_end(out.now()));
  out.advance(std::chrono::milliseconds(400));
  EXPECT_TRUE(worker.may_end(out.now()));
}

struct WorkerWithPeerTest : WorkerTest {
  WorkerWithPeerTest() {
    join();
    out.set_sender(coordinator);
    worker.on(PeersJoined{{{prefill, "prefill-0", "tcp://p", "ucx://p"}}}, out);
    out.clear();
  }
  void start_decode() {
    StartDecode start;
    start.job = JobId{7};
    start.epoch = 1;
    start.edge = {NodeId{30}, Incarnation{300}, 0, 0};
    start.prefill = prefill;
    start.prompt = {1, 2, 3};
    start.sampling.max_tokens = 4;
    out.set_sender(coordinator);
    worker.on(start, out);
  }
  const ActorRef prefill{NodeId{20}, Incarnation{200}, 0, 0};
};

TEST_F(WorkerWithPeerTest, AGrantIsSaidAgainWhileNothingComes) {
  start_decode();
  ASSERT_EQ(out.messages_to<Grant>(prefill).size(), 1u);
  const TransferId transfer = out.messages_to<Grant>(prefill).front().transfer;
  out.clear();
  out.advance(std::chrono::seconds(10));
  worker.on(HeartbeatAck{}, out);
  worker.tick(out);
  ASSERT_EQ(out.messages_to<Grant>(prefill).size(), 1u);
  EXPECT_EQ(out.messages_to<Grant>(prefill).front().transfer, transfer);
  EXPECT_TRUE(plane.closed.empty());
}

TEST_F(WorkerWithPeerTest, ALostLinkToThePrefillWorkerIsAMiss) {
  start_decode();
  ASSERT_EQ(plane.opened.size(), 1u);
  worker.on(LinkDown{prefill.node, prefill.incarnation, "unreachable"}, out);
  ASSERT_EQ(plane.closed, plane.opened);
  worker.on_data_plane(TransferClosed{plane.opened.front(), "closed"}, out);
  ASSERT_EQ(engine.plans.size(), 1u);
  EXPECT_EQ(engine.plans.front().sequences.front().tokens, (std::vector<TokenId>{1, 2, 3}));
  EXPECT_TRUE(worker.account().problems.empty());
}

TEST_F(WorkerWithPeerTest, AnUnreachablePeerIsDialledOncePerHeartbeat) {
  const int before = plane.connects;
  for (int i = 0; i < 10; ++i) worker.on_data_plane(PeerFailed{{prefill.node, prefill.incarnation}, "not allowed"}, out);
  EXPECT_EQ(plane.connects, before);
  out.advance(std::chrono::milliseconds(200));
  worker.tick(out);
  EXPECT_EQ(plane.connects, before + 1);
}

TEST_F(WorkerWithPeerTest, AFirstTokenOutsideTheVocabularyIsAMiss) {
  start_decode();
  const TransferId transfer = plane.opened.front();
  KvHandoff handoff{transfer, JobId{7}, 1, 0, {{prefill.node, prefill.incarnation, info.geometry.group, 0, 1, 3, 99}}, true, 1 << 30};
  out.set_sender(prefill);
  worker.on(handoff, out);
  worker.on_data_plane(PieceArrived{transfer, {prefill.node, prefill.incarnation}, 0, {99}}, out);
  worker.on_data_plane(TransferClosed{transfer, "complete"}, out);
  ASSERT_EQ(engine.plans.size(), 1u);
  EXPECT_EQ(engine.plans.front().sequences.front().first_position, 0u);
  EXPECT_EQ(engine.plans.front().sequences.front().tokens.size(), 3u);
}

TEST_F(WorkerWithPeerTest, AHandOverOfAnotherAttemptIsNotTaken) {
  start_decode();
  KvHandoff handoff{plane.opened.front(), JobId{7}, 2, 0, {}, true, 5};
  out.clear();
  out.set_sender(prefill);
  worker.on(handoff, out);
  ASSERT_EQ(out.messages_to<TransferResult>(prefill).size(), 1u);
  EXPECT_FALSE(out.messages_to<TransferResult>(prefill).front().ok);
  EXPECT_TRUE(out.messages<TokenBatch>().empty());
}

TEST_F(WorkerWithPeerTest, AGrantForACancelledAttemptIsNotKept) {
  out.set_sender(coordinator);
  worker.on(CancelJob{JobId{7}, 1}, out);
  Grant grant;
  grant.job = JobId{7};
  grant.epoch = 1;
  grant.blocks = {0};
  out.set_sender(prefill);
  worker.on(grant, out);
  StartPrefill start;
  start.job = JobId{7};
  start.epoch = 1;
  start.decode = prefill;
  start.prompt = {1, 2, 3};
  start.sampling.max_tokens = 4;
  out.set_sender(coordinator);
  worker.on(start, out);
  EXPECT_TRUE(engine.plans.empty());
  EXPECT_TRUE(worker.idle());
}

// ---- sampling ------------------------------------------------------------------------------------------------------

TEST_F(WorkerWithPeerTest, TheFirstTokensLogprobSurvivesTheHandOver) {
  start_decode();
  const TransferId transfer = plane.opened.front();
  KvHandoff handoff{transfer, JobId{7}, 1, 0, {{prefill.node, prefill.incarnation, info.geometry.group, 0, 1, 3, 99}}, true, 5, -1.25F, {{5, -1.25F}, {6, -2.5F}}};
  out.clear();
  out.set_sender(prefill);
  worker.on(handoff, out);
  worker.on_data_plane(PieceArrived{transfer, {prefill.node, prefill.incarnation}, 0, {99}}, out);
  worker.on_data_plane(TransferClosed{transfer, "complete"}, out);
  const auto batches = out.messages_to<TokenBatch>(ActorRef{NodeId{30}, Incarnation{300}, 0, 0});
  ASSERT_EQ(batches.size(), 1u);
  ASSERT_EQ(batches[0].tokens.size(), 1u);
  EXPECT_EQ(batches[0].tokens[0].logprob, -1.25F);
  EXPECT_EQ(batches[0].tokens[0].top, handoff.first_top);
}

struct WorkerSamplingTest : WorkerTest {
  // Starts a job that stays here, and returns its first plan.
  SequencePlan start(const SamplingParams& sampling, std::vector<TokenId> prompt = {1, 2, 3}) {
    join();
    StartPrefill start;
    start.job = JobId{7};
    start.epoch = 1;
    start.edge = edge;
    start.prompt = std::move(prompt);
    start.sampling = sampling;
    out.set_sender(coordinator);
    worker.on(start, out);
    return engine.plans.empty() ? SequencePlan{} : engine.plans.back().sequences.at(0);
  }
  // Ends the running step; the next plan, if there is one.
  SequencePlan step(const SequenceResult& result) {
    const std::size_t before = engine.plans.size();
    SequenceResult mine = result;
    mine.sequence = engine.plans.back().sequences.at(0).sequence;
    out.clear();
    std::exchange(engine.done, nullptr)({engine.plans.back().step, {mine}}, out);
    return engine.plans.size() == before ? SequencePlan{} : engine.plans.back().sequences.at(0);
  }
  SequencePlan draw(TokenId token) { return step({.sampled = true, .token = token, .digests = {}, .error = {}}); }
  std::vector<JobFinish> finished() {
    std::vector<JobFinish> all;
    for (const TokenBatch& batch : out.messages_to<TokenBatch>(edge)) all.insert(all.end(), batch.finished.begin(), batch.finished.end());
    return all;
  }
  const ActorRef edge{NodeId{30}, Incarnation{300}, 0, 0};
};

TEST_F(WorkerSamplingTest, APlanHasTheIdsThatItsDrawDependsOn) {
  EXPECT_EQ(start({.max_tokens = 5, .repetition_penalty = 1.5F}).history, (std::vector<TokenId>{1, 2, 3}));
  const SequencePlan second = draw(9);
  EXPECT_EQ(second.history, (std::vector<TokenId>{1, 2, 3, 9}));
  EXPECT_EQ(second.generated, 1u);
  EXPECT_TRUE(second.scored.empty());
}

TEST_F(WorkerSamplingTest, AStopIdEndsTheJobAlsoWhereEosDoesNot) {
  SamplingParams sampling = {.max_tokens = 9, .ignore_eos = true};
  sampling.lists = std::make_shared<SamplingLists>(SamplingLists{{}, {77}, {}});
  EXPECT_TRUE(start(sampling).history.empty()) << "nothing of it is needed";
  draw(kOracleStopToken);
  EXPECT_TRUE(finished().empty());
  draw(77);
  ASSERT_EQ(finished().size(), 1u);
  EXPECT_EQ(finished()[0].reason, FinishReason::kStop);
  EXPECT_EQ(finished()[0].tokens, 2u);
}

TEST_F(WorkerSamplingTest, ScoresOfAPromptGoToTheEdgeAloneInMessagesOfBoundedSize) {
  std::vector<TokenId> prompt(1000, 4);
  prompt[1] = 8;
  const SequencePlan plan = start({.max_tokens = 1, .prompt_logprobs = 0}, prompt);
  ASSERT_FALSE(plan.tokens.empty());
  EXPECT_EQ(plan.scored.size(), std::min(plan.tokens.size(), prompt.size() - 1));
  EXPECT_EQ(plan.scored[0], 8);
  SequenceResult result{.sampled = true, .token = 9, .digests = {}, .error = {}};
  for (const TokenId token : plan.scored) result.prompt.push_back({token, -0.5F, {}});
  step(result);
  std::uint32_t position = 0;
  for (const TokenBatch& batch : out.messages_to<TokenBatch>(edge)) {
    EXPECT_LE(batch.prompt.size(), 1024u);
    for (const TokenItem& item : batch.prompt) EXPECT_EQ(item.index, ++position);
  }
  EXPECT_EQ(position, plan.scored.size());
  for (const TokenBatch& batch : out.messages_to<TokenBatch>(coordinator)) EXPECT_TRUE(batch.prompt.empty());
}

TEST_F(WorkerSamplingTest, ADrawThatCannotBeSaysWhoIsToBlame) {
  start({.max_tokens = 5});
  step({.digests = {}, .error = "every token is forbidden", .code = ErrorCode::kInvalidArgument});
  ASSERT_EQ(out.messages_to<JobFailed>(coordinator).size(), 1u);
  EXPECT_EQ(out.messages_to<JobFailed>(coordinator)[0].code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(out.messages_to<JobFailed>(coordinator)[0].message, "every token is forbidden");
}

TEST_F(WorkerSamplingTest, IdsOutsideTheVocabularyFailTheJob) {
  SamplingParams sampling;
  sampling.lists = std::make_shared<SamplingLists>(SamplingLists{{{1 << 20, 1.0F}}, {}, {}});
  start(sampling);
  EXPECT_TRUE(engine.plans.empty());
  ASSERT_EQ(out.messages_to<JobFailed>(coordinator).size(), 1u);
  EXPECT_NE(out.messages_to<JobFailed>(coordinator)[0].message.find("logit_bias names token"), std::string::npos);
}

}  // namespace
}  // namespace baton
