// SPDX-License-Identifier: Apache-2.0
// From a job's events to the bytes that a client reads: bodies, streams, and that no part of an answer is sent as a whole one.
#include <boost/json/serialize.hpp>
#include <limits>

#include "tests/unit/server_openai/openai_rig.h"

namespace baton::test {
namespace {

class Answers : public ::testing::Test {
 protected:
  Answers() {
    model_.names = {"m"};
    model_.fingerprint = "fp_1";
    model_.tokenizer = tokenizer_.get();
    model_.max_model_len = 100;
  }
  OpenAiCall call(CallKind kind, const std::vector<std::string>& prompts = {"ab"}, std::uint32_t n = 1) const {
    OpenAiCall call;
    call.kind = kind;
    call.id = "id-1";
    call.model = "m";
    call.created = 17;
    call.n = n;
    for (const std::string& prompt : prompts) {
      ClientSubmit job;
      job.prompt_ids = oracle_ids(prompt);
      job.n = n;
      call.jobs.push_back(job);
      call.prompts.push_back(prompt);
    }
    return call;
  }
  std::shared_ptr<Told> answer(OpenAiCall call) {
    auto told = std::make_shared<Told>();
    answer_call(std::move(call), std::make_shared<KeptExchange>(told), {{"X-Request-Id", "r"}}, {jobs_, http_, model_, log_, gathered_});
    return told;
  }
  static ClientAccepted accepted(std::uint32_t prompt_tokens = 2) { return {0, "id-1", prompt_tokens, 0}; }
  static ClientDone done(FinishReason reason = FinishReason::kStop, const std::string& tail = {}) {
    ClientDone done;
    done.reason = reason;
    done.tail = tail;
    return done;
  }
  static ClientChoiceDone choice_done(std::uint32_t choice, FinishReason reason = FinishReason::kStop, const std::string& tail = {}) {
    ClientChoiceDone done;
    done.choice = choice;
    done.reason = reason;
    done.tail = tail;
    return done;
  }
  static json::object body(const std::shared_ptr<Told>& told) { return json::parse(told->body).as_object(); }
  static json::object first_choice(const json::object& body) { return body.at("choices").at(0).as_object(); }

  std::unique_ptr<Tokenizer> tokenizer_ = std::make_unique<MoodyTokenizer>();
  HandTurnedThread http_;
  HeldJobs jobs_;
  OpenAiModel model_;
  Metrics metrics_;
  RequestLog log_{{{metrics_, {{"model", "m"}}}}};
  const std::shared_ptr<ByteAccount> gathered_ = std::make_shared<ByteAccount>(64u << 10);
};

TEST_F(Answers, AWholeChatCompletion) {
  const auto told = answer(call(CallKind::kChat));
  jobs_.say(0, {accepted(), tokens_of("Hi")});
  EXPECT_FALSE(told->responded);
  jobs_.say(0, {tokens_of("!", 0, 2), done(FinishReason::kStop, "~")});
  ASSERT_TRUE(told->responded);
  EXPECT_EQ(json::serialize(json::parse(told->body)),
            R"({"id":"id-1","object":"chat.completion","created":17,"model":"m","system_fingerprint":"fp_1","choices":[{"index":0,)"
            R"("message":{"role":"assistant","content":"Hi!~","refusal":null},"logprobs":null,"finish_reason":"stop","stop_reason":null}],)"
            R"("usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":0}}})");
  EXPECT_EQ(told->head.headers.at(0).value, "r");
  EXPECT_EQ(log_.running(), 0u);
}

TEST_F(Answers, AWholeCompletionOfSeveralPromptsAndChoices) {
  const auto told = answer(call(CallKind::kCompletion, {"a", "bb"}, 2));
  jobs_.say(1, {accepted(2), tokens_of("3", 1), choice_done(1, FinishReason::kLength), tokens_of("2", 0), choice_done(0), done()});
  jobs_.say(0, {accepted(1), tokens_of("00", 0), tokens_of("1", 1), choice_done(0), choice_done(1, FinishReason::kStop, "x"), done()});
  ASSERT_TRUE(told->responded);
  const json::object answer = body(told);
  ASSERT_EQ(answer.at("choices").as_array().size(), 4u);
  const char* texts[] = {"00", "1x", "2", "3"};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(answer.at("choices").at(i).at("text"), texts[i]);
    EXPECT_EQ(answer.at("choices").at(i).at("index"), i);
    EXPECT_EQ(answer.at("choices").at(i).at("finish_reason"), i == 3 ? "length" : "stop");
  }
  EXPECT_EQ(answer.at("object"), "text_completion");
  EXPECT_EQ(answer.at("usage").at("prompt_tokens"), 3) << "each prompt once, however many choices";
  EXPECT_EQ(answer.at("usage").at("completion_tokens"), 5);
}

TEST_F(Answers, AChatStreamToTheLetter) {
  OpenAiCall streamed = call(CallKind::kChat);
  streamed.stream = streamed.include_usage = true;
  const auto told = answer(std::move(streamed));
  jobs_.say(0, {accepted()});
  EXPECT_FALSE(told->streaming) << "until there is something, an error may still have its status";
  jobs_.say(0, {tokens_of("Hi")});
  jobs_.say(0, {tokens_of("!", 0, 2), done(FinishReason::kLength)});
  EXPECT_TRUE(told->finished);
  EXPECT_EQ(told->head.content_type, "text/event-stream");
  const std::string head = R"({"id":"id-1","object":"chat.completion.chunk","created":17,"model":"m","system_fingerprint":"fp_1","choices":[)";
  const std::vector<std::string> expected = {
      head + R"({"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"usage":null})",
      head + R"({"index":0,"delta":{"content":"Hi"},"logprobs":null,"finish_reason":null}],"usage":null})",
      head + R"({"index":0,"delta":{"content":"!"},"logprobs":null,"finish_reason":null}],"usage":null})",
      head + R"({"index":0,"delta":{},"logprobs":null,"finish_reason":"length","stop_reason":null}],"usage":null})",
      head + R"(],"usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":0}}})",
      "[DONE]"};
  EXPECT_EQ(stream_data(told->body), expected);
}

