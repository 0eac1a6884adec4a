// SPDX-License-Identifier: Apache-2.0
#include "config/read_topology.h"

#include <algorithm>
#include <array>

#include "config/units.h"

namespace baton {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

template <class Enum, std::size_t N>
using Table = std::array<std::pair<std::string_view, Enum>, N>;

constexpr Table<PoolRole, 3> kRoles = {{{"prefill", PoolRole::kPrefill}, {"decode", PoolRole::kDecode}, {"both", PoolRole::kBoth}}};
constexpr Table<DtypeOption, 4> kModelDtypes = {{{"auto", DtypeOption::kAuto},
                                                 {"float32", DtypeOption::kFloat32},
                                                 {"bfloat16", DtypeOption::kBfloat16},
                                                 {"float16", DtypeOption::kFloat16}}};
constexpr Table<DtypeOption, 5> kKvDtypes = {{{"auto", DtypeOption::kAuto},
                                              {"float32", DtypeOption::kFloat32},
                                              {"bfloat16", DtypeOption::kBfloat16},
                                              {"float16", DtypeOption::kFloat16},
                                              {"fp8", DtypeOption::kFp8}}};
constexpr Table<QuantizationOption, 5> kQuantizations = {{{"auto", QuantizationOption::kAuto},
                                                          {"none", QuantizationOption::kNone},
                                                          {"fp8", QuantizationOption::kFp8},
                                                          {"int8", QuantizationOption::kInt8},
                                                          {"int4", QuantizationOption::kInt4}}};
constexpr Table<NumericsOption, 4> kNumerics = {{{"auto", NumericsOption::kAuto},
                                                 {"invariant", NumericsOption::kInvariant},
                                                 {"fast", NumericsOption::kFast},
                                                 {"reference", NumericsOption::kReference}}};
constexpr Table<PlacementOption, 1> kPlacements = {{{"least_loaded", PlacementOption::kLeastLoaded}}};
constexpr Table<WorkerLossOption, 2> kWorkerLoss = {{{"resume", WorkerLossOption::kResume}, {"fail", WorkerLossOption::kFail}}};
constexpr Table<CurveOption, 3> kCurve = {{{"auto", CurveOption::kAuto}, {"on", CurveOption::kOn}, {"off", CurveOption::kOff}}};
constexpr Table<TransportOption, 4> kTransports = {{{"cuda_ipc", TransportOption::kCudaIpc},
                                                    {"rdma", TransportOption::kRdma},
                                                    {"shm", TransportOption::kShm},
                                                    {"tcp", TransportOption::kTcp}}};
constexpr Table<bool, 2> kLogFormats = {{{"text", false}, {"json", true}}};
constexpr Table<std::string_view, 4> kLogLevels = {{{"debug", "debug"}, {"info", "info"}, {"warn", "warn"}, {"error", "error"}}};

template <class Enum, std::size_t N>
bool choice(Section& section, std::string_view key, Enum& out, const Table<Enum, N>& table) {
  return section.read_choice<Enum>(key, out, Choices<Enum>(table));
}

EffectiveValue text_value(const std::string& text) { return {.is_text = true, .is_list = false, .items = {text}}; }

// Names end up in file names, worker names and metric labels.
bool good_name(std::string_view name) {
  if (name.empty() || name.size() > 40 || name.front() == '-') return false;
  return std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

// What the file or folder is called; clients need some name.
std::string default_model_name(const ModelSection& model) {
  if (model.oracle) return "oracle";
  std::string name = model.path;
  while (name.ends_with('/')) name.pop_back();
  name.erase(0, name.rfind('/') + 1);
  if (name.ends_with(".gguf")) name.resize(name.size() - 5);
  return name.empty() ? "model" : name;
}

struct Reader {
  ReadContext& context;
  const std::string& home;
  const std::string& folder;
  Topology topology;

  bool read_name(Section& section, std::string& out) {
    if (!section.read("name", out)) return false;
    if (good_name(out)) return true;
    context.reporter.error(context.place_of(section.path_of("name")), "\"" + out + "\" is no good name",
                           "1 to 40 small letters, digits and hyphens, not starting with a hyphen");
    return false;
  }

  std::string absolute(const std::string& path, const Place& place) {
    if (path == "~" || path.starts_with("~/")) {
      if (home.empty()) context.reporter.error(place, "\"~\" stands for HOME, which is not set");
      return home + path.substr(1);
    }
    return path.starts_with('/') ? path : folder + '/' + path;
  }

  void model(Section section) {
    ModelSection& out = topology.model;
    if (section.read("path", out.path)) {
      const Place place = context.place_of("model.path");
      if (out.path.empty()) context.reporter.error(place, "model.path is empty");
      else if (out.path.starts_with("oracle:")) out.oracle = read_oracle_options(out.path, place, context.reporter);
      else out.path = absolute(out.path, place);
      context.set_effective("model.path", text_value(out.path));
    }
    section.require("path", "path: ~/.cache/baton/models/smollm2-135m-instruct");
    out.served_model_name = {default_model_name(out)};
    section.read_texts("served_model_name", out.served_model_name, true);
    if (out.served_model_name.empty()) context.reporter.error(context.place_of("model.served_model_name"), "model.served_model_name is empty");
    choice(section, "dtype", out.dtype, kModelDtypes);
    choice(section, "quantization", out.quantization, kQuantizations);
    section.read("max_model_len", out.max_model_len, {1, 1u << 24});
    section.finish();
  }

  void kv_cache(Section section) {
    KvCacheSection& out = topology.kv_cache;
    choice(section, "dtype", out.dtype, kKvDtypes);
    section.read("block_size", out.block_size, {1, 256});
    section.read_bytes("memory", out.memory, {1u << 20, 16ull << 40});
    section.read("prefix_caching", out.prefix_caching);
    section.read_bytes("host_memory", out.host_memory, {0, 16ull << 40});
    section.read("gpu_memory_utilization", out.gpu_memory_utilization, {0.01, 1.0});
    section.finish();
  }

  void coordinator(Section section) {
    CoordinatorSection& out = topology.coordinator;
    section.read("node", out.node);
    section.read("jobs", out.jobs);
    section.read("control", out.control);
    const std::string standard = "~/.local/state/baton/" + topology.name;
    out.state = standard;
    section.read("state", out.state);
    out.state = absolute(out.state, context.place_of("coordinator.state"));
    context.set_effective("coordinator.state", text_value(out.state));
    section.finish();
  }

  void gateway(Section section) {
    if (!section.exists()) return;
    topology.gateway.emplace();
    section.read("http", topology.gateway->http);
    section.require("http", "http: 127.0.0.1:8000");
    section.read("admin", topology.gateway->admin);
    section.finish();
  }

  // "auto", "cpu:2", "sim:h100x8" or [0, 1], which is kept as text.
  void devices(Section& section, std::string& out) {
    const YamlNode* node = section.take("devices");
    if (node == nullptr) return;
    if (node->kind == YamlKind::kScalar) {
      out = node->text;
      const auto count = out.starts_with("cpu:") ? parse_unsigned(std::string_view(out).substr(4)) : Result<std::uint64_t>(1);
      const bool good = out == "auto" || (out.starts_with("sim:") && out.size() > 4) ||
                        (out.starts_with("cpu:") && count && *count >= 1 && *count <= 1024);
      if (good) return;
    } else if (node->kind == YamlKind::kSequence) {
      out = "[";
      bool good = !node->items.empty();
      for (const YamlNode& item : node->items) {
        const auto number = item.kind == YamlKind::kScalar ? parse_unsigned(item.text) : Result<std::uint64_t>(~0ull);
        good = good && number && *number < 1024;
        if (std::any_of(node->items.data(), &item, [&](const YamlNode& earlier) { return earlier.text == item.text; }))
          context.reporter.error(item.place, section.path_of("devices") + " names device " + item.text + " twice", "each worker needs one of its own");
        out += (out.size() > 1 ? ", " : "") + item.text;
      }
      out += ']';
      if (good) return;
    }
    out = "auto";
    context.reporter.error(node->place, section.path_of("devices") + " names no devices", "auto, cpu:2, [0, 1] or sim:h100x8");
  }

  void nodes(const YamlNode* list) {
    for (std::size_t i = 0; list != nullptr && i < list->items.size(); ++i) {
      Section section(context, &list->items[i], "nodes[" + std::to_string(i) + "]", list->items[i].place);
      NodeSection out;
      read_name(section, out.name);
      section.require("name", "name: here");
      section.read("address", out.address);
      devices(section, out.devices);
      section.know("devices", {.kind = KeyKind::kDevices}, EffectiveValue{.items = {out.devices}});
      section.read("ssh", out.ssh);
      section.read("interface", out.interface);
      section.read("baton", out.baton);
      section.finish();
      topology.nodes.push_back(std::move(out));
    }
    if (list != nullptr && list->items.empty()) context.reporter.error(list->place, "nodes is empty", "leave it out for this machine alone");
    if (topology.nodes.empty()) {
      topology.nodes.emplace_back();
      topology.nodes.back().name = topology.coordinator.node.empty() ? "here" : topology.coordinator.node;
    }
  }

  // A pool's path carries its name, so that an override can say pools.decode.replicas.
  std::string pool_path(const YamlNode& item, std::size_t index) const {
    const YamlNode* name = item.find("name");
    if (name != nullptr && name->kind == YamlKind::kScalar && good_name(name->text)) return "pools." + name->text;
    return "pools[" + std::to_string(index) + "]";
  }

  void pools(const YamlNode* list) {
    for (std::size_t i = 0; list != nullptr && i < list->items.size(); ++i) {
      const YamlNode& item = list->items[i];
      Section section(context, &item, pool_path(item, i), item.place);
      PoolSection out;
      read_name(section, out.name);
      section.require("name", "name: prefill");
      for (const PoolSection& other : topology.pools)
        if (!out.name.empty() && other.name == out.name) {
          context.reporter.error(context.place_of(section.path_of("name")), "a second pool named \"" + out.name + '"', "each pool has its own name");
          break;
        }
      choice(section, "role", out.role, kRoles);
      section.require("role", "role: both");
      section.read("node", out.node);
      section.read("replicas", out.replicas, {0, kReplicasMax});
      section.read("tensor_parallel_size", out.tensor_parallel_size, {1, 1024});
      section.read("pipeline_parallel_size", out.pipeline_parallel_size, {1, 1024});
      section.read("threads", out.threads, {1, 1024});
      section.read("pin_threads", out.pin_threads);
      Section limits = section.section("limits");
      limits.read("max_num_batched_tokens", out.limits.max_num_batched_tokens, {1, 1u << 20});
      limits.read("max_num_seqs", out.limits.max_num_seqs, {1, 1u << 16});
      limits.read("long_prefill_token_threshold", out.limits.long_prefill_token_threshold, {0, 1u << 20});
      limits.finish();
      Section autoscale = section.section("autoscale");
      autoscale.read("min", out.autoscale_min, {1, 1024});
      autoscale.read("max", out.autoscale_max, {1, 1024});
      if (out.autoscale_min == 0 && out.autoscale_max != 0) out.autoscale_min = out.replicas;
      if (out.autoscale_max == 0 && out.autoscale_min != 0) out.autoscale_max = out.replicas;
      autoscale.finish();
      section.finish();
      topology.pools.push_back(std::move(out));
    }
  }

  void transport(Section section) {
    TransportSection& out = topology.transport;
    if (const YamlNode* list = section.list("order")) {
      out.order.clear();
      for (const YamlNode& item : list->items) {
        const auto* found = std::find_if(kTransports.begin(), kTransports.end(), [&](const auto& each) { return each.first == item.text; });
        if (item.kind != YamlKind::kScalar || found == kTransports.end())
          context.reporter.error(item.place, "no transport \"" + item.text + '"', "one of cuda_ipc, rdma, shm, tcp");
        else if (std::find(out.order.begin(), out.order.end(), found->second) != out.order.end())
          context.reporter.error(item.place, item.text + " is named twice");
        else
          out.order.push_back(found->second);
      }
      if (list->items.empty()) context.reporter.error(list->place, "transport.order is empty", "name at least tcp");
    }
    KeySpec spec{.kind = KeyKind::kChoices};
    for (const auto& [name, transport] : kTransports) spec.choices.emplace_back(name);
    EffectiveValue order{.is_text = true, .is_list = true};
    for (const TransportOption each : out.order) order.items.emplace_back(to_string(each));
    section.know("order", spec, std::move(order));
    section.read("interface", out.interface);
    section.read("checksum", out.checksum);
    section.finish();
  }

  void scheduling(Section section) {
    SchedulingSection& out = topology.scheduling;
    choice(section, "placement", out.placement, kPlacements);
    section.read("max_num_queued_reqs", out.max_num_queued_reqs, {1, 1u << 20});
    section.read("max_num_queued_tokens", out.max_num_queued_tokens, {1, 1u << 30});
    section.read_duration("request_timeout", out.request_timeout, {milliseconds(100), hours(24)});
    section.read_duration("max_predicted_ttft", out.max_predicted_ttft, {milliseconds(0), hours(24)});
    section.finish();
  }

  void lifecycle(Section section) {
    LifecycleSection& out = topology.lifecycle;
    section.read_duration("start_timeout", out.start_timeout, {seconds(1), hours(24)});
    Section heartbeat = section.section("heartbeat");
    heartbeat.read_duration("interval", out.heartbeat_interval, {milliseconds(10), minutes(1)});
    heartbeat.read("miss", out.heartbeat_miss, {2, 1000});
    heartbeat.finish();
    section.read_duration("drain_timeout", out.drain_timeout, {Duration{0}, hours(24)});
    choice(section, "on_worker_loss", out.on_worker_loss, kWorkerLoss);
    section.read("max_restarts", out.max_restarts, {0, 1000});
    section.finish();
  }

  void security(Section section) {
    SecuritySection& out = topology.security;
    section.read("api_keys_file", out.api_keys_file);
    if (!out.api_keys_file.empty()) out.api_keys_file = absolute(out.api_keys_file, context.place_of("security.api_keys_file"));
    choice(section, "curve", out.curve, kCurve);
    section.read("insecure", out.insecure);
    section.read("share_prefix_cache", out.share_prefix_cache);
    section.finish();
  }

  void observability(Section section) {
    ObservabilitySection& out = topology.observability;
    choice(section, "log_format", out.log_json, kLogFormats);
    std::string_view level = out.log_level;
    if (choice(section, "log_level", level, kLogLevels)) out.log_level = std::string(level);
    section.read_texts("metrics_compat", out.metrics_compat, false);
    section.finish();
  }

  void version(Section& root) {
    std::uint32_t value = 1;
    root.read("version", value, {1, 1});
    root.require("version", "version: 1");
  }

  void document(const YamlNode& node) {
    Section root(context, &node, "", node.place);
    if (!root.exists()) return;
    version(root);
    read_name(root, topology.name);
    model(root.section("model"));
    kv_cache(root.section("kv_cache"));
    coordinator(root.section("coordinator"));
    gateway(root.section("gateway"));
    nodes(root.list("nodes"));
    const YamlNode* pool_list = root.list("pools");
    root.require("pools", "pools: [{ name: all, role: both }]");
    if (pool_list != nullptr && pool_list->items.empty()) context.reporter.error(pool_list->place, "pools is empty", "a cluster needs at least one");
    pools(pool_list);
    transport(root.section("transport"));
    choice(root, "numerics", topology.numerics, kNumerics);
    scheduling(root.section("scheduling"));
    lifecycle(root.section("lifecycle"));
    security(root.section("security"));
    observability(root.section("observability"));
    root.finish();
  }
};

}  // namespace

Topology read_topology(ReadContext& context, const YamlNode& root, const std::string& home, const std::string& folder) {
  Reader reader{context, home, folder, {}};
  reader.document(root);
  return std::move(reader.topology);
}

}  // namespace baton
