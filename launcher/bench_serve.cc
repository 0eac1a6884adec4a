// SPDX-License-Identifier: Apache-2.0
// `baton bench serve`: load on a running cluster, and what its clients see: time to the first token, time between tokens,
// tokens per second; beside it what its processes took of CPU, by thread, and of memory.

#include <algorithm>
#include <cstdio>

#include "benchmarks/measure.h"
#include "launcher/bench.h"
#include "launcher/commands.h"
#include "launcher/exit_code.h"
#include "launcher/find_cluster.h"
#include "launcher/interrupt.h"
#include "launcher/load_generator.h"
#include "launcher/process_usage.h"
#include "launcher/table.h"

namespace baton {
namespace {

constexpr Duration kAnswerLimit = std::chrono::seconds(5);
constexpr double kMilli = 1e3;

struct Quantiles {
  double p50 = 0, p99 = 0;
};

Quantiles quantiles(const std::vector<double>& samples) { return {percentile(samples, 0.5), percentile(samples, 0.99)}; }

// A process of the cluster, before the load and after it.
struct ProcessShare {
  std::string name;
  pid_t pid = 0;
  std::map<std::string, double> before;
  std::map<std::string, double> cores;  // by thread: CPU seconds per second
  MemoryUse memory;
};

std::vector<ProcessShare> processes_of(const StatusReport& report) {
  std::vector<ProcessShare> processes = {{"coordinator", static_cast<pid_t>(report.coordinator_pid), {}, {}, {}}};
  for (const WorkerStatus& worker : report.workers) processes.push_back({worker.name, static_cast<pid_t>(worker.pid), {}, {}, {}});
  for (ProcessShare& each : processes) each.before = cpu_seconds_by_thread(each.pid);
  return processes;
}

void finish(std::vector<ProcessShare>& processes, double seconds) {
  for (ProcessShare& each : processes) {
    for (const auto& [thread, after] : cpu_seconds_by_thread(each.pid)) each.cores[thread] = (after - each.before[thread]) / seconds;
    each.memory = memory_use(each.pid);
  }
}

// Everything that does not compute: loops, data planes, ZeroMQ's own threads.
double control_cores(const ProcessShare& process) {
  double cores = 0;
  for (const auto& [thread, share] : process.cores)
    if (thread != "baton-engine" && !thread.starts_with("baton-kernel")) cores += share;
  return cores;
}

struct Summary {
  std::size_t errors = 0;
  std::string first_error;
  std::uint64_t prompt_tokens = 0, completion_tokens = 0, kv_bytes = 0;
  Quantiles ttft, ttft_repeated, itl;
  double seconds = 0;
};

Summary summarise(const LoadTimes& times) {
  Summary sum;
  std::vector<double> first, repeated, gaps;
  for (const JobTimes& job : times.jobs) {
    if (!job.error.empty()) {
      if (sum.errors++ == 0) sum.first_error = job.error;
      continue;
    }
    sum.prompt_tokens += job.prompt_tokens;
    sum.completion_tokens += job.completion_tokens;
    sum.kv_bytes += job.kv_bytes_moved;
    (job.repetition == 0 ? first : repeated).push_back(job.ttft);
    gaps.insert(gaps.end(), job.token_gaps.begin(), job.token_gaps.end());
  }
  sum.ttft = quantiles(first);
  sum.ttft_repeated = quantiles(repeated);
  sum.itl = quantiles(gaps);
  sum.seconds = times.seconds;
  return sum;
}

std::string milliseconds(double seconds) { return decimals(seconds * kMilli, 2); }

const char* plural(std::uint64_t count) { return count == 1 ? "" : "s"; }

void print_people(const Summary& sum, const LoadPlan& plan, const std::vector<ProcessShare>& processes) {
  std::printf("%u prompt%s x %u, %u at once, %u token%s generated each: %s s, %zu failed\n", plan.requests, plural(plan.requests), plan.repeat,
              plan.concurrency, plan.max_tokens, plural(plan.max_tokens), decimals(sum.seconds, 2).c_str(), sum.errors);
  if (sum.errors > 0) std::printf("first failure: %s\n", sum.first_error.c_str());
  std::printf("tokens/s generated %s, with prompts %s; KV moved %s MB\n", decimals(static_cast<double>(sum.completion_tokens) / sum.seconds, 1).c_str(),
              decimals(static_cast<double>(sum.completion_tokens + sum.prompt_tokens) / sum.seconds, 1).c_str(), decimals(static_cast<double>(sum.kv_bytes) / 1e6, 1).c_str());
  std::vector<std::vector<std::string>> table = {{"milliseconds", "p50", "p99"}};
  table.push_back({"time to first token", milliseconds(sum.ttft.p50), milliseconds(sum.ttft.p99)});
  if (plan.repeat > 1) table.push_back({"the same prompt again", milliseconds(sum.ttft_repeated.p50), milliseconds(sum.ttft_repeated.p99)});
  table.push_back({"between tokens", milliseconds(sum.itl.p50), milliseconds(sum.itl.p99)});
  std::fputs(render_table(table).c_str(), stdout);
  table = {{"process", "cores not computing", "by thread", "Rss MB", "Pss MB"}};
  for (const ProcessShare& each : processes) {
    std::string threads;
    for (const auto& [thread, share] : each.cores) threads += (threads.empty() ? "" : ", ") + thread + ' ' + decimals(share, 3);
    table.push_back({each.name, decimals(control_cores(each), 3), threads, decimals(static_cast<double>(each.memory.resident_bytes) / 1e6, 1),
                     decimals(static_cast<double>(each.memory.proportional_bytes) / 1e6, 1)});
  }
  std::fputs(render_table(table).c_str(), stdout);
}

void write_quantiles(JsonWriter& json, const char* name, const Quantiles& seconds) {
  json.key(name).begin_object().member("p50", seconds.p50 * kMilli).member("p99", seconds.p99 * kMilli).end_object();
}

void print_json(const Summary& sum, const LoadPlan& plan, const std::vector<ProcessShare>& processes) {
  JsonWriter json;
  json.begin_object().member("requests", plan.requests).member("repeat", plan.repeat).member("concurrency", plan.concurrency).member("max_tokens", plan.max_tokens);
  json.member("shared_prefix", plan.shared_prefix).key("prompt_lengths").begin_array();
  for (const std::uint32_t length : plan.prompt_tokens) json.value(length);
  json.end_array().member("seconds", sum.seconds).member("errors", sum.errors).member("first_error", sum.first_error);
  json.member("prompt_tokens", sum.prompt_tokens).member("completion_tokens", sum.completion_tokens).member("kv_bytes_moved", sum.kv_bytes);
  json.member("output_tokens_per_second", static_cast<double>(sum.completion_tokens) / sum.seconds);
  json.member("total_tokens_per_second", static_cast<double>(sum.completion_tokens + sum.prompt_tokens) / sum.seconds);
  write_quantiles(json, "ttft_ms", sum.ttft);
  if (plan.repeat > 1) write_quantiles(json, "ttft_repeated_ms", sum.ttft_repeated);
  write_quantiles(json, "itl_ms", sum.itl);
  json.key("processes").begin_array();
  for (const ProcessShare& each : processes) {
    json.begin_object().member("name", each.name).member("pid", static_cast<std::int64_t>(each.pid)).member("control_cores", control_cores(each));
    json.key("cores_by_thread").begin_object();
    for (const auto& [thread, share] : each.cores) json.member(thread, share);
    json.end_object().member("rss_bytes", each.memory.resident_bytes).member("pss_bytes", each.memory.proportional_bytes).end_object();
  }
  std::printf("%s\n", json.end_array().end_object().take().c_str());
}

}  // namespace

int run_bench_serve(const BenchServeOptions& options) {
  const auto entry = find_cluster(options.cluster);
  if (!entry) return complain("bench serve", entry.error());
  LoadPlan plan{entry->jobs, options.requests, options.concurrency, options.prompt_tokens, options.max_tokens, options.shared_prefix, options.repeat, options.seed};
  if (plan.prompt_tokens.empty()) plan.prompt_tokens = {512};
  plan.concurrency = std::min(plan.concurrency, plan.requests);
  auto cluster = connect_cluster(options.cluster);
  if (!cluster) return complain("bench serve", cluster.error());
  const auto report = cluster->client->status(kAnswerLimit);
  if (!report) return complain("bench serve", report.error());

  catch_interrupts();
  std::vector<ProcessShare> processes = processes_of(*report);
  const auto times = run_load(plan, interrupted);
  if (!times) return complain("bench serve", times.error());
  finish(processes, times->seconds);
  const Summary sum = summarise(*times);
  if (!options.json && sum.errors > 0 && sum.errors == times->jobs.size()) {  // there is nothing to measure
    std::fprintf(stderr, "baton bench serve: %zu job%s failed, none ended well: %s\n", sum.errors, plural(sum.errors), sum.first_error.c_str());
    return interrupted() ? kInterrupted : kFailed;
  }
  options.json ? print_json(sum, plan, processes) : print_people(sum, plan, processes);
  if (interrupted()) return kInterrupted;
  return sum.errors == 0 ? kDone : kFailed;
}

}  // namespace baton
