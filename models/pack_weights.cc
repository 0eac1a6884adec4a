// SPDX-License-Identifier: Apache-2.0
#include "models/pack_weights.h"

#include "runtime/base/hash.h"

namespace baton {
namespace {

constexpr std::uint64_t kLayoutVersion = 1;  // of panels.h: another layout is another key

}  // namespace

Result<void> pack_weights(const GgufFile& file, std::uint64_t model_hash, cpu::Backend& backend, const std::vector<cpu::Matrix*>& matrices,
                          WeightArena& arena) {
  if (backend.terms() == 0) return {};
  std::vector<cpu::Matrix*> packed;
  std::vector<std::size_t> offsets;
  std::size_t bytes = 0;
  for (cpu::Matrix* matrix : matrices) {
    if (!cpu::is_block_quantized(matrix->view.type)) continue;
    packed.push_back(matrix);
    offsets.push_back(bytes);
    bytes += matrix->as_panels().bytes();
  }
  const auto fill = [&](std::span<std::byte> to) {
    for (std::size_t i = 0; i < packed.size(); ++i) {
      const cpu::Panels shape = packed[i]->as_panels();
      backend.threads.parallel_for(shape.count(), 4, [&](std::uint32_t begin, std::uint32_t end, std::uint32_t) {
        cpu::pack_panels(packed[i]->view, shape, begin, end, to.data() + offsets[i]);
      });
      file.release(packed[i]->view);
      arena.progressed(offsets[i] + shape.bytes(), bytes);
    }
  };
  const auto memory = arena.obtain(mix64(model_hash, kLayoutVersion), bytes, fill);
  if (!memory) return tl::unexpected<Error>(memory.error());
  for (std::size_t i = 0; i < packed.size(); ++i) packed[i]->panels = memory->data() + offsets[i];
  return {};
}

}  // namespace baton
