// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "config/topology.h"
#include "config/units.h"
#include "launcher/commands.h"
#include "launcher/exit_code.h"
#include "launcher/find_cluster.h"
#include "launcher/json_writer.h"
#include "launcher/table.h"

namespace baton {
namespace {

constexpr Duration kAnswerLimit = std::chrono::seconds(5);

const char* name_of(WorkerState state) {
  switch (state) {
    case WorkerState::kJoining: return "joining";
    case WorkerState::kReady: return "ready";
    case WorkerState::kDraining: return "draining";
    case WorkerState::kLost: return "lost";
    case WorkerState::kDrained: return "drained";
  }
  return "?";
}

std::string_view name_of(Role role) { return to_string(static_cast<PoolRole>(role)); }

// The shape is part of the contract with scripts.
std::string status_json(const StatusReport& report, const std::string& jobs, const std::optional<GatewayEntry>& gateway) {
  JsonWriter json;
  json.begin_object().member("name", report.name);
  json.key("coordinator").begin_object().member("pid", report.coordinator_pid).member("jobs", jobs).end_object();
  const AdmissionStatus& admission = report.admission;
  json.key("admission").begin_object().member("admitted", admission.admitted).member("refused_predicted", admission.refused_predicted);
  json.member("refused_full", admission.refused_full).member("expired", admission.expired).member("resumed", admission.resumed);
  json.member("out_of_retries", admission.out_of_retries).member("queued", admission.queued).member("queued_tokens", admission.queued_tokens);
  json.member("wait_ms", admission.wait_ns / 1'000'000).end_object();
  json.key("gateway");
  if (gateway) json.begin_object().member("pid", static_cast<std::int64_t>(gateway->pid)).member("http", gateway->http).end_object();
  else json.null();
  json.key("workers").begin_array();
  for (const WorkerStatus& worker : report.workers) {
    json.begin_object().member("name", worker.name).member("pool", worker.pool).member("role", name_of(worker.role));
    json.member("state", name_of(worker.state)).key("pids").begin_array().value(worker.pid).end_array();
    json.member("running", worker.last.running).member("waiting", worker.last.waiting);
    json.member("kv_blocks_total", worker.blocks_total).member("kv_blocks_free", worker.last.blocks_free);
    json.member("kv_bytes_sent", worker.last.kv_bytes_sent).member("kv_bytes_received", worker.last.kv_bytes_received);
    json.member("prefix_cache_queries", worker.last.prefix_cache_queries).member("prefix_cache_hits", worker.last.prefix_cache_hits);
    json.member("num_preemptions", worker.last.num_preemptions).end_object();
  }
  json.end_array().end_object();
  return json.take();
}

// The share of looked-up tokens that were found, in percent.
std::string hit_rate(const Heartbeat& last) {
  return last.prefix_cache_queries == 0 ? "-" : std::to_string(last.prefix_cache_hits * 100 / last.prefix_cache_queries) + "%";
}

std::string status_table(const StatusReport& report, const std::string& jobs, const std::optional<GatewayEntry>& gateway) {
  std::string text = report.name + (report.model_name.empty() ? "" : ": " + report.model_name) + ", coordinator pid " + std::to_string(report.coordinator_pid) + " at " + jobs + ", " +
                     std::to_string(report.jobs) + (report.jobs == 1 ? " job\n" : " jobs\n");
  if (gateway) text += "gateway " + (gateway->pid == 0 ? std::string("is being started again") : "pid " + std::to_string(gateway->pid)) + " at " + gateway->http + '\n';
  if (report.workers.empty()) return text + "no worker has joined yet\n";
  std::vector<std::vector<std::string>> rows = {{"WORKER", "POOL", "ROLE", "STATE", "PID", "RUNNING", "WAITING", "KV FREE", "KV TOTAL", "SENT", "RECEIVED", "HITS", "PREEMPTED"}};
  for (const WorkerStatus& worker : report.workers) {
    rows.push_back({worker.name, worker.pool, std::string(name_of(worker.role)), name_of(worker.state), std::to_string(worker.pid),
                    std::to_string(worker.last.running), std::to_string(worker.last.waiting), std::to_string(worker.last.blocks_free),
                    std::to_string(worker.blocks_total), format_bytes(worker.last.kv_bytes_sent), format_bytes(worker.last.kv_bytes_received),
                    hit_rate(worker.last), std::to_string(worker.last.num_preemptions)});
  }
  return text + render_table(rows);
}

std::string fsck_json(const FsckReport& report) {
  JsonWriter json;
  json.begin_object().member("complete", report.complete).key("workers").begin_array();
  for (const FsckAccount& account : report.accounts) {
    json.begin_object().member("name", account.worker).member("kv_blocks_total", account.blocks_total).member("free", account.free);
    json.member("cached", account.cached).member("held", account.held).member("leased", account.leased).member("quarantined", account.quarantined);
    json.member("sequences", account.sequences).member("transfers", account.transfers).key("problems").begin_array();
    for (const std::string& problem : account.problems) json.value(problem);
    json.end_array().end_object();
  }
  json.end_array().end_object();
  return json.take();
}

std::string fsck_table(const FsckReport& report) {
  std::vector<std::vector<std::string>> rows = {{"WORKER", "BLOCKS", "FREE", "CACHED", "HELD", "LEASED", "QUARANTINED", "SEQUENCES", "TRANSFERS", "PROBLEMS"}};
  for (const FsckAccount& account : report.accounts) {
    rows.push_back({account.worker, std::to_string(account.blocks_total), std::to_string(account.free), std::to_string(account.cached), std::to_string(account.held),
                    std::to_string(account.leased), std::to_string(account.quarantined), std::to_string(account.sequences),
                    std::to_string(account.transfers), std::to_string(account.problems.size())});
  }
  std::string text = render_table(rows);
  for (const FsckAccount& account : report.accounts)
    for (const std::string& problem : account.problems) text += account.worker + ": " + problem + '\n';
  return text;
}

// Every block is somewhere exactly once, whatever the worker itself thinks of it.
bool adds_up(const FsckAccount& account) {
  return std::uint64_t{account.free} + account.cached + account.held + account.leased + account.quarantined == account.blocks_total;
}

}  // namespace

int run_status(const StatusOptions& options) {
  auto cluster = connect_cluster(options.cluster);
  if (!cluster) return complain("status", cluster.error());
  const auto report = cluster->client->status(kAnswerLimit);
  if (!report) return complain("status", report.error());
  const auto gateway = gateway_of(cluster->entry.state);
  if (options.json) std::printf("%s\n", status_json(*report, cluster->entry.jobs, gateway).c_str());
  else std::printf("%s", status_table(*report, cluster->entry.jobs, gateway).c_str());
  return kDone;
}

int run_fsck(const FsckOptions& options) {
  auto cluster = connect_cluster(options.cluster);
  if (!cluster) return complain("fsck", cluster.error());
  auto report = cluster->client->fsck(kAnswerLimit);
  if (!report) return complain("fsck", report.error());
  std::size_t problems = 0;
  for (FsckAccount& account : report->accounts) {
    if (!adds_up(account)) account.problems.push_back("free + cached + held + leased + quarantined is not the number of blocks");
    problems += account.problems.size();
  }
  if (options.json) std::printf("%s\n", fsck_json(*report).c_str());
  else std::printf("%s", fsck_table(*report).c_str());
  if (!report->complete) std::fprintf(stderr, "baton fsck: some workers did not answer in time\n");
  if (problems > 0) std::fprintf(stderr, "baton fsck: %zu problem%s\n", problems, problems == 1 ? "" : "s");
  return problems > 0 || !report->complete ? kFailed : kDone;
}

}  // namespace baton
