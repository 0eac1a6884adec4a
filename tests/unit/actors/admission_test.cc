// SPDX-License-Identifier: Apache-2.0
// Who gets in, who is told to come again, and whose attempts are made again: the coordinator alone, in front of workers that the
// test plays.
#include <gtest/gtest.h>

#include <set>

#include "actors/coordinator.h"
#include "tests/support/test_outbox.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct AdmissionTest : ::testing::Test {
  static CoordinatorOptions options() {
    CoordinatorOptions options;
    options.cluster_name = "test";
    options.jobs_max = 40;
    options.queued_tokens_max = 20'000;
    options.ttft_limit = seconds(5);
    options.retry_budget = {10, 3, seconds(60)};
    return options;
  }
  AdmissionTest() : coordinator(options()) {
    out.advance(seconds(1));
    out.set_sender(edge);
    coordinator.on(EdgeHello{}, out);
    join(worker, "both-0", Role::kBoth);
  }
  void join(const ActorRef& actor, const std::string& name, Role role, std::uint32_t seqs = 8) {
    WorkerHello hello;
    hello.name = name;
    hello.role = role;
    hello.vocab_size = 256;
    hello.max_model_len = 1u << 20;
    hello.max_num_seqs = seqs;
    hello.max_num_batched_tokens = 100;
    out.set_sender(actor);
    coordinator.on(hello, out);
  }
  void admit(JobId job, std::size_t tokens = 100, Duration limit = {}) {
    AdmitJob asked;
    asked.job = job;
    asked.prompt.assign(tokens, 7);
    asked.sampling.max_tokens = 50;
    asked.time_limit_ns = static_cast<std::uint64_t>(limit.count());
    out.set_sender(edge);
    coordinator.on(asked, out);
  }
  std::optional<JobFailed> failure(JobId job) const {
    for (const JobFailed& failed : out.messages_to<JobFailed>(edge))
      if (failed.job == job) return failed;
    return std::nullopt;
  }
  std::set<JobId> placed() const {
    std::set<JobId> jobs;
    for (const auto& [to, start] : out.messages<StartPrefill>()) jobs.insert(start.job);
    return jobs;
  }
  void token(JobId job, Epoch epoch, std::uint32_t index, const ActorRef& from) {
    out.set_sender(from);
    coordinator.on(TokenBatch{{{job, epoch, index, 9}}, {}, {}}, out);
  }
  void finish(JobId job, Epoch epoch, const ActorRef& from) {
    out.set_sender(from);
    coordinator.on(TokenBatch{{{job, epoch, 0, 9}}, {{job, epoch, FinishReason::kStop, 1, 0, {}}}, {{job, epoch}}}, out);
    out.set_sender(edge);
    coordinator.on(JobClosed{job}, out);
  }
  void beat() {
    out.set_sender(worker);
    coordinator.on(Heartbeat{}, out);
    coordinator.tick(out);
  }
  // 1000 prompt tokens a second: twenty jobs, one after the other, with a backlog.
  void teach() {
    for (std::uint64_t job = 1; job <= 21; ++job) admit(JobId{1000 + job});
    for (std::uint64_t job = 1; job <= 20; ++job) {
      out.advance(milliseconds(100));
      finish(JobId{1000 + job}, 1, worker);
    }
    finish(JobId{1021}, 1, worker);
    ASSERT_EQ(coordinator.jobs(), 0u);
    out.clear();
  }
  // The worker of that life dies with everything, the next one is there, and the edge says how far its streams are.
  void die(std::uint32_t life, const std::vector<JobId>& jobs, Epoch next, const std::vector<TokenId>& known = {}) {
    out.set_sender(ActorRef{});
    coordinator.on(LinkDown{worker.node, Incarnation{life}, "silent for too long"}, out);
    join({worker.node, Incarnation{life + 1}, 0, 0}, "both-0", Role::kBoth);
    out.set_sender(edge);
    for (const JobId job : jobs)
      if (!failure(job)) coordinator.on(ResumePoint{job, next, known}, out);
  }
  std::vector<std::pair<EventKind, std::string>> events() {
    out.set_sender(edge);
    coordinator.on(EventsRequest{}, out);
    std::vector<std::pair<EventKind, std::string>> all;
    const EventsReport report = out.messages_to<EventsReport>(edge).back();
    for (const ClusterEvent& event : report.events) all.emplace_back(event.kind, event.detail);
    return all;
  }
  std::size_t count(EventKind kind) {
    std::size_t found = 0;
    for (const auto& [each, detail] : events()) found += each == kind ? 1 : 0;
    return found;
  }

  const ActorRef edge{NodeId{30}, Incarnation{300}, 0, 0};
  const ActorRef worker{NodeId{20}, Incarnation{200}, 0, 0};
  TestOutbox out;
  Coordinator coordinator;
};

