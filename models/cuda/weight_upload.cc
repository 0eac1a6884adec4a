// SPDX-License-Identifier: Apache-2.0
#include "models/cuda/weight_upload.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/cpu/half.h"
#include "kernels/cpu/ops.h"
#include "runtime/base/check.h"

namespace baton {
namespace {

using cuda::Bf16;

constexpr std::size_t kStagingBytes = 32u << 20;

}  // namespace

Result<void> WeightUpload::begin() {
  for (Slot& slot : slots_) {
    auto memory = cuda::Memory::pinned(kStagingBytes);
    if (!memory) return tl::unexpected<Error>(memory.error());
    slot.memory = std::move(*memory);
  }
  return {};
}

WeightUpload::~WeightUpload() {
  for (Slot& slot : slots_)
    if (slot.used) slot.sent.seconds();
}

void WeightUpload::put(Bf16* to, const WeightView& view) {
  const auto rows_most = static_cast<std::uint32_t>(std::max<std::size_t>(1, kStagingBytes / (std::size_t{view.columns} * sizeof(Bf16))));
  for (std::uint32_t begin = 0; begin < view.rows; begin += rows_most) {
    const std::uint32_t count = std::min(rows_most, view.rows - begin);
    Slot& slot = next();
    convert(view, begin, count, reinterpret_cast<Bf16*>(slot.memory.data()));
    send(slot, to + std::size_t{begin} * view.columns, std::size_t{count} * view.columns * sizeof(Bf16));
  }
}

void WeightUpload::put(float* to, const std::vector<float>& values) {
  Slot& slot = next();
  CHECK(values.size() * sizeof(float) <= kStagingBytes);
  std::memcpy(slot.memory.data(), values.data(), values.size() * sizeof(float));
  send(slot, to, values.size() * sizeof(float));
}

WeightUpload::Slot& WeightUpload::next() {
  Slot& slot = slots_[turn_ ^= 1];
  if (std::exchange(slot.used, true)) slot.sent.seconds();
  return slot;
}

void WeightUpload::send(Slot& slot, void* to, std::size_t bytes) {
  slot.sent.start(stream_);
  cuda::copy(stream_, to, slot.memory.data(), bytes);
  slot.sent.stop(stream_);
}

void WeightUpload::convert(const WeightView& view, std::uint32_t begin, std::uint32_t count, Bf16* to) {
  CHECK(std::size_t{count} * view.columns * sizeof(Bf16) <= kStagingBytes, "a matrix row longer than the staging buffer");
  const cpu::Ops& ops = cpu::best_ops();
  threads_.parallel_for(count, 16, [&](std::uint32_t from, std::uint32_t end, std::uint32_t) {
    std::vector<float> row(view.columns);
    for (std::uint32_t i = from; i < end; ++i) {
      ops.dequantize_row(view.row(begin + i), view.type, view.columns, row.data());
      for (std::uint32_t k = 0; k < view.columns; ++k) to[std::size_t{i} * view.columns + k].bits = cpu::float_to_bfloat(row[k]);
    }
  });
}

}  // namespace baton
