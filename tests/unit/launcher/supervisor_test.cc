// SPDX-License-Identifier: Apache-2.0
#include "launcher/supervisor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

#include "launcher/state_folder.h"
#include "tests/support/temporary_folder.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A folder of its own, gone at the end.
class SupervisorTest : public ::testing::Test {
 protected:
  ProcessSpec shell(const std::string& name, const std::string& script) { return {name, {"-c", script}, folder_.path() + '/' + name + ".log"}; }
  std::string log(const std::string& name) { return last_lines_of_file(folder_.path() + '/' + name + ".log", 100); }

  const test::TemporaryFolder folder_;
};

// Turns until something ended, for at most 10 s.
ProcessEnd next_end(Supervisor& supervisor) {
  for (const Time deadline = launcher_now() + seconds(10); launcher_now() < deadline;) {
    const Supervisor::Turn turn = supervisor.wait(seconds(1), -1);
    if (!turn.ended.empty()) return turn.ended.front();
  }
  ADD_FAILURE() << "nothing ended";
  return {};
}

bool comes_true(const std::function<bool()>& condition) {
  for (const Time deadline = launcher_now() + seconds(10); launcher_now() < deadline; usleep(2000))
    if (condition()) return true;
  return false;
}

bool alive(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/stat");
  std::string number, name, state;
  status >> number >> name >> state;
  return !state.empty() && state != "Z";
}

RestartBudget budget(std::uint32_t restarts) { return {restarts, seconds(60), milliseconds(1), milliseconds(2)}; }

TEST_F(SupervisorTest, WritesWhatAProcessSaysIntoItsLogAndSaysHowItEnded) {
  Supervisor supervisor("/bin/sh", budget(0));
  ASSERT_TRUE(supervisor.start(shell("a", "echo out; echo err >&2; cat; exit 3")));
  const ProcessEnd end = next_end(supervisor);
  EXPECT_EQ(end.name, "a");
  EXPECT_EQ(end.how, "exit status 3");
  EXPECT_TRUE(end.for_good);
  EXPECT_FALSE(end.expected);
  EXPECT_EQ(log("a"), "out\nerr\n");
  EXPECT_EQ(supervisor.running(), 0u);
}

TEST_F(SupervisorTest, StartsAgainUntilTheBudgetIsSpent) {
  Supervisor supervisor("/bin/sh", budget(3));
  ASSERT_TRUE(supervisor.start(shell("a", "echo x; kill -9 $$")));
  for (int i = 0; i < 3; ++i) {
    const ProcessEnd end = next_end(supervisor);
    EXPECT_EQ(end.how, "killed by signal 9 (Killed)");
    EXPECT_FALSE(end.for_good);
  }
  EXPECT_TRUE(next_end(supervisor).for_good);
  EXPECT_EQ(log("a"), "x\nx\nx\nx\n");
  const Supervisor::Turn after = supervisor.wait(milliseconds(20), -1);
  EXPECT_TRUE(after.ended.empty() && after.restarted.empty());
}

TEST_F(SupervisorTest, ForgetsRestartsThatAreOlderThanTheWindow) {
  Supervisor supervisor("/bin/sh", {1, milliseconds(50), milliseconds(1), milliseconds(1)});
  ASSERT_TRUE(supervisor.start(shell("a", "sleep 0.1")));
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(next_end(supervisor).for_good);
}

TEST_F(SupervisorTest, DoesNotStartAgainWhatWasAskedToEnd) {
  Supervisor supervisor("/bin/sh", budget(3));
  ASSERT_TRUE(supervisor.start(shell("a", "sleep 60")));
  supervisor.signal("a", SIGTERM);
  const ProcessEnd end = next_end(supervisor);
  EXPECT_TRUE(end.expected);
  EXPECT_EQ(end.how, "killed by signal 15 (Terminated)");
  EXPECT_TRUE(supervisor.wait(milliseconds(20), -1).restarted.empty());
  EXPECT_EQ(supervisor.pid("a"), 0);
}

