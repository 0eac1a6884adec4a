// SPDX-License-Identifier: Apache-2.0
// A KV pool on the device with some sequences in it whose blocks are shuffled; slots of no token are NaN.
#pragma once

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "kernels/cuda/ops.h"
#include "runtime/base/random.h"
#include "tests/gpu/device_data.h"

namespace baton::test {

class PagedData {
 public:
  PagedData(const KvGeometry& geometry, std::vector<std::uint32_t> lengths, std::uint64_t seed = 1) : geometry_(geometry), lengths_(std::move(lengths)) {
    std::uint32_t blocks = 3;  // that are nobody's
    for (const std::uint32_t length : lengths_) blocks += geometry.blocks_for(length), stride_ = std::max(stride_, geometry.blocks_for(length));
    std::vector<std::uint32_t> order(blocks);
    std::iota(order.begin(), order.end(), 0);
    Random random(seed);
    for (std::size_t i = blocks; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
    tables_.assign(lengths_.size() * stride_, 0xffffffffu);
    std::size_t next = 0;
    for (std::size_t s = 0; s < lengths_.size(); ++s)
      for (std::uint32_t i = 0; i < geometry.blocks_for(lengths_[s]); ++i) tables_[s * stride_ + i] = order[next++];
    bytes_.assign(blocks * geometry.block_bytes(), std::byte{0xff});
    for (std::uint32_t s = 0; s < lengths_.size(); ++s)
      for (std::uint32_t position = 0; position < lengths_[s]; ++position)
        for (std::uint32_t layer = 0; layer < geometry.layers; ++layer)
          for (std::uint32_t head = 0; head < geometry.kv_heads; ++head)
            for (const bool value : {false, true})
              for (std::uint32_t i = 0; i < geometry.head_dim; ++i) {
                const float x = static_cast<float>(random.below(2001)) / 1000.0F - 1.0F;
                const cuda::Bf16 rounded = to_bf16(value ? x : 2 * x);
                std::memcpy(bytes_.data() + offset(s, position, layer, head, value) + i * 2, &rounded, 2);
              }
    pool_ = std::make_unique<OnDevice<std::byte>>(bytes_);
    device_tables_ = std::make_unique<OnDevice<std::uint32_t>>(tables_);
  }

  const KvGeometry& geometry() const { return geometry_; }
  const std::vector<std::uint32_t>& lengths() const { return lengths_; }
  const OnDevice<std::byte>& pool() const { return *pool_; }
  std::uint32_t block(std::uint32_t sequence, std::uint32_t index) const { return tables_[std::size_t{sequence} * stride_ + index]; }
  const std::vector<std::byte>& bytes() const { return bytes_; }
  std::size_t offset(std::uint32_t sequence, std::uint32_t position, std::uint32_t layer, std::uint32_t head, bool value) const {
    return block(sequence, position / geometry_.block_tokens) * geometry_.block_bytes() + geometry_.row_offset(head, layer, value, position % geometry_.block_tokens);
  }
  cuda::PagedRows rows(const OnDevice<std::uint32_t>& positions, const OnDevice<std::uint32_t>& sequences) const {
    return {positions.data(), sequences.data(), device_tables_->data(), stride_, geometry_, pool_->data(), static_cast<std::uint32_t>(bytes_.size() / geometry_.block_bytes())};
  }

  // What a query of `sequence` at `position` attends to, in double precision.
  std::vector<double> attend(const cuda::Bf16* query, std::uint32_t sequence, std::uint32_t position, std::uint32_t layer, std::uint32_t head) const {
    std::vector<double> scores(position + 1), out(geometry_.head_dim);
    const auto element = [&](std::uint32_t at, bool value, std::uint32_t i) {
      cuda::Bf16 x;
      std::memcpy(&x, bytes_.data() + offset(sequence, at, layer, head, value) + i * 2, 2);
      return to_double(x);
    };
    for (std::uint32_t at = 0; at <= position; ++at) {
      for (std::uint32_t i = 0; i < geometry_.head_dim; ++i) scores[at] += to_double(query[i]) * element(at, false, i);
      scores[at] /= std::sqrt(static_cast<double>(geometry_.head_dim));
    }
    const double largest = *std::max_element(scores.begin(), scores.end());
    double sum = 0;
    for (double& score : scores) sum += score = std::exp(score - largest);
    for (std::uint32_t at = 0; at <= position; ++at)
      for (std::uint32_t i = 0; i < geometry_.head_dim; ++i) out[i] += scores[at] / sum * element(at, true, i);
    return out;
  }

 private:
  KvGeometry geometry_;
  std::vector<std::uint32_t> lengths_;
  std::uint32_t stride_ = 0;
  std::vector<std::uint32_t> tables_;
  std::vector<std::byte> bytes_;
  std::unique_ptr<OnDevice<std::byte>> pool_;
  std::unique_ptr<OnDevice<std::uint32_t>> device_tables_;
};

}  // namespace baton::test
