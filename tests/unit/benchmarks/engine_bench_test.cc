// SPDX-License-Identifier: Apache-2.0
// The benchmark of the engine beside a peer that a script plays: what is run, how often, and what comes out.
#include "benchmarks/engine_bench.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "benchmarks/engine_rig.h"
#include "benchmarks/llama_cpp.h"
#include "tests/support/tiny_llama.h"

namespace baton {
namespace {

class EngineBench : public ::testing::Test {
 protected:
  EngineBench() : folder_(std::filesystem::temp_directory_path() / ("baton_bench_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
    model_ = write("tiny.gguf", test::build_tiny_llama({}));
  }
  ~EngineBench() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) {
    const std::string path = folder_ / name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  // A peer that notes its words and claims the rates that `body` prints.
  void play_peer(const std::string& body) {
    for (const char* name : {"llama-bench", "llama-batched-bench"})
      chmod(write(name, "#!/bin/sh\necho \"$(basename \"$0\") $*\" >> \"$(dirname \"$0\")/calls\"\n" + body).c_str(), 0755);
  }
  std::string calls() const {
    std::ostringstream text;
    text << std::ifstream(folder_ / "calls").rdbuf();
    return text.str();
  }

  std::filesystem::path folder_;
  std::string model_;
};

TEST_F(EngineBench, TakesThePeersBestSwitches) {
  play_peer("case \"$*\" in *'-fa off'*) f=2 ;; *) f=1 ;; esac\ncase \"$*\" in *'-lm none'*) f=$((f * 3)) ;; esac\n"
            "echo \"{\\\"build_commit\\\": \\\"abc\\\", \\\"avg_ts\\\": $f, \\\"speed_tg\\\": $((f * 10))}\"\n");
  auto peer = LlamaCpp::open(folder_, model_, 3);
  ASSERT_TRUE(peer);
  ASSERT_TRUE(peer->tune());
  EXPECT_EQ(peer->switches(), "prefill -fa off --repack 1 -lm none -ub 512; decode -fa off --repack 1 -lm none; batches -fa off -lm none");
  EXPECT_EQ(peer->version(), "llama.cpp abc");
  EXPECT_EQ(peer->prefill(512).value(), 6);
  EXPECT_EQ(peer->decode(64, 512).value(), 6);
  EXPECT_EQ(peer->decode_batch(16, 128, 32).value(), 60);
  const std::string last = calls();
  EXPECT_NE(last.find("llama-bench -m " + model_ + " -t 3 -r 1 -o jsonl -p 0 -n 64 -d 512 -fa off"), std::string::npos) << last;
  EXPECT_NE(last.find("-c 2624 -npp 128 -ntg 32 -npl 16"), std::string::npos) << last;
}

TEST_F(EngineBench, NamesAPeerThatIsMissingOrFails) {
  const auto absent = LlamaCpp::open(folder_, model_, 1);
  ASSERT_FALSE(absent);
  EXPECT_NE(absent.error().message.find("tools/get_llama_cpp.sh"), std::string::npos);
  play_peer("echo unknown model architecture; exit 1\n");
  auto broken = LlamaCpp::open(folder_, model_, 1);
  ASSERT_TRUE(broken);
  const auto tuned = broken->tune();
  ASSERT_FALSE(tuned);
  EXPECT_NE(tuned.error().message.find("unknown model architecture"), std::string::npos);
}

TEST_F(EngineBench, RefusesAModelWithTooShortAContext) {
  const auto report = bench_engine({.model_path = model_, .threads = {1}, .rounds = 1}, [](std::string_view) {});
  ASSERT_FALSE(report);
  EXPECT_NE(report.error().message.find("the model takes 256 tokens, the benchmark needs 640"), std::string::npos) << report.error().message;
}

TEST_F(EngineBench, MeasuresEveryRowInEveryRound) {
  const std::string longer = write("longer.gguf", test::build_tiny_llama({.without_key = "context_length", .more = [](test::GgufWriter& writer) {
                                                                            writer.add_uint("llama.context_length", 2048);
                                                                          }}));
  play_peer("echo '{\"build_commit\": \"abc\", \"avg_ts\": 100, \"speed_tg\": 100}'\n");
  const auto report = bench_engine({.model_path = longer,
                                    .numerics = {Numerics::kInvariant, Numerics::kReference},
                                    .threads = {1, 2},
                                    .rounds = 2,
                                    .peer_folder = folder_,
                                    .neighbour = true},
                                   [](std::string_view) {});
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->peer, "llama.cpp abc");
  ASSERT_EQ(report->rows.size(), 2u * 6u * 2u);
  ASSERT_EQ(report->limits.size(), 2u);
  EXPECT_GT(report->weight_bytes, 0u);
  for (const EngineBenchRow& row : report->rows) {
    SCOPED_TRACE(row.what + ' ' + row.numerics);
    for (const auto* samples : {&row.ours, &row.peer, &row.ours_disturbed, &row.peer_disturbed}) EXPECT_EQ(samples->size(), 2u);
    EXPECT_GT(spread_of(row.ours).min, 0);
    EXPECT_NEAR(row.ratio().median, (row.ours[0] + row.ours[1]) / 200, 1e-6 * row.ours[0]);
    EXPECT_EQ(row.peer_loss().median, 1);
    EXPECT_EQ(row.limit.empty(), row.what.starts_with("prefill") && row.numerics == "reference");
  }
}

TEST_F(EngineBench, CountsTheMatricesThatAStepReads) {
  const KvGeometry geometry{.layers = 2, .kv_heads = 2, .head_dim = 16};
  const auto tied = model_cost(model_, geometry);
  const auto own = model_cost(write("own.gguf", test::build_tiny_llama({.tied = false})), geometry);
  ASSERT_TRUE(tied && own);
  const std::uint64_t layer = 64 * 64 + 2 * 32 * 64 + 64 * 64 + 3 * 96 * 64;
  EXPECT_EQ(tied->prompt_weights, 2 * layer);
  EXPECT_EQ(tied->step_weights, 2 * layer + 96 * 64);
  EXPECT_EQ(tied->weight_bytes, tied->step_weights / 32 * 20);
  EXPECT_EQ(own->step_weights, tied->step_weights);  // the table itself is not read as a whole then
  EXPECT_EQ(own->prompt_weights, tied->prompt_weights);
  EXPECT_EQ(tied->kv_token_bytes, 2u * 2 * 2 * 16 * 2);
}

}  // namespace
}  // namespace baton
