// SPDX-License-Identifier: Apache-2.0
// The edge alone: who may tell it what, and what it makes of contradictions.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "actors/edge.h"
#include "models/oracle_tokenizer.h"
#include "tests/support/test_outbox.h"

namespace baton {
namespace {

struct NotedExit final : ProcessControl {
  void exit(int, const std::string&) override { ++exits; }
  int exits = 0;
};

struct EdgeTest : ::testing::Test {
  EdgeTest() : edge(options(), *tokenizer, process) {
    edge.start(out);
    out.set_sender(coordinator);
    edge.on(JoinAccepted{}, out);
  }
  static EdgeOptions options() {
    EdgeOptions options;
    options.coordinator_node = NodeId{10};
    options.max_model_len = 512;
    return options;
  }
  JobId submit(bool admitted = true) {
    ClientSubmit submit;
    submit.tag = 5;
    submit.prompt_ids = {1, 2, 3};
    submit.sampling.max_tokens = 2;
    out.set_sender(client);
    out.clear();
    edge.on(submit, out);
    const JobId job = out.messages<AdmitJob>().at(0).second.job;
    if (admitted) admit(job);
    return job;
  }
  void admit(JobId job) {
    out.set_sender(coordinator);
    edge.on(JobAdmitted{job, 1}, out);
  }
  void introduce(const ActorRef& actor) {
    out.set_sender(coordinator);
    edge.on(PeersJoined{{{actor, "both-0", "tcp://w", "ucx://w"}}}, out);
  }
  void tell(const ActorRef& sender, const TokenBatch& batch) {
    out.set_sender(sender);
    edge.on(batch, out);
  }
  static TokenBatch stream(JobId job, std::uint32_t counted) {
    return {{{job, 1, 0, 7, 0.0F}, {job, 1, 1, 8, 0.0F}}, {{job, 1, FinishReason::kLength, counted, 0, {}}}, {}};
  }

