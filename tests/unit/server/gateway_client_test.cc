// SPDX-License-Identifier: Apache-2.0
// GatewayClient between two threads that the test turns by hand: what it asks of the edge, and how the edge's words come back.
#include "server/gateway_client.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <stdexcept>

#include "protocol/sampling_limits.h"
#include "tests/support/test_outbox.h"

namespace baton::test {
namespace {

using std::chrono::milliseconds;

ClientSubmit job_of(const std::string& prompt) {
  ClientSubmit job;
  job.prompt = prompt;
  return job;
}
ClientDone done(JobPort::Ticket ticket) {
  ClientDone event;
  event.tag = ticket;
  return event;
}
ClientTokens tokens(JobPort::Ticket ticket) {
  ClientTokens event;
  event.tag = ticket;
  return event;
}

class HandThread final : public HttpThread {
 public:
  void post(std::function<void()> turn) override { turns.push_back(std::move(turn)); }
  void after(Duration delay, std::function<void()> turn) override { timers.emplace(time + delay, std::move(turn)); }
  Time now() const override { return time; }
  void run() {
    while (!turns.empty()) {
      const auto turn = std::move(turns.front());
      turns.pop_front();
      turn();
    }
  }
  void advance(Duration by) {
    const Time until = time + by;
    while (!timers.empty() && timers.begin()->first <= until) {
      time = timers.begin()->first;
      const auto turn = std::move(timers.begin()->second);
      timers.erase(timers.begin());
      turn();
    }
    time = until;
  }
  Time time{};
  std::deque<std::function<void()>> turns;
  std::multimap<Time, std::function<void()>> timers;
};

class HandLoop final : public Executor {
 public:
  void post(std::uint32_t slot, std::function<void(Outbox&)> turn) override {
    EXPECT_EQ(slot, 1u);
    turns.push_back(std::move(turn));
  }
  std::vector<std::function<void(Outbox&)>> turns;
};

class GatewayClientTest : public ::testing::Test {
 protected:
  // Lets the loop carry out what was posted to it.
  void run_loop() {
    for (const auto& turn : std::exchange(loop_.turns, {})) turn(out_);
  }
  template <class Message>
  std::vector<Message> asked() {
    run_loop();
    const auto found = out_.messages_to<Message>(edge_);
    out_.clear();
    return found;
  }
  JobPort::Ticket submit(const std::string& id = {}, const std::string& prompt = "hello") {
    ClientSubmit job;
    job.id = id;
    job.prompt = prompt;
    return client_.submit(std::move(job), [this](const std::vector<JobPort::Event>& events) { batches_.push_back(events); });
  }
  // What the edge said in one turn of the loop reaches the HTTP thread.
  void end_turn() {
    client_.tick(out_);
    http_.run();
  }

