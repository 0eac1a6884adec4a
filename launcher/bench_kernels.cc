// SPDX-License-Identifier: Apache-2.0
// `baton bench kernels`: the rows of benchmarks/kernels_bench.h as a table or as JSON.
#include <unistd.h>

#include <cstdio>

#include "benchmarks/kernels_bench.h"
#include "benchmarks/limits.h"
#include "launcher/bench.h"
#include "launcher/bench_device.h"
#include "launcher/commands.h"
#include "launcher/exit_code.h"
#include "launcher/find_cluster.h"
#include "launcher/table.h"

namespace baton {
namespace {

constexpr double kGiga = 1e9;

int bad_usage(const Error& error) {
  complain("bench kernels", error);
  return kBadUsage;
}

void print_table(const std::vector<KernelsBenchRow>& rows, const KernelsBenchOptions& bench) {
  std::printf("machine  %s; kernels %s, %u thread%s, numerics %s; medians of %u rounds\n\n", cpu_description().c_str(), cpu::best_ops().name, bench.threads,
              bench.threads == 1 ? "" : "s", std::string(to_string(bench.numerics)).c_str(), bench.rounds);
  std::vector<std::vector<std::string>> table = {{"op", "shape", "tokens", "weights", "us", "rate", "least-most", "limit", "of limit", "limited by", "ggml", "ratio"}};
  for (const KernelsBenchRow& row : rows) {
    const std::string unit = row.counts_bytes ? " GB/s" : " GOP/s";
    table.push_back({row.op, row.shape, std::to_string(row.tokens), row.weights.empty() ? "-" : row.weights, decimals(row.seconds.median * 1e6, 1),
                     decimals(row.rate.median / kGiga, 1) + unit, decimals(row.rate.min / kGiga, 1) + "-" + decimals(row.rate.max / kGiga, 1),
                     decimals(row.limit.median / kGiga, 1), decimals(row.of_limit.median, 2), row.limited_by,
                     row.peer ? decimals(row.peer->median / kGiga, 1) : "-", row.ratio ? decimals(row.ratio->median, 2) : "-"});
  }
  std::fputs(render_table(table).c_str(), stdout);
}

void print_json(const std::vector<KernelsBenchRow>& rows, const KernelsBenchOptions& bench) {
  JsonWriter json;
  json.begin_object().member("cpu", cpu_description()).member("kernels", cpu::best_ops().name).member("threads", bench.threads);
  json.member("numerics", to_string(bench.numerics)).member("rounds", bench.rounds).key("rows").begin_array();
  for (const KernelsBenchRow& row : rows) {
    json.begin_object().member("op", row.op).member("shape", row.shape).member("tokens", row.tokens).member("weights", row.weights);
    json.member("unit", row.counts_bytes ? "bytes/s" : "operations/s");
    write_spread(json, "seconds", row.seconds);
    write_spread(json, "rate", row.rate);
    write_spread(json, "limit", row.limit);
    write_spread(json, "of_limit", row.of_limit);
    json.member("limited_by", row.limited_by);
    if (row.peer) write_spread(json, "peer", *row.peer);
    if (row.ratio) write_spread(json, "ratio", *row.ratio);
    json.end_object();
  }
  std::printf("%s\n", json.end_array().end_object().take().c_str());
}

}  // namespace

int run_bench_kernels(const BenchKernelsOptions& options) {
  if (const auto device = cuda_device_of(options.device)) return run_device_bench("bench kernels", bench_device_kernels, {.device = *device, .rounds = options.rounds}, options.json);
  if (options.device != "cpu") return bad_usage({ErrorCode::kInvalidArgument, "there is no --device " + options.device + "; use cpu or cuda:0"});
  KernelsBenchOptions bench;
  bench.threads = options.threads;
  bench.rounds = options.rounds;
  bench.peer_folder = options.peer.empty() ? standard_peer("ggml-matmul") : options.peer;
  const auto numerics = parse_numerics(options.numerics);
  if (!numerics) return bad_usage(numerics.error());
  bench.numerics = *numerics;
  for (const std::string& text : options.shapes) {
    const auto shape = parse_shape(text);
    if (!shape) return bad_usage(shape.error());
    bench.shapes.push_back(*shape);
  }
  if (bench.shapes.empty() || !options.model.empty()) {
    const auto model = bench_model(options.model);
    if (!model) return complain("bench kernels", model.error());
    bench.model_path = *model;
  }
  if (bench.peer_folder.empty()) std::fprintf(stderr, "no peer: tools/get_llama_cpp.sh builds ggml-matmul, --peer DIR names another place\n");
  const bool watched = isatty(STDERR_FILENO) != 0;
  const auto rows = bench_kernels(bench, [watched](std::string_view what) {
    if (watched) std::fprintf(stderr, "%.*s\n", static_cast<int>(what.size()), what.data());
  });
  if (!rows) return complain("bench kernels", rows.error());
  options.json ? print_json(*rows, bench) : print_table(*rows, bench);
  return kDone;
}

}  // namespace baton
