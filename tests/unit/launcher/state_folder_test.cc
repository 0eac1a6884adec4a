// SPDX-License-Identifier: Apache-2.0
#include "launcher/state_folder.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "launcher/port_owner.h"
#include "tests/support/temporary_folder.h"

namespace baton {
namespace {

class StateFolderTest : public ::testing::Test {
 protected:
  ClusterEntry entry(const std::string& name, const std::string& state) {
    return {name, state, "tcp://127.0.0.1:7070", "/etc/" + name + ".yaml", 0, std::chrono::seconds(40)};
  }
  const test::TemporaryFolder folder_;
  const std::string home_ = folder_.path();
};

TEST_F(StateFolderTest, IsForItsOwnerOnlyEvenIfItWasOpenBefore) {
  const std::string path = home_ + "/deep/er/state";
  std::filesystem::create_directories(path);
  chmod(path.c_str(), 0777);
  const auto folder = StateFolder::create(path);
  ASSERT_TRUE(folder) << folder.error().message;
  struct stat facts {};
  ASSERT_EQ(stat(path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0700u);
  EXPECT_EQ(folder->log_path("decode-0"), path + "/logs/decode-0.log");
}

TEST_F(StateFolderTest, ASecondLauncherIsToldThePidOfTheFirst) {
  const auto first = StateFolder::create(home_ + "/state");
  ASSERT_TRUE(first);
  EXPECT_EQ(lock_holder(home_ + "/state"), getpid());
  const auto second = StateFolder::create(home_ + "/state");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kAlreadyExists);
  EXPECT_NE(second.error().message.find("launcher pid " + std::to_string(getpid())), std::string::npos);
}

TEST_F(StateFolderTest, TheLockGoesWithItsHolder) {
  { const auto folder = StateFolder::create(home_ + "/state"); }
  EXPECT_EQ(lock_holder(home_ + "/state"), 0);
  EXPECT_TRUE(StateFolder::create(home_ + "/state"));
  EXPECT_EQ(lock_holder(home_ + "/nowhere"), 0);
}

TEST_F(StateFolderTest, TheRegisterKnowsRunningClustersOnly) {
  const auto a = StateFolder::create(home_ + "/a");
  const auto b = StateFolder::create(home_ + "/b");
  ASSERT_TRUE(register_cluster(home_, entry("b", home_ + "/b")));
  ASSERT_TRUE(register_cluster(home_, entry("a", home_ + "/a")));
  ASSERT_TRUE(register_cluster(home_, entry("killed", home_ + "/killed")));
  const auto running = running_clusters(home_);
  ASSERT_EQ(running.size(), 2u);
  EXPECT_EQ(running[0].name, "a");
  EXPECT_EQ(running[0].launcher, getpid());
  EXPECT_EQ(running[0].jobs, "tcp://127.0.0.1:7070");
  EXPECT_EQ(running[0].topology, "/etc/a.yaml");
  EXPECT_EQ(running[0].stop_limit, std::chrono::seconds(40));
  EXPECT_EQ(running[1].name, "b");
  unregister_cluster(home_, "a");
  EXPECT_EQ(running_clusters(home_).size(), 1u);
}

TEST_F(StateFolderTest, OneNameRunsOnce) {
  const auto a = StateFolder::create(home_ + "/a");
  ASSERT_TRUE(register_cluster(home_, entry("x", home_ + "/a")));
  const auto again = register_cluster(home_, entry("x", home_ + "/b"));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kAlreadyExists);
}

TEST_F(StateFolderTest, LastLinesOfAFile) {
  ASSERT_TRUE(write_file(home_ + "/log", "1\n2\n3\n4\n"));
  EXPECT_EQ(last_lines_of_file(home_ + "/log", 2), "3\n4\n");
  EXPECT_EQ(last_lines_of_file(home_ + "/log", 9), "1\n2\n3\n4\n");
  EXPECT_EQ(last_lines_of_file(home_ + "/none", 2), "");
  ASSERT_TRUE(write_file(home_ + "/log", std::string(100'000, 'x')));
  EXPECT_EQ(last_lines_of_file(home_ + "/log", 2).size(), 16u * 1024);
}

TEST(PortOwner, NamesTheProcessThatHasThePort) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), length), 0);
  ASSERT_EQ(listen(listener, 1), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length), 0);
  const SocketAddress taken{"127.0.0.1", ntohs(address.sin_port)};
  const auto answer = check_port_free(taken, {}, "--set x");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kAlreadyExists);
  EXPECT_NE(answer.error().message.find("is taken by pid " + std::to_string(getpid()) + " ("), std::string::npos) << answer.error().message;
  EXPECT_TRUE(answer.error().message.ends_with("; stop that, or choose other ports: --set x")) << answer.error().message;
  ClusterEntry ours;
  ours.name = "laptop";
  ours.launcher = getppid();
  EXPECT_NE(check_port_free(taken, {ours}, "").error().message.find(", the cluster laptop; stop it with `baton down laptop`, or"), std::string::npos);
  close(listener);
  EXPECT_TRUE(check_port_free(taken, {}, ""));
  EXPECT_FALSE(check_port_free({"host.invalid", 1234}, {}, ""));
}

}  // namespace
}  // namespace baton
