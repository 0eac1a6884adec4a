// SPDX-License-Identifier: Apache-2.0
// ThreadedDataPlane between processes that are killed and stopped. The other process is this program again, running the
// disabled test UcxChild.Obey, which does what its standard input says and answers on descriptor 3.
#include <gtest/gtest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <sstream>
#include <thread>

#include "runtime/link/threaded_data_plane.h"
#include "tests/support/data_plane_rig.h"

extern char** environ;

namespace baton::test {
namespace {

constexpr std::uint64_t kPool = 128 << 20;
constexpr std::uint64_t kPiece = 1 << 20;
constexpr std::uint32_t kPieces = 100;
constexpr PeerKey kParent{NodeId{1}, Incarnation{1}};
PeerKey child_key(std::uint64_t life) { return {NodeId{2}, Incarnation{life}}; }

Result<std::unique_ptr<ThreadedDataPlane>> make_plane(const PeerKey& self, const std::string& transports, EventLog& log) {
  ThreadedPlaneOptions options;
  options.transports = transports == "shm" ? std::vector<std::string>{"shm", "tcp"} : std::vector<std::string>{transports};
  options.self = self;
  options.pool_bytes = kPool;
  options.sink = [&log](DataPlaneEvent event) { log.add(std::move(event)); };
  options.digest = test_digest;
  return ThreadedDataPlane::create(std::move(options));
}

template <class Condition>
bool eventually(const Condition& condition, Duration limit = 10s) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(500us);
  }
  return true;
}

std::vector<Place> child_places(std::uint32_t count) {
  std::vector<Place> places;
  for (std::uint32_t i = 0; i < count; ++i) places.push_back({i * kPiece, kPiece, i});
  return places;
}

std::vector<Piece> child_pieces(std::uint32_t count) {
  std::vector<Piece> pieces;
  for (std::uint32_t i = 0; i < count; ++i) pieces.push_back({i * kPiece, kPiece, i, 1});
  return pieces;
}

TEST(UcxChild, DISABLED_Obey) {
  const char* transports = std::getenv("BATON_TEST_TRANSPORTS");
  const char* life = std::getenv("BATON_TEST_LIFE");
  if (transports == nullptr || life == nullptr) GTEST_SKIP() << "only as a child";
  EventLog log;
  auto made = make_plane(child_key(std::strtoull(life, nullptr, 10)), transports, log);
  ASSERT_TRUE(made.has_value()) << made.error().message;
  ThreadedDataPlane& plane = **made;
  fill_pattern(plane.pool(), 7);
  const auto answer = [](const std::string& text) { (void)!::write(3, (text + "\n").data(), text.size() + 1); };
  answer(plane.address());
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string verb, address;
    std::uint64_t n = 0;
    words >> verb >> n >> address;
    if (verb == "connect") plane.connect(kParent, address);
    if (verb == "push") plane.push(n, kParent, transfer_id(n), child_pieces(kPieces));
    if (verb == "open") plane.open(transfer_id(n), kParent, child_places(kPieces), 60s);
    if (verb == "done") {
      const bool ended = eventually([&] { return !log.done(n).empty(); });
      answer(!ended ? "never" : log.done(n)[0].ok ? "ok" : "failed");
      continue;
    }
    answer("did");
  }
}

