// SPDX-License-Identifier: Apache-2.0
// What the coordinator does when a worker, or its own earlier life, is gone; and when a worker is to give its jobs away.
#include <gtest/gtest.h>

#include <map>
#include <utility>

#include "actors/coordinator.h"
#include "tests/support/test_outbox.h"

namespace baton {
namespace {

// Keeps what is put, and says at once that it is durable.
struct MemoryJournal final : Journal {
  void put(const JournalKey& key, std::string record, std::function<void(bool, Outbox&)> durable) override {
    records[key] = std::move(record);
    if (durable) waiting.push_back(std::move(durable));
  }
  void erase(const JournalKey& key) override { records.erase(key); }
  void sync(Outbox& out, bool ok = true) {
    for (const auto& durable : std::exchange(waiting, {})) durable(ok, out);
  }
  JournalRecords records;
  std::vector<std::function<void(bool, Outbox&)>> waiting;
};

struct RecoveryTest : ::testing::Test {
  RecoveryTest() { begin({}); }
  static CoordinatorOptions options() {
    CoordinatorOptions options;
    options.supervisor_key = "secret";
    return options;
  }
  void begin(const JournalRecords& records) {
    coordinator.emplace(options(), &journal);
    coordinator->recover(records, out.now());
    out.set_sender(edge);
    coordinator->on(EdgeHello{}, out);
  }
  void join(const ActorRef& actor, const std::string& name, Role role, std::uint32_t pid = 1) {
    WorkerHello hello;
    hello.name = name;
    hello.role = role;
    hello.pid = pid;
    hello.vocab_size = 256;
    hello.max_model_len = 1u << 20;
    hello.max_num_seqs = 4;
    out.set_sender(actor);
    coordinator->on(hello, out);
  }
  void admit(std::uint64_t job, std::uint32_t max_tokens = 10) {
    AdmitJob admit;
    admit.job = JobId{job};
    admit.prompt = {1, 2, 3};
    admit.sampling.max_tokens = max_tokens;
    out.set_sender(edge);
    coordinator->on(admit, out);
    journal.sync(out);
  }
  void tokens(const ActorRef& worker, std::uint64_t job, Epoch epoch, std::uint32_t from, std::uint32_t to) {
    TokenBatch batch;
    for (std::uint32_t i = from; i < to; ++i) batch.tokens.push_back({JobId{job}, epoch, i, token(i), 0.0F});
    out.set_sender(worker);
    coordinator->on(batch, out);
  }
  static TokenId token(std::uint32_t index) { return static_cast<TokenId>(100 + index); }
  static std::vector<TokenId> ids(std::uint32_t count) {
    std::vector<TokenId> list;
    for (std::uint32_t i = 0; i < count; ++i) list.push_back(token(i));
    return list;
  }
  void command(ClusterAction action, const std::string& worker, Role role = Role::kBoth, std::uint32_t pid = 1, const std::string& key = "secret") {
    ClusterCommand command;
    command.tag = 5;
    command.action = action;
    command.worker = worker;
    command.role = role;
    command.pid = pid;
    command.crashed = true;
    command.key = key;
    out.set_sender(edge);
    coordinator->on(command, out);
  }
  void resume_at(std::uint64_t job, Epoch epoch, std::uint32_t count) {
    out.set_sender(edge);
    coordinator->on(ResumePoint{JobId{job}, epoch, ids(count)}, out);
  }
  void expect_sound() {
    for (const std::string& problem : coordinator->check_integrity()) ADD_FAILURE() << problem;
  }
  std::vector<ClusterCommandDone> answers() { return out.messages_to<ClusterCommandDone>(edge); }

