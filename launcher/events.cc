// SPDX-License-Identifier: Apache-2.0
// `baton events`: what happened to the cluster, by its coordinator's memory.
#include <chrono>
#include <cstdio>
#include <ctime>
#include <string>
#include <thread>

#include "launcher/commands.h"
#include "launcher/exit_code.h"
#include "launcher/find_cluster.h"
#include "launcher/interrupt.h"
#include "launcher/job_printer.h"
#include "launcher/json_writer.h"

namespace baton {
namespace {

constexpr Duration kAnswerLimit = std::chrono::seconds(5);
constexpr std::chrono::milliseconds kAskAgain{500};

const char* name_of(EventKind kind) {
  switch (kind) {
    case EventKind::kStarted: return "started";
    case EventKind::kJoined: return "joined";
    case EventKind::kLeft: return "left";
    case EventKind::kLost: return "lost";
    case EventKind::kRefused: return "refused";
    case EventKind::kRedispatched: return "redispatched";
    case EventKind::kDraining: return "draining";
    case EventKind::kDrained: return "drained";
    case EventKind::kRole: return "role";
    case EventKind::kQuarantined: return "quarantined";
    case EventKind::kRecovered: return "recovered";
    case EventKind::kDegraded: return "degraded";
    case EventKind::kOverloaded: return "overloaded";
    case EventKind::kRelieved: return "relieved";
    case EventKind::kOutOfRetries: return "out-of-retries";
  }
  return "?";
}

// An age made a time of this machine's clock.
std::string time_of(const ClusterEvent& event, const char* format) {
  const auto when = std::chrono::system_clock::now() - std::chrono::nanoseconds(event.age_ns);
  const std::time_t seconds = std::chrono::system_clock::to_time_t(when);
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(when.time_since_epoch()).count() % 1000;
  std::tm parts{};
  localtime_r(&seconds, &parts);
  char text[40], all[56];
  std::strftime(text, sizeof text, format, &parts);
  std::snprintf(all, sizeof all, "%s.%03d", text, static_cast<int>(ms));
  return all;
}

void print(const ClusterEvent& event, bool as_json) {
  if (as_json) {
    JsonWriter json;
    json.begin_object().member("seq", event.seq).member("time", time_of(event, "%Y-%m-%dT%H:%M:%S")).member("age_seconds", static_cast<double>(event.age_ns) / 1e9);
    json.member("event", name_of(event.kind)).member("subject", event.subject).member("detail", event.detail).end_object();
    std::printf("%s\n", json.take().c_str());
    return;
  }
  std::printf("%s  %-12s  %s%s%s\n", time_of(event, "%Y-%m-%d %H:%M:%S").c_str(), name_of(event.kind), harmless(event.subject).c_str(),
              event.detail.empty() ? "" : ": ", harmless(event.detail).c_str());
}

// What has been shown already, and of which life of the coordinator.
struct Shown {
  std::uint64_t life = 0;
  std::uint64_t last = 0;
};

// Everything that is new.
Result<void> show_new(JobsClient& client, Shown& shown, bool json) {
  for (;;) {
    const auto report = client.events(shown.last, kAnswerLimit);
    if (!report) return tl::unexpected<Error>(report.error());
    if (report->life != shown.life) {
      const bool again = shown.life != 0;
      shown = {report->life, 0};
      if (again) continue;  // it has been started again and counts anew
    }
    if (report->missed > 0 && shown.last > 0) std::fprintf(stderr, "baton events: %llu events were forgotten before they could be shown\n", static_cast<unsigned long long>(report->missed));
    for (const ClusterEvent& event : report->events) print(event, json);
    if (!report->events.empty()) shown.last = report->events.back().seq;
    if (report->events.empty() || shown.last >= report->last) return {};
  }
}

}  // namespace

int run_events(const EventsOptions& options) {
  auto cluster = connect_cluster(options.cluster);
  if (!cluster) return complain("events", cluster.error());
  Shown shown;
  if (const auto done = show_new(*cluster->client, shown, options.json); !done) return complain("events", done.error());
  if (!options.follow) return kDone;
  catch_interrupts();
  while (!interrupted() && std::fflush(stdout) == 0) {
    std::this_thread::sleep_for(kAskAgain);
    if (show_new(*cluster->client, shown, options.json)) continue;
    if (const auto lives = reconnect(*cluster); !lives) return complain("events", lives.error());
  }
  return kInterrupted;
}

}  // namespace baton