class Child {
 public:
  Child(const std::string& transports, std::uint64_t life) {
    int in[2], out[2];
    EXPECT_EQ(pipe2(in, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
    std::vector<std::string> environment = {"BATON_TEST_TRANSPORTS=" + transports, "BATON_TEST_LIFE=" + std::to_string(life)};
    // The leak check at a process's end stops its threads from a tracer and was seen to spin there for good. What the child holds the
    // tests of the same plane inside one process check for leaks. The first of two equal names counts.
    environment.push_back("ASAN_OPTIONS=detect_leaks=0");
    std::vector<char*> envp;
    for (std::string& entry : environment) envp.push_back(entry.data());
    for (char** entry = environ; *entry != nullptr; ++entry) envp.push_back(*entry);
    envp.push_back(nullptr);
    std::string program = "/proc/self/exe", filter = "--gtest_filter=UcxChild.*", all = "--gtest_also_run_disabled_tests";
    char* argv[] = {program.data(), filter.data(), all.data(), nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 3);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    EXPECT_EQ(posix_spawn(&pid_, program.data(), &actions, nullptr, argv, envp.data()), 0);
    posix_spawn_file_actions_destroy(&actions);
    ::close(in[0]);
    ::close(out[1]);
    to_ = in[1];
    from_ = out[0];
    address = answer();
  }
  ~Child() {
    ::close(to_);
    if (pid_ > 0) {
      ::kill(pid_, SIGCONT);
      int status = 0;
      const bool ended = eventually([&] { return waitpid(pid_, &status, WNOHANG) == pid_; }, 60s);
      EXPECT_TRUE(ended) << "the child does not end";
      if (!ended) kill_now();
      EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "the child's own checks or sanitizers failed";
    }
    ::close(from_);
  }
  std::string ask(const std::string& line) {
    EXPECT_EQ(::write(to_, (line + "\n").data(), line.size() + 1), static_cast<ssize_t>(line.size() + 1));
    return answer();
  }
  void signal(int number) { ::kill(pid_, number); }
  void kill_now() {
    ::kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

  std::string address;

 private:
  std::string answer() {
    std::string line;
    char c = 0;
    pollfd ready{from_, POLLIN, 0};
    while (poll(&ready, 1, 30000) == 1 && ::read(from_, &c, 1) == 1 && c != '\n') line += c;
    return line;
  }
  pid_t pid_ = 0;
  int to_ = -1;
  int from_ = -1;
};

class UcxProcess : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto made = make_plane(kParent, GetParam(), log_);
    ASSERT_TRUE(made.has_value()) << made.error().message;
    plane_ = *std::move(made);
  }
  // One place more than the child pushes: the transfer can never be complete.
  void open(std::uint64_t n, std::uint64_t life, Duration limit) {
    plane_->open(transfer_id(n), child_key(life), child_places(kPieces + 1), limit);
  }
  bool closed(std::uint64_t n, Duration limit = 10s) {
    return eventually([&] { return !log_.closed(transfer_id(n)).empty(); }, limit);
  }
  bool started(std::uint64_t n) {
    return eventually([&] { return log_.places_arrived(transfer_id(n)) >= 3; });
  }
  // Opens transfers, counting `n` up, until one is under way: on a busy machine the next one after a transfer that did not end well may
  // still meet the end of the old connection, and is closed with it.
  bool start_one(Child& child, std::uint64_t& n) {
    for (int attempt = 0; attempt < 5; ++attempt) {
      open(++n, 1, 700ms);
      child.ask("push " + std::to_string(n));
      eventually([&] { return log_.places_arrived(transfer_id(n)) >= 3 || !log_.closed(transfer_id(n)).empty(); });
      if (log_.closed(transfer_id(n)).empty()) return true;
    }
    return false;
  }
  // How a whole transfer ended; of a complete one the content is right.
  std::string transfer(Child& child, std::uint64_t n, std::uint64_t life) {
    plane_->open(transfer_id(n), child_key(life), child_places(kPieces), 30s);
    child.ask("push " + std::to_string(n));
    if (!closed(n)) return "never";
    const std::string end = log_.closed(transfer_id(n))[0];
    std::vector<std::byte> expected(kPool);
    fill_pattern(expected, 7);
    EXPECT_TRUE(end != "complete" || std::memcmp(plane_->pool().data(), expected.data(), kPieces * kPiece) == 0);
    return end;
  }
  void expect_complete(Child& child, std::uint64_t n, std::uint64_t life) { EXPECT_EQ(transfer(child, n, life), "complete"); }
  void fill_canary() { std::memset(plane_->pool().data(), 0x5a, plane_->pool().size()); }
  bool canary_holds() {
    return std::all_of(plane_->pool().begin(), plane_->pool().end(), [](std::byte b) { return b == std::byte{0x5a}; });
  }

  EventLog log_;
  std::unique_ptr<ThreadedDataPlane> plane_;
};

INSTANTIATE_TEST_SUITE_P(Transports, UcxProcess, testing::Values("shm", "tcp", "ucx_tcp"), [](const auto& parameter) { return parameter.param; });

TEST_P(UcxProcess, TwoProcessesTransferByTheTransportAskedFor) {
  Child child(GetParam(), 1);
  child.ask("connect 0 " + plane_->address());
  plane_->connect(child_key(1), child.address);
  expect_complete(child, 1, 1);
  const std::string expected = GetParam() == "ucx_tcp" ? "tcp" : GetParam();
  EXPECT_TRUE(eventually([&] { return plane_->transport(child_key(1)) == expected; })) << plane_->transport(child_key(1));
}

TEST_P(UcxProcess, AKilledSenderIsNoticedAndItsNextLifeWorks) {
  for (std::uint64_t life = 1; life <= 3; ++life) {
    Child child(GetParam(), life);
    child.ask("connect 0 " + plane_->address());
    open(life, life, 60s);
    child.ask("push " + std::to_string(life));
    ASSERT_TRUE(started(life));
    child.kill_now();
    const auto killed = std::chrono::steady_clock::now();
    ASSERT_TRUE(closed(life, 5s));
    RecordProperty("noticed_ms", static_cast<int>((std::chrono::steady_clock::now() - killed) / 1ms));
    fill_canary();
    std::this_thread::sleep_for(50ms);
    EXPECT_TRUE(canary_holds());
    EXPECT_EQ(log_.closed(transfer_id(life)).size(), 1u);
    EXPECT_EQ(log_.failed(child_key(life)).size(), 1u);
  }
  Child child(GetParam(), 9);
  child.ask("connect 0 " + plane_->address());
  expect_complete(child, 9, 9);
}

TEST_P(UcxProcess, AStoppedSenderRunsIntoTheTimeLimitAndWritesNothingWhenItGoesOn) {
  Child child(GetParam(), 1);
  child.ask("connect 0 " + plane_->address());
  std::uint64_t round = 0;
  for (int stops = 0; stops < 3; ++stops) {
    ASSERT_TRUE(start_one(child, round)) << "in five attempts";
    child.signal(SIGSTOP);
    const auto stopped = std::chrono::steady_clock::now();
    ASSERT_TRUE(closed(round, 5s));
    RecordProperty("closed_ms", static_cast<int>((std::chrono::steady_clock::now() - stopped) / 1ms));
    EXPECT_EQ(log_.closed(transfer_id(round))[0], "deadline");
    fill_canary();
    child.signal(SIGCONT);
    EXPECT_NE(child.ask("done " + std::to_string(round)), "never");
    std::this_thread::sleep_for(50ms);
    EXPECT_TRUE(canary_holds()) << round;
  }
  // Both ends have rebuilt, or are about to.
  std::string end;
  for (int attempt = 0; attempt < 5 && end != "complete"; ++attempt) {
    end = transfer(child, ++round, 1);
    EXPECT_TRUE(end == "complete" || end.starts_with("connection lost")) << end;
  }
  EXPECT_EQ(end, "complete");
}

// A sender that is stopped while it fills a slot of a shared queue must not block the others' messages behind it.
TEST_P(UcxProcess, AStoppedOrKilledSenderDoesNotHoldUpAnother) {
  Child steady(GetParam(), 100);
  steady.ask("connect 0 " + plane_->address());
  for (std::uint64_t life = 1; life <= 4; ++life) {
    Child other(GetParam(), life);
    other.ask("connect 0 " + plane_->address());
    const std::uint64_t n = life * 10;
    // Its pieces go to places above those of the steady one; it stops anywhere in the middle.
    plane_->open(transfer_id(n), child_key(life), {{kPieces * kPiece, kPiece, 0}, {(kPieces + 1) * kPiece, kPiece, 1}}, 60s);
    other.ask("push " + std::to_string(n));
    other.signal(life % 2 == 0 ? SIGSTOP : SIGKILL);
    plane_->open(transfer_id(n + 1), child_key(100), child_places(kPieces), 30s);
    steady.ask("push " + std::to_string(n + 1));
    ASSERT_TRUE(closed(n + 1));
    EXPECT_EQ(log_.closed(transfer_id(n + 1))[0], "complete");
    plane_->close(transfer_id(n));
    ASSERT_TRUE(closed(n));
    if (life % 2 == 1) other.kill_now();
  }
}

TEST_P(UcxProcess, AKilledReceiverFailsThePush) {
  Child child(GetParam(), 1);
  plane_->connect(child_key(1), child.address);
  child.ask("open 1");
  plane_->push(2, child_key(1), transfer_id(1), child_pieces(kPieces));
  child.kill_now();
  ASSERT_TRUE(eventually([&] { return !log_.done(2).empty(); }, 5s));
  EXPECT_TRUE(eventually([&] { return !log_.failed(child_key(1)).empty(); }, 5s));
  plane_->push(3, child_key(1), transfer_id(1), child_pieces(1));
  ASSERT_TRUE(eventually([&] { return !log_.done(3).empty(); }, 5s));
  EXPECT_FALSE(log_.done(3)[0].ok);
}

TEST_P(UcxProcess, AnAbandonedPushToAStoppedReceiverEndsAfterTheGrace) {
  Child child(GetParam(), 1);
  plane_->connect(child_key(1), child.address);
  child.ask("open 1");
  plane_->push(1, child_key(1), transfer_id(9), child_pieces(1));  // refused; the connection is made by then
  ASSERT_TRUE(eventually([&] { return !log_.done(1).empty(); }));
  child.signal(SIGSTOP);
  plane_->push(2, child_key(1), transfer_id(1), child_pieces(kPieces));
  std::this_thread::sleep_for(100ms);
  EXPECT_TRUE(log_.done(2).empty());
  plane_->abandon(transfer_id(1));
  ASSERT_TRUE(eventually([&] { return !log_.done(2).empty(); }, 3s));
  EXPECT_FALSE(log_.done(2)[0].ok);
  child.signal(SIGCONT);
}

TEST_P(UcxProcess, AStoppedPeerDoesNotKeepThePlaneFromEnding) {
  Child child(GetParam(), 1);
  child.ask("connect 0 " + plane_->address());
  open(1, 1, 60s);
  child.ask("push 1");
  ASSERT_TRUE(started(1));
  child.signal(SIGSTOP);
  plane_.reset();
  EXPECT_EQ(log_.closed(transfer_id(1)).size(), 1u);
  child.signal(SIGCONT);
}

// What only UCX can get wrong: a connection whose bytes would take another way than allowed.
TEST(UcxTransports, AConnectionByATransportThatIsNotAllowedIsRefused) {
  EventLog log, other_log;
  ThreadedPlaneOptions options;
  options.self = kParent;
  options.pool_bytes = 1 << 20;
  options.sink = [&log](DataPlaneEvent event) { log.add(std::move(event)); };
  options.transports = {"shm"};
  auto only_shm = ThreadedDataPlane::create(options);
  ASSERT_TRUE(only_shm.has_value()) << only_shm.error().message;
  auto only_tcp = make_plane(child_key(1), "ucx_tcp", other_log);
  auto both = make_plane(child_key(2), "shm", other_log);
  ASSERT_TRUE(only_tcp.has_value() && both.has_value());
  (*only_shm)->connect(child_key(1), (*only_tcp)->address());
  (*only_shm)->push(1, child_key(1), transfer_id(1), {{0, 1000, 0, 1}});
  ASSERT_TRUE(eventually([&] { return !log.done(1).empty(); }));
  EXPECT_EQ(log.done(1)[0].reason, "only transport 'tcp' reaches this peer, which is not allowed");
  (*only_shm)->connect(child_key(2), (*both)->address());
  EXPECT_TRUE(eventually([&] { return (*only_shm)->transport(child_key(2)) == "shm"; }));
}

TEST(UcxTransports, WrongOptionsSayWhatIsWrong) {
  ThreadedPlaneOptions options;
  options.pool_bytes = 1 << 20;
  options.sink = [](const DataPlaneEvent&) {};
  options.interface_name = "nosuch0";
  EXPECT_EQ(ThreadedDataPlane::create(options).error().message, "network interface 'nosuch0' does not exist");
  options.interface_name = "lo";
  options.transports = {"pigeon"};
  EXPECT_EQ(ThreadedDataPlane::create(options).error().message, "unknown transport 'pigeon': expected shm or tcp");
  options.transports = {"tcp"};
  options.pool_bytes = 0;
  EXPECT_EQ(ThreadedDataPlane::create(options).error().code, ErrorCode::kInvalidArgument);
}

TEST(UcxTransports, AnIdlePlaneSleeps) {
  EventLog log;
  auto made = make_plane(kParent, "shm", log);
  ASSERT_TRUE(made.has_value());
  std::this_thread::sleep_for(50ms);
  const auto cpu = [] {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
  };
  const auto before = cpu();
  (*made)->open(transfer_id(1), child_key(1), child_places(4), 60s);  // open, but nothing comes
  std::this_thread::sleep_for(500ms);
  EXPECT_LT(cpu() - before, 100);
}

}  // namespace
}  // namespace baton::test
