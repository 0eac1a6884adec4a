// SPDX-License-Identifier: Apache-2.0
// `baton bench actors`: what its figures look like.
#include <unistd.h>

#include <cstdio>
#include <thread>

#include "benchmarks/actors_bench.h"
#include "benchmarks/limits.h"
#include "launcher/bench.h"
#include "launcher/commands.h"
#include "launcher/environment.h"
#include "launcher/exit_code.h"
#include "launcher/find_cluster.h"
#include "launcher/table.h"
#include "launcher/version.h"

namespace baton {
namespace {

constexpr double kMillion = 1e6;
constexpr const char* kGetCaf = "no bench_actors_caf beside this program: install Debian's libcaf-dev, then `cmake --build build/release --target bench_actors_caf`, or name one with --caf FILE";

std::string caf_beside() {
  std::string file = own_executable();
  file = file.substr(0, file.rfind('/')) + "/bench_actors_caf";
  return access(file.c_str(), X_OK) == 0 ? file : "";
}

// `scale` makes what is shown of a rate or of seconds.
std::vector<std::string> cells(const char* name, const char* peer, const ActorsBenchRow& row, double scale, const char* unit) {
  const auto scaled = [scale](Spread spread) { return Spread{spread.median * scale, spread.min * scale, spread.max * scale}; };
  return {name, unit, show_spread(scaled(row.ours), 2), peer, show_spread(scaled(row.peer), 2), show_spread(row.ratio, 2)};
}

void print_table(const ActorsBenchReport& report, const ActorsBenchOptions& bench) {
  std::printf("machine  %s, %u cores; baton %s\n", cpu_description().c_str(), std::thread::hardware_concurrency(), build_name().commit);
  std::printf("peers    CAF %s; ZeroMQ %s\n", report.caf.empty() ? "absent" : report.caf.c_str(), report.zmq.c_str());
  std::printf("rounds   %u: median (least-most), ratios ours/peer round by round\n\n", bench.rounds);
  const std::vector<std::vector<std::string>> rows = {
      {"messages", "unit", "ours", "peer", "its figure", "ours/peer"},
      cells("one loop, bursts", "CAF", report.flood, 1 / kMillion, "M/s"),
      cells("one loop, bursts with 100 B of text", "CAF", report.flood_text, 1 / kMillion, "M/s"),
      cells("one loop, to and fro", "CAF", report.chain, 1 / kMillion, "M/s"),
      cells("TCP loopback, one way, a heartbeat", "ZeroMQ", report.heartbeats, 1 / kMillion, "M/s"),
      cells("TCP loopback, one way, a batch of one token", "ZeroMQ", report.tokens, 1 / kMillion, "M/s"),
      cells("TCP loopback, round trip of a heartbeat", "ZeroMQ", report.round_trip, kMillion, "us"),
  };
  std::printf("%s\nbetween loops: a heartbeat is %llu bytes, a batch %llu; ours encodes and decodes them, bare ZeroMQ sends as many bytes as they are\n",
              render_table(rows).c_str(), static_cast<unsigned long long>(report.heartbeat_bytes), static_cast<unsigned long long>(report.token_bytes));
}

void write_row(JsonWriter& json, const char* name, const char* unit, const ActorsBenchRow& row) {
  json.key(name).begin_object().member("unit", unit);
  write_spread(json, "ours", row.ours);
  write_spread(json, "peer", row.peer);
  write_spread(json, "ratio", row.ratio);
  json.end_object();
}

void print_json(const ActorsBenchReport& report, const ActorsBenchOptions& bench) {
  JsonWriter json;
  json.begin_object().member("cpu", cpu_description()).member("cores", std::thread::hardware_concurrency()).member("commit", build_name().commit);
  json.key("caf");
  report.caf.empty() ? json.null() : json.value(report.caf);
  json.member("zmq", report.zmq).member("heartbeat_bytes", report.heartbeat_bytes).member("token_bytes", report.token_bytes).member("rounds", bench.rounds);
  write_row(json, "local_flood", "messages/s", report.flood);
  write_row(json, "local_flood_text", "messages/s", report.flood_text);
  write_row(json, "local_chain", "messages/s", report.chain);
  write_row(json, "remote_heartbeats", "messages/s", report.heartbeats);
  write_row(json, "remote_tokens", "messages/s", report.tokens);
  write_row(json, "remote_round_trip", "s", report.round_trip);
  std::printf("%s\n", json.end_object().take().c_str());
}

}  // namespace

int run_bench_actors(const BenchActorsOptions& options) {
  ActorsBenchOptions bench;
  bench.rounds = options.rounds;
  if (options.messages > 0) bench.local_messages = bench.chain_messages = bench.remote_messages = options.messages;
  bench.round_trips = options.trips;
  bench.caf = options.caf.empty() ? caf_beside() : options.caf;
  if (bench.caf.empty()) std::fprintf(stderr, "%s\n", kGetCaf);
  const bool watched = isatty(STDERR_FILENO) != 0;
  const auto report = bench_actors(bench, [watched](std::string_view what) {
    if (watched) std::fprintf(stderr, "%.*s\n", static_cast<int>(what.size()), what.data());
  });
  if (!report) return complain("bench actors", report.error());
  options.json ? print_json(*report, bench) : print_table(*report, bench);
  return kDone;
}

}  // namespace baton
