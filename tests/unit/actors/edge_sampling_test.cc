// SPDX-License-Identifier: Apache-2.0
// The edge alone: stop strings, choices, log-probabilities.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <set>

#include "actors/edge.h"
#include "models/oracle_tokenizer.h"
#include "tests/support/test_outbox.h"

namespace baton {
namespace {

struct NoExit final : ProcessControl {
  void exit(int, const std::string&) override { ADD_FAILURE() << "an exit"; }
};

struct EdgeSamplingTest : ::testing::Test {
  EdgeSamplingTest() : edge(options(), *tokenizer, process) {
    edge.start(out);
    out.set_sender(coordinator);
    edge.on(JoinAccepted{}, out);
    edge.on(PeersJoined{{{worker, "both-0", "tcp://w", "ucx://w"}}}, out);
  }
  static EdgeOptions options() {
    EdgeOptions options;
    options.coordinator_node = NodeId{10};
    options.max_model_len = 512;
    options.streams_max = 6;
    return options;
  }
  // Returns the jobs it made, admitted; none if it was refused.
  std::vector<AdmitJob> submit(const std::function<void(ClientSubmit&)>& change) {
    ClientSubmit submit;
    submit.tag = 5;
    submit.id = "mine";
    submit.prompt_ids = {1, 2, 3};
    submit.sampling.max_tokens = 40;
    change(submit);
    out.set_sender(client);
    out.clear();
    edge.on(submit, out);
    std::vector<AdmitJob> jobs;
    for (const auto& [to, admit] : out.messages<AdmitJob>()) jobs.push_back(admit);
    out.set_sender(coordinator);
    for (const AdmitJob& each : jobs) edge.on(JobAdmitted{each.job, each.sampling.seed}, out);
    return jobs;
  }
  void tell(const TokenBatch& batch) {
    out.set_sender(worker);
    edge.on(batch, out);
  }
  // One token a letter, from position `first` on.
  void say(JobId job, const std::string& text, std::uint32_t first = 0) {
    for (const char c : text) tell({{{job, 1, first++, static_cast<unsigned char>(c) + 1, 0.0F}}, {}, {}});
  }
  void finish(JobId job, std::uint32_t tokens, FinishReason reason = FinishReason::kLength) { tell({{}, {{job, 1, reason, tokens, 64, "shm"}}, {}}); }
  std::string text(std::uint32_t choice = 0) {
    std::string all;
    for (const ClientTokens& tokens : out.messages_to<ClientTokens>(client))
      if (tokens.choice == choice)
        for (const ClientToken& token : tokens.tokens) all += token.text;
    return all;
  }
  std::vector<ClientDone> dones() { return out.messages_to<ClientDone>(client); }
  std::string refusal(const std::function<void(ClientSubmit&)>& change) {
    submit(change);
    const auto errors = out.messages_to<ClientError>(client);
    return errors.empty() ? "" : errors.front().message;
  }