  const ActorRef edge_{NodeId{7}, Incarnation{9}, 0, 0};
  HandThread http_;
  HandLoop loop_;
  TestOutbox out_;
  GatewayClient client_{http_, loop_, 1, edge_, 42};
  std::vector<std::vector<JobPort::Event>> batches_;
};

TEST_F(GatewayClientTest, SubmitsUnderTagsAndNamesOfItsOwn) {
  const auto first = submit();
  const auto second = submit("mine");
  const auto submits = asked<ClientSubmit>();
  ASSERT_EQ(submits.size(), 2u);
  EXPECT_EQ(submits[0].tag, first);
  EXPECT_EQ(submits[1].tag, second);
  EXPECT_NE(first, second);
  EXPECT_TRUE(submits[0].id.starts_with("job-")) << submits[0].id;
  EXPECT_EQ(submits[1].id, "mine");
  EXPECT_TRUE(batches_.empty());
}

TEST_F(GatewayClientTest, EventsOfOneTurnComeTogetherAndInOrder) {
  const auto first = submit(), second = submit();
  client_.on(ClientAccepted{first, "a", 1, 0}, out_);
  client_.on(tokens(second), out_);
  client_.on(tokens(first), out_);
  client_.on(done(first), out_);
  EXPECT_LE(out_.wake(), out_.now()) << "it asks for the end of the turn";
  EXPECT_TRUE(http_.turns.empty()) << "nothing before that";
  end_turn();
  ASSERT_EQ(batches_.size(), 2u);
  ASSERT_EQ(batches_[0].size(), 3u);
  EXPECT_TRUE(std::holds_alternative<ClientAccepted>(batches_[0][0]));
  EXPECT_TRUE(std::holds_alternative<ClientTokens>(batches_[0][1]));
  EXPECT_TRUE(std::holds_alternative<ClientDone>(batches_[0][2]));
  EXPECT_EQ(batches_[1].size(), 1u);
  EXPECT_EQ(client_.jobs(), 1u);
}

TEST_F(GatewayClientTest, ASinkThatThrowsLosesItsJobAndNobodyElses) {
  const auto failing = client_.submit(job_of("hello"), [](const std::vector<JobPort::Event>&) { throw std::runtime_error("on purpose"); });
  const auto good = submit();
  run_loop();
  out_.clear();
  client_.on(tokens(failing), out_);
  client_.on(tokens(good), out_);
  end_turn();
  EXPECT_EQ(batches_.size(), 1u);
  EXPECT_EQ(asked<ClientCancel>().size(), 1u);
  int answers = 0;
  client_.status(false, [](const std::optional<StatusReport>&) { throw std::runtime_error("on purpose"); });
  client_.status(false, [&](const std::optional<StatusReport>&) { ++answers; });
  http_.advance(milliseconds(5000));
  EXPECT_EQ(answers, 1);
}

TEST_F(GatewayClientTest, ASlowHttpThreadGetsOneDeliveryForSeveralTurns) {
  const auto job = submit();
  for (int i = 0; i < 5; ++i) {
    client_.on(tokens(job), out_);
    client_.tick(out_);
  }
  EXPECT_EQ(http_.turns.size(), 1u);
  http_.run();
  ASSERT_EQ(batches_.size(), 1u);
  EXPECT_EQ(batches_[0].size(), 5u);
}

TEST_F(GatewayClientTest, NoEventComesAfterACancelAndTheEdgeIsTold) {
  const auto job = submit();
  const std::string id = asked<ClientSubmit>()[0].id;
  client_.on(tokens(job), out_);
  client_.tick(out_);
  client_.cancel(job);
  client_.cancel(job);
  http_.run();
  const auto cancels = asked<ClientCancel>();
  ASSERT_EQ(cancels.size(), 1u);
  EXPECT_EQ(cancels[0].id, id);
  client_.on(done(job), out_);
  end_turn();
  EXPECT_TRUE(batches_.empty());
  EXPECT_EQ(client_.jobs(), 0u);
  client_.cancel(job);
  client_.cancel(999);
  EXPECT_TRUE(asked<ClientCancel>().empty()) << "what has ended is left alone";
}

TEST_F(GatewayClientTest, ASinkMayCancelAnotherJobOfTheSameDelivery) {
  JobPort::Ticket other = 0;
  int others_events = 0;
  const auto first = client_.submit(job_of("a"), [&](const std::vector<JobPort::Event>&) { client_.cancel(other); });
  other = client_.submit(job_of("b"), [&](const std::vector<JobPort::Event>&) { ++others_events; });
  client_.on(tokens(first), out_);
  client_.on(tokens(other), out_);
  end_turn();
  EXPECT_EQ(others_events, 0);
}

TEST_F(GatewayClientTest, ANameInUseIsRefusedAndItsOwnerUnharmed) {
  const auto owner = submit("mine");
  const auto second = submit("mine");
  EXPECT_TRUE(batches_.empty()) << "never before submit returned";
  EXPECT_EQ(asked<ClientSubmit>().size(), 1u);
  client_.cancel(second);
  http_.run();
  EXPECT_TRUE(asked<ClientCancel>().empty()) << "it would end the owner's job";
  EXPECT_TRUE(batches_.empty());
  client_.on(done(owner), out_);
  end_turn();
  EXPECT_EQ(batches_.size(), 1u);
  submit("mine");
  EXPECT_EQ(asked<ClientSubmit>().size(), 1u) << "free again";
}

TEST_F(GatewayClientTest, WhatNoMessageCarriesIsAnErrorAndNoCrash) {
  submit({}, std::string(7u << 20, 'x'));
  ClientSubmit many;
  many.prompt_ids.assign(kPromptTokensMax + 1, 1);
  ClientSubmit zero = job_of("a");
  zero.n = 0;
  zero.sampling.max_tokens = 0;
  ClientSubmit stops = job_of("a");
  stops.stop.assign(1000, "stop");
  for (ClientSubmit* each : {&many, &zero, &stops})
    client_.submit(*each, [this](const std::vector<JobPort::Event>& events) { batches_.push_back(events); });
  EXPECT_TRUE(asked<ClientSubmit>().empty());
  http_.run();
  ASSERT_EQ(batches_.size(), 4u);
  for (const auto& batch : batches_) {
    ASSERT_EQ(batch.size(), 1u);
    ASSERT_TRUE(std::holds_alternative<ClientError>(batch[0]));
    EXPECT_EQ(std::get<ClientError>(batch[0]).code, ErrorCode::kInvalidArgument);
  }
  EXPECT_EQ(client_.jobs(), 0u);
}

TEST_F(GatewayClientTest, ALimitNobodyGaveIsInNoMinimumsWay) {
  ClientSubmit job = job_of("a");
  job.max_tokens_given = false;
  job.sampling.min_tokens = 5000;
  client_.submit(job, [](const std::vector<JobPort::Event>&) {});
  const auto submits = asked<ClientSubmit>();
  ASSERT_EQ(submits.size(), 1u);
  EXPECT_FALSE(submits[0].max_tokens_given);
}

TEST_F(GatewayClientTest, OneQuestionAnswersAllWhoAsk) {
  std::vector<std::optional<StatusReport>> answers;
  for (int i = 0; i < 3; ++i) client_.status(false, [&](std::optional<StatusReport> report) { answers.push_back(std::move(report)); });
  const auto questions = asked<StatusRequest>();
  ASSERT_EQ(questions.size(), 1u);
  StatusReport report;
  report.tag = questions[0].tag;
  report.name = "here";
  client_.on(report, out_);
  end_turn();
  ASSERT_EQ(answers.size(), 3u);
  for (const auto& answer : answers) EXPECT_EQ(answer->name, "here");
  client_.on(report, out_);  // once more, late
  end_turn();
  http_.advance(std::chrono::seconds(5));
  EXPECT_EQ(answers.size(), 3u);
}

TEST_F(GatewayClientTest, TrafficIsAQuestionOfItsOwn) {
  int plain = 0, with_traffic = 0;
  client_.status(false, [&](const std::optional<StatusReport>&) { ++plain; });
  client_.status(true, [&](const std::optional<StatusReport>&) { ++with_traffic; });
  client_.status(true, [&](const std::optional<StatusReport>&) { ++with_traffic; });
  const auto questions = asked<StatusRequest>();
  ASSERT_EQ(questions.size(), 2u);
  EXPECT_NE(questions[0].traffic, questions[1].traffic);
  StatusReport report;
  for (const StatusRequest& question : questions)
    if (question.traffic) report.tag = question.tag;
  client_.on(report, out_);
  end_turn();
  EXPECT_EQ(plain, 0);
  EXPECT_EQ(with_traffic, 2);
}

TEST_F(GatewayClientTest, AskedAgainAndGivenUpAfterTwoSeconds) {
  std::vector<std::optional<StatusReport>> answers;
  client_.status(false, [&](std::optional<StatusReport> report) { answers.push_back(std::move(report)); });
  http_.advance(milliseconds(1900));
  EXPECT_GT(asked<StatusRequest>().size(), 5u) << "an edge that is not in the cluster yet stays silent";
  EXPECT_TRUE(answers.empty());
  http_.advance(milliseconds(200));
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_FALSE(answers[0]);
  http_.advance(std::chrono::seconds(10));
  EXPECT_LE(asked<StatusRequest>().size(), 1u) << "nobody waits any more";
}

}  // namespace
}  // namespace baton::test
