// SPDX-License-Identifier: Apache-2.0
// One worker that does everything and a pair that hands over give the same tokens, and the pair really hands over: every block
// of every prompt moves once, and the decode worker computes no prompt. With a tiny random model in every build, and with the
// small real one in the release preset.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <set>

#include "engine/cpu_engine.h"
#include "tests/support/cluster_process.h"
#include "tests/support/golden_data.h"
#include "tests/support/load_client.h"
#include "tests/support/random_weights.h"
#include "tests/support/slow_build.h"
#include "tests/support/tiny_llama.h"
#include "tests/support/tiny_tokenizer.h"

namespace baton::test {
namespace {

constexpr std::uint32_t kBlockTokens = 16;
constexpr Duration kJobLimit = std::chrono::minutes(3);

// Twenty prompts, each greedy and sampled.
std::vector<LoadJob> jobs_of(const std::vector<ClientSubmit>& prompts, std::uint32_t max_tokens) {
  std::vector<LoadJob> jobs;
  for (const bool sampled : {false, true})
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      ClientSubmit submit = prompts[i];
      submit.sampling.max_tokens = max_tokens;
      if (sampled) {
        submit.sampling.temperature = 0.8F;
        submit.sampling.top_p = 0.95F;
        submit.sampling.seed = 1000 + i;
        submit.seed_given = true;
      }
      jobs.push_back({submit, {}, {}});
    }
  return jobs;
}

std::vector<TokenId> ids_of(const JobRecord& record) {
  std::vector<TokenId> ids;
  for (const ClientToken& token : record.tokens) ids.push_back(token.token);
  return ids;
}

std::string text_of(const JobRecord& record) {
  std::string text;
  for (const ClientToken& token : record.tokens) text += token.text;
  return text + record.done->tail;
}

class SameTokens : public ::testing::Test {
 protected:
  ClusterSpec spec(const std::string& name, std::vector<std::string> pools) const {
    ClusterSpec spec;
    spec.name = name;
    spec.model = model_;
    spec.kv_memory = memory_;
    spec.pools = std::move(pools);
    return spec;
  }
  std::vector<JobRecord> run(const ClusterProcess& cluster, const std::vector<LoadJob>& jobs) {
    std::vector<JobRecord> records = run_load(cluster.jobs(), jobs, 5, kJobLimit);
    EXPECT_EQ(records.size(), jobs.size());
    for (const JobRecord& record : records) {
      EXPECT_TRUE(record.done) << (record.error ? record.error->message : record.lost);
      EXPECT_EQ(record.terminals, 1u);
    }
    return HasFailure() ? std::vector<JobRecord>{} : records;
  }
  std::size_t block_bytes() const {
    CpuEngineOptions options;
    options.model_path = model_;
    options.block_tokens = kBlockTokens;
    const auto engine = make_cpu_engine(options);
    EXPECT_TRUE(engine) << engine.error().message;
    return engine ? (*engine)->info().geometry.block_bytes() : 0;
  }
  void compare(const std::vector<ClientSubmit>& prompts, std::uint32_t max_tokens);
  void expect_a_real_hand_over(const ClusterProcess& cluster, const std::vector<JobRecord>& records);

  TestHome home_;
  std::string model_;
  std::string memory_ = "64MiB";
};

void SameTokens::expect_a_real_hand_over(const ClusterProcess& cluster, const std::vector<JobRecord>& records) {
  const std::size_t bytes = block_bytes();
  std::uint64_t moved = 0;
  std::uint64_t wanted = 0;  // bytes, if nothing had been cached
  std::uint64_t prompt_tokens = 0;
  for (const JobRecord& record : records) {
    prompt_tokens += record.done->prompt_tokens;
    // A stop token in the first place leaves nothing to hand over.
    const std::uint64_t blocks = record.tokens.size() == 1 ? 0 : (record.done->prompt_tokens + kBlockTokens - 1) / kBlockTokens;
    EXPECT_LE(record.done->kv_bytes_moved, blocks * bytes) << record.done->prompt_tokens << " prompt tokens";
    EXPECT_EQ(record.done->kv_bytes_moved > 0, blocks > 0) << "what the last token needs always moves";
    wanted += blocks * bytes;
    EXPECT_EQ(record.done->prefill_worker, "prefill-0");
    EXPECT_EQ(record.done->decode_worker, "decode-0");
    EXPECT_EQ(record.done->transport.empty(), blocks == 0);
    moved += record.done->kv_bytes_moved;
  }
  const auto client = cluster.connect();
  ASSERT_NE(client, nullptr);
  StatusReport report;
  const auto worker = [&report](const std::string& name) {
    return *std::find_if(report.workers.begin(), report.workers.end(), [&](const WorkerStatus& each) { return each.name == name; });
  };
  const auto counted = [&] {
    const auto answer = client->status(std::chrono::seconds(5));
    if (!answer || answer->workers.size() != 2) return false;
    report = *answer;
    const Heartbeat& prefill = worker("prefill-0").last;
    return prefill.prompt_tokens_computed + prefill.prefix_cache_hits == prompt_tokens && worker("decode-0").last.kv_bytes_received == moved;
  };
  EXPECT_TRUE(comes_true(counted, std::chrono::seconds(5)));
  // Each token was computed once or found; each block moved once or was there.
  EXPECT_EQ(worker("prefill-0").last.prompt_tokens_computed + worker("prefill-0").last.prefix_cache_hits, prompt_tokens);
  EXPECT_EQ(moved + worker("decode-0").last.prefix_cache_hits / kBlockTokens * bytes, wanted);
  EXPECT_EQ(worker("decode-0").last.prompt_tokens_computed, 0u);
  EXPECT_EQ(worker("decode-0").last.kv_bytes_received, moved);
  const std::set<std::uint32_t> pids = {report.coordinator_pid, worker("prefill-0").pid, worker("decode-0").pid};
  EXPECT_EQ(pids.size(), 3u);
  for (const std::uint32_t pid : pids) EXPECT_EQ(kill(static_cast<pid_t>(pid), 0), 0) << pid;
}

void SameTokens::compare(const std::vector<ClientSubmit>& prompts, std::uint32_t max_tokens) {
  const std::vector<LoadJob> jobs = jobs_of(prompts, max_tokens);
  std::vector<JobRecord> alone;
  {
    ClusterProcess one(home_, spec("one", {"name: all, role: both, threads: 2"}));
    ASSERT_TRUE(one.up());
    alone = run(one, jobs);
    EXPECT_EQ(one.fsck(), "");
    EXPECT_EQ(one.down().exit_status, 0);
    EXPECT_EQ(one.complaints_in_logs(), "");
  }
  ClusterProcess two(home_, spec("two", {"name: prefill, role: prefill, threads: 1", "name: decode, role: decode, threads: 1"}));
  ASSERT_TRUE(two.up());
  const std::vector<JobRecord> apart = run(two, jobs);
  ASSERT_EQ(alone.size(), apart.size());
  std::set<std::vector<TokenId>> different;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    EXPECT_EQ(ids_of(alone[i]), ids_of(apart[i])) << "job " << i;
    EXPECT_EQ(alone[i].done->reason, apart[i].done->reason) << "job " << i;
    EXPECT_EQ(alone[i].done->kv_bytes_moved, 0u);
    different.insert(ids_of(apart[i]));
  }
  EXPECT_GT(different.size(), jobs.size() / 2);  // the comparison is of something
  expect_a_real_hand_over(two, apart);