TEST_F(AdmissionTest, AJobWhoseFirstTokenWouldComeTooLateIsRefusedAtOnceAndToldWhenToComeAgain) {
  teach();
  admit(JobId{1}, 4000);
  EXPECT_FALSE(failure(JobId{1}));
  admit(JobId{2}, 2000);
  const auto refused = failure(JobId{2});
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->code, ErrorCode::kOverloaded);
  EXPECT_NE(refused->message.find("scheduling.max_predicted_ttft"), std::string::npos) << refused->message;
  EXPECT_NEAR(static_cast<double>(refused->retry_after_ns), 4e9, 0.4e9) << "the wait, not the job's own prompt";
  EXPECT_EQ(placed(), std::set{JobId{1}});
  admit(JobId{3}, 500);
  EXPECT_FALSE(failure(JobId{3})) << "a shorter one is served in time";
  const AdmissionStatus status = coordinator.admission();
  EXPECT_EQ(status.admitted, 23u);
  EXPECT_EQ(status.refused_predicted, 1u);
  EXPECT_NEAR(static_cast<double>(status.wait_ns), 4.5e9, 0.45e9);
  token(JobId{1}, 1, 0, worker);
  admit(JobId{4}, 2000);
  EXPECT_FALSE(failure(JobId{4})) << "what was ahead has its first token";
  EXPECT_TRUE(coordinator.check_integrity().empty());
}

TEST_F(AdmissionTest, TheTimeLimitOfAJobCountsToo) {
  teach();
  admit(JobId{1}, 3000);
  admit(JobId{2}, 100, seconds(4));
  const auto refused = failure(JobId{2});
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->code, ErrorCode::kOverloaded);
  EXPECT_NE(refused->message.find("time limit of the whole job is 4.0 s"), std::string::npos) << refused->message;
  admit(JobId{3}, 100, seconds(5));
  EXPECT_FALSE(failure(JobId{3})) << "3.1 s of 5";
}

