// SPDX-License-Identifier: Apache-2.0
// The coordinator alone: what it does when told things the simulator rarely brings about.
#include <gtest/gtest.h>

#include "actors/coordinator.h"
#include "tests/support/test_outbox.h"

namespace baton {
namespace {

struct CoordinatorTest : ::testing::Test {
  CoordinatorTest() : coordinator(CoordinatorOptions{}) {
    out.set_sender(edge);
    coordinator.on(EdgeHello{}, out);
    join(worker, "both-0");
  }
  void join(const ActorRef& actor, const std::string& name) {
    WorkerHello hello;
    hello.name = name;
    hello.role = Role::kBoth;
    hello.vocab_size = 256;
    hello.max_model_len = 1u << 20;
    hello.max_num_seqs = 4;
    out.set_sender(actor);
    coordinator.on(hello, out);
  }
  void admit(JobId job, std::uint32_t max_tokens) {
    AdmitJob admit;
    admit.job = job;
    admit.prompt = {1, 2, 3};
    admit.sampling.max_tokens = max_tokens;
    out.set_sender(edge);
    coordinator.on(admit, out);
  }
  // The whole stream of a job, as its worker sends it to the coordinator.
  void run(JobId job, std::uint32_t tokens) {
    out.set_sender(worker);
    TokenBatch batch;
    for (std::uint32_t i = 0; i < tokens; ++i) {
      batch.tokens.push_back({job, 1, i, static_cast<TokenId>(i % 256), 0.0F});
      if (batch.tokens.size() == 1000 || i + 1 == tokens) coordinator.on(std::exchange(batch, {}), out);
    }
    batch.finished.push_back({job, 1, FinishReason::kLength, tokens, 0, {}});
    batch.released.push_back({job, 1});
    coordinator.on(batch, out);
  }
  void beat() {
    out.set_sender(worker);
    coordinator.on(Heartbeat{}, out);
  }

