// SPDX-License-Identifier: Apache-2.0
// `baton bench`: the benchmarks of benchmarks/ on a model and this machine.
#include <cstdio>

#include "benchmarks/engine_bench.h"
#include "benchmarks/transport_bench.h"
#include "launcher/commands.h"
#include "launcher/exit_code.h"
#include "launcher/model_fetch.h"
#include "models/model_path.h"

namespace baton {

int run_bench_engine(const BenchEngineOptions& options) {
  std::string wanted = options.model;
  if (wanted.empty()) {
    const auto cache = default_cache_dir();
    if (!cache) {
      std::fprintf(stderr, "baton: %s\n", cache.error().message.c_str());
      return kFailed;
    }
    wanted = *cache + "/models/smollm2-135m-instruct";
  }
  const auto path = resolve_model_path(wanted);
  if (!path) {
    std::fprintf(stderr, "baton: %s; `baton model fetch smollm2` gets a small one\n", path.error().message.c_str());
    return kFailed;
  }
  EngineBenchOptions bench;
  bench.model_path = *path;
  bench.numerics = options.reference ? Numerics::kReference : Numerics::kInvariant;
  if (!options.threads.empty()) bench.threads = options.threads;
  return bench_engine(bench) == 0 ? kDone : kFailed;
}

int run_bench_transport(const BenchTransportOptions& options) {
  TransportBenchOptions bench;
  bench.interface_name = options.interface_name;
  return bench_transport(bench) == 0 ? kDone : kFailed;
}

}  // namespace baton