TEST_F(AdmissionTest, NobodyIsRefusedWhereNothingIsAheadOfHim) {
  teach();
  admit(JobId{1}, 15'000);
  EXPECT_FALSE(failure(JobId{1}));
  EXPECT_EQ(placed(), std::set{JobId{1}});
}

TEST_F(AdmissionTest, AWorkerThatIsDrainedOrDecodesOnlyIsNotCountedOn) {
  const ActorRef second{NodeId{21}, Incarnation{210}, 0, 0};
  teach();
  join(second, "both-1", Role::kBoth);
  admit(JobId{1}, 4000);
  admit(JobId{2}, 4000);
  EXPECT_FALSE(failure(JobId{2})) << "the second worker is idle";
  const auto ask = [&](ClusterAction action, Role role) {
    ClusterCommand command;
    command.action = action;
    command.worker = "both-1";
    command.role = role;
    out.set_sender(edge);
    coordinator.on(command, out);
  };
  ask(ClusterAction::kRole, Role::kDecode);
  admit(JobId{3}, 2000);
  EXPECT_TRUE(failure(JobId{3}));
  ask(ClusterAction::kRole, Role::kBoth);
  admit(JobId{4}, 2000);
  EXPECT_FALSE(failure(JobId{4})) << "how fast it is nobody knows yet";
  ask(ClusterAction::kDrain, Role::kBoth);
  admit(JobId{5}, 2000);
  EXPECT_TRUE(failure(JobId{5}));
  EXPECT_TRUE(coordinator.check_integrity().empty());
}

TEST_F(AdmissionTest, TheLimitOfTheQueueCountsWhatWaitsAndNotWhatRuns) {
  for (std::uint64_t job = 1; job <= 16 + 40; ++job) admit(JobId{job});  // the worker has 16
  EXPECT_TRUE(out.messages<JobFailed>().empty());
  admit(JobId{100});
  const auto refused = failure(JobId{100});
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->code, ErrorCode::kResourceExhausted);
  EXPECT_NE(refused->message.find("40 jobs are waiting"), std::string::npos) << refused->message;
  finish(JobId{1}, 1, worker);
  admit(JobId{101});
  EXPECT_FALSE(failure(JobId{101}));
  EXPECT_EQ(coordinator.admission().refused_full, 1u);
}

