// SPDX-License-Identifier: Apache-2.0
// Verdicts of `baton doctor` on machines we do not have, the file that `baton init` writes, completion and the man page.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "config/load_topology.h"
#include "launcher/cli.h"
#include "launcher/doctor.h"
#include "launcher/init_command.h"

namespace baton {
namespace {

std::string output_of(std::vector<const char*> words, int* exit_status = nullptr) {
  words.insert(words.begin(), "baton");
  ::testing::internal::CaptureStdout();
  const int status = run_cli(static_cast<int>(words.size()), words.data());
  std::fflush(stdout);
  if (exit_status != nullptr) *exit_status = status;
  return ::testing::internal::GetCapturedStdout();
}

TEST(Doctor, ACpuWithoutAvx2IsAWarningAndItsFlagsAreNamed) {
  EXPECT_EQ(judge_cpu("model name\t: X\nflags\t\t: fpu sse2 avx\n").verdict, Verdict::kWarn);
  const Finding good = judge_cpu("model name\t: X\nflags\t\t: fpu avx2 avx512f avx512_vnni amx_tile\n");
  EXPECT_EQ(good.verdict, Verdict::kOk);
  EXPECT_EQ(good.found, "X: AVX2 AVX-512 VNNI AMX");
}

TEST(Doctor, AQuotaBelowTheCoresIsAWarning) {
  EXPECT_EQ(judge_quota("max 100000", 4).verdict, Verdict::kOk);
  EXPECT_EQ(judge_quota("", 4).verdict, Verdict::kOk);
  EXPECT_EQ(judge_quota("400000 100000", 4).verdict, Verdict::kOk);
  EXPECT_EQ(judge_quota("150000 100000", 4).verdict, Verdict::kWarn);
  EXPECT_EQ(judge_quota("150000 100000", 4).found, "1.50 cores of 4");
}

TEST(Doctor, AContainersSmallShmIsAWarningWithTheFix) {
  const Finding small = judge_shm(64u << 20, 1u << 30);
  EXPECT_EQ(small.verdict, Verdict::kWarn);
  EXPECT_NE(small.advice.find("--shm-size"), std::string::npos);
  EXPECT_EQ(judge_shm(2u << 30, 1u << 30).verdict, Verdict::kOk);
}

TEST(Doctor, NoMemoryAtAllMeansThatBatonCannotRun) {
  EXPECT_EQ(judge_memory(1u << 30, 100u << 20).verdict, Verdict::kFail);
  EXPECT_EQ(judge_memory(4ull << 30, 1u << 30).verdict, Verdict::kWarn);
  EXPECT_EQ(judge_memory(4ull << 30, 3ull << 30).verdict, Verdict::kOk);
  EXPECT_EQ(judge_memory(0, 0).verdict, Verdict::kOk) << "not known is no failure";
}

TEST(Doctor, EveryFindingOfThisMachineHasWordsAndWarningsSayWhatToDo) {
  const std::vector<Finding> findings = examine_machine();
  EXPECT_GE(findings.size(), 20u);
  for (const Finding& each : findings) {
    EXPECT_FALSE(each.what.empty());
    EXPECT_FALSE(each.found.empty()) << each.what;
    EXPECT_TRUE(each.verdict == Verdict::kOk || !each.advice.empty() || each.what.starts_with("port")) << each.what;
  }
}

TEST(Init, ShapesOfPoolsAreReadStrictly) {
  ASSERT_TRUE(parse_pool_shape("both"));
  EXPECT_EQ(parse_pool_shape("both")->prefill, 0u);
  EXPECT_EQ(parse_pool_shape("2p13d")->decode, 13u);
  for (const char* bad :
       {"", "p", "1p", "1pd", "p1d", "0p1d", "1p0d", "1d1p", "1p1d ", "1025p1d", "-1p1d", "99999999999999999999p1d"})
    EXPECT_FALSE(parse_pool_shape(bad)) << bad;
}

TEST(Init, WhatItWritesIsValidForEveryShapeAndMachine) {
  for (const char* shape : {"both", "1p1d", "3p2d"}) {
    for (const std::uint64_t memory : {std::uint64_t{0}, std::uint64_t{8} << 20, std::uint64_t{24} << 30}) {
      const std::string text = starting_topology({"~/models/a b: #c", *parse_pool_shape(shape), 2, memory});
      LoadOptions options;
      options.environment["HOME"] = "/users/me";
      options.check_files = false;
      options.memory = memory;
      const LoadResult loaded = parse_topology(text, "init.yaml", options);
      ASSERT_TRUE(loaded) << render(loaded.error()) << text;
      EXPECT_EQ(loaded->topology.model.path, "/users/me/models/a b: #c");
    }
  }
}

TEST(Completion, EveryShellGetsAScriptWithEveryCommand) {
  for (const char* shell : {"bash", "zsh", "fish", "man"}) {
    int status = -1;
    const std::string script = output_of({"completion", shell}, &status);
    EXPECT_EQ(status, 0);
    for (const char* word : {"doctor", "inspect", "validate", "dry"})
      EXPECT_NE(script.find(word), std::string::npos) << shell << ' ' << word;
    EXPECT_EQ(script.find("coordinator --"), std::string::npos) << "what the launcher starts is not offered";
  }
}

TEST(Completion, TheCommittedManPageIsTheOneTheCommandsGive) {
  const std::filesystem::path file = std::filesystem::path(BATON_SOURCE_DIR) / "docs/baton.1";
  const std::string page = output_of({"completion", "man"});
  if (std::getenv("BATON_TEST_UPDATE") != nullptr) std::ofstream(file, std::ios::binary) << page;
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream committed;
  committed << stream.rdbuf();
  EXPECT_EQ(committed.str(), page) << "`baton completion man > docs/baton.1`, then read the difference";
}

}  // namespace
}  // namespace baton