TEST_F(Answers, WithoutUsageNoChunkSpeaksOfIt) {
  OpenAiCall streamed = call(CallKind::kCompletion);
  streamed.stream = true;
  const auto told = answer(std::move(streamed));
  jobs_.say(0, {accepted(), tokens_of("Hi"), done()});
  ASSERT_EQ(stream_chunks(told->body).size(), 1u) << "text and end in one";
  EXPECT_FALSE(stream_chunks(told->body)[0].contains("usage"));
  EXPECT_EQ(first_choice(stream_chunks(told->body)[0]).at("finish_reason"), "stop");
}

TEST_F(Answers, ContinuousUsageCounts) {
  OpenAiCall streamed = call(CallKind::kCompletion);
  streamed.stream = streamed.include_usage = streamed.continuous_usage = true;
  const auto told = answer(std::move(streamed));
  jobs_.say(0, {accepted(), tokens_of("Hi")});
  jobs_.say(0, {tokens_of("!", 0, 2), done()});
  const auto chunks = stream_chunks(told->body);
  ASSERT_EQ(chunks.size(), 3u);
  EXPECT_EQ(chunks[0].at("usage").at("completion_tokens"), 2);
  EXPECT_EQ(chunks[1].at("usage").at("completion_tokens"), 3);
}

TEST_F(Answers, CachedTokensAreCountedOncePerPrompt) {
  const auto told = answer(call(CallKind::kCompletion, {"aa", "bb"}, 2));
  for (std::size_t job = 0; job < 2; ++job) {
    ClientDone end = done();
    end.prompt_tokens = 2;
    end.timeline.cached_tokens = job == 0 ? 1 : 99;  // no more than there are
    jobs_.say(job, {accepted(2), tokens_of("x", 0), tokens_of("x", 1), choice_done(0), choice_done(1), end});
  }
  EXPECT_EQ(body(told).at("usage").at("prompt_tokens_details").at("cached_tokens"), 3);
}