  const ActorRef edge{NodeId{30}, Incarnation{300}, 0, 0};
  const ActorRef first{NodeId{20}, Incarnation{200}, 0, 0};
  const ActorRef second{NodeId{21}, Incarnation{210}, 0, 0};
  TestOutbox out;
  MemoryJournal journal;
  std::optional<Coordinator> coordinator;
};

TEST_F(RecoveryTest, TheNextAttemptBeginsBehindWhatBothKnow) {
  join(first, "both-0", Role::kBoth);
  admit(7);
  tokens(first, 7, 1, 0, 4);
  join(second, "both-1", Role::kBoth);
  out.clear();
  coordinator->on(LinkDown{first.node, first.incarnation, "gone"}, out);
  const auto queries = out.messages_to<ResumeQuery>(edge);
  ASSERT_EQ(queries.size(), 1u);
  EXPECT_EQ(queries.front().epoch, 2u);
  EXPECT_TRUE(out.messages<StartPrefill>().empty()) << "before the edge has said what it has";
  tokens(first, 7, 1, 4, 6);  // it is fenced
  out.clear();
  resume_at(7, 2, 2);
  const auto missing = out.messages_to<TokenBatch>(edge);
  ASSERT_EQ(missing.size(), 1u);
  ASSERT_EQ(missing.front().tokens.size(), 2u);
  EXPECT_EQ(missing.front().tokens.front().index, 2u);
  EXPECT_EQ(missing.front().tokens.front().epoch, 2u);
  const auto starts = out.messages_to<StartPrefill>(second);
  ASSERT_EQ(starts.size(), 1u);
  EXPECT_EQ(starts.front().emitted, ids(4));
  expect_sound();
}

TEST_F(RecoveryTest, TheEdgeMayHaveMoreThanTheCoordinator) {
  join(first, "both-0", Role::kBoth);
  admit(7);
  join(second, "both-1", Role::kBoth);
  coordinator->on(LinkDown{first.node, first.incarnation, "gone"}, out);
  out.clear();
  resume_at(7, 2, 6);
  ASSERT_EQ(out.messages_to<StartPrefill>(second).size(), 1u);
  EXPECT_EQ(out.messages_to<StartPrefill>(second).front().emitted, ids(6));
  EXPECT_TRUE(out.messages_to<TokenBatch>(edge).empty());
}

TEST_F(RecoveryTest, AJobThatTwoWorkersDiedOfIsRefused) {
  join(first, "both-0", Role::kBoth, 1);
  admit(7);
  command(ClusterAction::kProcessEnded, "both-0", Role::kBoth, 1);
  resume_at(7, 2, 0);
  join(second, "both-1", Role::kBoth, 2);
  out.clear();
  command(ClusterAction::kProcessEnded, "both-1", Role::kBoth, 2);
  const auto failed = out.messages_to<JobFailed>(edge);
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_EQ(failed.front().code, ErrorCode::kQuarantined);
  EXPECT_EQ(coordinator->jobs(), 0u);
  EXPECT_FALSE(journal.records.contains({1, 7}));
}

TEST_F(RecoveryTest, ATokenInBetweenOrASilentEndIsNoEvidence) {
  join(first, "both-0", Role::kBoth, 1);
  admit(7);
  std::uint32_t have = 0;
  for (std::uint32_t death = 1; death <= 6; ++death) {
    if (death % 2 == 0) tokens(first, 7, death, have, have + 1), ++have;
    if (death % 2 == 0) command(ClusterAction::kProcessEnded, "both-0", Role::kBoth, 1);
    else coordinator->on(LinkDown{first.node, first.incarnation, "silent"}, out);
    resume_at(7, death + 1, have);
    join(first, "both-0", Role::kBoth, 1);
  }
  EXPECT_TRUE(out.messages<JobFailed>().empty());
  EXPECT_EQ(coordinator->jobs(), 1u);
  expect_sound();
}

TEST_F(RecoveryTest, OnlyTheLauncherSaysThatAProcessHasEnded) {
  join(first, "both-0", Role::kBoth, 1);
  admit(7);
  out.clear();
  command(ClusterAction::kProcessEnded, "both-0", Role::kBoth, 1, "guess");
  ASSERT_EQ(answers().size(), 1u);
  EXPECT_FALSE(answers().front().ok);
  EXPECT_EQ(coordinator->workers(), 1u);
  EXPECT_TRUE(out.messages<ResumeQuery>().empty());
}

// A resumed job waits for its edge, not for its delivery: the time limit of that may not put it into the queue a second time.
TEST_F(RecoveryTest, AFinishedJobThatIsResumedIsCountedOnce) {
  join(first, "both-0", Role::kBoth);
  AdmitJob asked;
  asked.job = JobId{7};
  asked.prompt = {1, 2, 3};
  asked.sampling.max_tokens = 2;
  asked.sampling.prompt_logprobs = 1;
  out.set_sender(edge);
  coordinator->on(asked, out);
  tokens(first, 7, 1, 0, 2);
  TokenBatch end;
  end.finished.push_back({JobId{7}, 1, FinishReason::kLength, 2, 0, {}});
  out.set_sender(first);
  coordinator->on(end, out);
  coordinator->on(RelayedBatch{edge, {}}, out);
  command(ClusterAction::kDrain, "both-0");  // refused, and with the queue held up by nothing else
  coordinator->on(LinkDown{first.node, first.incarnation, "gone"}, out);
  out.set_sender(edge);
  coordinator->on(ResumePoint{JobId{7}, 2, {}, true}, out);
  out.advance(std::chrono::seconds(3));
  coordinator->tick(out);
  expect_sound();
}

TEST_F(RecoveryTest, OfManyThatMayBeTheCauseOneIsTriedAtATime) {
  join(first, "both-0", Role::kBoth, 1);
  for (std::uint64_t job = 1; job <= 3; ++job) admit(job);
  command(ClusterAction::kProcessEnded, "both-0", Role::kBoth, 1);
  for (std::uint64_t job = 1; job <= 3; ++job) resume_at(job, 2, 0);
  out.clear();
  join(first, "both-0", Role::kBoth, 2);
  EXPECT_EQ(out.messages_to<StartPrefill>(first).size(), 1u);
  tokens(first, 1, 2, 0, 1);  // it can be computed
  EXPECT_EQ(out.messages_to<StartPrefill>(first).size(), 2u);
  expect_sound();
}

TEST_F(RecoveryTest, ADrainedWorkersStreamTakesItsKvAlong) {
  join(first, "both-0", Role::kBoth);
  admit(7, 1000);
  tokens(first, 7, 1, 0, 60);
  out.clear();
  command(ClusterAction::kDrain, "both-0");
  ASSERT_EQ(answers().size(), 1u);
  EXPECT_FALSE(answers().front().ok) << "nobody else serves";
  join(second, "both-1", Role::kBoth);
  out.clear();
  command(ClusterAction::kDrain, "both-0");
  const auto source = out.messages_to<StartPrefill>(first);
  const auto target = out.messages_to<StartDecode>(second);
  ASSERT_EQ(source.size(), 1u);
  ASSERT_EQ(target.size(), 1u);
  EXPECT_TRUE(source.front().fetch && target.front().fetch);
  EXPECT_EQ(source.front().prompt.size(), 63u);
  EXPECT_TRUE(answers().empty()) << "not before it has none";
  tokens(first, 7, 1, 60, 64);  // it goes on meanwhile
  out.set_sender(second);
  coordinator->on(PrefixFetched{source.front().job, 1, 48, {}}, out);
  resume_at(7, 2, 64);
  const auto moved = out.messages_to<StartPrefill>(second);
  ASSERT_EQ(moved.size(), 1u);
  EXPECT_FALSE(moved.front().decode.valid());
  EXPECT_EQ(moved.front().emitted, ids(64));
  out.set_sender(first);
  coordinator->on(TokenBatch{{}, {}, {{JobId{7}, 1}}, {}, {}}, out);
  ASSERT_EQ(answers().size(), 1u);
  EXPECT_TRUE(answers().front().ok);
  EXPECT_EQ(coordinator->retries().fetched, 1u);
  expect_sound();
}

TEST_F(RecoveryTest, ARoleIsChangedUnlessNobodyWouldBeLeftForTheOther) {
  join(first, "prefill-0", Role::kPrefill);
  join(second, "decode-0", Role::kDecode);
  command(ClusterAction::kRole, "decode-0", Role::kPrefill);
  ASSERT_EQ(answers().size(), 1u);
  EXPECT_FALSE(answers().front().ok);
  EXPECT_NE(answers().front().message.find("no worker would decode"), std::string::npos);
  command(ClusterAction::kRole, "decode-0", Role::kBoth);
  command(ClusterAction::kRole, "prefill-0", Role::kDecode);
  EXPECT_TRUE(answers().back().ok);
  ASSERT_EQ(out.messages_to<RoleChange>(first).size(), 1u);
  admit(7);
  EXPECT_EQ(out.messages_to<StartPrefill>(second).size(), 1u);
  command(ClusterAction::kRole, "nobody", Role::kDecode);
  EXPECT_EQ(answers().back().code, ErrorCode::kNotFound);
}

// ---- a life of the coordinator after another's ---------------------------------------------------------------------

TEST_F(RecoveryTest, AnAdmissionIsPromisedOnceItIsWrittenDown) {
  join(first, "both-0", Role::kBoth);
  AdmitJob asked;
  asked.job = JobId{7};
  asked.prompt = {1, 2, 3};
  asked.sampling.max_tokens = 2;
  out.set_sender(edge);
  coordinator->on(asked, out);
  EXPECT_EQ(out.messages_to<StartPrefill>(first).size(), 1u) << "work begins at once";
  EXPECT_TRUE(out.messages_to<JobAdmitted>(edge).empty());
  journal.sync(out);
  EXPECT_EQ(out.messages_to<JobAdmitted>(edge).size(), 1u);
  EXPECT_TRUE(journal.records.contains({1, 7}));
  out.set_sender(edge);
  coordinator->on(JobClosed{JobId{7}}, out);
  EXPECT_FALSE(journal.records.contains({1, 7}));
}

TEST_F(RecoveryTest, ADiskThatHangsHoldsUpNoPromise) {
  join(first, "both-0", Role::kBoth);
  AdmitJob asked;
  asked.job = JobId{7};
  asked.prompt = {1, 2, 3};
  asked.sampling.max_tokens = 2;
  out.set_sender(edge);
  coordinator->on(asked, out);
  out.advance(std::chrono::milliseconds(900));
  out.set_sender(first);
  coordinator->on(Heartbeat{}, out);
  out.advance(std::chrono::milliseconds(200));
  coordinator->tick(out);
  EXPECT_EQ(out.messages_to<JobAdmitted>(edge).size(), 1u);
  journal.sync(out);
  EXPECT_EQ(out.messages_to<JobAdmitted>(edge).size(), 1u) << "once is enough";
}

// The worker has reported the job, and is gone, or done with it, before the job's edge is back.
TEST_F(RecoveryTest, AReportIsNotBelievedLongerThanItIsTrue) {
  for (const bool dies : {true, false}) {
    begin({});
    join(first, "both-0", Role::kBoth);
    admit(7);
    const JournalRecords kept = journal.records;
    begin(kept);
    join(first, "both-0", Role::kBoth);
    out.set_sender(first);
    coordinator->on(JobReport{{{JobId{7}, 1, HeldKind::kWhole, ids(3), false, {}}}}, out);
    tokens(first, 7, 1, 3, 5);  // it goes on meanwhile
    if (dies) {
      coordinator->on(LinkDown{first.node, first.incarnation, "gone"}, out);
    } else {
      TokenBatch end;
      end.finished.push_back({JobId{7}, 1, FinishReason::kLength, 5, 0, {}});
      end.released.push_back({JobId{7}, 1});
      coordinator->on(end, out);
    }
    out.clear();
    out.set_sender(edge);
    coordinator->on(EdgeReport{{{JobId{7}, 1}}, true}, out);
    out.advance(std::chrono::milliseconds(1100));
    coordinator->tick(out);
    ASSERT_EQ(out.messages_to<ResumeQuery>(edge).size(), 1u) << (dies ? "it died" : "it finished");
    join(first, "both-0", Role::kBoth);
    out.clear();
    resume_at(7, 4097, 5);
    ASSERT_EQ(out.messages_to<StartPrefill>(first).size(), 1u);
    EXPECT_EQ(out.messages_to<StartPrefill>(first).front().emitted, ids(5)) << "also those that came before the edge did";
    expect_sound();
    journal.records.clear();
  }
}

// Without a journal this life counts from the beginning, and the edge listens to later attempts only.
TEST_F(RecoveryTest, AnAttemptIsAboveWhatItsEdgeListensTo) {
  join(first, "both-0", Role::kBoth);
  admit(7);
  out.clear();
  out.set_sender(edge);
  coordinator->on(EdgeReport{{{JobId{7}, 9000}}, true}, out);
  const auto queries = out.messages_to<ResumeQuery>(edge);
  ASSERT_EQ(queries.size(), 1u);
  EXPECT_EQ(queries.front().epoch, 9001u);
  expect_sound();
}

TEST_F(RecoveryTest, WhatAWorkerHasGoesOnAndWhatNobodyHasIsResumed) {
  join(first, "both-0", Role::kBoth);
  admit(7);
  admit(8);
  const JournalRecords kept = journal.records;
  out.clear();
  begin(kept);
  join(first, "both-0", Role::kBoth);
  out.set_sender(edge);
  coordinator->on(EdgeReport{{{JobId{7}, 1}, {JobId{8}, 1}}, true}, out);
  out.set_sender(first);
  coordinator->on(JobReport{{{JobId{7}, 1, HeldKind::kWhole, ids(3), false, {}}, {JobId{9}, 1, HeldKind::kWhole, {}, false, {}}}}, out);
  ASSERT_EQ(out.messages_to<CancelJob>(first).size(), 1u) << "a job that the journal does not have";
  EXPECT_EQ(out.messages_to<CancelJob>(first).front().job, JobId{9});
  EXPECT_TRUE(out.messages<StartPrefill>().empty());
  EXPECT_TRUE(out.messages<ResumeQuery>().empty());
  expect_sound();
  out.advance(std::chrono::milliseconds(900));
  out.set_sender(first);
  coordinator->on(Heartbeat{}, out);
  out.advance(std::chrono::milliseconds(200));
  coordinator->tick(out);
  const auto queries = out.messages_to<ResumeQuery>(edge);
  ASSERT_EQ(queries.size(), 1u);
  EXPECT_EQ(queries.front().job, JobId{8});
  EXPECT_GT(queries.front().epoch, 4096u) << "above whatever an earlier life gave";
  tokens(first, 7, 1, 3, 4);
  TokenBatch end;
  end.finished.push_back({JobId{7}, 1, FinishReason::kLength, 4, 0, {}});
  end.released.push_back({JobId{7}, 1});
  out.set_sender(first);
  coordinator->on(end, out);
  out.set_sender(edge);
  coordinator->on(JobClosed{JobId{7}}, out);
  EXPECT_EQ(coordinator->jobs(), 1u);
  expect_sound();
}

TEST_F(RecoveryTest, StreamsThatAnEdgeDoesNotHaveAnyMoreAreEnded) {
  join(first, "both-0", Role::kBoth);
  admit(7);
  const JournalRecords kept = journal.records;
  begin(kept);
  join(first, "both-0", Role::kBoth);
  out.set_sender(first);
  coordinator->on(JobReport{{{JobId{7}, 1, HeldKind::kWhole, {}, false, {}}}}, out);
  out.clear();
  out.set_sender(edge);
  coordinator->on(EdgeReport{{{JobId{12}, 1}}, true}, out);
  ASSERT_EQ(out.messages_to<JobFailed>(edge).size(), 1u) << "one that the journal does not have";
  ASSERT_EQ(out.messages_to<CancelJob>(first).size(), 1u);
  EXPECT_EQ(out.messages_to<CancelJob>(first).front().job, JobId{7});
  EXPECT_FALSE(journal.records.contains({1, 7}));
}

TEST_F(RecoveryTest, AnotherLifeOfAnEdgeAdoptsWhatItsClientsWillAskFor) {
  AdmitJob asked;
  asked.job = JobId{7};
  asked.prompt = {1, 2, 3};
  asked.sampling.max_tokens = 10;
  asked.client = "wishes";
  join(first, "both-0", Role::kBoth);
  out.set_sender(edge);
  coordinator->on(asked, out);
  admit(8);  // its client cannot come back
  const JournalRecords kept = journal.records;
  coordinator.emplace(options(), &journal);
  coordinator->recover(kept, out.now());
  out.clear();
  const ActorRef next{edge.node, Incarnation{301}, 0, 0};
  out.set_sender(next);
  coordinator->on(EdgeHello{}, out);
  const auto adopted = out.messages_to<AdoptJob>(next);
  ASSERT_EQ(adopted.size(), 1u);
  EXPECT_EQ(adopted.front().job, JobId{7});
  EXPECT_EQ(adopted.front().client, "wishes");
  EXPECT_EQ(coordinator->jobs(), 1u);
  join(first, "both-0", Role::kBoth);
  out.set_sender(first);
  coordinator->on(JobReport{{{JobId{7}, 1, HeldKind::kWhole, ids(5), false, {}}}}, out);
  ASSERT_EQ(out.messages_to<ResumeQuery>(next).size(), 1u);
  out.set_sender(next);
  coordinator->on(ResumePoint{JobId{7}, out.messages_to<ResumeQuery>(next).front().epoch, {}}, out);
  ASSERT_EQ(out.messages_to<TokenBatch>(next).size(), 1u);
  EXPECT_EQ(out.messages_to<TokenBatch>(next).front().tokens.size(), 5u);
  ASSERT_EQ(out.messages_to<StartPrefill>(first).size(), 1u) << "where its KV is";
  EXPECT_EQ(out.messages_to<StartPrefill>(first).front().emitted, ids(5));
  expect_sound();
}

}  // namespace
}  // namespace baton
