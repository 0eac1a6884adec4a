// SPDX-License-Identifier: Apache-2.0
// A line of a file of jobs, and the screen of `baton top`.
#include "launcher/job_line.h"

#include <gtest/gtest.h>

#include "launcher/top.h"

namespace baton {
namespace {

ClientSubmit defaults() {
  ClientSubmit job;
  job.sampling.temperature = 0.5F;
  job.sampling.max_tokens = 16;
  job.max_tokens_given = false;
  return job;
}

std::string complaint(const std::string& line) {
  const auto job = read_job_line(line, defaults(), {});
  return job ? "" : job.error().message;
}

TEST(JobLine, TakesOpenAisNamesAndTheRestFromTheDefaults) {
  const auto job = read_job_line(R"({"id":"a","prompt":"Hi","max_tokens":7,"top_p":0.5,"top_k":3,"min_p":0.25,"seed":18446744073709551615,)"
                                 R"("stop":"x","stop_token_ids":[4,5],"presence_penalty":-1,"frequency_penalty":1.5,"repetition_penalty":2,)"
                                 R"("logit_bias":{"7":-100,"8":0.5},"ignore_eos":true,"min_tokens":2,"include_stop_str_in_output":true,)"
                                 R"("bad_words":["no","nay"],"cache_salt":"s","n":1,"temperature":null})", defaults(), {});
  ASSERT_TRUE(job) << job.error().message;
  EXPECT_EQ(job->id, "a");
  EXPECT_EQ(job->prompt, "Hi");
  EXPECT_TRUE(job->max_tokens_given);
  EXPECT_TRUE(job->seed_given);
  EXPECT_EQ(job->sampling.max_tokens, 7u);
  EXPECT_EQ(job->sampling.seed, UINT64_MAX);
  EXPECT_EQ(job->sampling.temperature, 0.5F) << "null says nothing";
  EXPECT_EQ(job->sampling.top_p, 0.5F);
  EXPECT_EQ(job->sampling.top_k, 3u);
  EXPECT_EQ(job->sampling.min_p, 0.25F);
  EXPECT_EQ(job->sampling.presence_penalty, -1.0F);
  EXPECT_EQ(job->sampling.frequency_penalty, 1.5F);
  EXPECT_EQ(job->sampling.repetition_penalty, 2.0F);
  EXPECT_TRUE(job->sampling.ignore_eos);
  EXPECT_EQ(job->sampling.min_tokens, 2u);
  EXPECT_TRUE(job->include_stop);
  EXPECT_EQ(job->stop, std::vector<std::string>{"x"});
  EXPECT_EQ(job->bad_words, (std::vector<std::string>{"no", "nay"}));
  EXPECT_EQ(job->cache_salt, "s");
  EXPECT_EQ(job->sampling.stop_token_ids(), (std::vector<TokenId>{4, 5}));
  EXPECT_EQ(job->sampling.logit_bias(), (std::vector<TokenBias>{{7, -100.0F}, {8, 0.5F}}));
  const auto ids = read_job_line(R"({"prompt":[1,2,3]})", defaults(), {});
  ASSERT_TRUE(ids);
  EXPECT_EQ(ids->prompt_ids, (std::vector<TokenId>{1, 2, 3}));
  EXPECT_FALSE(ids->max_tokens_given);
}

TEST(JobLine, SaysWhatIsWrong) {
  EXPECT_NE(complaint("{\"prompt\": ").find("byte"), std::string::npos) << complaint("{\"prompt\": ");
  EXPECT_NE(complaint("[1]").find("a line wants a JSON object"), std::string::npos);
  EXPECT_EQ(complaint("{}"), "it has no prompt");
  EXPECT_EQ(complaint(R"({"prompt":"x","promt":"y"})"), "there is no \"promt\" in a line of jobs");
  EXPECT_EQ(complaint(R"({"prompt":7})"), "prompt wants a text");
  EXPECT_EQ(complaint(R"({"prompt":[]})"), "prompt wants a text or token ids, and is empty");
  EXPECT_EQ(complaint(R"({"prompt":"x","max_tokens":"7"})"), "max_tokens wants a whole number, 0 or more, that is not too large");
  EXPECT_EQ(complaint(R"({"prompt":"x","max_tokens":-1})"), "max_tokens wants a whole number, 0 or more, that is not too large");
  EXPECT_EQ(complaint(R"({"prompt":"x","max_tokens":0})"), "max_tokens is 0; it must be at least 1");
  EXPECT_EQ(complaint(R"({"prompt":"x","top_p":2})"), "top_p is 2; it must be above 0 and at most 1");
  EXPECT_EQ(complaint(R"({"prompt":"x","ignore_eos":1})"), "ignore_eos wants true or false");
  EXPECT_EQ(complaint(R"({"prompt":"x","n":2})"), "n wants 1: a line has one answer");
  EXPECT_EQ(complaint(R"({"prompt":"x","logit_bias":{"y":1}})"), "logit_bias wants token ids as its names");
  EXPECT_EQ(complaint(R"({"prompt":"x","messages":[]})"), "it has prompt and messages; one of them is enough");
  EXPECT_EQ(complaint(R"({"messages":[]})"), "messages need the model's chat template: add --chat");
}

TEST(JobLine, HandsMessagesToTheTemplate) {
  const ChatEncoder encoder = [](const boost::json::value& messages) -> Result<std::vector<TokenId>> {
    if (messages.is_array()) return std::vector<TokenId>{9};
    return fail(ErrorCode::kInvalidArgument, "no conversation");
  };
  const auto job = read_job_line(R"({"messages":[{"role":"user","content":"Hi"}]})", defaults(), encoder);
  ASSERT_TRUE(job);
  EXPECT_EQ(job->prompt_ids, std::vector<TokenId>{9});
  EXPECT_EQ(read_job_line(R"({"messages":7})", defaults(), encoder).error().message, "no conversation");
  EXPECT_EQ(read_job_line("{}", defaults(), encoder).error().message, "it has neither prompt nor messages");
}

TEST(Top, RatesAreDifferencesOfOneLife) {
  StatusReport before;
  before.name = "c";
  WorkerStatus worker;
  worker.name = "both-0";
  worker.role = Role::kBoth;
  worker.pid = 10;
  worker.blocks_total = 100;
  worker.last.blocks_free = 25;
  worker.last.tokens_generated = 1000;
  worker.last.prompt_tokens_computed = 500;
  worker.traffic.push_back({"d-0", "shm", 1, 0, 1'000'000, 1, 1});
  before.workers = {worker};
  StatusReport now = before;
  now.workers[0].last.tokens_generated = 1100;
  now.workers[0].last.prompt_tokens_computed = 600;
  now.workers[0].traffic[0].bytes = 5'000'000;
  const std::string text = render_top(before, now, 2.0);
  EXPECT_NE(text.find("c, 0 jobs, prefill 50.0 tokens/s, generated 50.0 tokens/s\n"), std::string::npos) << text;
  EXPECT_NE(text.find("########.. 75%"), std::string::npos) << text;
  EXPECT_NE(text.find("both-0  d-0  shm        2.0"), std::string::npos) << text;
  EXPECT_EQ(text.find("wait"), std::string::npos) << "nothing waits: nothing is said";
  now.admission.queued = 3;
  now.admission.queued_tokens = 450;
  now.admission.wait_ns = 2'500'000'000;
  now.admission.refused_predicted = 9;
  now.admission.expired = 1;
  EXPECT_NE(render_top(before, now, 2.0).find("tokens/s\n3 jobs wait with 450 prompt tokens, the next one for about 2.5 s, 4.5 jobs/s refused as too late, 0.5 jobs/s out of time\n"), std::string::npos)
      << render_top(before, now, 2.0);
  now.workers[0].pid = 11;
  EXPECT_NE(render_top(before, now, 2.0).find("generated 0.0 tokens/s"), std::string::npos);
}

}  // namespace
}  // namespace baton
