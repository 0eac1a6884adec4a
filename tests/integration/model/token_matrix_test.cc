// SPDX-License-Identifier: Apache-2.0
// The promise of `numerics: invariant` on real processes and the real model: a token depends on prompt, parameters and emitted
// ids alone. One worker computes every job by itself, one at a time, with nothing cached; then the same jobs run in every
// other way that the engine and the scheduler know, and every id must be the same:
//   in batches of up to 32; in chunks of 16 to 512 prompt tokens; from cached prefixes; preempted and computed again; with other
//   kernels; on one thread or two; on a prefill and a decode worker.
// Options: ./check integration --prompts 200 (12 by default; each is run greedy and sampled).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "kernels/cpu/ops.h"
#include "runtime/base/hash.h"
#include "tests/support/cluster_process.h"
#include "tests/support/golden_data.h"
#include "tests/support/load_client.h"
#include "tests/support/slow_build.h"

namespace baton::test {
namespace {

constexpr Duration kJobLimit = std::chrono::minutes(9);
constexpr std::uint32_t kAnswerTokens = 24;

std::size_t prompts_wanted() {
  const char* const text = std::getenv("BATON_INTEGRATION_PROMPTS");
  return text != nullptr ? static_cast<std::size_t>(std::strtoul(text, nullptr, 10)) : 12;
}

// Natural texts of 3 to 600 tokens: pieces of the golden prompts and answers, strung together. Every third begins like another.
std::vector<std::vector<TokenId>> prompts_of(std::size_t count) {
  const std::vector<GoldenGreedy> golden = load_golden_greedy();
  std::vector<std::vector<TokenId>> prompts;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::size_t length = mix64(i, 1) % 8 == 0 ? 100 + mix64(i, 2) % 500 : 3 + mix64(i, 3) % 90;
    std::vector<TokenId> prompt;
    if (i % 3 == 2) prompt = prompts[i / 2];
    for (std::uint64_t piece = 0; prompt.size() < length; ++piece) {
      const GoldenGreedy& from = golden[mix64(i, 4 + piece) % golden.size()];
      prompt.insert(prompt.end(), from.prompt_ids.begin(), from.prompt_ids.end());
      prompt.insert(prompt.end(), from.ids.begin(), from.ids.end());
    }
    prompt.resize(std::max<std::size_t>(length, 1));
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

std::vector<LoadJob> jobs_of(std::size_t count) {
  std::vector<LoadJob> jobs;
  for (const std::vector<TokenId>& prompt : prompts_of(count))
    for (const bool sampled : {false, true}) {
      ClientSubmit submit;
      submit.prompt_ids = prompt;
      submit.sampling.max_tokens = kAnswerTokens;
      if (sampled) {
        submit.sampling.temperature = 0.8F;
        submit.sampling.top_p = 0.95F;
        submit.sampling.top_k = jobs.size() % 4 == 1 ? 40 : 0;
        submit.sampling.repetition_penalty = jobs.size() % 8 == 3 ? 1.2F : 1.0F;
        submit.sampling.seed = 1000 + jobs.size();
        submit.seed_given = true;
      }
      jobs.push_back({submit, {}, {}});
    }
  return jobs;
}

struct Variant {
  std::string name;
  std::vector<std::string> pools;
  std::size_t clients = 1;
  std::uint32_t passes = 1;
  bool prefix_caching = true;
  std::string kernels = {};
  std::string kv_memory = "256MiB";
  std::uint32_t answer_tokens = kAnswerTokens;  // more: what comes after those of the comparison is not compared
};

std::string both(std::uint32_t threads, std::uint32_t batched_tokens) {
  return "name: all, role: both, threads: " + std::to_string(threads) +
         ", limits: { max_num_seqs: " + std::to_string(std::min(32u, batched_tokens)) +
         ", max_num_batched_tokens: " + std::to_string(batched_tokens) + " }";
}

class TokenMatrix : public ::testing::Test {
 protected:
  // The answers' ids of the last pass, and what the workers counted.
  std::vector<std::vector<TokenId>> run(const Variant& variant, const std::vector<LoadJob>& jobs) {
    home_.set_environment("BATON_KV_CACHE_PREFIX_CACHING", variant.prefix_caching ? "true" : "false");
    home_.set_environment("BATON_CPU_KERNELS", variant.kernels);
    ClusterSpec spec;
    spec.name = variant.name;
    spec.model = *golden_model_path();
    spec.kv_memory = variant.kv_memory;
    spec.pools = variant.pools;
    ClusterProcess cluster(home_, spec);
    std::vector<std::vector<TokenId>> answers;
    if (!cluster.up()) return answers;
    std::vector<LoadJob> longer = jobs;
    for (LoadJob& job : longer) job.submit.sampling.max_tokens = variant.answer_tokens;
    for (std::uint32_t pass = 0; pass < variant.passes; ++pass) {
      answers.clear();
      for (const JobRecord& record : run_load(cluster.jobs(), longer, variant.clients, kJobLimit)) {
        EXPECT_TRUE(record.done) << variant.name << ": " << (record.error ? record.error->message : record.lost);
        answers.emplace_back();
        for (const ClientToken& token : record.tokens)
          if (answers.back().size() < kAnswerTokens) answers.back().push_back(token.token);
      }
    }
    count(cluster);
    EXPECT_EQ(cluster.fsck(), "") << variant.name;
    EXPECT_EQ(cluster.down().exit_status, 0) << variant.name;
    EXPECT_EQ(cluster.complaints_in_logs(), "") << variant.name;
    return answers;
  }

  void count(const ClusterProcess& cluster) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));  // two heartbeats
    hits_ = preemptions_ = moved_ = 0;
    const auto client = cluster.connect();
    ASSERT_NE(client, nullptr);
    const auto report = client->status(std::chrono::seconds(5));
    ASSERT_TRUE(report) << report.error().message;
    for (const WorkerStatus& worker : report->workers) {
      hits_ += worker.last.prefix_cache_hits;
      preemptions_ += worker.last.num_preemptions;
      moved_ += worker.last.kv_bytes_received;
    }
  }