  const ActorRef coordinator{NodeId{10}, Incarnation{100}, 0, 0};
  const ActorRef worker{NodeId{20}, Incarnation{200}, 0, 0};
  const ActorRef client{NodeId{40}, Incarnation{400}, 0, 0};
  std::unique_ptr<Tokenizer> tokenizer = make_oracle_tokenizer(256);
  NotedExit process;
  TestOutbox out;
  Edge edge;
};

TEST_F(EdgeTest, TokensOfAClientAreNotHeard) {
  const JobId job = submit();
  tell(client, stream(job, 2));
  EXPECT_TRUE(out.messages<ClientTokens>().empty());
  EXPECT_TRUE(out.messages<ClientDone>().empty());
}

TEST_F(EdgeTest, TokensOfAnEarlierLifeOfAMemberAreNotHeard) {
  introduce(worker);
  const JobId job = submit();
  tell({worker.node, Incarnation{199}, 0, 0}, stream(job, 2));
  EXPECT_TRUE(out.messages<ClientDone>().empty());
}

TEST_F(EdgeTest, TokensThatComeBeforeWordOfTheirWorkerWaitForIt) {
  const JobId job = submit();
  tell(worker, stream(job, 2));
  EXPECT_TRUE(out.messages<ClientDone>().empty());
  introduce(worker);
  ASSERT_EQ(out.messages_to<ClientDone>(client).size(), 1u);
  EXPECT_EQ(out.messages_to<ClientDone>(client).front().completion_tokens, 2u);
}

TEST_F(EdgeTest, AnAnswerThatComesBeforeTheAdmissionWaitsForIt) {
  introduce(worker);
  const JobId job = submit(false);
  tell(worker, stream(job, 2));
  EXPECT_TRUE(out.messages<ClientTokens>().empty());
  EXPECT_TRUE(out.messages<ClientDone>().empty());
  admit(job);
  EXPECT_EQ(out.messages_to<ClientAccepted>(client).size(), 1u);
  ASSERT_EQ(out.messages_to<ClientTokens>(client).size(), 1u);
  EXPECT_EQ(out.messages_to<ClientTokens>(client).front().tokens.size(), 2u);
  EXPECT_EQ(out.messages_to<ClientDone>(client).size(), 1u);
}

TEST_F(EdgeTest, ACountBelowWhatWasDeliveredIsCorruption) {
  introduce(worker);
  const JobId job = submit();
  tell(worker, stream(job, 1));
  EXPECT_TRUE(out.messages<ClientDone>().empty());
  ASSERT_EQ(out.messages_to<ClientError>(client).size(), 1u);
  EXPECT_EQ(out.messages_to<ClientError>(client).front().code, ErrorCode::kCorrupt);
}

TEST_F(EdgeTest, TwoWorkersThatDisagreeEndTheStream) {
  introduce(worker);
  const JobId job = submit();
  tell(worker, {{{job, 1, 0, 7, 0.0F}}, {}, {}});
  tell(worker, {{{job, 1, 0, 9, 0.0F}}, {}, {}});
  ASSERT_EQ(out.messages_to<ClientError>(client).size(), 1u);
  EXPECT_EQ(out.messages_to<ClientError>(client).front().code, ErrorCode::kCorrupt);
}

TEST_F(EdgeTest, TheEndOfAnEarlierAttemptDoesNotCount) {
  introduce(worker);
  const JobId job = submit();
  out.set_sender(coordinator);
  edge.on(JobPlaced{job, 2, "both-0", "both-0"}, out);
  tell(worker, stream(job, 2));  // of attempt 1
  EXPECT_TRUE(out.messages<ClientDone>().empty());
}

TEST_F(EdgeTest, JobsOfALostClientAreCancelled) {
  const JobId job = submit();
  edge.on(LinkDown{client.node, client.incarnation, "unreachable"}, out);
  ASSERT_EQ(out.messages_to<CancelJob>(coordinator).size(), 1u);
  EXPECT_EQ(out.messages_to<CancelJob>(coordinator).front().job, job);
  EXPECT_EQ(edge.streams(), 0u);
}

TEST_F(EdgeTest, APromptThatNoMessageCarriesIsRefusedWhateverTheContext) {
  EdgeOptions large = options();
  large.max_model_len = 8u << 20;
  Edge patient(large, *tokenizer, process);
  patient.start(out);
  out.set_sender(coordinator);
  patient.on(JoinAccepted{}, out);
  ClientSubmit submit;
  submit.prompt_ids.assign((1u << 20) + 1, 1);
  out.set_sender(client);
  patient.on(submit, out);
  EXPECT_TRUE(out.messages<AdmitJob>().empty());
  ASSERT_EQ(out.messages_to<ClientError>(client).size(), 1u);
  EXPECT_NE(out.messages_to<ClientError>(client).front().message.find("1048577 tokens; a job carries at most 1048576"), std::string::npos);
}

TEST_F(EdgeTest, ACacheSaltGoesWithTheJobAndIsBounded) {
  ClientSubmit submit;
  submit.prompt_ids = {1, 2, 3};
  submit.cache_salt = "tenant-7";
  out.set_sender(client);
  edge.on(submit, out);
  ASSERT_EQ(out.messages<AdmitJob>().size(), 1u);
  EXPECT_EQ(out.messages<AdmitJob>().front().second.cache_salt, "tenant-7");
  for (const std::string& bad : {std::string(129, 'x'), std::string("two words"), std::string("\n")}) {
    out.clear();
    submit.cache_salt = bad;
    edge.on(submit, out);
    EXPECT_TRUE(out.messages<AdmitJob>().empty());
    ASSERT_EQ(out.messages_to<ClientError>(client).size(), 1u);
    EXPECT_EQ(out.messages_to<ClientError>(client).front().code, ErrorCode::kInvalidArgument);
  }
}

TEST_F(EdgeTest, ARunningJobIsTracedHereAndAnEndedOneHandedToTheCoordinator) {
  introduce(worker);
  const JobId job = submit();
  const std::string id = out.messages_to<ClientAccepted>(client).front().id;
  out.set_sender(coordinator);
  out.advance(std::chrono::milliseconds(10));
  edge.on(JobPlaced{job, 1, "p-0", "d-0"}, out);
  out.advance(std::chrono::milliseconds(20));
  TokenBatch first{{{job, 1, 0, 7, 0.0F}}, {}, {}};
  first.timings.push_back({job, 1, 0, 1'000'000, 15'000'000, 0, 2, false, 1});
  tell(worker, first);
  out.set_sender(client);
  out.clear();
  edge.on(TraceRequest{4, id}, out);
  auto traced = out.messages_to<TraceReport>(client);
  ASSERT_EQ(traced.size(), 1u);
  EXPECT_EQ(traced.front().timeline.state, JobState::kDecode);
  EXPECT_EQ(traced.front().timeline.completion_tokens, 1u);
  EXPECT_EQ(traced.front().timeline.queue_ns, 10'000'000u);
  EXPECT_EQ(traced.front().timeline.prefill_ns, 20'000'000u);
  EXPECT_EQ(traced.front().timeline.computing_ns, 15'000'000u);
  EXPECT_EQ(traced.front().timeline.preemptions, 1u);

  out.advance(std::chrono::milliseconds(30));
  TokenBatch rest = stream(job, 2);
  rest.finished.front().preemptions = 2;
  tell(worker, rest);
  ASSERT_EQ(out.messages_to<ClientDone>(client).size(), 1u);
  const ClientDone done = out.messages_to<ClientDone>(client).front();
  EXPECT_EQ(done.total_ns, 60'000'000u);
  EXPECT_EQ(done.ttft_ns, 30'000'000u);
  EXPECT_EQ(done.timeline.attempts.size(), 1u);
  EXPECT_EQ(done.timeline.preemptions, 3u) << "one on the prefill worker, two on the other";
  const auto ended = out.messages_to<JobEnded>(coordinator);
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended.front().id, id);
  EXPECT_EQ(total_ns(ended.front().timeline), done.total_ns);
  out.set_sender(client);
  out.clear();
  edge.on(TraceRequest{5, id}, out);
  ASSERT_EQ(out.messages_to<TraceRequest>(coordinator).size(), 1u);
  out.set_sender(coordinator);
  edge.on(TraceReport{out.messages_to<TraceRequest>(coordinator).front().tag, true, ended.front().timeline}, out);
  ASSERT_EQ(out.messages_to<TraceReport>(client).size(), 1u);
  EXPECT_EQ(out.messages_to<TraceReport>(client).front().tag, 5u);
}

TEST_F(EdgeTest, TheCoordinatorIsToldAtOnceThatAJobIsNotHere) {
  out.set_sender(coordinator);
  out.clear();
  edge.on(TraceRequest{6, "nobodys"}, out);
  ASSERT_EQ(out.messages_to<TraceReport>(coordinator).size(), 1u);
  EXPECT_FALSE(out.messages_to<TraceReport>(coordinator).front().found);
}

struct DetachedTest : EdgeTest {
  JobId submit_detached(const std::string& id) {
    ClientSubmit submit;
    submit.tag = 5;
    submit.id = id;
    submit.prompt_ids = {1, 2, 3};
    submit.sampling.max_tokens = 3;
    submit.detached = true;
    introduce(worker);
    out.set_sender(client);
    out.clear();
    edge.on(submit, out);
    const JobId job = out.messages<AdmitJob>().at(0).second.job;
    admit(job);
    return job;
  }
  void attach(const ActorRef& who, std::uint64_t tag, const std::string& id, std::uint32_t from = 0) {
    out.set_sender(who);
    edge.on(ClientAttach{tag, id, from}, out);
  }
  void lose(const ActorRef& who) {
    out.set_sender({});
    edge.on(LinkDown{who.node, who.incarnation, "gone"}, out);
  }
  const ActorRef second{NodeId{41}, Incarnation{410}, 0, 0};
  const ActorRef third{NodeId{42}, Incarnation{420}, 0, 0};
};

TEST_F(DetachedTest, AJobGoesOnWithoutItsClientAndIsResumed) {
  const JobId job = submit_detached("d");
  EXPECT_EQ(out.messages_to<ClientAccepted>(client).size(), 1u);
  lose(client);
  EXPECT_TRUE(out.messages<CancelJob>().empty());
  EXPECT_EQ(edge.streams(), 1u);
  tell(worker, {{{job, 1, 0, 7, 0.0F}, {job, 1, 1, 8, 0.0F}}, {}, {}});
  EXPECT_TRUE(out.messages<ClientTokens>().empty());
  attach(second, 9, "d", 1);
  EXPECT_EQ(out.messages_to<ClientAccepted>(second).at(0).tag, 9u);
  ASSERT_EQ(out.messages_to<ClientTokens>(second).size(), 1u);
  ASSERT_EQ(out.messages_to<ClientTokens>(second)[0].tokens.size(), 1u);
  EXPECT_EQ(out.messages_to<ClientTokens>(second)[0].tokens[0].index, 1u);
  attach(third, 2, "d", 2);
  EXPECT_EQ(out.messages_to<ClientError>(second).at(0).code, ErrorCode::kCancelled) << "one at a time";
  tell(worker, {{{job, 1, 2, 9, 0.0F}}, {{job, 1, FinishReason::kLength, 3, 0, {}}}, {}});
  EXPECT_EQ(out.messages_to<ClientTokens>(second).size(), 1u);
  ASSERT_EQ(out.messages_to<ClientTokens>(third).size(), 1u);
  EXPECT_EQ(out.messages_to<ClientDone>(third).at(0).tag, 2u);
  EXPECT_EQ(edge.requests(), 0u);

  out.clear();
  attach(second, 10, "d");
  EXPECT_EQ(out.messages_to<ClientTokens>(second).at(0).tokens.size(), 3u);
  EXPECT_EQ(out.messages_to<ClientDone>(second).at(0).completion_tokens, 3u);
  out.advance(KeptAnswers::kKeptFor);
  edge.tick(out);
  attach(second, 11, "d");
  EXPECT_EQ(out.messages_to<ClientError>(second).at(0).code, ErrorCode::kNotFound);
}

TEST_F(DetachedTest, ItIsCancelledByNameAndItsNameIsFreeAfterwards) {
  submit_detached("d");
  out.set_sender(second);
  edge.on(ClientCancel{3, "d"}, out);
  EXPECT_EQ(out.messages_to<ClientCancelled>(second).at(0).found, true);
  EXPECT_EQ(out.messages<CancelJob>().size(), 1u);
  out.clear();
  attach(second, 4, "d");
  EXPECT_EQ(out.messages_to<ClientDone>(second).at(0).reason, FinishReason::kCancelled);
  submit_detached("d");
  out.clear();
  attach(second, 5, "d");
  EXPECT_TRUE(out.messages_to<ClientDone>(second).empty()) << "the new one goes on";
}

TEST_F(DetachedTest, ItHasOneAnswer) {
  ClientSubmit submit;
  submit.prompt_ids = {1};
  submit.n = 2;
  submit.detached = true;
  out.set_sender(client);
  out.clear();
  edge.on(submit, out);
  ASSERT_EQ(out.messages_to<ClientError>(client).size(), 1u);
  EXPECT_EQ(out.messages_to<ClientError>(client)[0].code, ErrorCode::kInvalidArgument);
}

// The coordinator knows a question that is asked again by its number.
TEST_F(EdgeTest, AQuestionAskedAgainKeepsItsNumber) {
  out.clear();
  out.set_sender(client);
  ClusterCommand drain;
  drain.tag = 9;
  drain.worker = "decode-0";
  edge.on(drain, out);
  edge.on(drain, out);
  drain.tag = 10;
  edge.on(drain, out);
  const auto asked = out.messages_to<ClusterCommand>(coordinator);
  ASSERT_EQ(asked.size(), 3u);
  EXPECT_EQ(asked[0].tag, asked[1].tag);
  EXPECT_NE(asked[0].tag, asked[2].tag);
  out.set_sender(coordinator);
  edge.on(ClusterCommandDone{asked[0].tag, true, ErrorCode::kInternal, "done"}, out);
  const auto told = out.messages_to<ClusterCommandDone>(client);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].tag, 9u);
}

}  // namespace
}  // namespace baton
