// SPDX-License-Identifier: Apache-2.0
// That a green run of `./check chaos` means something: its checker finds what is planted in a stream, its saboteur keeps to what the
// launcher allows, and wrong options are refused.
#include <gtest/gtest.h>

#include "tests/support/chaos_options.h"
#include "tests/support/saboteur.h"
#include "tests/support/stream_check.h"

namespace baton::test {
namespace {

constexpr Duration kMs = std::chrono::milliseconds(1);

class StreamCheck : public ::testing::Test {
 protected:
  StreamCheck() {
    record_.submit.id = "one";
    record_.submit.prompt_ids = {5, 6, 7};
    SamplingParams& sampling = record_.submit.sampling;
    sampling.max_tokens = 40;
    sampling.ignore_eos = true;
    sampling.temperature = 0.8F;
    sampling.logprobs = 2;
    sampling.prompt_logprobs = 1;
    record_.accepted = ClientAccepted{1, "one", 3, 77};  // the cluster drew the seed
    SamplingParams drawn = sampling;
    drawn.seed = 77;
    const std::vector<TokenId> stream = oracle_stream(model_, record_.submit.prompt_ids, drawn);
    for (std::uint32_t i = 0; i < stream.size(); ++i) {
      record_.tokens.push_back(scored(i, stream[i], 3 + i, 2));
      record_.arrived.push_back(Time{} + 100 * kMs + i * 10 * kMs);
    }
    for (std::uint32_t i = 1; i < 3; ++i) record_.prompt.push_back(scored(i, record_.submit.prompt_ids[i], i, 1));
    ClientDone done;
    done.reason = FinishReason::kLength;
    done.prompt_tokens = 3;
    done.completion_tokens = 40;
    record_.done = done;
    record_.terminals = 1;
  }
  ClientToken scored(std::uint32_t index, TokenId token, std::uint32_t position, std::uint32_t top) const {
    const ScoredToken scores = oracle_scores(position, token, top, model_.vocab_size);
    ClientToken made{index, token, {}, scores.logprob, {}};
    for (const TokenLogprob& each : scores.top) made.top.push_back({each.token, each.logprob, {}});
    return made;
  }
  StreamFate fate() const { return judge_stream(model_, record_).fate; }

