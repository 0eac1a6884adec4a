// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/actors_rig.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <variant>

#include "protocol/codec.h"
#include "runtime/actor/real_loop.h"

namespace baton {
namespace {

constexpr std::uint64_t kWarmUpTrips = 100;
constexpr std::uint64_t kBurstsAhead = 16;  // of the remote flood, not answered yet
constexpr std::uint32_t kSlot = 1;
constexpr std::uint32_t kAnsweringSlot = 2;
constexpr Duration kTimeLimit = std::chrono::seconds(60);

double seconds_between(Time from, Time to) { return std::chrono::duration<double>(to - from).count(); }

// ---- one loop ----------------------------------------------------------------------------------------------------

struct LocalAnswering {
  using Inbox = std::variant<JobAdmitted, JobFailed>;
  void on(const JobAdmitted& message, Outbox& out) {
    if (every || message.seed % kActorsBurst == kActorsBurst - 1) out.send(out.sender(), message);
  }
  void on(const JobFailed& message, Outbox& out) {
    if (message.job.value % kActorsBurst == kActorsBurst - 1) out.send(out.sender(), JobAdmitted{message.job, message.job.value});
  }
  void tick(Outbox&) {}

  bool every = false;
};

struct LocalAsking {
  using Inbox = std::variant<JobAdmitted>;
  void on(const JobAdmitted& answer, Outbox& out) { send_from(answer.seed + 1, out); }
  void tick(Outbox&) {}

  void send_from(std::uint64_t number, Outbox& out) {
    if (number >= messages) {
      ended = real_now();
      loop->stop();
      return;
    }
    const std::uint64_t end = pattern == LocalPattern::kChain ? number + 1 : number + kActorsBurst;
    for (; number < end; ++number) {
      if (pattern == LocalPattern::kFloodText) out.send(to, JobFailed{JobId{number}, 1, ErrorCode::kInternal, text});
      else out.send(to, JobAdmitted{JobId{number}, number});
    }
  }

  LocalPattern pattern = LocalPattern::kFlood;
  std::uint64_t messages = 0;
  std::string text = std::string(100, 'x');
  ActorRef to;
  RealLoop* loop = nullptr;
  Time ended{};
};

// ---- two loops ---------------------------------------------------------------------------------------------------

Heartbeat heartbeat(std::uint64_t number) {
  Heartbeat message;
  message.progress = number;
  message.running = 8;
  message.blocks_free = 1000;
  message.tokens_generated = number * 8;
  return message;
}
TokenBatch token(std::uint64_t number) {
  TokenBatch message;
  message.tokens.push_back({JobId{number}, 1, static_cast<std::uint32_t>(number), 7});
  return message;
}

struct RemoteAnswering {
  using Inbox = std::variant<Heartbeat, TokenBatch, LinkUp, LinkDown>;
  void on(const Heartbeat& message, Outbox& out) { answer(message.progress, out); }
  void on(const TokenBatch& message, Outbox& out) {
    if (!message.tokens.empty()) answer(message.tokens.front().job.value, out);
  }
  void on(const LinkUp&, Outbox&) {}
  void on(const LinkDown&, Outbox&) {}
  void tick(Outbox&) {}

  void answer(std::uint64_t number, Outbox& out) {
    if (every || number % kActorsBurst == kActorsBurst - 1) out.send(out.sender(), heartbeat(number));
  }

  bool every = false;
};

// The first message makes the link, and its answer starts the measurement.
struct RemoteAsking {
  using Inbox = std::variant<Heartbeat, LinkUp, LinkDown>;
  void on(const Heartbeat& answer, Outbox& out) {
    const Time now = real_now();
    if (trips > 0) {
      seconds.push_back(seconds_between(asked, now));
      if (seconds.size() < trips) ask(out);
      else loop->stop();
      return;
    }
    if (started == Time{}) {
      started = now;
      for (std::uint64_t i = 0; i < kBurstsAhead; ++i) send_burst(out);
      return;
    }
    if (answer.progress + 1 >= messages) {
      ended = now;
      loop->stop();
      return;
    }
    send_burst(out);
  }
  void on(const LinkUp&, Outbox&) {}
  void on(const LinkDown& down, Outbox&) {
    fault = down.reason;
    loop->stop();
  }
  void tick(Outbox&) {}

