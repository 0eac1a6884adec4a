// SPDX-License-Identifier: Apache-2.0
// `baton bench kernels` and `baton bench engine` on a CUDA device: the report of benchmarks/device_bench.h as a table or as
// JSON.
#include "launcher/bench_device.h"

#include <cstdio>

#include "config/units.h"
#include "launcher/bench.h"
#include "launcher/exit_code.h"
#include "launcher/find_cluster.h"
#include "launcher/table.h"

namespace baton {
namespace {

constexpr double kTera = 1e12;

std::string show(double rate, const std::string& unit) {
  if (unit == "tokens") return decimals(rate, 0) + " tok/s";
  return unit == "FLOP" ? decimals(rate / kTera, 0) + " TFLOP/s" : decimals(rate / kTera, 3) + " TB/s";
}

void print_table(const DeviceBenchReport& report) {
  std::printf("device   %s; weights of the 8B shape, random within +-1e-3\n", report.device.c_str());
  std::printf("limits   copy %s, read %s, 8192^3 product %s\n\n", show(report.copy.median, "bytes").c_str(), show(report.read.median, "bytes").c_str(), show(report.matmul.median, "FLOP").c_str());
  std::vector<std::vector<std::string>> table = {{"work", "of", "us", "least-most", "rate", "limit", "of limit", "cuBLASLt", "ratio"}};
  for (const DeviceBenchRow& row : report.rows)
    table.push_back({row.what, row.detail, decimals(row.seconds.median * 1e6, 1), decimals(row.seconds.min * 1e6, 1) + "-" + decimals(row.seconds.max * 1e6, 1), show(row.rate.median, row.unit),
                     row.limit == 0 ? "-" : show(row.limit, row.unit), row.limit == 0 ? "-" : decimals(row.rate.median / row.limit, 2), row.peer ? show(row.peer->median, row.unit) : "-",
                     row.peer ? decimals(row.rate.median / row.peer->median, 2) : "-"});
  std::fputs(render_table(table).c_str(), stdout);
}

void print_json(const DeviceBenchReport& report) {
  JsonWriter json;
  json.begin_object().member("device", report.device);
  write_spread(json, "copy_bytes_per_second", report.copy);
  write_spread(json, "read_bytes_per_second", report.read);
  write_spread(json, "matmul_flop_per_second", report.matmul);
  json.key("rows").begin_array();
  for (const DeviceBenchRow& row : report.rows) {
    json.begin_object().member("work", row.what).member("of", row.detail).member("unit", row.unit).member("limit", row.limit);
    write_spread(json, "seconds", row.seconds);
    write_spread(json, "rate", row.rate);
    if (row.peer) write_spread(json, "peer", *row.peer);
    json.end_object();
  }
  std::printf("%s\n", json.end_array().end_object().take().c_str());
}

}  // namespace

std::optional<std::uint32_t> cuda_device_of(std::string_view text) {
  if (!text.starts_with("cuda:")) return {};
  const auto index = parse_unsigned(text.substr(5));
  if (!index || *index > 1023) return {};
  return static_cast<std::uint32_t>(*index);
}

int run_device_bench(const char* command, DeviceBench bench, const DeviceBenchOptions& options, bool as_json) {
  const auto report = bench(options, [](std::string_view what) { std::fprintf(stderr, "%.*s\n", static_cast<int>(what.size()), what.data()); });
  if (!report) return complain(command, report.error());
  as_json ? print_json(*report) : print_table(*report);
  return kDone;
}

}  // namespace baton
