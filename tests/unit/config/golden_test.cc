// SPDX-License-Identifier: Apache-2.0
// Every tests/unit/config/{bad,good}/X.yaml against X.expected: the diagnostics (bad) or notes (good) as users see them.
// Lines at the head of a file stand for its surroundings: `# --set a=b`, `# BATON_X=y`, `# cores 2`,
// `# memory 8GiB`.
// BATON_TEST_UPDATE=1 writes the expected files anew; read the difference before committing it.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "config/load_topology.h"
#include "config/units.h"

namespace baton {
namespace {

std::string read_file(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

LoadOptions surroundings(const std::string& text) {
  LoadOptions options;
  options.environment["HOME"] = "/users/me";
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line) && line.starts_with("# ");) {
    line.erase(0, 2);
    if (line.starts_with("--set ")) options.set.push_back(line.substr(6));
    else if (line.starts_with("BATON_")) options.environment[line.substr(0, line.find('='))] = line.substr(line.find('=') + 1);
    else if (line.starts_with("cores ")) options.cores = static_cast<std::uint32_t>(std::stoul(line.substr(6)));
    else if (line.starts_with("memory ")) options.memory = parse_bytes(line.substr(7)).value_or(0);
  }
  return options;
}

// Runs all files of a folder; `show` gives the text to compare.
template <class Show>
int compare_all(const char* folder, Show show) {
  const std::filesystem::path root = std::filesystem::path(BATON_SOURCE_DIR) / "tests/unit/config" / folder;
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    if (entry.path().extension() != ".yaml") continue;
    ++files;
    const std::string text = read_file(entry.path());
    const auto begin = std::chrono::steady_clock::now();
    const std::string shown = show(parse_topology(text, entry.path().filename().string(), surroundings(text)), entry.path().filename().string());
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1)) << entry.path();
    const std::filesystem::path expected = std::filesystem::path(entry.path()).replace_extension(".expected");
    if (std::getenv("BATON_TEST_UPDATE") != nullptr) std::ofstream(expected, std::ios::binary) << shown;
    EXPECT_EQ(shown, read_file(expected)) << entry.path();
  }
  return files;
}

TEST(GoldenTopologies, EveryBadFileIsRefusedInTheExpectedWords) {
  const int files = compare_all("bad", [](const LoadResult& result, const std::string& name) {
    EXPECT_FALSE(result.has_value()) << name;
    if (!result) {
      for (const Diagnostic& each : result.error()) EXPECT_TRUE(each.line >= 1 && each.column >= 1 && !each.message.empty()) << name;
    }
    return result ? std::string() : render(result.error());
  });
  EXPECT_GE(files, 75);
}

TEST(GoldenTopologies, EveryGoodFileIsAcceptedWithTheExpectedNotes) {
  const int files = compare_all("good", [](const LoadResult& result, const std::string& name) {
    EXPECT_TRUE(result.has_value()) << name << '\n' << (result ? "" : render(result.error()));
    return result ? render(result->notes) : std::string();
  });
  EXPECT_GE(files, 4);
}

TEST(GoldenTopologies, EveryKeyHasItsRowInTheReference) {
  const std::filesystem::path root = BATON_SOURCE_DIR;
  const std::string text = read_file(root / "tests/unit/config/good/everything.yaml");
  const std::string reference = read_file(root / "docs/topology.md");
  const LoadResult result = parse_topology(text, "everything.yaml", surroundings(text));
  ASSERT_TRUE(result);
  ASSERT_GT(result->origins.size(), 50u);
  for (const ValueOrigin& each : result->origins) {
    const std::string key = each.path.substr(each.path.rfind('.') + 1);
    const bool described = reference.find('`' + key) != std::string::npos || reference.find('.' + key + '`') != std::string::npos ||
                           reference.find("## " + key) != std::string::npos;
    EXPECT_TRUE(described) << each.path;
  }
}

TEST(GoldenTopologies, EveryExampleIsAccepted) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(BATON_SOURCE_DIR) / "examples")) {
    if (entry.path().extension() != ".yaml") continue;
    ++files;
    LoadOptions options;
    options.environment["HOME"] = "/users/me";
    options.check_files = false;
    const LoadResult result = load_topology(entry.path().string(), options);
    EXPECT_TRUE(result.has_value()) << (result ? "" : render(result.error()));
  }
  EXPECT_GE(files, 3);
}

}  // namespace
}  // namespace baton
