// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/cuda/device_rig.h"

#include <utility>

namespace baton {
namespace {

constexpr std::size_t kLimitBytes = std::size_t{4} << 30;
constexpr std::uint32_t kSide = 8192;  // of the product that is the limit

}  // namespace

Result<std::unique_ptr<DeviceRig>> DeviceRig::open(const DeviceBenchOptions& options) {
  const auto facts = cuda::use_device(options.device);
  if (!facts) return tl::unexpected<Error>(facts.error());
  std::unique_ptr<DeviceRig> rig(new DeviceRig(options.rounds));
  rig->facts_ = *facts;
  auto library = cuda::MatmulLibrary::open();
  if (!library) return tl::unexpected<Error>(library.error());
  rig->library_ = std::move(*library);
  return rig;
}

Result<std::byte*> DeviceRig::plain_memory(std::size_t bytes) {
  auto memory = cuda::Memory::on_device(bytes);
  if (!memory) return tl::unexpected<Error>(memory.error());
  cuda::fill(stream(), memory->data(), 0, bytes);
  memory_.push_back(std::move(*memory));
  return memory_.back().data();
}

Result<std::byte*> DeviceRig::random_memory(std::size_t bytes, float magnitude) {
  const auto memory = plain_memory(bytes);
  if (memory) cuda::fill_random(stream(), reinterpret_cast<cuda::Bf16*>(*memory), bytes / sizeof(cuda::Bf16), memory_.size(), magnitude);
  return memory;
}

Spread DeviceRig::time(std::uint32_t count, const std::function<void(std::uint32_t)>& work) const {
  const auto all = [&] {
    for (std::uint32_t i = 0; i < count; ++i) work(i);
  };
  all();  // loads what is used, and warms
  const cuda::Graph graph = cuda::Graph::capture(stream(), all);
  cuda::Stopwatch watch;
  std::vector<double> samples;
  for (std::uint32_t round = 0; round <= rounds_; ++round) {
    watch.start(stream());
    graph.launch(stream());
    watch.stop(stream());
    const double seconds = watch.seconds() / count;
    if (round != 0) samples.push_back(seconds);
  }
  return spread_of(std::move(samples));
}

Result<void> DeviceRig::limits(DeviceBenchReport& report) {
  report.device = facts_.name;
  const std::size_t kept = memory_.size();
  const auto from = random_memory(kLimitBytes, 1), to = plain_memory(kLimitBytes);
  if (!from || !to) return tl::unexpected<Error>(from ? to.error() : from.error());
  report.copy = rate_of(time(1, [&](std::uint32_t) { cuda::copy(stream(), *to, *from, kLimitBytes); }), 2.0 * kLimitBytes);
  report.read = rate_of(time(1, [&](std::uint32_t) { cuda::read_all(stream(), *from, kLimitBytes, reinterpret_cast<std::uint32_t*>(*to)); }), kLimitBytes);
  const auto* x = reinterpret_cast<const cuda::Bf16*>(*from);
  const Spread seconds = time(8, [&](std::uint32_t) { library_->multiply(stream(), {x, x + std::size_t{kSide} * kSide, kSide, kSide, kSide, cuda::MatmulOut::kBf16, *to}); });
  report.matmul = rate_of(seconds, 2.0 * kSide * kSide * kSide);
  memory_.resize(kept);
  return {};
}

LlamaShape llama_8b_shape() {
  return {.layers = 32, .width = 4096, .feed_forward = 14336, .heads = 32, .kv_heads = 8, .head_dim = 128, .rotary = 128, .context_length = 131072, .rope_base = 500000, .rope_factor = 1, .norm_epsilon = 1e-5F};
}

Spread rate_of(const Spread& seconds, double amount) { return {amount / seconds.median, amount / seconds.max, amount / seconds.min}; }

}  // namespace baton
