// SPDX-License-Identifier: Apache-2.0
#include "config/check_topology.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/address.h"
#include "config/units.h"

namespace baton {
namespace {

constexpr const char* kUnprotectedHint =
    "use 127.0.0.1, or, on a network that you trust, spell out `security: { insecure: true }`; encryption and keys (security.curve) come with a later version";

class Checker {
 public:
  Checker(const Topology& topology, const CheckOptions& options, const ReadContext& context)
      : topology_(topology), options_(options), context_(context) {}

  void run() {
    model();
    kv_cache();
    addresses();
    nodes();
    reach();
    roles();
    devices();
    threads();
    memory();
    limits();
    lifecycle();
    security();
  }

 private:
  void error(const std::string& path, std::string message, std::string hint = {}) const {
    context_.reporter.error(context_.place_of(path), std::move(message), std::move(hint));
  }

  void model() const {
    const ModelSection& model = topology_.model;
    std::error_code ignored;
    if (options_.check_files && !model.path.empty() && !model.oracle && !std::filesystem::exists(model.path, ignored))
      error("model.path", "there is no " + model.path, "did you run `baton model fetch smollm2`?");
    for (const std::string& name : model.served_model_name)
      if (name.empty()) error("model.served_model_name", "a served model name is empty");
  }

  void kv_cache() const {
    const std::uint32_t size = topology_.kv_cache.block_size;
    if ((size & (size - 1)) != 0) error("kv_cache.block_size", "kv_cache.block_size must be a power of two, this is " + std::to_string(size), "16 is usual");
  }

  // Two sockets of ours on one port; a wildcard host takes the port on all of them.
  static bool collide(SocketAddress a, SocketAddress b) {
    for (SocketAddress* each : {&a, &b}) {
      if (each->host == "localhost") each->host = "127.0.0.1";
      if (each->host == "*") each->host = "0.0.0.0";
    }
    return a.port == b.port && (a.host == b.host || a.host == "0.0.0.0" || b.host == "0.0.0.0");
  }

  void loopback(const std::string& path, const std::string& host) const {
    if (is_loopback(host) || topology_.security.insecure) return;
    const char* keys = path == "gateway.http" ? "give security.api_keys_file, " : "";
    error(path, path + " is off loopback (" + host + "), and nothing would protect it", keys + std::string(kUnprotectedHint));
  }

  void addresses() const {
    struct Named {
      std::string path;
      SocketAddress address;
    };
    std::vector<Named> taken;
    const auto check = [&](const std::string& path, const Result<SocketAddress>& parsed, const std::string& text, bool has_keys = false) {
      if (!parsed) return error(path, path + " is \"" + text + '"', parsed.error().message);
      if (!has_keys) loopback(path, parsed->host);
      for (const Named& other : taken)
        if (collide(*parsed, other.address)) error(path, path + " uses the same port as " + other.path, "each socket needs its own");
      taken.push_back({path, *parsed});
    };
    check("coordinator.jobs", parse_tcp_address(topology_.coordinator.jobs), topology_.coordinator.jobs);
    check("coordinator.control", parse_tcp_address(topology_.coordinator.control), topology_.coordinator.control);
    if (topology_.gateway && !topology_.gateway->http.empty())
      check("gateway.http", parse_host_port(topology_.gateway->http), topology_.gateway->http, !topology_.security.api_keys_file.empty());
    if (topology_.gateway && !topology_.gateway->admin.empty()) check("gateway.admin", parse_host_port(topology_.gateway->admin), topology_.gateway->admin);
    if (topology_.transport.interface != "lo" && !topology_.security.insecure)
      error("transport.interface", "KV would travel over " + topology_.transport.interface + ", and nothing would protect it",
            "use lo, or, on a network that you trust, spell out `security: { insecure: true }`; encryption and keys (security.curve) come with a later version");
    for (std::size_t i = 0; i < topology_.nodes.size() && !topology_.security.insecure; ++i)
      if (const std::string& name = topology_.nodes[i].interface; !name.empty() && name != "lo")
        error("nodes[" + std::to_string(i) + "].interface", "KV would travel over " + name + ", and nothing would protect it", kUnprotectedHint);
  }