  void begin(Outbox& out) {
    if (trips > 0) ask(out);
    else out.send(to, heartbeat(kActorsBurst - 1));
  }
  void ask(Outbox& out) {
    asked = real_now();
    out.send(to, heartbeat(seconds.size()));
  }
  void send_burst(Outbox& out) {
    const std::uint64_t end = std::min(next + kActorsBurst, messages);
    for (; next < end; ++next) {
      if (what == RemoteMessage::kHeartbeat) out.send(to, heartbeat(next));
      else out.send(to, token(next));
    }
  }

  RemoteMessage what = RemoteMessage::kHeartbeat;
  std::uint64_t messages = 0;
  std::uint64_t trips = 0;
  ActorRef to;
  RealLoop* loop = nullptr;
  std::uint64_t next = 0;
  Time started{}, ended{}, asked{};
  std::vector<double> seconds;
  std::string fault;
};

Result<std::unique_ptr<RealLoop>> open_loop(const char* name) {
  RealLoopOptions options;
  options.node = node_id(name);
  options.bind_address = "tcp://127.0.0.1:0";
  return RealLoop::open(options);
}

// Runs `asking` here against an answering actor in a thread of its own.
Result<void> run_pair(RemoteAsking& asking, bool every) {
  auto server = open_loop("bench/answering");
  auto client = open_loop("bench/asking");
  if (!server) return tl::unexpected(server.error());
  if (!client) return tl::unexpected(client.error());
  RemoteAnswering answering;
  answering.every = every;
  ActorCell<RemoteAnswering> answering_cell(answering);
  ActorCell<RemoteAsking> asking_cell(asking);
  asking.to = (*server)->add(kAnsweringSlot, answering_cell);
  asking.loop = client->get();
  (*client)->add(kSlot, asking_cell);
  std::thread thread([&] { (*server)->run(); });
  (*client)->executor().post(kSlot, [&](Outbox& out) {
    out.introduce(asking.to.node, (*server)->bound_address());
    asking.begin(out);
  });
  (*client)->run_for(kTimeLimit);
  (*server)->stop();
  thread.join();
  if (!asking.fault.empty()) return fail(ErrorCode::kUnavailable, "the link between two loops of this process ended: " + asking.fault);
  return {};
}

tl::unexpected<Error> too_slow() { return fail(ErrorCode::kUnavailable, "a round took more than a minute; use fewer messages"); }

}  // namespace

Result<double> local_rate(LocalPattern pattern, std::uint64_t messages) {
  RealLoopOptions options;
  options.node = node_id("bench/local");
  auto loop = RealLoop::open(options);
  if (!loop) return tl::unexpected(loop.error());
  LocalAsking asking;
  LocalAnswering answering;
  answering.every = pattern == LocalPattern::kChain;
  asking.pattern = pattern;
  // Of a chain every answer is a message that counts, too.
  asking.messages = pattern == LocalPattern::kChain ? messages / 2 : messages / kActorsBurst * kActorsBurst;
  asking.loop = loop->get();
  ActorCell<LocalAsking> asking_cell(asking);
  ActorCell<LocalAnswering> answering_cell(answering);
  (*loop)->add(kSlot, asking_cell);
  asking.to = (*loop)->add(kAnsweringSlot, answering_cell);
  Time started{};
  (*loop)->executor().post(kSlot, [&](Outbox& out) {
    started = real_now();
    asking.send_from(0, out);
  });
  (*loop)->run_for(kTimeLimit);
  if (asking.ended == Time{}) return too_slow();
  return static_cast<double>(messages) / seconds_between(started, asking.ended);
}

Result<double> remote_rate(RemoteMessage what, std::uint64_t messages) {
  RemoteAsking asking;
  asking.what = what;
  asking.messages = messages / kActorsBurst * kActorsBurst;
  RETURN_IF_ERROR(run_pair(asking, false));
  if (asking.ended == Time{}) return too_slow();
  return static_cast<double>(asking.messages) / seconds_between(asking.started, asking.ended);
}

Result<std::vector<double>> remote_round_trips(std::uint64_t trips) {
  RemoteAsking asking;
  asking.trips = kWarmUpTrips + trips;
  RETURN_IF_ERROR(run_pair(asking, true));
  if (asking.seconds.size() < asking.trips) return too_slow();
  asking.seconds.erase(asking.seconds.begin(), asking.seconds.begin() + kWarmUpTrips);
  return std::move(asking.seconds);
}

std::uint64_t remote_message_bytes(RemoteMessage what) {
  return (what == RemoteMessage::kHeartbeat ? encode(heartbeat(1)) : encode(token(1))).bytes.size();
}

}  // namespace baton
