// SPDX-License-Identifier: Apache-2.0
// What the commands about a live cluster show of real processes.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <sstream>

#include "tests/support/cluster_process.h"
#include "tests/support/json_lines.h"

namespace baton::test {
namespace {

class LiveCommands : public ::testing::Test {
 protected:
  Output submit(std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"submit", std::string(400, 'x'), "--max-tokens", "8", "--ignore-eos"};
    words.insert(words.end(), more.begin(), more.end());
    return home_.run(words);
  }
  static std::vector<Json> lines(const std::string& text) {
    std::istringstream stream(text);
    std::vector<Json> found;
    for (std::string line; std::getline(stream, line);) found.push_back(parse_json(line));
    return found;
  }
  TestHome home_;
};

TEST_F(LiveCommands, LinksShowWhatMovedOverWhatAndWhyItIsSlow) {
  ClusterSpec spec = oracle_spec({}, 2048);
  spec.more = "transport: { order: [tcp] }\n";
  ClusterProcess cluster(home_, spec);
  ASSERT_TRUE(cluster.up());
  EXPECT_NE(home_.run({"links"}).out.find("no KV has moved between workers yet"), std::string::npos);
  const Output submitted = submit({"--json"});
  ASSERT_EQ(submitted.exit_status, 0) << submitted.err;
  const double moved = lines(submitted.out).back().at("kv_bytes_moved").number;
  EXPECT_GT(moved, 0);
  Json link;
  ASSERT_TRUE(comes_true([&] {  // with the next heartbeat
    const Json report = parse_json(home_.run({"links", "--json"}).out);
    if (report.at("links").items.empty()) return false;
    link = report.at("links").items.front();
    return link.at("bytes").number == moved;
  }));
  EXPECT_EQ(link.at("from").text, "prefill-0");
  EXPECT_EQ(link.at("to").text, "decode-0");
  EXPECT_EQ(link.at("transport").text, "tcp");
  EXPECT_GT(link.at("transfers").number, 0);
  EXPECT_EQ(link.at("failures").number, 0);
  EXPECT_GT(link.at("gb_per_s").number, 0);
  EXPECT_GT(link.at("latency_ms").number, 0);
  EXPECT_EQ(link.at("slow").text, "tcp although both are on node here: transport.order does not list shm");
  const Output table = home_.run({"links"});
  EXPECT_NE(table.out.find("slow: tcp although"), std::string::npos) << table.out;
  const Output top = home_.run({"top"});
  EXPECT_EQ(top.exit_status, 0) << top.err;
  EXPECT_NE(top.out.find("it: "), std::string::npos) << top.out;
  EXPECT_NE(top.out.find("prefill-0  decode-0  tcp"), std::string::npos) << top.out;
  EXPECT_EQ(top.out.find('\033'), std::string::npos) << "no terminal";
}

TEST_F(LiveCommands, EventsTellOfALostWorkerAndItsReturn) {
  ClusterSpec spec = oracle_spec({}, 2048);
  ClusterProcess cluster(home_, spec);
  ASSERT_TRUE(cluster.up());
  const pid_t follower = home_.start({"events", "-f", "--json"}, "followed");
  const pid_t before = cluster.pid("decode-0");
  ASSERT_TRUE(cluster.send_signal("decode-0", SIGKILL));
  ASSERT_TRUE(cluster.is_back("decode-0", before, std::chrono::seconds(20)));
  const auto times = [](const std::vector<Json>& events, const std::string& kind, const std::string& subject) {
    return std::count_if(events.begin(), events.end(), [&](const Json& event) { return event.at("event").text == kind && event.at("subject").text == subject; });
  };
  const Output told = home_.run({"events", "--json"});
  ASSERT_EQ(told.exit_status, 0) << told.err;
  const std::vector<Json> events = lines(told.out);
  EXPECT_EQ(events.front().at("event").text, "started");
  for (std::size_t i = 0; i < events.size(); ++i) EXPECT_EQ(events[i].at("seq").number, static_cast<double>(i + 1));
  EXPECT_EQ(times(events, "joined", "jobs"), 1);
  EXPECT_EQ(times(events, "joined", "prefill-0"), 1);
  EXPECT_EQ(times(events, "joined", "decode-0"), 2);
  EXPECT_EQ(times(events, "lost", "decode-0"), 1);
  EXPECT_TRUE(comes_true([&] { return read_text(home_.path() + "/followed") == told.out || lines(read_text(home_.path() + "/followed")).size() == events.size(); }));
  EXPECT_EQ(times(lines(read_text(home_.path() + "/followed")), "lost", "decode-0"), 1);
  EXPECT_NE(home_.run({"events"}).out.find("  lost          decode-0: "), std::string::npos);

  // Another life of the coordinator counts anew; who follows goes on with it.
  const pid_t coordinator = cluster.pid("coordinator");
  ASSERT_TRUE(cluster.send_signal("coordinator", SIGKILL));
  ASSERT_TRUE(cluster.is_back("coordinator", coordinator, std::chrono::seconds(60)));
  EXPECT_TRUE(comes_true([&] { return times(lines(read_text(home_.path() + "/followed")), "started", "it") == 2; }));
  EXPECT_EQ(lines(home_.run({"events", "--json"}).out).front().at("seq").number, 1);
  kill(follower, SIGINT);
  EXPECT_EQ(home_.wait_for(follower, std::chrono::seconds(10)), 130);
}

TEST_F(LiveCommands, LogsShowAProcessAndNameTheOthers) {
  ClusterProcess cluster(home_, oracle_spec({}, 2048));
  ASSERT_TRUE(cluster.up());
  const Output all = home_.run({"logs", "decode-0"});
  EXPECT_EQ(all.exit_status, 0) << all.err;
  EXPECT_EQ(all.out, read_text(cluster.state() + "/logs/decode-0.log"));
  const Output last = home_.run({"logs", "coordinator", "--tail", "1"});
  EXPECT_EQ(std::count(last.out.begin(), last.out.end(), '\n'), 1);
  EXPECT_TRUE(all.out.empty() || read_text(cluster.state() + "/logs/coordinator.log").ends_with(last.out));
  EXPECT_EQ(home_.run({"logs", "coordinator", "--tail", "0"}).out, "");
  const Output unknown = home_.run({"logs", "decode-7"});
  EXPECT_EQ(unknown.exit_status, 1);
  EXPECT_NE(unknown.err.find("it has no process decode-7; it has coordinator, decode-0, "), std::string::npos) << unknown.err;

  const pid_t follower = home_.start({"logs", "decode-0", "-f", "--tail", "0"}, "followed");
  const pid_t before = cluster.pid("decode-0");
  ASSERT_TRUE(cluster.send_signal("decode-0", SIGKILL));
  ASSERT_TRUE(cluster.is_back("decode-0", before, std::chrono::seconds(20)));
  EXPECT_TRUE(comes_true([&] {
    const std::string followed = read_text(home_.path() + "/followed");
    return !followed.empty() && read_text(cluster.state() + "/logs/decode-0.log").ends_with(followed);
  })) << "what its next life wrote";
  kill(follower, SIGINT);
  EXPECT_EQ(home_.wait_for(follower, std::chrono::seconds(10)), 130);
}

}  // namespace
}  // namespace baton::test
