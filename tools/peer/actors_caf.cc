// SPDX-License-Identifier: Apache-2.0
// The C++ Actor Framework doing what `baton bench actors` has our actors do: the peer in its local rows. A program of its own,
// so that CAF never becomes a dependency of baton; baton starts it once per round and reads the line it prints.
//
//   bench_actors_caf PATTERN STYLE MESSAGES      PATTERN: flood, flood-text, chain; STYLE: dynamic, typed
//
// One worker thread, so that sender and receiver share an executor. flood: bursts of 1000 messages, each burst answered by one.
// chain: two actors hand one message to and fro. Messages are two 64-bit numbers, or a number and 100 bytes of text.
#include <caf/all.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

constexpr std::uint64_t kBurst = 1000;

using Clock = std::chrono::steady_clock;
using DynamicActor = caf::actor;
using TypedActor = caf::typed_actor<caf::reacts_to<std::uint64_t, std::uint64_t>, caf::reacts_to<std::uint64_t, std::string>>;

struct Work {
  std::string pattern;
  std::uint64_t messages = 0;
  std::string text = std::string(100, 'x');
  Clock::time_point start;
  double seconds = 0;
  std::uint64_t handled = 0;
};

// What both styles of actor do; `Self` is the pointer through which they send.
template <class Self, class Handle>
void send_one(Self self, const Handle& to, const Work& work, std::uint64_t number) {
  if (work.pattern == "flood-text") self->send(to, number, work.text);
  else self->send(to, number, number);
}

// The answering side: one answer a burst, or one a message.
template <class Self>
void on_answering(Self self, Work& work, std::uint64_t number) {
  ++work.handled;
  const bool answers = work.pattern == "chain" || number % kBurst == kBurst - 1;
  if (answers) self->send(caf::actor_cast<typename std::conditional_t<std::is_same_v<Self, caf::event_based_actor*>, DynamicActor, TypedActor>>(self->current_sender()), number, number);
}

template <class Self, class Handle>
void on_asking(Self self, const Handle& to, Work& work, std::uint64_t answered) {
  if (answered + 1 >= work.messages) {
    work.seconds = std::chrono::duration<double>(Clock::now() - work.start).count();
    self->quit();
    self->send_exit(to, caf::exit_reason::user_shutdown);
    return;
  }
  if (work.pattern == "chain") {
    send_one(self, to, work, answered + 1);
    return;
  }
  for (std::uint64_t i = 1; i <= kBurst; ++i) send_one(self, to, work, answered + i);
}

template <class Self, class Handle>
void begin(Self self, const Handle& to, Work& work) {
  work.start = Clock::now();
  on_asking(self, to, work, ~std::uint64_t{0});
}

void run_dynamic(caf::actor_system& system, Work& work) {
  const DynamicActor answering = system.spawn([&work](caf::event_based_actor* self) -> caf::behavior {
    return {[self, &work](std::uint64_t number, std::uint64_t) { on_answering(self, work, number); },
            [self, &work](std::uint64_t number, const std::string&) { on_answering(self, work, number); }};
  });
  system.spawn([&work, answering](caf::event_based_actor* self) -> caf::behavior {
    begin(self, answering, work);
    return {[self, &work, answering](std::uint64_t number, std::uint64_t) { on_asking(self, answering, work, number); }};
  });
}

void run_typed(caf::actor_system& system, Work& work) {
  const TypedActor answering = system.spawn([&work](TypedActor::pointer self) -> TypedActor::behavior_type {
    return {[self, &work](std::uint64_t number, std::uint64_t) { on_answering(self, work, number); },
            [self, &work](std::uint64_t number, const std::string&) { on_answering(self, work, number); }};
  });
  system.spawn([&work, answering](TypedActor::pointer self) -> TypedActor::behavior_type {
    begin(self, answering, work);
    return {[self, &work, answering](std::uint64_t number, std::uint64_t) { on_asking(self, answering, work, number); },
            [](std::uint64_t, const std::string&) {}};
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: bench_actors_caf flood|flood-text|chain dynamic|typed MESSAGES\n");
    return 2;
  }
  Work work;
  work.pattern = argv[1];
  const bool typed = std::string(argv[2]) == "typed";
  work.messages = std::strtoull(argv[3], nullptr, 10);
  caf::actor_system_config config;
  config.set("scheduler.max-threads", 1);
  {
    caf::actor_system system(config);
    typed ? run_typed(system, work) : run_dynamic(system, work);
    system.await_all_actors_done();
  }
  const std::uint64_t both_ways = work.pattern == "chain" ? 2 * work.handled : work.handled;
  std::printf("{\"messages\": %llu, \"seconds\": %.9f, \"per_second\": %.1f, \"caf\": \"%d.%d.%d\"}\n", static_cast<unsigned long long>(both_ways),
              work.seconds, static_cast<double>(both_ways) / work.seconds, CAF_MAJOR_VERSION, CAF_MINOR_VERSION, CAF_PATCH_VERSION);
  return 0;
}
