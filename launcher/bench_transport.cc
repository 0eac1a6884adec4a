// SPDX-License-Identifier: Apache-2.0
// `baton bench transport`: what its figures look like.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <thread>

#include "benchmarks/limits.h"
#include "benchmarks/transport_bench.h"
#include "config/units.h"
#include "launcher/bench.h"
#include "launcher/commands.h"
#include "launcher/exit_code.h"
#include "launcher/find_cluster.h"
#include "launcher/table.h"

namespace baton {
namespace {

int bad_usage(const std::string& why) {
  std::fprintf(stderr, "baton bench transport: %s\n", why.c_str());
  return kBadUsage;
}

std::string on_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "/usr/bin" : path);
  for (std::string folder; std::getline(folders, folder, ':');)
    if (const std::string file = folder + '/' + program; access(file.c_str(), X_OK) == 0) return file;
  return {};
}

std::string name_of(std::uint64_t piece_bytes) {
  std::string name = format_bytes(piece_bytes);
  if (piece_bytes == kSmallModelBlock) name += " (block of SmolLM2-135M)";
  if (piece_bytes == kLargeModelBlock) name += " (block of an 8B Llama)";
  return name;
}

void print_table(const TransportBenchReport& report, const TransportBenchOptions& bench) {
  std::printf("%s, %u cores; interface %s, TCP congestion control %s; GB/s, median (least-most) of %u rounds\n",
              cpu_description().c_str(), std::thread::hardware_concurrency(), bench.interface_name.c_str(),
              report.congestion_control.c_str(), bench.rounds);
  std::vector<std::vector<std::string>> rows = {
      {"piece", "memcpy", "shm", "of memcpy", "iperf3", "tcp", "of iperf3", "ucx over tcp"}};
  for (const TransportBenchRow& row : report.rows)
    rows.push_back({name_of(row.piece_bytes), show_spread(row.copy, 2), show_spread(row.shm, 2),
                    show_spread(row.shm_of_copy, 2), show_spread(row.iperf3, 2), show_spread(row.tcp, 2),
                    show_spread(row.tcp_of_iperf3, 2), show_spread(row.ucx_tcp, 2)});
  std::printf("%sbytes went by %s and %s\n", render_table(rows).c_str(), report.shm_by.c_str(), report.tcp_by.c_str());
}

void print_json(const TransportBenchReport& report, const TransportBenchOptions& bench) {
  JsonWriter json;
  json.begin_object()
      .member("cpu", cpu_description())
      .member("cores", std::thread::hardware_concurrency())
      .member("interface", bench.interface_name);
  json.member("tcp_congestion_control", report.congestion_control)
      .member("shm_by", report.shm_by)
      .member("tcp_by", report.tcp_by);
  json.member("rounds", bench.rounds).member("unit", "GB/s").key("rows").begin_array();
  for (const TransportBenchRow& row : report.rows) {
    json.begin_object().member("piece_bytes", row.piece_bytes).member("pieces", row.pieces);
    write_spread(json, "memcpy", row.copy);
    write_spread(json, "shm", row.shm);
    write_spread(json, "shm_of_memcpy", row.shm_of_copy);
    write_spread(json, "iperf3", row.iperf3);
    write_spread(json, "tcp", row.tcp);
    write_spread(json, "tcp_of_iperf3", row.tcp_of_iperf3);
    write_spread(json, "ucx_tcp", row.ucx_tcp);
    json.end_object();
  }
  std::printf("%s\n", json.end_array().end_object().take().c_str());
}

}  // namespace

int run_bench_transport(const BenchTransportOptions& options) {
  TransportBenchOptions bench;
  bench.interface_name = options.interface_name;
  bench.rounds = options.rounds;
  bench.iperf3 = options.iperf3.empty() ? on_path("iperf3") : options.iperf3;
  if (!options.pieces.empty()) bench.piece_bytes.clear();
  for (const std::string& text : options.pieces) {
    const auto bytes = parse_bytes(text);
    if (!bytes) return bad_usage("--pieces: " + bytes.error().message);
    if (*bytes == 0) return bad_usage("--pieces: a piece has at least one byte");
    bench.piece_bytes.push_back(*bytes);
  }
  if (bench.iperf3.empty()) std::fprintf(stderr, "no iperf3 on PATH (Debian package iperf3): TCP stands without its limit\n");
  const bool watched = isatty(STDERR_FILENO) != 0;
  const auto report = bench_transport(bench, [watched](std::string_view what) {
    if (watched) std::fprintf(stderr, "%.*s\n", static_cast<int>(what.size()), what.data());
  });
  if (!report) return complain("bench transport", report.error());
  options.json ? print_json(*report, bench) : print_table(*report, bench);
  return kDone;
}

}  // namespace baton
