// SPDX-License-Identifier: Apache-2.0
// `baton top`: the cluster as it is now, each second anew; once, over one second, where the output is no terminal.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <thread>

#include "config/topology.h"
#include "config/units.h"
#include "launcher/commands.h"
#include "launcher/exit_code.h"
#include "launcher/find_cluster.h"
#include "launcher/interrupt.h"
#include "launcher/table.h"
#include "launcher/top.h"
#include "runtime/actor/real_loop.h"

namespace baton {
namespace {

constexpr Duration kAnswerLimit = std::chrono::seconds(5);
constexpr std::chrono::milliseconds kGlance{50};
constexpr std::chrono::seconds kEvery{1};
constexpr std::uint32_t kBarWidth = 10;

std::string decimals(double number, const char* format = "%.1f") {
  char text[40];
  std::snprintf(text, sizeof text, format, number);
  return text;
}

std::string bar_of(double share) {
  const auto full = static_cast<std::uint32_t>(std::clamp(share, 0.0, 1.0) * kBarWidth + 0.5);
  return std::string(full, '#') + std::string(kBarWidth - full, '.') + ' ' + decimals(share * 100, "%.0f") + '%';
}

// Of counters that only grow; a worker that has been started again begins anew.
double rate(std::uint64_t before, std::uint64_t now, double seconds) {
  return seconds <= 0 || now < before ? 0.0 : static_cast<double>(now - before) / seconds;
}

std::string links_of(const StatusReport& now, const std::map<std::string, const WorkerStatus*>& earlier, double seconds) {
  std::vector<std::vector<std::string>> rows = {{"FROM", "TO", "OVER", "MB/S NOW", "MOVED", "FAILED"}};
  for (const WorkerStatus& worker : now.workers) {
    const auto before = earlier.find(worker.name);
    for (const LinkTraffic& link : worker.traffic) {
      std::uint64_t bytes = 0;
      if (before != earlier.end())
        for (const LinkTraffic& each : before->second->traffic)
          if (each.peer == link.peer) bytes = each.bytes;
      rows.push_back({worker.name, link.peer, link.transport.empty() ? "-" : link.transport, decimals(rate(bytes, link.bytes, seconds) / 1e6), format_bytes(link.bytes),
                      std::to_string(link.failures)});
    }
  }
  return rows.size() == 1 ? std::string() : '\n' + render_table(rows);
}

// What waits, and what was turned away since the last look; nothing of it, nothing said.
std::string admission_of(const AdmissionStatus& before, const AdmissionStatus& now, double seconds) {
  std::string text;
  const auto add = [&](const std::string& what) { text += (text.empty() ? "" : ", ") + what; };
  if (now.queued > 0) add(std::to_string(now.queued) + (now.queued == 1 ? " job waits" : " jobs wait") + " with " + std::to_string(now.queued_tokens) + " prompt tokens");
  if (now.wait_ns > 0) add("the next one for about " + decimals(static_cast<double>(now.wait_ns) / 1e9) + " s");
  const auto add_rate = [&](std::uint64_t earlier, std::uint64_t later, const char* what) {
    if (const double each = rate(earlier, later, seconds); each > 0) add(decimals(each) + " jobs/s " + what);
  };
  add_rate(before.refused_predicted, now.refused_predicted, "refused as too late");
  add_rate(before.refused_full, now.refused_full, "refused by a full queue");
  add_rate(before.expired, now.expired, "out of time");
  add_rate(before.out_of_retries, now.out_of_retries, "out of retries");
  return text.empty() ? text : text + '\n';
}

}  // namespace

std::string render_top(const StatusReport& before, const StatusReport& now, double seconds) {
  std::map<std::string, const WorkerStatus*> earlier;
  for (const WorkerStatus& worker : before.workers) earlier[worker.name] = &worker;
  double prefill = 0, decode = 0;
  std::vector<std::vector<std::string>> rows = {{"WORKER", "ROLE", "RUNNING", "WAITING", "KV USED", "PREFILL TOK/S", "DECODE TOK/S", "PREEMPTED"}};
  for (const WorkerStatus& worker : now.workers) {
    const auto at = earlier.find(worker.name);
    const bool same = at != earlier.end() && at->second->pid == worker.pid;
    const double prompt = same ? rate(at->second->last.prompt_tokens_computed, worker.last.prompt_tokens_computed, seconds) : 0;
    const double generated = same ? rate(at->second->last.tokens_generated, worker.last.tokens_generated, seconds) : 0;
    prefill += prompt;
    decode += generated;
    const double used = worker.blocks_total == 0 ? 0 : 1 - static_cast<double>(worker.last.blocks_free) / worker.blocks_total;
    rows.push_back({worker.name, std::string(to_string(static_cast<PoolRole>(worker.role))), std::to_string(worker.last.running), std::to_string(worker.last.waiting),
                    bar_of(used), decimals(prompt), decimals(generated), std::to_string(worker.last.num_preemptions)});
  }
  std::string text = now.name + (now.model_name.empty() ? "" : ": " + now.model_name) + ", " + std::to_string(now.jobs) + (now.jobs == 1 ? " job" : " jobs") +
                     ", prefill " + decimals(prefill) + " tokens/s, generated " + decimals(decode) + " tokens/s\n";
  text += admission_of(before.admission, now.admission, seconds);
  if (rows.size() == 1) return text + "no worker has joined yet\n";
  return text + render_table(rows) + links_of(now, earlier, seconds);
}

int run_top(const TopOptions& options) {
  auto cluster = connect_cluster(options.cluster);
  if (!cluster) return complain("top", cluster.error());
  const bool live = isatty(STDOUT_FILENO) != 0;
  catch_interrupts();
  auto before = cluster->client->status(kAnswerLimit, true);
  if (!before) return complain("top", before.error());
  Time sampled = real_now();
  for (Time taken = real_now();;) {
    const Time next = taken + kEvery;
    while (real_now() < next && !interrupted()) std::this_thread::sleep_for(kGlance);
    if (interrupted()) return kInterrupted;
    auto now = cluster->client->status(kAnswerLimit, true);
    taken = real_now();
    if (!now) {
      if (!live) return complain("top", now.error());
      if (const auto lives = reconnect(*cluster); !lives) return complain("top", lives.error());
      continue;
    }
    const double seconds = std::chrono::duration<double>(taken - sampled).count();
    std::printf("%s%s", live ? "\033[H\033[J" : "", render_top(*before, *now, seconds).c_str());
    if (std::fflush(stdout) != 0 || !live) return kDone;
    before = std::move(now);
    sampled = taken;
  }
}

}  // namespace baton