TEST_F(SupervisorTest, TellsCrashesFromExits) {
  Supervisor supervisor("/bin/sh", budget(0));
  ASSERT_TRUE(supervisor.start(shell("a", "exit 1")));
  EXPECT_FALSE(next_end(supervisor).crashed);
  ASSERT_TRUE(supervisor.start(shell("b", "kill -6 $$")));
  EXPECT_TRUE(next_end(supervisor).crashed);
  ASSERT_TRUE(supervisor.start(shell("c", "kill -9 $$")));
  EXPECT_FALSE(next_end(supervisor).crashed) << "somebody else's doing";
}

TEST_F(SupervisorTest, ANameThatIsForgottenMayBeUsedAnew) {
  Supervisor supervisor("/bin/sh", budget(3));
  ASSERT_TRUE(supervisor.start(shell("a", "sleep 60")));
  const pid_t before = supervisor.pid("a");
  supervisor.forget("a");
  EXPECT_EQ(supervisor.pid("a"), before) << "it runs";
  supervisor.signal("a", SIGTERM);
  EXPECT_TRUE(next_end(supervisor).expected);
  supervisor.forget("a");
  ASSERT_TRUE(supervisor.start(shell("a", "kill -9 $$")));
  const ProcessEnd end = next_end(supervisor);
  EXPECT_FALSE(end.expected);
  EXPECT_NE(end.pid, before);
}

TEST_F(SupervisorTest, AProgramThatIsNotThereIsAnError) {
  Supervisor supervisor("/nonexistent/program", budget(3));
  const Result<void> started = supervisor.start(shell("a", ""));
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().message, "cannot start a (/nonexistent/program): No such file or directory");
  EXPECT_EQ(supervisor.running(), 0u);
}

TEST_F(SupervisorTest, ReturnsWhenTheFileIsReadable) {
  Supervisor supervisor("/bin/sh", budget(0));
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_TRUE(supervisor.start(shell("a", "sleep 60")));
  EXPECT_FALSE(supervisor.wait(milliseconds(1), ends[0]).readable);
  ASSERT_EQ(write(ends[1], "x", 1), 1);
  EXPECT_TRUE(supervisor.wait(seconds(10), ends[0]).readable);
  close(ends[0]);
  close(ends[1]);
}

TEST_F(SupervisorTest, ChildrenHaveTheirOwnGroupNoInputAndNoneOfOurFiles) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  Supervisor supervisor("/bin/sh", budget(0));
  ASSERT_TRUE(supervisor.start(shell("a", "ls /proc/self/fd | wc -l; ps -o pgid= -p $$ | tr -d ' '; sleep 60")));
  const pid_t child = supervisor.pid("a");
  EXPECT_TRUE(comes_true([&] {
    const std::string text = log("a");
    return std::count(text.begin(), text.end(), '\n') == 2;
  }));
  EXPECT_EQ(log("a"), "4\n" + std::to_string(child) + "\n");  // 0, 1, 2 and the folder that ls reads
  close(ends[0]);
  close(ends[1]);
}

TEST_F(SupervisorTest, NoOrphanSurvivesAKilledLauncher) {
  const std::string pid_file = folder_.path() + "/pid";
  const pid_t launcher = fork();
  ASSERT_GE(launcher, 0);
  if (launcher == 0) {
    Supervisor supervisor("/bin/sh", budget(3));
    if (!supervisor.start(shell("a", "trap '' TERM INT HUP; while :; do sleep 0.05; done"))) _exit(1);
    std::ofstream(pid_file) << supervisor.pid("a") << '\n';
    while (true) supervisor.wait(seconds(60), -1);
  }
  pid_t child = 0;
  EXPECT_TRUE(comes_true([&] { return static_cast<bool>(std::ifstream(pid_file) >> child); }));
  EXPECT_TRUE(alive(child));
  kill(launcher, SIGKILL);
  waitpid(launcher, nullptr, 0);
  EXPECT_TRUE(comes_true([&] { return !alive(child); }));
}

TEST_F(SupervisorTest, KillsWhatStillRunsWhenItGoes) {
  pid_t child = 0;
  {
    Supervisor supervisor("/bin/sh", budget(0));
    ASSERT_TRUE(supervisor.start(shell("a", "trap '' TERM; while :; do sleep 0.05; done")));
    child = supervisor.pid("a");
  }
  EXPECT_NE(kill(child, 0), 0);
}

}  // namespace
}  // namespace baton
