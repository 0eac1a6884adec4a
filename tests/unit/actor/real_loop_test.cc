// SPDX-License-Identifier: Apache-2.0
// The real loop with real threads: what the TSan preset looks at.
#include "runtime/actor/real_loop.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>

#include "tests/support/recorder.h"

namespace baton {
namespace {
using namespace std::chrono_literals;

RealLoopOptions bound(const std::string& name) {
  RealLoopOptions options;
  options.node = node_id(name);
  options.bind_address = "tcp://127.0.0.1:0";
  return options;
}

struct Running {
  explicit Running(const RealLoopOptions& options) : loop(std::move(*RealLoop::open(options))) { loop->add(1, cell); }
  ~Running() { end(); }
  void start() {
    thread = std::thread([this] { loop->run(); });
  }
  void end() {
    if (!thread.joinable()) return;
    loop->stop();
    thread.join();
  }
  Recorder recorder;
  ActorCell<Recorder> cell{recorder};
  std::unique_ptr<RealLoop> loop;
  std::thread thread;
};

TEST(RealLoop, TurnsPostedFromManyThreadsAllRunOnItsThreadInTheirOrder) {
  Running running(bound("a"));
  running.start();
  std::atomic<int> done{0};
  std::vector<int> last(4, -1);
  std::vector<std::thread> threads;
  std::atomic<int> faults{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 1000; ++i) {
        running.loop->executor().post(1, [&, t, i](Outbox&) {
          if (last[static_cast<std::size_t>(t)] != i - 1) ++faults;
          last[static_cast<std::size_t>(t)] = i;
          ++done;
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  while (done < 4000) std::this_thread::sleep_for(1ms);
  running.end();
  EXPECT_EQ(faults, 0);
}

TEST(RealLoop, TwoThreadsExchangeMessagesOverLoopback) {
  Running server(bound("server"));
  RealLoopOptions client_options;
  client_options.node = node_id("client");
  Running client(client_options);
  std::atomic<int> answers{0};
  client.recorder.on_text = [&](const Text&, Outbox& out) {
    if (++answers < 2000) out.send(out.sender(), Ping{"x"});
  };
  server.start();
  client.start();
  const Time before = real_now();
  client.loop->executor().post(1, [address = server.loop->bound_address()](Outbox& out) {
    out.introduce(node_id("server"), address);
    for (int i = 0; i < 8; ++i) out.send({node_id("server"), Incarnation{0}, 1, 0}, Ping{"x"});
  });
  while (answers < 2000) std::this_thread::sleep_for(1ms);
  const double seconds = std::chrono::duration<double>(real_now() - before).count();
  std::printf("real loop: %.0f round trips/s over loopback, 8 in flight\n", 2000 / seconds);
  client.end();
  server.end();
}

TEST(RealLoop, StopBeforeRunReturnsAtOnceAndItCanRunAgain) {
  Running running(bound("a"));
  running.loop->stop();
  running.loop->run();
  bool ran = false;
  running.loop->executor().post(1, [&](Outbox&) {
    ran = true;
    running.loop->stop();
  });
  running.loop->run();
  EXPECT_TRUE(ran);
}

TEST(RealLoop, ATimerFiresWithoutTraffic) {
  Running running(bound("a"));
  const Time start = real_now();
  Time fired{};
  running.recorder.on_tick = [&](Outbox& out) {
    if (running.recorder.ticks == 1) {
      out.wake_at(out.now() + 20ms);
      return;
    }
    fired = out.now();
    running.loop->stop();
  };
  running.loop->run();
  EXPECT_GE(fired - start, 20ms);
  EXPECT_LT(fired - start, 5s);
}

TEST(RealLoop, SignalsCallTheHookAndStopIsSafeInAHandler) {
  RealLoopOptions options = bound("a");
  RealLoop* self = nullptr;
  int seen = 0;
  options.on_signal = [&](int signal) {
    seen = signal;
    self->stop();
  };
  Running running(options);
  self = running.loop.get();
  running.loop->executor().post(1, [](Outbox&) { std::raise(SIGTERM); });
  running.loop->run();
  EXPECT_EQ(seen, SIGTERM);
}

TEST(RealLoop, ATakenPortIsAnErrorThatNamesIt) {
  Running running(bound("a"));
  RealLoopOptions again = bound("b");
  again.bind_address = running.loop->bound_address();
  const auto opened = RealLoop::open(again);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kAlreadyExists);
  EXPECT_NE(opened.error().message.find(again.bind_address), std::string::npos);
  again.bind_address = "tcp://no.such.interface.:1";
  EXPECT_FALSE(RealLoop::open(again));
}

TEST(RealLoop, IncarnationsAreRandomAndNeverZero) {
  Running a(bound("a"));
  Running b(bound("a"));
  EXPECT_NE(a.loop->node().incarnation(), b.loop->node().incarnation());
  EXPECT_NE(a.loop->node().incarnation().value, 0u);
}

}  // namespace
}  // namespace baton