TEST_F(Answers, StopsAreNamed) {
  ClientDone by_text = done(), by_token = done();
  by_text.stop = "END";
  by_token.stop_token = 7;
  const auto first = answer(call(CallKind::kCompletion)), second = answer(call(CallKind::kChat));
  jobs_.say(0, {accepted(), tokens_of("a"), by_text});
  jobs_.say(1, {accepted(), tokens_of("a"), by_token});
  EXPECT_EQ(first_choice(body(first)).at("stop_reason"), "END");
  EXPECT_EQ(first_choice(body(second)).at("stop_reason"), 7);
}

TEST_F(Answers, ErrorsBeforeTheStreamHaveTheirStatus) {
  OpenAiCall streamed = call(CallKind::kChat);
  streamed.stream = true;
  const auto told = answer(std::move(streamed));
  jobs_.say(0, {ClientError{0, ErrorCode::kResourceExhausted, "too many jobs"}});
  EXPECT_EQ(told->head.status, 429u);
  EXPECT_FALSE(told->streaming);
  EXPECT_EQ(body(told).at("error").at("code"), "rate_limit_exceeded");
}

TEST_F(Answers, ARefusalSaysWhenToComeAgain) {
  const auto header = [](const auto& told, const std::string& name) {
    for (const auto& each : told->head.headers)
      if (each.name == name) return each.value;
    return std::string();
  };
  const auto late = answer(call(CallKind::kChat)), lost = answer(call(CallKind::kChat)), soon = answer(call(CallKind::kChat));
  jobs_.say(0, {ClientError{0, ErrorCode::kOverloaded, "too late", 6'200'000'001}});
  jobs_.say(1, {ClientError{0, ErrorCode::kRetriesExhausted, "lost again"}});
  jobs_.say(2, {ClientError{0, ErrorCode::kResourceExhausted, "the queue is full", 1}});
  EXPECT_EQ(late->head.status, 429u);
  EXPECT_EQ(body(late).at("error").at("code"), "overloaded");
  EXPECT_EQ(header(late, "Retry-After"), "7");
  EXPECT_EQ(header(late, "retry-after-ms"), "6201");
  EXPECT_EQ(header(late, "x-should-retry"), "true");
  EXPECT_EQ(lost->head.status, 503u);
  EXPECT_EQ(body(lost).at("error").at("code"), "retries_exhausted");
  EXPECT_EQ(header(lost, "retry-after-ms"), "500");
  EXPECT_EQ(header(soon, "Retry-After"), "1");
  EXPECT_EQ(header(soon, "retry-after-ms"), "1");
}

TEST_F(Answers, ErrorsInAStreamAreEventsOfIt) {
  OpenAiCall streamed = call(CallKind::kChat, {"a"});
  streamed.stream = true;
  const auto told = answer(std::move(streamed));
  jobs_.say(0, {accepted(), tokens_of("x")});
  jobs_.say(0, {ClientError{0, ErrorCode::kWorkerLost, "its worker died"}});
  EXPECT_TRUE(told->finished);
  const auto data = stream_data(told->body);
  EXPECT_EQ(data.back(), "[DONE]");
  EXPECT_EQ(json::parse(data[data.size() - 2]).at("error").at("message"), "its worker died");
  EXPECT_EQ(log_.find("id-1")->outcome, RequestLog::Outcome::kError);
}

TEST_F(Answers, OneJobsErrorEndsTheOthers) {
  const auto told = answer(call(CallKind::kCompletion, {"a", "b", "c"}));
  jobs_.say(1, {ClientError{0, ErrorCode::kInternal, "at /secret/path"}});
  EXPECT_EQ(told->head.status, 500u);
  EXPECT_EQ(told->body.find("secret"), std::string::npos);
  EXPECT_EQ(jobs_.cancelled.size(), 2u);
}

TEST_F(Answers, AFaultOfOursEndsTheRequestAlone) {
  OpenAiCall wanted = call(CallKind::kCompletion, {"a", "b"});
  wanted.logprobs = true;
  OpenAiCall next = call(CallKind::kCompletion);
  next.id = "id-2";
  const auto told = answer(std::move(wanted)), other = answer(std::move(next));
  ClientTokens tokens = tokens_of("x");
  tokens.tokens[0].token = MoodyTokenizer::kPoison;
  jobs_.say(0, {accepted(), tokens});
  if (!told->responded) jobs_.say(0, {done()});
  if (!told->responded) jobs_.say(1, {accepted(), done()});
  EXPECT_EQ(told->head.status, 500u);
  EXPECT_EQ(body(told).at("error").at("code"), "internal_error");
  EXPECT_EQ(told->body.find("on purpose"), std::string::npos);
  EXPECT_EQ(log_.running(), 1u);
  jobs_.say(2, {accepted(), tokens_of("x"), done()});
  EXPECT_EQ(other->head.status, 200u);
}

TEST_F(Answers, AFaultInAStreamEndsIt) {
  OpenAiCall streamed = call(CallKind::kCompletion);
  streamed.stream = true;
  const auto told = answer(streamed);
  jobs_.say(0, {accepted(), tokens_of("x")});
  told->throws = 1;
  jobs_.say(0, {tokens_of("y", 0, 1)});
  EXPECT_TRUE(told->finished);
  EXPECT_NE(told->body.find("internal_error"), std::string::npos);
  EXPECT_EQ(jobs_.cancelled.size(), 1u);
  streamed.id = "id-2";
  const auto lost = answer(streamed);
  jobs_.say(1, {accepted(), tokens_of("x")});
  lost->throws = 2;
  jobs_.say(1, {tokens_of("y", 0, 1)});
  EXPECT_FALSE(lost->finished) << "the exchange is let go of, which closes";
  EXPECT_EQ(jobs_.cancelled.size(), 2u);
  EXPECT_EQ(log_.running(), 0u);
}

TEST_F(Answers, PartOfAnAnswerIsAnError) {
  const auto told = answer(call(CallKind::kChat));
  jobs_.say(0, {accepted(), tokens_of("half"), done(FinishReason::kCancelled)});
  EXPECT_EQ(told->head.status, 400u);
  EXPECT_EQ(body(told).at("error").at("code"), "cancelled");
}

TEST_F(Answers, AMissingChoiceIsAnError) {
  const auto told = answer(call(CallKind::kChat, {"a"}, 2));
  jobs_.say(0, {accepted(), tokens_of("x", 0), choice_done(0), done()});
  EXPECT_EQ(told->head.status, 500u);
}

TEST_F(Answers, AClientThatGoesTakesItsJobsAlong) {
  OpenAiCall streamed = call(CallKind::kCompletion, {"a", "b"});
  streamed.stream = true;
  const auto told = answer(std::move(streamed));
  jobs_.say(0, {accepted(1), tokens_of("x")});
  told->gone();
  EXPECT_EQ(jobs_.cancelled.size(), 2u);
  EXPECT_EQ(log_.running(), 0u);
  EXPECT_FALSE(told->finished);
}

TEST_F(Answers, AClientThatReadsTooSlowlyIsGone) {
  OpenAiCall streamed = call(CallKind::kCompletion);
  streamed.stream = true;
  const auto told = answer(std::move(streamed));
  told->reads = false;
  jobs_.say(0, {accepted(1), tokens_of("x")});
  EXPECT_EQ(jobs_.cancelled.size(), 1u);
  EXPECT_EQ(log_.find("id-1")->outcome, RequestLog::Outcome::kCancelled);
}

TEST_F(Answers, CanBeCancelledByName) {
  const auto told = answer(call(CallKind::kChat));
  jobs_.say(0, {accepted(1), tokens_of("x")});
  EXPECT_TRUE(log_.cancel("id-1"));
  EXPECT_EQ(body(told).at("error").at("code"), "cancelled");
  EXPECT_EQ(jobs_.cancelled.size(), 1u);
  EXPECT_FALSE(log_.cancel("id-1"));
}

TEST_F(Answers, SilenceIsBrokenByComments) {
  OpenAiCall streamed = call(CallKind::kChat);
  streamed.stream = true;
  const auto told = answer(std::move(streamed));
  http_.pass(std::chrono::seconds(14));
  EXPECT_FALSE(told->streaming);
  http_.pass(std::chrono::seconds(2));
  EXPECT_EQ(told->body, ": keep-alive\n\n");
  http_.pass(std::chrono::seconds(4));
  jobs_.say(0, {accepted(), tokens_of("x")});
  told->body.clear();
  http_.pass(std::chrono::seconds(14));
  EXPECT_EQ(told->body, "") << "not so long after a chunk";
  http_.pass(std::chrono::seconds(2));
  EXPECT_EQ(told->body, ": keep-alive\n\n");
  jobs_.say(0, {done()});
  http_.pass(std::chrono::seconds(60));
  EXPECT_TRUE(told->finished);
}

TEST_F(Answers, ChatLogprobs) {
  OpenAiCall wanted = call(CallKind::kChat);
  wanted.logprobs = true;
  const auto told = answer(std::move(wanted));
  ClientTokens tokens = tokens_of("h\xc3");
  tokens.tokens[1].text.clear();  // the edge holds half a character back
  tokens.tokens[1].logprob = -std::numeric_limits<float>::infinity();
  jobs_.say(0, {accepted(), tokens, done()});
  const json::value content = first_choice(body(told)).at("logprobs").at("content");
  ASSERT_EQ(content.as_array().size(), 2u);
  EXPECT_EQ(json::serialize(content.at(0)),
            R"({"token":"h","logprob":-5E-1,"bytes":[104],"top_logprobs":[{"token":"h","logprob":-5E-1,"bytes":[104]},)"
            R"({"token":"z","logprob":-2E0,"bytes":[122]}]})");
  EXPECT_EQ(content.at(1).at("token"), "\xef\xbf\xbd") << "half a character";
  EXPECT_EQ(content.at(1).at("bytes").at(0), 0xc3);
  EXPECT_EQ(content.at(1).at("logprob"), -9999.0);
}

TEST_F(Answers, EchoWithLogprobsOfThePrompt) {
  OpenAiCall wanted = call(CallKind::kCompletion, {"ab"}, 2);
  wanted.logprobs = wanted.echo = true;
  const auto told = answer(std::move(wanted));
  ClientTokens prompt = tokens_of("b");
  std::swap(prompt.tokens, prompt.prompt);
  jobs_.say(0, {accepted(), tokens_of("y", 1), choice_done(1)});  // before the prompt's are known
  jobs_.say(0, {prompt, tokens_of("x", 0), choice_done(0), done()});
  for (std::size_t i = 0; i < 2; ++i) {
    const json::object choice = body(told).at("choices").at(i).as_object();
    EXPECT_EQ(choice.at("text"), i == 0 ? "abx" : "aby");
    EXPECT_EQ(json::serialize(choice.at("logprobs").at("token_logprobs")), "[null,-5E-1,-5E-1]");
    EXPECT_EQ(json::serialize(choice.at("logprobs").at("text_offset")), "[0,1,2]");
    EXPECT_TRUE(choice.at("logprobs").at("top_logprobs").at(0).is_null());
    EXPECT_EQ(choice.at("logprobs").at("top_logprobs").at(2).at("z"), -2.0);
  }
}

TEST_F(Answers, EchoInAStreamWaitsForThePrompt) {
  OpenAiCall wanted = call(CallKind::kCompletion, {"ab"}, 2);
  wanted.logprobs = wanted.echo = wanted.stream = true;
  const auto told = answer(std::move(wanted));
  ClientTokens prompt = tokens_of("b");
  std::swap(prompt.tokens, prompt.prompt);
  jobs_.say(0, {accepted(), tokens_of("y", 1), choice_done(1)});
  EXPECT_FALSE(told->streaming);
  jobs_.say(0, {prompt, tokens_of("x", 0)});
  jobs_.say(0, {tokens_of("x", 0, 1), choice_done(0), done()});
  std::string texts[2];
  std::size_t tokens[2] = {0, 0};
  for (const json::object& chunk : stream_chunks(told->body)) {
    const json::object choice = first_choice(chunk);
    const auto index = static_cast<std::size_t>(choice.at("index").as_int64());
    texts[index] += choice.at("text").as_string();
    tokens[index] += choice.at("logprobs").at("tokens").as_array().size();
  }
  EXPECT_EQ(texts[0], "abxx");
  EXPECT_EQ(texts[1], "aby");
  EXPECT_EQ(tokens[0], 4u);
  EXPECT_EQ(tokens[1], 3u);
}

// A connection counts what one write brings as one: sixteen echoes at once are not a reader's fault.
TEST_F(Answers, WhatOneTurnHasOfAllChoicesIsOneWrite) {
  OpenAiCall wanted = call(CallKind::kCompletion, {"ab"}, 3);
  wanted.echo = wanted.stream = true;
  const auto told = answer(std::move(wanted));
  jobs_.say(0, {accepted(), tokens_of("x", 0), tokens_of("y", 1), tokens_of("z", 2)});
  EXPECT_EQ(told->writes, 1u);
  EXPECT_EQ(stream_chunks(told->body).size(), 3u);
}

// Thirty-two prompts echoed at once would be a slow reader's fault, if they were counted as a stream's.
TEST_F(Answers, AStreamSaysWhichBytesAreEchoes) {
  OpenAiCall wanted = call(CallKind::kCompletion, {"ab", "cd"}, 2);
  wanted.echo = wanted.stream = true;
  const auto told = answer(std::move(wanted));
  for (std::size_t job = 0; job < 2; ++job) jobs_.say(job, {accepted(), tokens_of("x", 0), tokens_of("y", 1)});
  EXPECT_EQ(told->echoed, told->body.size());
  jobs_.say(0, {tokens_of("z", 0, 1), choice_done(0), choice_done(1), done()});
  EXPECT_LT(told->echoed, told->body.size());
}

TEST_F(Answers, EachChoiceHasATimePerToken) {
  const auto told = answer(call(CallKind::kCompletion, {"ab"}, 2));
  jobs_.say(0, {accepted(), tokens_of("x", 0)});
  http_.pass(std::chrono::seconds(2));
  jobs_.say(0, {tokens_of("y", 0, 1), choice_done(0)});
  http_.pass(std::chrono::seconds(10));
  jobs_.say(0, {tokens_of("x", 1)});
  http_.pass(std::chrono::seconds(4));
  jobs_.say(0, {tokens_of("y", 1, 1), choice_done(1), done()});
  EXPECT_TRUE(told->responded);
  const std::string text = metrics_.text("");
  EXPECT_NE(text.find("request_time_per_output_token_seconds_sum{model=\"m\"} 6\n"), std::string::npos) << text;
  EXPECT_NE(text.find("request_time_per_output_token_seconds_count{model=\"m\"} 2\n"), std::string::npos) << text;
}

TEST_F(Answers, GatheredAnswersHaveALimitTogether) {
  const auto first = answer(call(CallKind::kCompletion)), second = answer(call(CallKind::kChat, {"a"}, 2));
  OpenAiCall streamed = call(CallKind::kCompletion);
  streamed.stream = true;
  const auto stream = answer(std::move(streamed));
  const std::string text(20u << 10, 'x');
  jobs_.say(0, {accepted(), tokens_of(text)});
  jobs_.say(1, {accepted(), tokens_of(text, 0), tokens_of(text, 1)});
  EXPECT_EQ(gathered_->held(), 3 * text.size());
  jobs_.say(2, {accepted(), tokens_of(text)});
  EXPECT_EQ(gathered_->held(), 3 * text.size()) << "a stream gathers nothing";
  jobs_.say(0, {tokens_of(text)});
  ASSERT_TRUE(first->responded);
  EXPECT_EQ(first->head.status, 503u);
  EXPECT_EQ(body(first).at("error").at("code"), "overloaded");
  EXPECT_EQ(first->head.headers.at(0).name, "Retry-After");
  EXPECT_EQ(jobs_.cancelled, std::vector<JobPort::Ticket>{1});
  jobs_.say(1, {choice_done(0), choice_done(1), done()});
  EXPECT_EQ(body(second).at("choices").at(1).at("message").at("content").as_string(), text);
  EXPECT_EQ(gathered_->held(), 0u);
  jobs_.say(2, {tokens_of(text), done()});
  EXPECT_TRUE(stream->finished);
}

TEST_F(Answers, LogprobsAndEchoesCountWhileTheyAreHeld) {
  for (const bool streamed : {false, true}) {
    OpenAiCall wanted = call(CallKind::kCompletion, {"ab"}, 2);
    wanted.logprobs = wanted.echo = true;
    wanted.stream = streamed;
    wanted.id = streamed ? "s" : "w";
    const auto told = answer(std::move(wanted));
    ClientTokens prompt = tokens_of("b");
    std::swap(prompt.tokens, prompt.prompt);
    const std::size_t job = streamed ? 1 : 0;
    const std::size_t at_first = gathered_->held();
    EXPECT_GT(at_first, 4u) << "the echo's text and first token, for both choices";
    jobs_.say(job, {accepted(), tokens_of(std::string(100, 'y'), 1)});
    EXPECT_EQ(gathered_->held() > at_first + 3000, !streamed);
    jobs_.say(job, {prompt});
    EXPECT_GT(gathered_->held(), at_first);
    jobs_.say(job, {tokens_of("x", 0)});
    EXPECT_EQ(gathered_->held() == 0, streamed) << "the stream has both echoes";
    jobs_.say(job, {choice_done(0), choice_done(1), done()});
    EXPECT_EQ(gathered_->held(), 0u);
    EXPECT_TRUE(streamed ? told->finished : told->responded);
  }
}

TEST_F(Answers, IdsOfPromptsCountForEachChoice) {
  for (const bool streamed : {false, true}) {
    OpenAiCall wanted = call(CallKind::kCompletion, {std::string(100, 'a')}, 2);
    wanted.return_token_ids = true;
    wanted.stream = streamed;
    wanted.id = streamed ? "s" : "w";
    const auto told = answer(std::move(wanted));
    EXPECT_EQ(gathered_->held(), 2u * (100 * 3 - 1)) << "98,98,...";
    const std::size_t job = streamed ? 1 : 0;
    jobs_.say(job, {accepted(), tokens_of("x", 0), tokens_of("x", 1)});
    EXPECT_EQ(gathered_->held() == 0, streamed);
    jobs_.say(job, {choice_done(0), choice_done(1), done()});
    EXPECT_EQ(gathered_->held(), 0u);
    EXPECT_EQ(told->echoed > 600, streamed);
  }
}

TEST_F(Answers, AnEchoBeyondTheLimitIsRefusedInAStreamToo) {
  OpenAiCall wanted = call(CallKind::kCompletion, {std::string(10u << 10, 'a')}, 8);
  wanted.echo = wanted.stream = true;
  const auto told = answer(std::move(wanted));
  EXPECT_EQ(told->head.status, 503u);
  EXPECT_TRUE(jobs_.submitted.empty());
  EXPECT_EQ(log_.running(), 0u);
}

TEST_F(Answers, ScoresAPromptOnly) {
  OpenAiCall wanted = call(CallKind::kCompletion, {"ab"});
  wanted.logprobs = wanted.echo = wanted.score_only = true;
  const auto told = answer(std::move(wanted));
  ClientTokens tokens = tokens_of("b");
  std::swap(tokens.tokens, tokens.prompt);
  jobs_.say(0, {accepted(), tokens});
  jobs_.say(0, {tokens_of("x"), done(FinishReason::kLength, "t")});
  EXPECT_EQ(first_choice(body(told)).at("text"), "ab");
  EXPECT_EQ(first_choice(body(told)).at("finish_reason"), "length");
  EXPECT_EQ(first_choice(body(told)).at("logprobs").at("tokens").as_array().size(), 2u);
  EXPECT_EQ(body(told).at("usage").at("completion_tokens"), 0);
}

TEST_F(Answers, IdsOfTokens) {
  OpenAiCall wanted = call(CallKind::kChat);
  wanted.return_token_ids = true;
  const auto whole = answer(wanted);
  wanted.stream = true;
  wanted.id = "id-2";
  const auto stream = answer(std::move(wanted));
  for (std::size_t job = 0; job < 2; ++job) jobs_.say(job, {accepted(), tokens_of("A"), done()});
  EXPECT_EQ(json::serialize(first_choice(body(whole)).at("token_ids")), "[66]");
  EXPECT_EQ(json::serialize(body(whole).at("prompt_token_ids")), "[98,99]");
  const auto chunks = stream_chunks(stream->body);
  EXPECT_EQ(json::serialize(first_choice(chunks[0]).at("prompt_token_ids")), "[98,99]");
  EXPECT_EQ(json::serialize(first_choice(chunks[1]).at("token_ids")), "[66]");
}

}  // namespace
}  // namespace baton::test