  const ActorRef edge{NodeId{30}, Incarnation{300}, 0, 0};
  const ActorRef worker{NodeId{20}, Incarnation{200}, 0, 0};
  TestOutbox out;
  Coordinator coordinator;
};

TEST_F(CoordinatorTest, AnEdgeThatDoesNotHearTheEndOfAJobIsToldByTheCoordinator) {
  admit(JobId{7}, 3);
  run(JobId{7}, 3);
  out.clear();
  out.advance(std::chrono::seconds(2));
  beat();
  coordinator.tick(out);
  const auto batches = out.messages_to<TokenBatch>(edge);
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches.front().tokens.size(), 3u);
  ASSERT_EQ(batches.front().finished.size(), 1u);
  out.set_sender(edge);
  coordinator.on(JobClosed{JobId{7}}, out);
  EXPECT_EQ(coordinator.jobs(), 0u);
  out.clear();
  out.advance(std::chrono::seconds(2));
  beat();
  coordinator.tick(out);
  EXPECT_TRUE(out.messages<TokenBatch>().empty());
}

TEST_F(CoordinatorTest, AStreamTooLongForOneMessageIsToldInSeveral) {
  constexpr std::uint32_t kTokens = 100'000;  // a TokenBatch has at most 65536
  admit(JobId{7}, kTokens);
  run(JobId{7}, kTokens);
  out.clear();
  out.set_sender(ActorRef{});
  coordinator.on(LinkDown{worker.node, worker.incarnation, "gone"}, out);
  std::size_t tokens = 0;
  std::size_t finished = 0;
  for (const TokenBatch& batch : out.messages_to<TokenBatch>(edge)) {
    EXPECT_EQ(finished, 0u) << "the end comes last";
    tokens += batch.tokens.size();
    finished += batch.finished.size();
  }
  EXPECT_EQ(tokens, kTokens);
  EXPECT_EQ(finished, 1u);
}

TEST_F(CoordinatorTest, OutputOfAnotherAttemptDoesNotCount) {
  admit(JobId{7}, 2);
  out.clear();
  out.set_sender(worker);
  coordinator.on(TokenBatch{{{JobId{7}, 2, 0, 200, 0.0F}}, {{JobId{7}, 2, FinishReason::kLength, 1, 0, {}}}, {}}, out);
  run(JobId{7}, 2);  // would contradict what came before
  out.clear();
  out.advance(std::chrono::seconds(2));
  beat();
  coordinator.tick(out);
  ASSERT_EQ(out.messages_to<TokenBatch>(edge).size(), 1u);
  EXPECT_EQ(out.messages_to<TokenBatch>(edge).front().finished.front().tokens, 2u);
  EXPECT_TRUE(out.messages<JobFailed>().empty());
}

TEST_F(CoordinatorTest, AClusterTooLargeForOneMessageIsIntroducedInSeveral) {
  constexpr std::size_t kWorkers = 140;
  for (std::size_t i = 0; i < kWorkers; ++i) {
    WorkerHello hello;
    hello.name = "both-" + std::to_string(i + 1);
    hello.vocab_size = 256;
    hello.max_model_len = 1u << 20;
    hello.data_address = std::string(65536, 'a');  // 8.75 MiB in all, where a message has 8
    out.clear();
    out.set_sender({NodeId{1000 + i}, Incarnation{1}, 0, 0});
    coordinator.on(hello, out);
  }
  std::size_t heard_of = 0;
  for (const PeersJoined& joined : out.messages_to<PeersJoined>({NodeId{1000 + kWorkers - 1}, Incarnation{1}, 0, 0}))
    heard_of += joined.peers.size();
  EXPECT_EQ(heard_of, kWorkers + 1);
}

// Nothing but another life of a worker may tell that the last one ended: then its jobs are suspects as well as when its launcher says so.
TEST_F(CoordinatorTest, AJobThatTwoLivesOfAWorkerEndedWithIsRefused) {
  admit(JobId{7}, 3);
  for (std::uint32_t life = 200; life < 202; ++life) {
    EXPECT_TRUE(out.messages<JobFailed>().empty());
    EXPECT_EQ(out.messages<StartPrefill>().size(), life - 199);
    out.set_sender(ActorRef{});
    coordinator.on(LinkDown{worker.node, Incarnation{life}, "replaced by a new life", LinkEnd::kReplaced}, out);
    join({worker.node, Incarnation{life + 1}, 0, 0}, "both-0");
    out.set_sender(edge);
    coordinator.on(ResumePoint{JobId{7}, life - 198, {}}, out);
  }
  ASSERT_EQ(out.messages_to<JobFailed>(edge).size(), 1u);
  EXPECT_EQ(out.messages_to<JobFailed>(edge).front().code, ErrorCode::kQuarantined);
  EXPECT_EQ(out.messages<StartPrefill>().size(), 2u);
  EXPECT_TRUE(coordinator.check_integrity().empty());
}

// Silence is no evidence: such a job is tried for as long as it may take.
TEST_F(CoordinatorTest, AJobWhoseWorkersFellSilentIsNotRefused) {
  admit(JobId{7}, 3);
  for (std::uint32_t life = 200; life < 210; ++life) {
    out.set_sender(ActorRef{});
    coordinator.on(LinkDown{worker.node, Incarnation{life}, "silent for too long"}, out);
    join({worker.node, Incarnation{life + 1}, 0, 0}, "both-0");
    out.set_sender(edge);
    coordinator.on(ResumePoint{JobId{7}, life - 198, {}}, out);
  }
  EXPECT_EQ(out.messages<StartPrefill>().size(), 11u);
  EXPECT_TRUE(out.messages<JobFailed>().empty());
}

// A coordinator that was stopped for little more than its own patience once took the whole cluster for dead.
TEST_F(CoordinatorTest, SilenceWhileItWasStoppedItselfIsNoDeath) {
  using std::chrono::milliseconds;
  for (const Duration stop : {milliseconds(1010), milliseconds(1200), milliseconds(3000)}) {
    for (int beat = 0; beat < 20; ++beat) {
      out.advance(milliseconds(100));
      out.set_sender(worker);
      if (beat % 2 == 0) coordinator.on(Heartbeat{}, out);
      coordinator.tick(out);
    }
    out.advance(stop);
    coordinator.tick(out);
    EXPECT_EQ(coordinator.workers(), 1u) << stop.count() << " ns";
  }
  // Awake, it believes in silence.
  for (int beat = 0; beat < 20 && coordinator.workers() > 0; ++beat) {
    out.advance(milliseconds(100));
    coordinator.tick(out);
    EXPECT_TRUE(beat > 8 || coordinator.workers() == 1) << beat;
  }
  EXPECT_EQ(coordinator.workers(), 0u);
}

TEST_F(CoordinatorTest, EveryAttemptCarriesTheCacheSalt) {
  AdmitJob asked;
  asked.job = JobId{7};
  asked.prompt = {1, 2, 3};
  asked.sampling.max_tokens = 2;
  asked.cache_salt = "tenant-7";
  out.set_sender(edge);
  coordinator.on(asked, out);
  const ActorRef second{NodeId{21}, Incarnation{210}, 0, 0};
  join(second, "both-1");
  coordinator.on(LinkDown{worker.node, worker.incarnation, "gone"}, out);
  out.set_sender(edge);
  coordinator.on(ResumePoint{JobId{7}, 2, {}}, out);
  for (const ActorRef& each : {worker, second}) {
    const auto starts = out.messages_to<StartPrefill>(each);
    ASSERT_EQ(starts.size(), 1u);
    EXPECT_EQ(starts.front().cache_salt, "tenant-7");
  }
}

TEST_F(CoordinatorTest, AJobThatEndedIsTracedFromMemoryAndOneThatRunsAtItsEdge) {
  const ActorRef gateway{NodeId{31}, Incarnation{310}, 0, 0};
  out.set_sender(gateway);
  coordinator.on(EdgeHello{}, out);
  JobEnded ended{"mine", {}};
  ended.timeline.queue_ns = 5;
  out.set_sender(worker);
  coordinator.on(ended, out);  // no edge: not heard
  const auto ask = [&](const std::string& id) {
    out.set_sender(edge);
    out.clear();
    coordinator.on(TraceRequest{9, id}, out);
  };
  ask("mine");
  EXPECT_TRUE(out.messages_to<TraceReport>(edge).empty());
  out.set_sender(gateway);
  coordinator.on(ended, out);
  ask("mine");
  ASSERT_EQ(out.messages_to<TraceReport>(edge).size(), 1u);
  EXPECT_EQ(out.messages_to<TraceReport>(edge).front().timeline.queue_ns, 5u);

  ask("theirs");
  const auto asked = out.messages_to<TraceRequest>(gateway);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_TRUE(out.messages_to<TraceRequest>(edge).empty()) << "it has looked itself";
  TraceReport report{asked.front().tag, true, {}};
  report.timeline.prefill_ns = 6;
  out.set_sender(worker);
  coordinator.on(report, out);
  EXPECT_TRUE(out.messages<TraceReport>().empty());
  out.set_sender(gateway);
  coordinator.on(report, out);
  ASSERT_EQ(out.messages_to<TraceReport>(edge).size(), 1u);
  EXPECT_EQ(out.messages_to<TraceReport>(edge).front().tag, 9u);
  EXPECT_EQ(out.messages_to<TraceReport>(edge).front().timeline.prefill_ns, 6u);

  ask("nobodys");
  out.advance(std::chrono::seconds(3));
  coordinator.tick(out);
  ASSERT_EQ(out.messages_to<TraceReport>(edge).size(), 2u) << "the first one and this one: silence is an answer, too";
  for (const TraceReport& each : out.messages_to<TraceReport>(edge)) EXPECT_FALSE(each.found);
}

TEST_F(CoordinatorTest, TrafficIsKeptByPairAndToldOnlyIfAsked) {
  Heartbeat beat;
  beat.blocks_free = 5;
  beat.traffic.push_back({"d-0", "tcp", 3, 0, 300, 30, 40});
  out.set_sender(worker);
  coordinator.on(beat, out);
  beat.traffic = {{"d-1", "shm", 1, 1, 100, 10, 10}, {"d-0", "shm", 4, 0, 400, 40, 50}};
  coordinator.on(beat, out);
  beat.traffic.clear();
  coordinator.on(beat, out);
  const auto ask = [&](bool traffic) {
    out.set_sender(edge);
    out.clear();
    coordinator.on(StatusRequest{1, traffic}, out);
    return out.messages_to<StatusReport>(edge).at(0).workers.at(0);
  };
  EXPECT_TRUE(ask(false).traffic.empty());
  const WorkerStatus status = ask(true);
  EXPECT_TRUE(status.last.traffic.empty());
  ASSERT_EQ(status.traffic.size(), 2u);
  EXPECT_EQ(status.traffic[0].peer, "d-0");
  EXPECT_EQ(status.traffic[0].bytes, 400u);
  EXPECT_EQ(status.traffic[0].transport, "shm");
  EXPECT_EQ(status.traffic[1].failures, 1u);
}

TEST_F(CoordinatorTest, WhatHappenedIsToldInOrder) {
  coordinator.start(out.now());
  WorkerHello other;
  other.name = "odd-0";
  other.model_hash = 77;
  other.model_name = "odd";
  out.set_sender(ActorRef{NodeId{21}, Incarnation{210}, 0, 0});
  other.vocab_size = 256;
  other.max_model_len = 5;
  coordinator.on(other, out);  // another max_model_len: refused
  admit(JobId{7}, 3);
  admit(JobId{8}, 3);
  out.advance(std::chrono::seconds(1));
  out.set_sender(ActorRef{});
  coordinator.on(LinkDown{worker.node, worker.incarnation, "gone"}, out);
  coordinator.drain(out.now());
  coordinator.drain(out.now());  // once is enough
  out.advance(std::chrono::seconds(2));
  out.set_sender(edge);
  out.clear();
  coordinator.on(EventsRequest{3, 2}, out);
  const auto reports = out.messages_to<EventsReport>(edge);
  ASSERT_EQ(reports.size(), 1u);
  const EventsReport& report = reports.front();
  EXPECT_EQ(report.tag, 3u);
  EXPECT_EQ(report.life, out.self().incarnation.value);
  EXPECT_EQ(report.missed, 0u);
  std::vector<EventKind> kinds;
  for (const ClusterEvent& event : report.events) kinds.push_back(event.kind);
  EXPECT_EQ(kinds, (std::vector<EventKind>{EventKind::kStarted, EventKind::kRefused, EventKind::kLost, EventKind::kRedispatched, EventKind::kDraining}));
  EXPECT_EQ(report.last, 7u) << "an edge and a worker had joined before";
  EXPECT_EQ(report.events[2].subject, "both-0");
  EXPECT_EQ(report.events[2].age_ns, 2'000'000'000u);
  EXPECT_EQ(report.events[3].detail, "2 jobs placed again");
}

TEST(EventRing, ForgetsTheOldestAndSaysHowMany) {
  EventRing ring;
  for (std::size_t i = 0; i < EventRing::kMost + 10; ++i) ring.note(EventKind::kJoined, "w-" + std::to_string(i), "", Time{});
  EventsReport report = ring.report(0, Time{});
  EXPECT_EQ(report.missed, 10u);
  EXPECT_EQ(report.events.size(), EventRing::kPerReport);
  EXPECT_EQ(report.events.front().seq, 11u);
  std::uint64_t shown = report.events.size();
  while (report.events.back().seq < report.last) {
    report = ring.report(report.events.back().seq, Time{});
    EXPECT_EQ(report.missed, 0u);
    shown += report.events.size();
  }
  EXPECT_EQ(shown, EventRing::kMost);
  EXPECT_TRUE(ring.report(report.last, Time{}).events.empty());
  EXPECT_TRUE(ring.report(UINT64_MAX, Time{}).events.empty());
}

}  // namespace
}  // namespace baton
