// SPDX-License-Identifier: Apache-2.0
// Commands that need no cluster, as the program runs them; completion in a real bash.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>

#include "tests/support/cluster_process.h"
#include "tests/support/json_lines.h"

namespace baton::test {
namespace {

class Offline : public ::testing::Test {
 protected:
  ClusterProcess make_cluster() {
    ClusterSpec spec;
    spec.name = "offline";
    spec.kv_memory = "4MiB";
    return ClusterProcess(home_, spec);
  }
  TestHome home_;
};

TEST_F(Offline, ADryRunShowsTheSamePlanAsPlan) {
  const std::string file = make_cluster().file();
  const Output plan = home_.run({"plan", file}), dry = home_.run({"up", "--dry-run", file});
  EXPECT_EQ(plan.exit_status, 0) << plan.err;
  ASSERT_NE(plan.out.find("prefill-0"), std::string::npos) << plan.out;
  EXPECT_NE(dry.out.find(plan.out), std::string::npos) << dry.out;
  const Json json = parse_json(home_.run({"plan", file, "--json"}).out);
  EXPECT_EQ(json.at("processes").items.size(), 3u);
}

TEST_F(Offline, TheBenchmarkOfActorsPrintsItsFiguresAsJson) {
  const Output run = home_.run({"bench", "actors", "--rounds", "1", "--messages", "20000", "--trips", "50", "--json"});
  ASSERT_EQ(run.exit_status, 0) << run.err;
  const Json json = parse_json(run.out);
  EXPECT_FALSE(json.at("cpu").text.empty());
  EXPECT_EQ(json.at("rounds").number, 1);
  EXPECT_GE(json.at("heartbeat_bytes").number, 90);
  for (const char* row : {"local_flood", "local_flood_text", "local_chain", "remote_heartbeats", "remote_tokens", "remote_round_trip"})
    EXPECT_GT(json.at(row).at("ours").at("median").number, 0) << row;
  for (const char* row : {"remote_heartbeats", "remote_tokens", "remote_round_trip"}) EXPECT_GT(json.at(row).at("ratio").at("median").number, 0) << row;
}

TEST_F(Offline, TheConfigurationThatIsShownIsValid) {
  const Output shown = home_.run({"config", "show", make_cluster().file(), "--set", "pools.decode.replicas=2"});
  EXPECT_EQ(shown.exit_status, 0) << shown.err;
  write_text(home_.path() + "/again.yaml", shown.out);
  EXPECT_EQ(home_.run({"validate", home_.path() + "/again.yaml"}).exit_status, 0);
  EXPECT_EQ(home_.run({"config", "show", home_.path() + "/again.yaml"}).out, shown.out);
  const Output bad = home_.run({"config", "show", home_.path() + "/none.yaml"});
  EXPECT_EQ(bad.exit_status, 3);
}

TEST_F(Offline, InitWritesAFileOnceAndNeverOverAnother) {
  const std::string file = home_.path() + "/new.yaml";
  const Output written = home_.run({"init", "--model", "oracle:", "--pools", "2p1d", "--out", file});
  EXPECT_EQ(written.exit_status, 0) << written.err;
  EXPECT_EQ(home_.run({"validate", file}).exit_status, 0);
  const std::string text = read_text(file);
  EXPECT_EQ(home_.run({"init", "--model", "oracle:", "--out", file}).exit_status, 1);
  EXPECT_EQ(read_text(file), text);
  EXPECT_EQ(home_.run({"init", "--pools", "many", "--out", "-"}).exit_status, 2);
  EXPECT_EQ(home_.run({"init", "--model", home_.path() + "/none.gguf", "--out", home_.path() + "/x.yaml"}).exit_status, 3);
  EXPECT_FALSE(std::filesystem::exists(home_.path() + "/x.yaml"));
}

TEST_F(Offline, DoctorFindsItsWayInJsonToo) {
  const Output doctor = home_.run({"doctor", "--json"});
  const Json json = parse_json(doctor.out);
  EXPECT_EQ(doctor.exit_status, json.at("can_run").number != 0 ? 0 : 1);
  EXPECT_GE(json.at("findings").items.size(), 20u);
}

TEST_F(Offline, InspectNamesWhatIsWrongWithAFile) {
  write_text(home_.path() + "/bad.gguf", "GGUF and then nothing of use to anybody");
  const Output bad = home_.run({"model", "inspect", home_.path() + "/bad.gguf"});
  EXPECT_EQ(bad.exit_status, 1);
  EXPECT_NE(bad.err.find("bad.gguf"), std::string::npos) << bad.err;
}

// What bash offers for the last of the words.
std::string offered(const std::string& folder, const std::string& words) {
  const std::string command = "cd '" + folder + "' && bash -c 'source <(\"" + baton_program() +
                              "\" completion bash); COMP_WORDS=(baton " + words +
                              "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _baton; printf \"%s \" \"${COMPREPLY[@]}\"' 2>&1";
  std::FILE* pipe = popen(command.c_str(), "r");
  std::string text;
  std::array<char, 512> piece{};
  while (pipe != nullptr && std::fgets(piece.data(), piece.size(), pipe) != nullptr) text += piece.data();
  EXPECT_EQ(pclose(pipe), 0) << text;
  return text;
}

TEST_F(Offline, BashCompletesCommandsOptionsAndTopologyFiles) {
  write_text(home_.path() + "/one.yaml", "");
  write_text(home_.path() + "/other.gguf", "");
  EXPECT_EQ(offered(home_.path(), "val"), "validate ");
  EXPECT_EQ(offered(home_.path(), "model ins"), "inspect ");
  EXPECT_EQ(offered(home_.path(), "up --dr"), "--dry-run ");
  EXPECT_EQ(offered(home_.path(), "up o"), "one.yaml ");
  EXPECT_EQ(offered(home_.path(), "model inspect oth"), "other.gguf ");
  EXPECT_EQ(offered(home_.path(), "nonsense --zz"), " ");
}

}  // namespace
}  // namespace baton::test