  const ActorRef coordinator{NodeId{10}, Incarnation{100}, 0, 0};
  const ActorRef worker{NodeId{20}, Incarnation{200}, 0, 0};
  const ActorRef client{NodeId{40}, Incarnation{400}, 0, 0};
  std::unique_ptr<Tokenizer> tokenizer = make_oracle_tokenizer(1024);
  NoExit process;
  TestOutbox out;
  Edge edge;
};

TEST_F(EdgeSamplingTest, AStopStringAcrossTokensEndsTheJobBeforeItsFirstLetter) {
  const auto jobs = submit([](ClientSubmit& m) { m.stop = {"xyz", "END"}; });
  say(jobs[0].job, "one EN");
  EXPECT_EQ(text(), "one ");
  say(jobs[0].job, "ERGY END and more", 6);
  EXPECT_EQ(text(), "one ENERGY ");
  ASSERT_EQ(dones().size(), 1u);
  EXPECT_EQ(dones()[0].reason, FinishReason::kStop);
  EXPECT_EQ(dones()[0].stop, "END");
  EXPECT_EQ(dones()[0].stop_token, -1);
  EXPECT_EQ(dones()[0].tail, "");
  EXPECT_EQ(dones()[0].completion_tokens, 14u) << "those that were generated up to the match";
  EXPECT_FALSE(dones()[0].kv_bytes_known);
  ASSERT_EQ(out.messages_to<JobClosed>(coordinator).size(), 1u) << "so that the coordinator takes the job from its worker";
  EXPECT_EQ(edge.streams() + edge.requests(), 0u);
}

TEST_F(EdgeSamplingTest, WhatOnlyLookedLikeAStopStringIsDeliveredAtTheEnd) {
  const auto jobs = submit([](ClientSubmit& m) { m.stop = {"STOP"}; });
  say(jobs[0].job, "a STO");
  EXPECT_EQ(text(), "a ");
  finish(jobs[0].job, 5);
  ASSERT_EQ(dones().size(), 1u);
  EXPECT_EQ(dones()[0].tail, "STO");
  EXPECT_EQ(dones()[0].reason, FinishReason::kLength);
  EXPECT_TRUE(dones()[0].kv_bytes_known);
}

TEST_F(EdgeSamplingTest, AStopStringIsIncludedWhereAskedFor) {
  const auto jobs = submit([](ClientSubmit& m) {
    m.stop = {"b"};
    m.include_stop = true;
  });
  say(jobs[0].job, "abc");
  EXPECT_EQ(text(), "ab");
  EXPECT_EQ(dones().size(), 1u);
}

TEST_F(EdgeSamplingTest, AStopStringDoesNotCountBeforeMinTokens) {
  const auto jobs = submit([](ClientSubmit& m) {
    m.stop = {"b"};
    m.sampling.min_tokens = 3;
  });
  say(jobs[0].job, "abab");
  EXPECT_EQ(text(), "aba");
  EXPECT_EQ(dones().size(), 1u);
}

TEST_F(EdgeSamplingTest, TheTextOfAStopIdIsLeftOutAndTheIdNamed) {
  for (const bool include : {false, true}) {
    const auto jobs = submit([&](ClientSubmit& m) {
      m.sampling.lists = std::make_shared<SamplingLists>(SamplingLists{{}, {'c' + 1}, {}});
      m.include_stop = include;
    });
    say(jobs[0].job, "abc");
    finish(jobs[0].job, 3, FinishReason::kStop);
    EXPECT_EQ(text(), include ? "abc" : "ab");
    ASSERT_EQ(dones().size(), 1u);
    EXPECT_EQ(dones()[0].stop_token, 'c' + 1);
    EXPECT_EQ(dones()[0].completion_tokens, 3u);
  }
}

TEST_F(EdgeSamplingTest, ChoicesAreJobsOfOneSeedAndEndTogether) {
  const auto jobs = submit([](ClientSubmit& m) {
    m.n = 3;
    m.sampling.prompt_logprobs = 1;
    m.prompt_ids = {7};  // nothing follows a token of the prompt
  });
  ASSERT_EQ(jobs.size(), 3u);
  for (std::uint32_t choice = 0; choice < 3; ++choice) {
    EXPECT_EQ(jobs[choice].sampling.choice, choice);
    EXPECT_EQ(jobs[choice].sampling.seed, jobs[0].sampling.seed);
    EXPECT_EQ(jobs[choice].sampling.prompt_logprobs.has_value(), choice == 0);
    EXPECT_TRUE(jobs[choice].seed_given);
  }
  ASSERT_EQ(out.messages_to<ClientAccepted>(client).size(), 1u);
  EXPECT_EQ(out.messages_to<ClientAccepted>(client)[0].seed, jobs[0].sampling.seed);
  say(jobs[2].job, "two");
  say(jobs[0].job, "null");
  finish(jobs[2].job, 3, FinishReason::kStop);
  finish(jobs[0].job, 4, FinishReason::kLength);
  EXPECT_TRUE(dones().empty());
  say(jobs[1].job, "one");
  finish(jobs[1].job, 3, FinishReason::kStop);
  EXPECT_EQ(text(0) + text(1) + text(2), "nullonetwo");
  const auto ends = out.messages_to<ClientChoiceDone>(client);
  ASSERT_EQ(ends.size(), 3u);
  EXPECT_EQ(ends[0].choice, 2u);
  EXPECT_EQ(ends[1].reason, FinishReason::kLength);
  ASSERT_EQ(dones().size(), 1u);
  EXPECT_EQ(dones()[0].completion_tokens, 10u);
  EXPECT_EQ(dones()[0].reason, FinishReason::kLength) << "one was cut short";
  EXPECT_EQ(dones()[0].kv_bytes_moved, 192u);
  EXPECT_EQ(edge.streams() + edge.requests(), 0u);
}

TEST_F(EdgeSamplingTest, NothingIsDeliveredBeforeAllChoicesAreAdmitted) {
  ClientSubmit submit;
  submit.prompt_ids = {1};
  submit.n = 2;
  out.set_sender(client);
  edge.on(submit, out);
  const auto admits = out.messages<AdmitJob>();
  ASSERT_EQ(admits.size(), 2u);
  out.set_sender(coordinator);
  edge.on(JobAdmitted{admits[0].second.job, 9}, out);
  edge.on(JobAdmitted{admits[0].second.job, 9}, out);  // said twice
  say(admits[0].second.job, "a");
  EXPECT_TRUE(out.messages_to<ClientAccepted>(client).empty());
  EXPECT_TRUE(out.messages_to<ClientTokens>(client).empty());
  out.set_sender(coordinator);
  edge.on(JobAdmitted{admits[1].second.job, 9}, out);
  EXPECT_EQ(out.messages_to<ClientAccepted>(client).size(), 1u);
  EXPECT_EQ(text(), "a");
}

TEST_F(EdgeSamplingTest, AnErrorOfOneChoiceEndsAll) {
  const auto jobs = submit([](ClientSubmit& m) { m.n = 3; });
  say(jobs[0].job, "x");
  finish(jobs[0].job, 1);
  out.set_sender(coordinator);
  edge.on(JobFailed{jobs[1].job, 1, ErrorCode::kWorkerLost, "gone"}, out);
  ASSERT_EQ(out.messages_to<ClientError>(client).size(), 1u);
  EXPECT_TRUE(dones().empty());
  std::set<JobId> closed;
  for (const JobClosed& each : out.messages_to<JobClosed>(coordinator)) closed.insert(each.job);
  EXPECT_EQ(closed.size(), 3u);
  EXPECT_EQ(edge.streams() + edge.requests(), 0u);
}

TEST_F(EdgeSamplingTest, CancellingEndsEveryChoiceThatIsOpen) {
  const auto jobs = submit([](ClientSubmit& m) { m.n = 3; });
  say(jobs[0].job, "x");
  finish(jobs[0].job, 1, FinishReason::kStop);
  say(jobs[2].job, "ab");
  out.set_sender(client);
  edge.on(ClientCancel{1, "mine"}, out);
  EXPECT_EQ(out.messages_to<CancelJob>(coordinator).size(), 2u);
  EXPECT_EQ(out.messages_to<ClientChoiceDone>(client).size(), 3u);
  ASSERT_EQ(dones().size(), 1u);
  EXPECT_EQ(dones()[0].reason, FinishReason::kCancelled);
  EXPECT_EQ(dones()[0].completion_tokens, 3u);
  EXPECT_EQ(edge.streams() + edge.requests(), 0u);
}

TEST_F(EdgeSamplingTest, ACancelledAnswerWasNotEndedByTheStopStringItsLastBytesWouldBecome) {
  const auto jobs = submit([](ClientSubmit& m) { m.stop = {"\xEF\xBF\xBD"}; });
  say(jobs[0].job, "\xCE");  // the first of two bytes of a letter; alone it would be shown as U+FFFD
  out.set_sender(client);
  edge.on(ClientCancel{1, "mine"}, out);
  ASSERT_EQ(dones().size(), 1u);
  EXPECT_EQ(dones()[0].reason, FinishReason::kCancelled);
  EXPECT_EQ(dones()[0].stop, "");
  EXPECT_EQ(dones()[0].tail, "");
}

TEST_F(EdgeSamplingTest, LogprobsOfThePromptComeInOrderAndBeforeTheFirstToken) {
  const auto jobs = submit([](ClientSubmit& m) {
    m.sampling.prompt_logprobs = 1;
    m.sampling.logprobs = 1;
  });
  const JobId job = jobs[0].job;
  tell({{{job, 1, 0, 66, -0.5F, {{67, -0.25F}}}}, {{job, 1, FinishReason::kLength, 1, 0, {}}}, {}, {}});
  EXPECT_TRUE(out.messages_to<ClientTokens>(client).empty());
  tell({{}, {}, {}, {{job, 1, 2, 3, -2.0F, {}}}});  // ahead of the first: of an attempt whose beginning was lost
  tell({{}, {}, {}, {{job, 1, 1, 2, -1.0F, {{70, -0.125F}}}}});
  EXPECT_TRUE(dones().empty());
  tell({{}, {}, {}, {{job, 1, 1, 2, -1.0F, {{70, -0.125F}}}, {job, 1, 2, 3, -2.0F, {}}}});
  std::vector<ClientToken> prompt, tokens;
  for (const ClientTokens& each : out.messages_to<ClientTokens>(client)) {
    EXPECT_TRUE(tokens.empty() || each.prompt.empty());
    prompt.insert(prompt.end(), each.prompt.begin(), each.prompt.end());
    tokens.insert(tokens.end(), each.tokens.begin(), each.tokens.end());
  }
  ASSERT_EQ(prompt.size(), 2u);
  EXPECT_EQ(prompt[0].index, 1u);
  EXPECT_EQ(prompt[0].logprob, -1.0F);
  EXPECT_EQ(prompt[0].top.at(0).text, "E");
  ASSERT_EQ(tokens.size(), 1u);
  EXPECT_EQ(tokens[0].logprob, -0.5F);
  EXPECT_EQ(tokens[0].top.at(0).text, "B");
  EXPECT_EQ(dones().size(), 1u);
}

TEST_F(EdgeSamplingTest, ALikeliestTokenOutsideTheVocabularyEndsTheStream) {
  const auto jobs = submit([](ClientSubmit& m) { m.sampling.logprobs = 1; });
  tell({{{jobs[0].job, 1, 0, 66, -0.5F, {{1024, -0.25F}}}}, {}, {}, {}});
  ASSERT_EQ(out.messages_to<ClientError>(client).size(), 1u);
  EXPECT_EQ(out.messages_to<ClientError>(client)[0].code, ErrorCode::kCorrupt);
}

TEST_F(EdgeSamplingTest, LargeAnswersTravelInSeveralMessages) {
  const auto jobs = submit([](ClientSubmit& m) {
    m.prompt_ids.assign(10, 1);
    m.sampling.max_tokens = 502;
  });
  TokenBatch batch;
  for (std::uint32_t i = 1; i < 600; ++i) batch.tokens.push_back({jobs[0].job, 1, i, 66, 0.0F, {}});
  tell(batch);
  tell({{{jobs[0].job, 1, 0, 66, 0.0F, {}}}, {}, {}, {}});
  const auto messages = out.messages_to<ClientTokens>(client);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].tokens.size(), 512u);
  EXPECT_EQ(messages[1].tokens.size(), 88u);
}

