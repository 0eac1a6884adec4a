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

}  // namespace
}  // namespace baton