  // A job of one token has nobody to hand over to.
  std::vector<LoadJob> one_token = {jobs.front()};
  one_token[0].submit.sampling.max_tokens = 1;
  const std::vector<JobRecord> single = run(two, one_token);
  ASSERT_EQ(single.size(), 1u);
  EXPECT_EQ(single[0].tokens.size(), 1u);
  EXPECT_EQ(single[0].tokens.front().token, apart[0].tokens.front().token);
  EXPECT_EQ(single[0].done->kv_bytes_moved, 0u);
  EXPECT_EQ(two.fsck(), "");
  EXPECT_EQ(two.down().exit_status, 0);
  EXPECT_EQ(two.complaints_in_logs(), "");
}

TEST_F(SameTokens, OfATinyModel) {
  TinyLlama tiny;
  tiny.more = [](GgufWriter& writer) { TinyTokenizer{}.add_to(writer); };
  const TempFile file(build_tiny_llama(tiny));
  model_ = file.path();
  memory_ = "1MiB";
  std::vector<ClientSubmit> prompts(20);
  for (std::size_t i = 0; i < prompts.size(); ++i)
    for (std::size_t k = 0; k < 1 + 9 * i; ++k) prompts[i].prompt_ids.push_back(static_cast<TokenId>((i * 31 + k * k * 7) % kTinyVocabulary));
  compare(prompts, 30);
}

TEST_F(SameTokens, OfARealModel) {
  if (kSlowBuild) GTEST_SKIP() << "runs in the release preset";
  const auto path = golden_model_path();
  if (!path) GTEST_SKIP() << golden_model_missing();
  model_ = *path;
  memory_ = "128MiB";
  constexpr const char* kLongPrompt =
      "A prompt that is a little longer than the others, so that it fills more than one block of the cache and several of them "
      "have to move from one process to the other before decoding may begin:";
  const char* const texts[] = {"The capital of France is", "Once upon a time", "A relay race is won not only by the fastest runner, but by",
                               "def fibonacci(n):\n    ", "The three primary colours are", "Water boils at", "In 1969,", "Dear Sir or Madam,",
                               "The largest planet of the solar system", "#include <stdio.h>\n\nint main(void) {", "1, 1, 2, 3, 5, 8,",
                               "To be, or not to be,", "Photosynthesis is the process by which", "Q: What is the speed of light?\nA:",
                               "Ingredients: flour, water, salt and yeast. Method:", "She opened the door and saw",
                               "The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog. The quick brown fox",
                               "Les langues latines sont", "x", kLongPrompt};
  std::vector<ClientSubmit> prompts;
  for (const char* text : texts) {
    prompts.emplace_back();
    prompts.back().prompt = text;
  }
  ASSERT_EQ(prompts.size(), 20u);
  compare(prompts, 16);

  ClusterProcess pair(home_, spec("paris", {"name: prefill, role: prefill, threads: 1", "name: decode, role: decode, threads: 1"}));
  ASSERT_TRUE(pair.up());
  const std::vector<JobRecord> paris = run(pair, {jobs_of(prompts, 16).front()});
  ASSERT_EQ(paris.size(), 1u);
  EXPECT_NE(text_of(paris[0]).find("Paris"), std::string::npos) << text_of(paris[0]);
}

}  // namespace
}  // namespace baton::test