  const OracleOptions model_;
  JobRecord record_;
};

TEST_F(StreamCheck, AStreamThatIsTheModelsIsIdentical) {
  EXPECT_EQ(judge_stream(model_, record_).why, "");
  EXPECT_EQ(fate(), StreamFate::kIdentical);
}

TEST_F(StreamCheck, AnAlteredTokenIsAChange) {
  record_.tokens[17].token ^= 1;
  EXPECT_EQ(fate(), StreamFate::kChanged);
}

TEST_F(StreamCheck, ADroppedTokenIsALoss) {
  record_.tokens.erase(record_.tokens.begin() + 17);
  EXPECT_EQ(fate(), StreamFate::kLost);
}

TEST_F(StreamCheck, ATokenDroppedFromTheEndIsALoss) {
  record_.tokens.pop_back();
  record_.done->completion_tokens = 39;
  EXPECT_EQ(fate(), StreamFate::kLost);
}

TEST_F(StreamCheck, ATokenThatComesTwiceIsDoubled) {
  record_.tokens.insert(record_.tokens.begin() + 17, record_.tokens[16]);
  EXPECT_EQ(fate(), StreamFate::kDoubled);
}

TEST_F(StreamCheck, OneTokenTooManyIsAChange) {
  record_.tokens.push_back(scored(40, 3, 43, 2));
  EXPECT_EQ(fate(), StreamFate::kChanged);
}

TEST_F(StreamCheck, ASecondEndAndWhatFollowsAnEndIsDoubled) {
  record_.terminals = 2;
  EXPECT_EQ(fate(), StreamFate::kDoubled);
  record_.terminals = 1;
  record_.after_the_end = 1;
  EXPECT_EQ(fate(), StreamFate::kDoubled);
}

TEST_F(StreamCheck, AnErrorASilenceAndABrokenLinkAreLosses) {
  const JobRecord whole = record_;
  record_.error = ClientError{1, ErrorCode::kWorkerLost, "a worker died"};
  EXPECT_EQ(fate(), StreamFate::kLost);
  record_ = whole;
  record_.timed_out = true;
  EXPECT_EQ(fate(), StreamFate::kLost);
  record_ = whole;
  record_.lost = "link down";
  EXPECT_EQ(fate(), StreamFate::kLost);
}

TEST_F(StreamCheck, AnotherSeedCountReasonOrLogProbabilityIsAChange) {
  const JobRecord whole = record_;
  const auto expect_changed = [&](const char* what, auto change) {
    record_ = whole;
    change(record_);
    EXPECT_EQ(fate(), StreamFate::kChanged) << what;
  };
  expect_changed("seed", [](JobRecord& r) { r.accepted->seed = 78; });
  expect_changed("completion", [](JobRecord& r) { r.done->completion_tokens = 41; });
  expect_changed("prompt", [](JobRecord& r) { r.done->prompt_tokens = 2; });
  expect_changed("reason", [](JobRecord& r) { r.done->reason = FinishReason::kStop; });
  expect_changed("log-probability", [](JobRecord& r) { r.tokens[30].logprob += 0.5F; });
  expect_changed("likeliest", [](JobRecord& r) { r.tokens[30].top.pop_back(); });
  expect_changed("prompt's log-probability", [](JobRecord& r) { r.prompt[1].logprob += 0.5F; });
  expect_changed("prompt's position lost", [](JobRecord& r) { r.prompt.pop_back(); });
  expect_changed("prompt's position twice", [](JobRecord& r) { r.prompt.push_back(r.prompt[1]); });
}

TEST_F(StreamCheck, AGapIsWhatAFaultAddsToTheUsualInterval) {
  const Time fault = Time{} + 205 * kMs;
  EXPECT_EQ(gap_across(record_, fault), Duration{});
  for (std::size_t i = 12; i < record_.arrived.size(); ++i) record_.arrived[i] += 300 * kMs;  // one more was on its way
  EXPECT_EQ(gap_across(record_, fault), 300 * kMs);
  EXPECT_EQ(gap_across(record_, Time{} + 50 * kMs), std::nullopt) << "it had not begun";
  EXPECT_EQ(gap_across(record_, Time{} + 5000 * kMs), std::nullopt) << "it was over";
}

TEST(Percentile, IsOneOfTheValues) {
  EXPECT_EQ(percentile({}, 50), Duration{});
  std::vector<Duration> values;
  for (int i = 100; i > 0; --i) values.push_back(i * kMs);
  EXPECT_EQ(percentile(values, 50), 51 * kMs);
  EXPECT_EQ(percentile(values, 99), 100 * kMs);
  EXPECT_EQ(percentile(values, 100), 100 * kMs);
}

TEST(RestartLedger, AllowsWhatTheLauncherStartsAgain) {
  RestartLedger ledger({2, std::chrono::seconds(60), {}, {}});
  const Time begin{};
  EXPECT_TRUE(ledger.allows("decode-0", begin));
  ledger.note("decode-0", begin);
  ledger.note("decode-0", begin + std::chrono::seconds(30));
  EXPECT_FALSE(ledger.allows("decode-0", begin + std::chrono::seconds(31)));
  EXPECT_TRUE(ledger.allows("decode-1", begin + std::chrono::seconds(31)));
  EXPECT_FALSE(ledger.allows("decode-0", begin + std::chrono::seconds(60)));
  EXPECT_TRUE(ledger.allows("decode-0", begin + std::chrono::seconds(62)));
}

Result<ChaosOptions> read(const std::map<std::string, std::string>& given) {
  return read_chaos_options([&](const std::string& name) {
    const auto it = given.find(name);
    return it == given.end() ? std::nullopt : std::optional(it->second);
  });
}

TEST(ChaosOptions, AreReadFromTheEnvironment) {
  const auto options = read({{"BATON_CHAOS_STREAMS", "7"}, {"BATON_CHAOS_ROLES", "decode,gateway"}, {"BATON_CHAOS_SECONDS", "5"}});
  ASSERT_TRUE(options);
  EXPECT_EQ(options->streams, 7u);
  EXPECT_EQ(options->kills, 20u);
  EXPECT_EQ(options->load, std::chrono::seconds(5));
  EXPECT_TRUE(options->has(ChaosRole::kGateway) && options->has_workers() && !options->has(ChaosRole::kPrefill));
}

TEST(ChaosOptions, ThatAreWrongAreNamed) {
  const auto message = [](const std::map<std::string, std::string>& given) {
    const auto options = read(given);
    return options ? "" : options.error().message;
  };
  EXPECT_NE(message({{"BATON_CHAOS_KILLS", "many"}}).find("--kills"), std::string::npos);
  EXPECT_NE(message({{"BATON_CHAOS_ROLES", "decode,edge"}}).find("\"edge\""), std::string::npos);
  EXPECT_NE(message({{"BATON_CHAOS_ENGINE", "fast"}}).find("--engine"), std::string::npos);
  EXPECT_NE(message({{"BATON_CHAOS_MEASURE", "all"}}).find("--measure"), std::string::npos);
}

}  // namespace
}  // namespace baton::test
