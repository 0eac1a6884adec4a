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

// KV stays on the device that made it, so there is one worker.
void check_cuda(const Topology& topology, const Unsupported& unsupported) {
  const KvCacheSection& kv = topology.kv_cache;
  unsupported.when(topology.model.oracle.has_value(), "model.path", "the test model on a CUDA device", "devices: auto");
  unsupported.when(kv.dtype == DtypeOption::kFloat32 || kv.dtype == DtypeOption::kFloat16, "kv_cache.dtype", "this type on a CUDA device", "auto or bfloat16");
  unsupported.when(kv.block_size < 16, "kv_cache.block_size", "less than 16 on a CUDA device", "16 is usual");
  unsupported.when(topology.numerics == NumericsOption::kReference, "numerics", "reference on a CUDA device", "invariant or fast");
  const bool alone = topology.pools.size() == 1 && topology.pools.front().role == PoolRole::kBoth && topology.pools.front().replicas <= 1;
  unsupported.when(!alone, "pools", "moving KV between CUDA devices", "one pool of role both with replicas: 1");
}

}  // namespace

void check_supported(const Topology& topology, const ReadContext& context) {
  const Unsupported unsupported(context);
  unsupported.when(topology.model.dtype != DtypeOption::kAuto, "model.dtype", "a conversion", "leave it at auto: as stored");
  unsupported.when(topology.model.quantization != QuantizationOption::kAuto, "model.quantization", "a conversion", "leave it at auto: as stored");
  const bool cuda = uses_cuda(topology);
  unsupported.when(topology.kv_cache.dtype == DtypeOption::kFp8 || (topology.kv_cache.dtype == DtypeOption::kBfloat16 && !cuda), "kv_cache.dtype",
                   "this type", "auto, float16 or float32");
  unsupported.when(topology.kv_cache.host_memory != 0, "kv_cache.host_memory", "moving KV to host memory", "leave it at 0");
  unsupported.when(topology.kv_cache.gpu_memory_utilization != 0.0 && !cuda, "kv_cache.gpu_memory_utilization", "a share of a CPU's memory",
                   "give kv_cache.memory, or nodes[].devices: [0]");
  for (std::size_t i = 0; i < topology.nodes.size(); ++i) {
    const std::string path = "nodes[" + std::to_string(i) + "]";
    const NodeSection& node = topology.nodes[i];
    unsupported.when(node.devices.starts_with("sim:"), path + ".devices", "a simulated device", "auto, cpu:2 or [0]");
  }
  if (cuda) check_cuda(topology, unsupported);
  check_pools(topology, unsupported);
  unsupported.when(!topology.transport.checksum, "transport.checksum", "unchecked KV", "leave it at true");
  unsupported.when(topology.lifecycle.on_worker_loss == WorkerLossOption::kFail, "lifecycle.on_worker_loss", "fail", "leave it at resume");
  unsupported.when(topology.security.curve == CurveOption::kOn, "security.curve", "CURVE", "leave it at auto; off loopback, on a network you trust, spell out `security: { insecure: true }`");
  for (const std::string& dialect : topology.observability.metrics_compat)
    unsupported.when(dialect != "vllm", "observability.metrics_compat", "'" + dialect + "'", "vllm is the one there is");
}

}  // namespace baton