TEST_F(AdmissionTest, TokensThatWaitAreBoundedButAPromptAloneIsNotTooMany) {
  for (std::uint64_t job = 1; job <= 16; ++job) admit(JobId{job});
  admit(JobId{20}, 30'000);
  EXPECT_FALSE(failure(JobId{20})) << "it would never get in";
  admit(JobId{21}, 1);
  ASSERT_TRUE(failure(JobId{21}));
  EXPECT_EQ(failure(JobId{21})->code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(coordinator.admission().queued_tokens, 30'000u);
}

// Word of a free place may come before the timer that ends the job.
TEST_F(AdmissionTest, AJobWhoseTimeHasPassedInTheQueueIsNotPlaced) {
  for (std::uint64_t job = 1; job <= 16; ++job) admit(JobId{job});
  admit(JobId{20}, 100, seconds(2));
  admit(JobId{21}, 100, seconds(200));  // the worker answers 50 tokens a second, as it seems then
  admit(JobId{22}, 100, seconds(3));
  out.advance(seconds(2));
  finish(JobId{1}, 1, worker);
  const auto failed = failure(JobId{20});
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->code, ErrorCode::kDeadlineExceeded);
  EXPECT_NE(failed->message.find("nothing of it was computed"), std::string::npos) << failed->message;
  EXPECT_FALSE(placed().contains(JobId{20}));
  EXPECT_TRUE(placed().contains(JobId{21}));
  EXPECT_EQ(coordinator.admission().expired, 1u);
  out.advance(seconds(1));
  coordinator.tick(out);
  EXPECT_EQ(coordinator.admission().expired, 2u) << "the timer drops it as well";
  EXPECT_TRUE(coordinator.check_integrity().empty());
}

TEST_F(AdmissionTest, AJobWithTimeLeftButNotForItsPromptIsNotPlacedEither) {
  for (std::uint64_t job = 1; job <= 15; ++job) admit(JobId{job}, 200);
  for (std::uint64_t job = 1; job <= 5; ++job) admit(JobId{20 + job}, 500, seconds(3));
  for (std::uint64_t job = 1; job <= 14; ++job) {  // 1000 tokens a second
    out.advance(milliseconds(200));
    finish(JobId{job}, 1, worker);
  }
  // The last ones came to the worker with hardly a second left, behind two others.
  EXPECT_GT(coordinator.admission().expired, 0u);
  for (const JobId job : placed()) EXPECT_FALSE(failure(job)) << "whatever is placed is computed";
  EXPECT_TRUE(coordinator.check_integrity().empty());
}

TEST_F(AdmissionTest, AnOverloadIsTwoEventsHoweverManyAreRefused) {
  teach();
  admit(JobId{1}, 4000);
  for (std::uint64_t job = 100; job < 600; ++job) {
    admit(JobId{job}, 2000);
    out.advance(milliseconds(4));
    beat();
  }
  EXPECT_EQ(count(EventKind::kOverloaded), 1u);
  EXPECT_EQ(count(EventKind::kRelieved), 0u);
  for (int i = 0; i < 6; ++i) {
    out.advance(seconds(1));
    beat();
  }
  ASSERT_EQ(count(EventKind::kRelieved), 1u);
  EXPECT_NE(events().back().second.find("500 refused because their first token"), std::string::npos) << events().back().second;
  EXPECT_NE(events().back().second.find("in 2.0 s"), std::string::npos) << events().back().second;
  admit(JobId{700}, 2000);
  EXPECT_EQ(count(EventKind::kOverloaded), 2u);
}

// ---- the retry budget ----------------------------------------------------------------------------------------------

TEST_F(AdmissionTest, TheLossOfTheOnlyWorkerResumesAllItsJobsWhateverTheBudget) {
  std::vector<JobId> jobs;
  for (std::uint64_t job = 1; job <= 16; ++job) jobs.emplace_back(job);
  for (const JobId job : jobs) admit(job);
  out.clear();
  die(200, jobs, 2);
  EXPECT_EQ(placed().size(), 16u);
  EXPECT_TRUE(out.messages<JobFailed>().empty());
}

TEST_F(AdmissionTest, WhatIsLostAgainWithoutATokenDrawsOnTheBudget) {
  std::vector<JobId> jobs;
  for (std::uint64_t job = 1; job <= 16; ++job) jobs.emplace_back(job);
  for (const JobId job : jobs) admit(job);
  die(200, jobs, 2);
  out.clear();
  die(201, jobs, 3);
  EXPECT_EQ(placed().size(), 3u) << "the floor";
  ASSERT_EQ(out.messages<JobFailed>().size(), 13u);
  const JobFailed failed = out.messages_to<JobFailed>(edge).front();
  EXPECT_EQ(failed.code, ErrorCode::kRetriesExhausted);
  EXPECT_NE(failed.message.find("2 attempts in a row"), std::string::npos) << failed.message;
  EXPECT_EQ(coordinator.retries().out_of_budget, 13u);
  EXPECT_EQ(coordinator.admission().out_of_retries, 13u);
  EXPECT_EQ(count(EventKind::kOutOfRetries), 1u);
  EXPECT_TRUE(coordinator.check_integrity().empty());
}

TEST_F(AdmissionTest, ATenthOfTheJobsMayBeRepeated) {
  for (std::uint64_t job = 1; job <= 100; ++job) {
    admit(JobId{5000 + job});
    finish(JobId{5000 + job}, 1, worker);
  }
  std::vector<JobId> jobs;
  for (std::uint64_t job = 1; job <= 16; ++job) jobs.emplace_back(job);
  for (const JobId job : jobs) admit(job);
  die(200, jobs, 2);
  out.clear();
  die(201, jobs, 3);
  EXPECT_EQ(placed().size(), 11u) << "of 116";
}

TEST_F(AdmissionTest, AnAttemptThatBroughtATokenIsNoWorkDoneTwice) {
  admit(JobId{1});
  std::vector<TokenId> known;
  for (std::uint32_t life = 200; life < 220; ++life) {
    token(JobId{1}, life - 199, static_cast<std::uint32_t>(known.size()), {worker.node, Incarnation{life}, 0, 0});
    known.push_back(9);
    die(life, {JobId{1}}, life - 198, known);
  }
  EXPECT_TRUE(out.messages<JobFailed>().empty());
  EXPECT_EQ(coordinator.retries().again, 20u);
}

}  // namespace
}  // namespace baton
