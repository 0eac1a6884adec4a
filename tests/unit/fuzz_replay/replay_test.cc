// SPDX-License-Identifier: Apache-2.0
// Every fuzz target over its corpus, its regressions (what once made it fail), and cut and flipped copies of them. The search
// for new ones is `./check fuzz`.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "runtime/base/random.h"
#include "tests/fuzz/target.h"

namespace baton::fuzz {
namespace {

namespace fs = std::filesystem;

struct Named {
  const char* name;
  Target run;
};
constexpr Named kTargets[] = {{"yaml", run_yaml},
                              {"gguf", run_gguf},
                              {"tokenizer", run_tokenizer},
                              {"chat_template", run_chat_template},
                              {"wire", run_wire},
                              {"frame", run_frame},
                              {"journal", run_journal},
                              {"json", run_json},
                              {"http", run_http},
                              {"openai_request", run_openai_request}};

std::vector<std::string> inputs_of(const std::string& name) {
  std::vector<std::string> inputs;
  for (const char* kind : {"corpus", "regressions"}) {
    const fs::path folder = fs::path(BATON_SOURCE_DIR) / "tests/fuzz" / kind / name;
    if (!fs::exists(folder)) continue;
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(folder)) paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    for (const fs::path& path : paths) {
      std::ifstream stream(path, std::ios::binary);
      inputs.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
    }
  }
  return inputs;
}

class FuzzTargets : public testing::TestWithParam<Named> {};

TEST_P(FuzzTargets, HoldWhatTheyCheckForEveryInputThatIsKept) {
  const std::vector<std::string> inputs = inputs_of(GetParam().name);
  ASSERT_FALSE(inputs.empty());
  Random random(1);
  for (const std::string& input : inputs) {
    GetParam().run(input);
    for (int i = 0; i < 4 && !input.empty(); ++i) {
      std::string changed = input.substr(0, i == 0 ? random.below(input.size()) : input.size());
      for (int flips = 0; flips < i && !changed.empty(); ++flips)
        changed[random.below(changed.size())] = static_cast<char>(random.next());
      GetParam().run(changed);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, FuzzTargets, testing::ValuesIn(kTargets),
                         [](const auto& target) { return std::string(target.param.name); });

// A target without an entry above would be searched but its finds never run again.
TEST(FuzzTargetsOfTheFolder, AreAllReplayed) {
  std::size_t sources = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(BATON_SOURCE_DIR) / "tests/fuzz")) {
    sources += entry.path().extension() == ".cc" && entry.path().filename() != "main.cc";
  }
  EXPECT_EQ(sources, std::size(kTargets));
}

}  // namespace
}  // namespace baton::fuzz