TEST_F(EdgeSamplingTest, BadWordsBecomeIds) {
  const auto jobs = submit([](ClientSubmit& m) { m.bad_words = {"ab"}; });
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].sampling.bad_words(), (std::vector<std::vector<TokenId>>{{'a' + 1, 'b' + 1}}));
}

TEST_F(EdgeSamplingTest, RefusalsNameWhatIsWrong) {
  EXPECT_NE(refusal([](ClientSubmit& m) { m.n = 7; }).find("7 more would be beyond the limit of this socket, 6"), std::string::npos);
  EXPECT_NE(refusal([](ClientSubmit& m) { m.stop = {""}; }).find("stop has an empty text"), std::string::npos);
  EXPECT_NE(refusal([](ClientSubmit& m) { m.sampling.lists = std::make_shared<SamplingLists>(SamplingLists{{}, {1024}, {}}); }).find("stop_token_ids names token 1024"),
            std::string::npos);
  EXPECT_NE(refusal([](ClientSubmit& m) { m.sampling.min_tokens = 41; }).find("min_tokens is 41; it must be at most max_tokens"), std::string::npos);
  EXPECT_EQ(edge.streams() + edge.requests(), 0u);
}

TEST_F(EdgeSamplingTest, AMinimumRaisesALimitThatNobodyGave) {
  const auto jobs = submit([](ClientSubmit& m) {
    m.max_tokens_given = false;
    m.sampling.min_tokens = 400;  // the edge's own limit is 256
  });
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].sampling.max_tokens, 400u);
}

}  // namespace
}  // namespace baton