  void nodes() const {
    bool coordinator_found = topology_.coordinator.node.empty();
    for (std::size_t i = 0; i < topology_.nodes.size(); ++i) {
      const NodeSection& node = topology_.nodes[i];
      const std::string path = "nodes[" + std::to_string(i) + "]";
      for (std::size_t k = 0; k < i; ++k)
        if (!node.name.empty() && topology_.nodes[k].name == node.name) error(path + ".name", "a second node named \"" + node.name + '"');
      coordinator_found = coordinator_found || node.name == topology_.coordinator.node;
      loopback(path + ".address", node.address);
    }
    if (!coordinator_found) error("coordinator.node", "no node is named \"" + topology_.coordinator.node + '"');
  }

  // A host that ssh would take for an option, or a shell for more than a word.
  static bool good_ssh(const std::string& host) {
    return !host.empty() && host.front() != '-' &&
           host.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_@:[]") == std::string::npos;
  }

  // What one node calls another must not be what everybody calls oneself.
  void reach() const {
    for (std::size_t i = 0; i < topology_.pools.size(); ++i) {
      const PoolSection& pool = topology_.pools[i];
      const bool known = pool.node.empty() || std::any_of(topology_.nodes.begin(), topology_.nodes.end(), [&](const NodeSection& each) { return each.name == pool.node; });
      if (!known) error("pools." + pool.name + ".node", "no node is named \"" + pool.node + '"', "add it to nodes");
    }
    if (topology_.nodes.size() < 2) return;
    bool far = false;
    for (const NodeSection& node : topology_.nodes) far = far || !is_loopback(node.address);
    // Workers join at one and send their tokens to the other, and are told both as they stand here.
    const auto reachable = [&](const std::string& path, const std::string& address) {
      const auto parsed = parse_tcp_address(address);
      if (far && parsed && (is_loopback(parsed->host) || parsed->host == "*" || parsed->host == "0.0.0.0"))
        error(path, "workers of other nodes cannot reach " + path + " at " + parsed->host, "give it the address of the coordinator's node");
    };
    reachable("coordinator.control", topology_.coordinator.control);
    reachable("coordinator.jobs", topology_.coordinator.jobs);
    for (std::size_t i = 0; i < topology_.nodes.size(); ++i) {
      const NodeSection& node = topology_.nodes[i];
      const std::string path = "nodes[" + std::to_string(i) + "]";
      if (far && is_loopback(node.address)) error(path + ".address", "other nodes cannot reach " + node.name + " at " + node.address, "give its address in the network of the others");
      const std::string& interface = node.interface.empty() ? topology_.transport.interface : node.interface;
      if (far && interface == "lo") error(node.interface.empty() ? "transport.interface" : path + ".interface", "KV cannot reach " + node.name + " over lo", "name the network interface that has " + node.address);
      if (!node.ssh.empty() && !good_ssh(node.ssh)) error(path + ".ssh", path + ".ssh is \"" + node.ssh + '"', "user@host");
    }
  }

  void roles() const {
    if (topology_.pools.empty()) return;
    // Beside the pools that have workers, those that could have some.
    std::array<bool, 2> prefill{}, decode{};
    for (const PoolSection& pool : topology_.pools) {
      for (const bool any : {false, true}) {
        if (!any && pool.replicas == 0) continue;
        prefill[any] |= pool.role != PoolRole::kDecode;
        decode[any] |= pool.role != PoolRole::kPrefill;
      }
    }
    if (prefill[0] && decode[0]) return;
    const std::string missing = prefill[1] ? "decode" : "prefill";
    if (!prefill[1] || !decode[1])
      return error("pools", "these pools cannot serve: none of them can " + missing, "add a pool of role " + missing + ", or use role both");
    const PoolRole useless = prefill[0] ? PoolRole::kPrefill : PoolRole::kDecode;
    for (const PoolSection& pool : topology_.pools) {
      if (pool.replicas > 0 || pool.role == useless) continue;
      return error("pools." + pool.name + ".replicas", "without a worker in " + pool.name + " none could " + (prefill[0] ? "decode" : "prefill"),
                   "give it at least 1, or another pool that can do it");
    }
  }

  // Each rank of each worker needs a device of its own.
  void devices() const {
    for (std::size_t i = 0; i < topology_.nodes.size(); ++i) {
      const NodeSection& node = topology_.nodes[i];
      const std::vector<std::uint32_t> listed = cuda_devices(node);
      if (!node.devices.starts_with("cpu:") && listed.empty()) continue;
      std::uint64_t wanted = 0;
      for (const PoolSection& pool : topology_.pools)
        if (&node_of(topology_, pool) == &node) wanted += std::uint64_t{pool.replicas} * pool.tensor_parallel_size * pool.pipeline_parallel_size;
      const std::uint64_t there = listed.empty() ? parse_unsigned(std::string_view(node.devices).substr(4)).value_or(0) : listed.size();
      if (wanted > there)
        error("nodes[" + std::to_string(i) + "].devices", "the pools want " + std::to_string(wanted) + " devices, node " + node.name + " has " + std::to_string(there), listed.empty() ? "raise cpu:N, or lower replicas" : "list more of them, or lower replicas");
    }
  }

