// SPDX-License-Identifier: Apache-2.0
// `baton links`: what each worker has sent to each other, how fast, over what, and why a path is slower than it could be.
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "config/load_topology.h"
#include "config/units.h"
#include "launcher/commands.h"
#include "launcher/environment.h"
#include "launcher/exit_code.h"
#include "launcher/find_cluster.h"
#include "launcher/json_writer.h"
#include "launcher/links.h"
#include "launcher/shared_memory.h"
#include "launcher/table.h"

namespace baton {
namespace {

constexpr Duration kAnswerLimit = std::chrono::seconds(5);

double gigabytes_per_second(const LinkTraffic& link) {
  return link.busy_ns == 0 ? 0.0 : static_cast<double>(link.bytes) / static_cast<double>(link.busy_ns);
}
double latency_ms(const LinkTraffic& link) {
  return link.transfers == 0 ? 0.0 : static_cast<double>(link.latency_ns) / static_cast<double>(link.transfers) / 1e6;
}

std::string links_json(const StatusReport& report, const std::optional<Topology>& topology) {
  JsonWriter json;
  json.begin_object().member("name", report.name).member("links_left_out", report.traffic_left_out).key("links").begin_array();
  for (const WorkerStatus& worker : report.workers) {
    for (const LinkTraffic& link : worker.traffic) {
      json.begin_object().member("from", worker.name).member("to", link.peer).member("transport", link.transport).member("bytes", link.bytes);
      json.member("transfers", link.transfers).member("failures", link.failures).member("busy_seconds", static_cast<double>(link.busy_ns) / 1e9);
      json.member("gb_per_s", gigabytes_per_second(link)).member("latency_ms", latency_ms(link)).key("slow");
      const auto why = why_slow(topology, worker.name, link);
      if (why) json.value(*why);
      else json.null();
      json.end_object();
    }
  }
  json.end_array().end_object();
  return json.take();
}

std::string links_table(const StatusReport& report, const std::optional<Topology>& topology) {
  std::vector<std::vector<std::string>> rows = {{"FROM", "TO", "OVER", "BYTES", "TRANSFERS", "FAILED", "GB/S BUSY", "LATENCY", "NOTE"}};
  for (const WorkerStatus& worker : report.workers) {
    for (const LinkTraffic& link : worker.traffic) {
      char speed[32], latency[32];
      std::snprintf(speed, sizeof speed, "%.2f", gigabytes_per_second(link));
      std::snprintf(latency, sizeof latency, "%.2f ms", latency_ms(link));
      const auto why = why_slow(topology, worker.name, link);
      rows.push_back({worker.name, link.peer, link.transport.empty() ? "-" : link.transport, format_bytes(link.bytes), std::to_string(link.transfers),
                      std::to_string(link.failures), link.busy_ns == 0 ? "-" : speed, link.transfers == 0 ? "-" : latency, why ? "slow: " + *why : ""});
    }
  }
  if (rows.size() == 1) return report.name + ": no KV has moved between workers yet\n";
  std::string text = render_table(rows);
  if (report.traffic_left_out > 0) text += "and " + std::to_string(report.traffic_left_out) + " more pairs\n";
  return text;
}

}  // namespace

std::optional<std::string> why_slow(const std::optional<Topology>& topology, const std::string& from, const LinkTraffic& link) {
  if (link.transport != "tcp" || !topology) return std::nullopt;
  const auto source = find_worker(*topology, from);
  const auto target = find_worker(*topology, link.peer);
  if (!source || !target) return std::nullopt;
  const std::string& node = node_of(*topology, topology->pools[source->pool]).name;
  if (node != node_of(*topology, topology->pools[target->pool]).name) return std::nullopt;
  const std::string both = "tcp although both are on node " + node + ": ";
  const auto& order = topology->transport.order;
  if (std::find(order.begin(), order.end(), TransportOption::kShm) == order.end()) return both + "transport.order does not list shm";
  if (const auto why = why_no_shared_memory(*topology, shm_size())) return both + *why;
  return both + "they do not see the same /dev/shm (containers need a shared one), UCX did not load, or a --set flag left shm out: the workers' logs tell";
}

std::optional<Topology> topology_of(const ClusterEntry& entry) {
  LoadOptions options = load_options({});
  options.check_files = false;
  options.base_folder = std::filesystem::path(entry.topology).parent_path().string();
  const LoadResult loaded = load_topology(entry.state + "/topology.yaml", options);
  return loaded ? std::optional<Topology>(loaded->topology) : std::nullopt;
}

int run_links(const LinksOptions& options) {
  auto cluster = connect_cluster(options.cluster);
  if (!cluster) return complain("links", cluster.error());
  const auto report = cluster->client->status(kAnswerLimit, true);
  if (!report) return complain("links", report.error());
  const auto topology = topology_of(cluster->entry);
  if (options.json) std::printf("%s\n", links_json(*report, topology).c_str());
  else std::printf("%s", links_table(*report, topology).c_str());
  return kDone;
}

}  // namespace baton
