// SPDX-License-Identifier: Apache-2.0
// The list of what the schema knows and this version does not do. A feature that gets built loses its lines here.
#include <string>

#include "config/check_topology.h"

namespace baton {
namespace {

class Unsupported {
 public:
  explicit Unsupported(const ReadContext& context) : context_(context) {}
  void when(bool asked, const std::string& path, const std::string& what, const std::string& instead) const {
    if (asked) context_.reporter.error(context_.place_of(path), path + ": " + what + " is not supported yet", instead);
  }

 private:
  const ReadContext& context_;
};

void check_pools(const Topology& topology, const Unsupported& unsupported) {
  for (const PoolSection& pool : topology.pools) {
    const std::string path = "pools." + pool.name;
    unsupported.when(pool.tensor_parallel_size > 1, path + ".tensor_parallel_size", "more than 1", "leave it at 1, or add replicas");
    unsupported.when(pool.pipeline_parallel_size > 1, path + ".pipeline_parallel_size", "more than 1", "leave it at 1, or add replicas");
    const bool scales = pool.autoscale_min != pool.autoscale_max || (pool.autoscale_min != 0 && pool.autoscale_min != pool.replicas);
    unsupported.when(scales, path + ".autoscale", "a changing number of workers", "set min and max to " + std::to_string(pool.replicas));
  }
}

}  // namespace

void check_supported(const Topology& topology, const ReadContext& context) {
  const Unsupported unsupported(context);
  unsupported.when(topology.model.dtype != DtypeOption::kAuto, "model.dtype", "a conversion", "leave it at auto: as stored");
  unsupported.when(topology.model.quantization != QuantizationOption::kAuto, "model.quantization", "a conversion", "leave it at auto: as stored");
  unsupported.when(topology.kv_cache.dtype == DtypeOption::kFp8 || topology.kv_cache.dtype == DtypeOption::kBfloat16, "kv_cache.dtype",
                   "this type", "auto, float16 or float32");
  unsupported.when(topology.kv_cache.host_memory != 0, "kv_cache.host_memory", "moving KV to host memory", "leave it at 0");
  unsupported.when(topology.kv_cache.gpu_memory_utilization != 0.0, "kv_cache.gpu_memory_utilization", "a GPU", "give kv_cache.memory");
  for (std::size_t i = 0; i < topology.nodes.size(); ++i) {
    const std::string path = "nodes[" + std::to_string(i) + "]";
    const NodeSection& node = topology.nodes[i];
    unsupported.when(node.devices != "auto" && !node.devices.starts_with("cpu:"), path + ".devices", "anything but CPUs", "auto or cpu:2");
  }
  check_pools(topology, unsupported);
  unsupported.when(!topology.transport.checksum, "transport.checksum", "unchecked KV", "leave it at true");
  unsupported.when(topology.lifecycle.on_worker_loss == WorkerLossOption::kFail, "lifecycle.on_worker_loss", "fail", "leave it at resume");
  unsupported.when(topology.security.curve == CurveOption::kOn, "security.curve", "CURVE", "leave it at auto; off loopback, on a network you trust, spell out `security: { insecure: true }`");
  for (const std::string& dialect : topology.observability.metrics_compat)
    unsupported.when(dialect != "vllm", "observability.metrics_compat", "'" + dialect + "'", "vllm is the one there is");
}

}  // namespace baton