  void threads() const {
    if (options_.cores == 0) return;
    const std::uint64_t wanted = threads_at_once(topology_, options_.cores);
    if (wanted > options_.cores)
      context_.reporter.note(context_.place_of("pools"), "the threads of workers that run at once (" + std::to_string(wanted) + ") outnumber the cores (" +
                                                             std::to_string(options_.cores) + "); expect them to wait for each other");
  }

  // Every worker touches all of its KV when it starts: what does not fit would take the machine down with it.
  void memory() const {
    std::uint64_t workers = 0;
    for (const PoolSection& pool : topology_.pools)
      if (&node_of(topology_, pool) == &coordinator_node(topology_)) workers += pool.replicas;
    if (uses_cuda(topology_)) return;  // KV is the device's
    const std::uint64_t each = topology_.kv_cache.memory;
    if (options_.memory == 0 || workers == 0 || each <= options_.memory / workers) return;
    error("kv_cache.memory", std::to_string(workers) + (workers == 1 ? " worker" : " workers") + " with " + format_bytes(each) +
                                 " of KV do not fit into this machine's memory of " + format_bytes(options_.memory), "lower kv_cache.memory, or replicas");
  }

  void limits() const {
    for (const PoolSection& pool : topology_.pools) {
      if (pool.limits.long_prefill_token_threshold > pool.limits.max_num_batched_tokens)
        error("pools." + pool.name + ".limits.long_prefill_token_threshold", "long_prefill_token_threshold (" + std::to_string(pool.limits.long_prefill_token_threshold) +
                                  ") is above max_num_batched_tokens (" + std::to_string(pool.limits.max_num_batched_tokens) + "): it would never matter",
              "lower it, or leave it at 0 for a quarter of max_num_batched_tokens");
      if (pool.role != PoolRole::kPrefill && pool.limits.max_num_seqs > pool.limits.max_num_batched_tokens)
        error("pools." + pool.name + ".limits", "max_num_seqs (" + std::to_string(pool.limits.max_num_seqs) + ") is above max_num_batched_tokens (" +
                                                    std::to_string(pool.limits.max_num_batched_tokens) + "): a step could not take one token of each");
    }
  }

  void lifecycle() const {
    const LifecycleSection& lifecycle = topology_.lifecycle;
    const Duration patience = lifecycle.heartbeat_interval * lifecycle.heartbeat_miss;
    if (patience > std::chrono::minutes(5))
      error("lifecycle.heartbeat", "a lost worker would be noticed after " + format_duration(patience) + " (interval x miss)", "at most 5m");
    if (patience < std::chrono::milliseconds(100))
      error("lifecycle.heartbeat", "a worker would count as lost after " + format_duration(patience) + " (interval x miss)", "at least 100ms");
    if (patience >= lifecycle.start_timeout)
      error("lifecycle.start_timeout", "start_timeout (" + format_duration(lifecycle.start_timeout) + ") is not above heartbeat interval x miss (" +
                                           format_duration(patience) + ')');
  }

  void security() const {
    const std::string& keys = topology_.security.api_keys_file;
    std::error_code ignored;
    if (keys.empty() || !options_.check_files) return;
    if (!topology_.gateway) error("security.api_keys_file", "there is no gateway that would ask for these keys", "add one, as in gateway: { http: 127.0.0.1:8000 }");
    if (!std::filesystem::exists(keys, ignored)) return error("security.api_keys_file", "there is no " + keys, "write one key per line, as KEY or NAME:KEY, and `chmod 600` it");
    const auto others = std::filesystem::perms::group_all | std::filesystem::perms::others_all;
    if ((std::filesystem::status(keys, ignored).permissions() & others) != std::filesystem::perms::none)
      error("security.api_keys_file", "others may read " + keys, "run `chmod 600 " + keys + '`');
  }

  const Topology& topology_;
  const CheckOptions& options_;
  const ReadContext& context_;
};

}  // namespace

void check_topology(const Topology& topology, const CheckOptions& options, const ReadContext& context) {
  Checker(topology, options, context).run();
}

}  // namespace baton