  void expect_same(const Variant& variant) {
    const std::vector<std::vector<TokenId>> answers = run(variant, jobs_);
    ASSERT_EQ(answers.size(), alone_.size()) << variant.name;
    std::size_t different = 0;
    for (std::size_t i = 0; i < alone_.size(); ++i)
      if (answers[i] != alone_[i] && ++different <= 3)
        ADD_FAILURE() << variant.name << ": job " << i << " (" << jobs_[i].submit.prompt_ids.size() << " prompt tokens) gives other tokens";
    std::printf("%s: %zu of %zu answers identical; %lu prompt tokens from cached prefixes, %lu preemptions, %.1f MB of KV moved\n",
                variant.name.c_str(), alone_.size() - different, alone_.size(), hits_, preemptions_, static_cast<double>(moved_) / 1e6);
    std::fflush(stdout);
  }

  TestHome home_;
  std::vector<LoadJob> jobs_;
  std::vector<std::vector<TokenId>> alone_;
  std::uint64_t hits_ = 0;
  std::uint64_t preemptions_ = 0;
  std::uint64_t moved_ = 0;
};

TEST_F(TokenMatrix, EveryWayOfComputingGivesTheSameTokens) {
  if (kSlowBuild) GTEST_SKIP() << "runs in the release preset";
  if (!golden_model_path()) GTEST_SKIP() << golden_model_missing();
  jobs_ = jobs_of(prompts_wanted());
  alone_ = run({.name = "alone", .pools = {both(1, 2048)}, .prefix_caching = false}, jobs_);
  ASSERT_EQ(alone_.size(), jobs_.size());
  EXPECT_GT(std::set(alone_.begin(), alone_.end()).size(), jobs_.size() * 3 / 4);  // the comparison is of something

  expect_same({.name = "batched", .pools = {both(2, 2048)}, .clients = 32, .prefix_caching = false});
  for (const std::uint32_t chunk : {16u, 64u, 512u})
    expect_same({.name = "chunk-" + std::to_string(chunk), .pools = {both(2, chunk)}, .clients = 12, .prefix_caching = false});
  expect_same({.name = "cached", .pools = {both(2, 256)}, .clients = 8, .passes = 2});
  EXPECT_GT(hits_, 0u);
  // 49 blocks, a little more than the longest job, and answers much longer than what is compared: what is admitted outgrows them.
  expect_same({.name = "preempted", .pools = {both(1, 256)}, .clients = 32, .passes = 3, .kv_memory = "17MiB", .answer_tokens = 120});
  EXPECT_GT(preemptions_, 0u);
  for (const auto& [kernels, ops] : {std::pair{"avx2", cpu::avx2_ops()}, {"avx512", cpu::avx512_ops()}})
    if (ops != nullptr) expect_same({.name = kernels, .pools = {both(2, 512)}, .clients = 6, .prefix_caching = false, .kernels = kernels});
  expect_same({.name = "apart",
               .pools = {"name: prefill, role: prefill, threads: 1, limits: { max_num_batched_tokens: 256 }", "name: decode, role: decode, threads: 1"},
               .clients = 16,
               .passes = 2});
  EXPECT_GT(hits_, 0u);
  EXPECT_GT(moved_, 0u);
}

}  // namespace
}  // namespace baton::test
