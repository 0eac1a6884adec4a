// SPDX-License-Identifier: Apache-2.0
// `baton bench engine`: the report of benchmarks/engine_bench.h as a table or as JSON.
#include <cstdio>
#include <thread>

#include "benchmarks/engine_bench.h"
#include "launcher/bench.h"
#include "launcher/bench_device.h"
#include "launcher/commands.h"
#include "launcher/exit_code.h"
#include "launcher/find_cluster.h"
#include "launcher/table.h"

namespace baton {
namespace {

void print_head(const EngineBenchReport& report, const EngineBenchOptions& options) {
  std::printf("machine  %s, %u cores, load average %.1f before; kernels %s\n", report.cpu.c_str(), std::thread::hardware_concurrency(), report.load_before,
              report.kernels.c_str());
  std::printf("model    %s: %.1f M weights in %.1f MB of matrices, read once a step\n", report.model.c_str(), static_cast<double>(report.weights) / 1e6,
              static_cast<double>(report.weight_bytes) / 1e6);
  for (const EngineBenchLimits& each : report.limits)
    std::printf("limits   %u thread%s: read %s GB/s; %s %s GOP/s\n", each.threads, each.threads == 1 ? "" : "s",
                show_spread({each.read_bytes_per_second.median / 1e9, each.read_bytes_per_second.min / 1e9, each.read_bytes_per_second.max / 1e9}, 1).c_str(),
                report.peak_instruction.empty() ? "no 8-bit dot product" : report.peak_instruction.c_str(),
                show_spread({each.integer_ops_per_second.median / 1e9, each.integer_ops_per_second.min / 1e9, each.integer_ops_per_second.max / 1e9}, 0).c_str());
  if (report.peer.empty()) std::printf("peer     none: tools/get_llama_cpp.sh builds llama.cpp, --peer DIR names another place\n");
  else
    for (const EngineBenchLimits& each : report.limits)
      std::printf("peer     %s, %u thread%s: %s\n", report.peer.c_str(), each.threads, each.threads == 1 ? "" : "s", each.peer_switches.c_str());
  std::printf("rounds   %u: tokens/s as median (least-most), ratios pair by pair\n\n", options.rounds);
}

void print_table(const EngineBenchReport& report, bool neighbour) {
  std::vector<std::vector<std::string>> table = {{"work", "threads", "numerics", "ours", "per CPU s", "llama.cpp", "ours/llama.cpp", "limit", "ours/limit", "limited by"}};
  for (const EngineBenchRow& row : report.rows)
    table.push_back({row.what, std::to_string(row.threads), row.numerics, show_spread(spread_of(row.ours), 1), decimals(row.ours_per_cpu_second.median, 1),
                     show_spread(spread_of(row.peer), 1), show_spread(row.ratio(), 2), row.limit.empty() ? "-" : decimals(spread_of(row.limit).median, 0),
                     row.limit.empty() ? "-" : decimals(row.of_limit().median, 2), row.limited_by});
  std::fputs(render_table(table).c_str(), stdout);
  if (!neighbour) return;
  std::printf("\nbeside a busy process on one core (loss: how many times slower, pair by pair)\n");
  table = {{"work", "threads", "numerics", "ours", "loss", "llama.cpp", "its loss"}};
  for (const EngineBenchRow& row : report.rows)
    table.push_back({row.what, std::to_string(row.threads), row.numerics, show_spread(spread_of(row.ours_disturbed), 1), show_spread(row.loss(), 2),
                     show_spread(spread_of(row.peer_disturbed), 1), show_spread(row.peer_loss(), 2)});
  std::fputs(render_table(table).c_str(), stdout);
}

void write_samples(JsonWriter& json, std::string_view name, const std::vector<double>& samples) {
  write_spread(json, name, spread_of(samples));
  json.key(std::string(name) + "_samples").begin_array();
  for (const double each : samples) json.value(each);
  json.end_array();
}

void print_json(const EngineBenchReport& report, const EngineBenchOptions& options) {
  JsonWriter json;
  json.begin_object().member("cpu", report.cpu).member("cores", std::thread::hardware_concurrency()).member("load_before", report.load_before);
  json.member("kernels", report.kernels).member("model", report.model).member("weight_bytes", report.weight_bytes).member("weights", report.weights);
  json.member("peer", report.peer).member("rounds", options.rounds).key("limits").begin_array();
  for (const EngineBenchLimits& each : report.limits) {
    json.begin_object().member("threads", each.threads).member("instruction", report.peak_instruction).member("peer_switches", each.peer_switches);
    write_spread(json, "read_bytes_per_second", each.read_bytes_per_second);
    write_spread(json, "integer_ops_per_second", each.integer_ops_per_second);
    json.end_object();
  }
  json.end_array().key("rows").begin_array();
  for (const EngineBenchRow& row : report.rows) {
    json.begin_object().member("work", row.what).member("threads", row.threads).member("numerics", row.numerics).member("unit", "tokens/s");
    write_samples(json, "ours", row.ours);
    write_spread(json, "ours_per_cpu_second", row.ours_per_cpu_second);
    write_samples(json, "peer", row.peer);
    write_spread(json, "ratio", row.ratio());
    write_spread(json, "limit", spread_of(row.limit));
    write_spread(json, "of_limit", row.of_limit());
    write_spread(json, "peer_of_limit", row.peer_of_limit());
    json.member("limited_by", row.limited_by);
    write_spread(json, "ours_beside_neighbour", spread_of(row.ours_disturbed));
    write_spread(json, "peer_beside_neighbour", spread_of(row.peer_disturbed));
    write_spread(json, "loss", row.loss());
    write_spread(json, "peer_loss", row.peer_loss());
    json.end_object();
  }
  std::printf("%s\n", json.end_array().end_object().take().c_str());
}

}  // namespace

int run_bench_engine(const BenchEngineOptions& options) {
  EngineBenchOptions bench;
  if (!options.numerics.empty()) bench.numerics.clear();
  for (const std::string& word : options.numerics) {
    const auto numerics = parse_numerics(word);
    if (!numerics) {
      complain("bench engine", numerics.error());
      return kBadUsage;
    }
    bench.numerics.push_back(*numerics);
  }
  if (const auto device = cuda_device_of(options.device)) {
    DeviceBenchOptions on_device{.device = *device, .rounds = options.rounds};
    if (!options.numerics.empty()) on_device.numerics = bench.numerics;
    return run_device_bench("bench engine", bench_device_engine, on_device, options.json);
  }
  if (options.device != "cpu") {
    complain("bench engine", {ErrorCode::kInvalidArgument, "there is no --device " + options.device + "; use cpu or cuda:0"});
    return kBadUsage;
  }
  const auto model = bench_model(options.model);
  if (!model) return complain("bench engine", model.error());
  bench.model_path = *model;
  if (!options.threads.empty()) bench.threads = options.threads;
  bench.rounds = options.rounds;
  bench.neighbour = options.neighbour;
  bench.peer_folder = options.peer.empty() ? standard_peer("llama-bench") : options.peer;
  const auto report = bench_engine(bench, [](std::string_view what) { std::fprintf(stderr, "%.*s\n", static_cast<int>(what.size()), what.data()); });
  if (!report) return complain("bench engine", report.error());
  if (options.json) {
    print_json(*report, bench);
  } else {
    print_head(*report, bench);
    print_table(*report, bench.neighbour);
  }
  return kDone;
}

}  // namespace baton
