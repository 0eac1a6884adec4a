// SPDX-License-Identifier: Apache-2.0
// Single ops at the 8B shape. Every launch of a graph reads other memory than the one before, so that nothing is warm in the cache.
#include <algorithm>
#include <numeric>

#include "benchmarks/cuda/device_rig.h"
#include "kernels/cuda/ops.h"
#include "runtime/base/random.h"

namespace baton {
namespace {

using cuda::Bf16;
using cuda::MatmulOut;

constexpr std::uint32_t kLayers = 32, kHeads = 32, kKvHeads = 8, kHeadDim = 128, kWidth = 4096;
constexpr std::uint32_t kQkvColumns = (kHeads + 2 * kKvHeads) * kHeadDim;
constexpr std::size_t kWeightBytes = std::size_t{3} << 30;
constexpr std::size_t kPoolBytes = std::size_t{40} << 30;
constexpr std::uint32_t kMostRows = 16384;

class KernelBench {
 public:
  KernelBench(DeviceRig& rig, DeviceBenchReport& report, const std::function<void(std::string_view)>& progress) : rig_(rig), report_(report), progress_(progress) {}

  Result<void> run() {
    RETURN_IF_ERROR(allocate());
    progress_("matrix products of few rows");
    for (const std::uint32_t rows : {1u, 8u, 16u, 32u, 64u}) {
      matmul("qkv", rows, kQkvColumns, kWidth, MatmulOut::kBf16);
      matmul("attention output", rows, kWidth, kWidth, MatmulOut::kAddFloat);
      matmul("gate, up and SiLU", rows, 14336, kWidth, MatmulOut::kGated);
      matmul("down", rows, kWidth, 14336, MatmulOut::kAddFloat);
      matmul("logits", rows, kLlama8bVocabulary, kWidth, MatmulOut::kFloat);
    }
    progress_("attention of rows");
    for (const std::uint32_t block : {16u, 32u, 64u})
      for (const auto& [batch, length] : {std::pair{64u, 1024u}, {64u, 4096u}}) RETURN_IF_ERROR(row_attention(batch, length, block, false));
    for (const auto& [batch, length] : {std::pair{1u, 1024u}, {16u, 1024u}, {128u, 1024u}, {8u, 16384u}}) RETURN_IF_ERROR(row_attention(batch, length, 16, false));
    for (const auto& [batch, length] : {std::pair{1u, 1024u}, {64u, 1024u}, {64u, 4096u}}) RETURN_IF_ERROR(row_attention(batch, length, 16, true));
    progress_("attention of prompts");
    for (const auto& [sequences, prefix, tokens] : {std::tuple{1u, 0u, 512u}, {1u, 0u, 2048u}, {4u, 0u, 2048u}, {1u, 0u, 8192u}, {1u, 14336u, 2048u}})
      RETURN_IF_ERROR(prompt_attention(sequences, prefix, tokens));
    progress_("small ops");
    RETURN_IF_ERROR(row_ops());
    return sampling();
  }

 private:
  Result<void> allocate() {
    for (const auto& [place, bytes, magnitude] : {std::tuple{&weights_, kWeightBytes, 1e-3F}, {&pool_, kPoolBytes, 1.0F}, {&x_, std::size_t{kMostRows} * 28672 * 2, 1.0F}}) {
      const auto made = rig_.random_memory(bytes, magnitude);
      if (!made) return tl::unexpected<Error>(made.error());
      *place = *made;
    }
    const auto out = rig_.plain_memory(std::size_t{kMostRows} * 28672 * 4);
    if (!out) return tl::unexpected<Error>(out.error());
    out_ = *out;
    return {};
  }

  void add(std::string what, std::string detail, const Spread& seconds, double amount, const char* unit, double limit, std::optional<Spread> peer = {}) {
    report_.rows.push_back({std::move(what), std::move(detail), seconds, rate_of(seconds, amount), unit, limit, peer});
  }

  void matmul(const char* what, std::uint32_t rows, std::uint32_t outputs, std::uint32_t columns, MatmulOut kind) {
    const std::size_t bytes = std::size_t{outputs} * columns * sizeof(Bf16) * (kind == MatmulOut::kGated ? 2 : 1);
    const auto places = static_cast<std::uint32_t>(kWeightBytes / bytes);
    const auto weights = [&](std::uint32_t i) { return reinterpret_cast<const Bf16*>(weights_ + i % places * bytes); };
    const auto* x = reinterpret_cast<const Bf16*>(x_);
    const std::uint32_t launches = std::max(4u, std::min(64u, places)), splits = cuda::row_matmul_splits(outputs, columns, kind);
    const Spread ours = rig_.time(launches, [&](std::uint32_t i) { cuda::row_matmul(rig_.stream(), {x, weights(i), rows, outputs, columns, splits, kind, out_}); });
    const Spread peer = rig_.time(launches, [&](std::uint32_t i) {
      if (kind != MatmulOut::kGated) {
        rig_.library().multiply(rig_.stream(), {x, weights(i), rows, outputs, columns, kind, out_});
        return;
      }
      auto* both = reinterpret_cast<Bf16*>(out_);
      rig_.library().multiply(rig_.stream(), {x, weights(i), rows, 2 * outputs, columns, MatmulOut::kBf16, both});
      cuda::silu_multiply(rig_.stream(), {both, both + std::size_t{rows} * 2 * outputs, rows, outputs});
    });
    const auto amount = static_cast<double>(bytes);
    add(what, std::to_string(rows) + " x " + std::to_string(outputs) + " x " + std::to_string(columns), ours, amount, "bytes", report_.read.median, rate_of(peer, amount));
  }

  // Block tables that are shuffled over the whole pool.
  Result<cuda::PagedRows> paged(std::uint32_t sequences, std::uint32_t length, std::uint32_t block_tokens) {
    const KvGeometry geometry{.group = 0, .layers = kLayers, .kv_heads = kKvHeads, .head_dim = kHeadDim, .block_tokens = block_tokens, .dtype = DType::kBF16};
    const auto pool_blocks = static_cast<std::uint32_t>(kPoolBytes / geometry.block_bytes());
    std::vector<std::uint32_t> blocks(pool_blocks);
    std::iota(blocks.begin(), blocks.end(), 0);
    Random random(1);
    for (std::size_t i = blocks.size(); i > 1; --i) std::swap(blocks[i - 1], blocks[random.below(i)]);
    const std::uint32_t stride = geometry.blocks_for(length);
    if (std::size_t{sequences} * stride > blocks.size()) return fail(ErrorCode::kInternal, "the bench's pool is too small");
    blocks.resize(std::size_t{sequences} * stride);
    const auto tables = rig_.upload(blocks);
    const auto positions = rig_.upload(std::vector<std::uint32_t>(sequences, length - 1));
    std::vector<std::uint32_t> order(sequences);
    std::iota(order.begin(), order.end(), 0);
    const auto rows = rig_.upload(order);
    if (!tables || !positions || !rows) return fail(ErrorCode::kResourceExhausted, "no memory for the bench's tables");
    return cuda::PagedRows{*positions, *rows, *tables, stride, geometry, pool_, pool_blocks};
  }

  Result<void> row_attention(std::uint32_t batch, std::uint32_t length, std::uint32_t block_tokens, bool fixed) {
    const auto data = paged(batch, length, block_tokens);
    if (!data) return tl::unexpected<Error>(data.error());
    constexpr std::uint32_t kPieces = 8192;
    const auto words = rig_.plain_memory(cuda::attention_plan_words(batch, kPieces, kKvHeads) * sizeof(std::uint32_t));
    const auto partial = rig_.plain_memory(cuda::attention_partial_floats(kPieces, kHeads, kHeadDim) * sizeof(float));
    if (!words || !partial) return fail(ErrorCode::kResourceExhausted, "no memory for the bench's plan");
    const cuda::AttentionPlan plan{reinterpret_cast<std::uint32_t*>(*words), reinterpret_cast<float*>(*partial), batch, kPieces};
    cuda::plan_attention(rig_.stream(), plan, data->positions, batch, kHeads, data->geometry, fixed);
    const Spread seconds = rig_.time(kLayers, [&](std::uint32_t layer) {
      cuda::row_attention(rig_.stream(), {reinterpret_cast<const Bf16*>(x_), kQkvColumns, reinterpret_cast<Bf16*>(out_), kHeads, layer, *data, plan});
    });
    add(fixed ? "attention of rows, fixed pieces" : "attention of rows", std::to_string(batch) + " x " + std::to_string(length) + ", blocks of " + std::to_string(block_tokens), seconds,
        static_cast<double>(std::size_t{batch} * length * kKvHeads * kHeadDim * 2 * sizeof(Bf16)), "bytes", report_.read.median);
    return {};
  }

  Result<void> prompt_attention(std::uint32_t sequences, std::uint32_t prefix, std::uint32_t tokens) {
    const auto data = paged(sequences, prefix + tokens, 16);
    if (!data) return tl::unexpected<Error>(data.error());
    const std::uint32_t step = cuda::prompt_tile_tokens(kHeads / kKvHeads);
    std::vector<cuda::PromptTile> tiles;
    for (std::uint32_t i = tokens; i >= step; i -= step)
      for (std::uint32_t s = 0; s < sequences; ++s) tiles.push_back({s * tokens + i - step, step, prefix + i - step, s});
    const auto there = rig_.upload(tiles);
    if (!there) return tl::unexpected<Error>(there.error());
    const Spread seconds = rig_.time(8, [&](std::uint32_t layer) {
      cuda::prompt_attention(rig_.stream(), {*there, static_cast<std::uint32_t>(tiles.size()), reinterpret_cast<const Bf16*>(x_), kQkvColumns, reinterpret_cast<Bf16*>(out_), kHeads, layer, *data});
    });
    const double pairs = static_cast<double>(sequences) * tokens * (prefix + (tokens + 1) / 2.0);
    add("attention of prompts", std::to_string(sequences) + " x " + std::to_string(tokens) + (prefix == 0 ? "" : " behind " + std::to_string(prefix)), seconds, 4.0 * pairs * kHeads * kHeadDim, "FLOP",
        report_.matmul.median);
    return {};
  }

  Result<void> row_ops() {
    const auto gain = rig_.plain_memory(kWidth * sizeof(float));
    if (!gain) return tl::unexpected<Error>(gain.error());
    auto* x = reinterpret_cast<float*>(x_);
    for (const std::uint32_t rows : {64u, 8192u}) {
      const Spread seconds =
          rig_.time(8, [&](std::uint32_t) { cuda::rms_norm(rig_.stream(), {x, reinterpret_cast<const float*>(*gain), nullptr, rows, kWidth, 1e-5F, reinterpret_cast<Bf16*>(out_)}); });
      add("norm", std::to_string(rows) + " x 4096", seconds, rows * kWidth * 6.0, "bytes", report_.copy.median);
      const Spread gated = rig_.time(8, [&](std::uint32_t) { cuda::silu_multiply(rig_.stream(), {reinterpret_cast<const Bf16*>(x_), reinterpret_cast<Bf16*>(out_), rows, 14336}); });
      add("SiLU times up", std::to_string(rows) + " x 14336", gated, rows * 14336 * 6.0, "bytes", report_.copy.median);
      RETURN_IF_ERROR(rope(rows));
    }
    return {};
  }

  // Rows are one sequence's.
  Result<void> rope(std::uint32_t rows) {
    auto data = paged(1, rows, 16);
    if (!data) return tl::unexpected<Error>(data.error());
    std::vector<std::uint32_t> order(rows);
    std::iota(order.begin(), order.end(), 0);
    const auto positions = rig_.upload(order);
    const auto sequences = rig_.upload(std::vector<std::uint32_t>(rows, 0));
    const auto table = rig_.upload(std::vector<float>(std::size_t{rows} * kHeadDim, 0.5F));
    if (!positions || !sequences || !table) return fail(ErrorCode::kResourceExhausted, "no memory for the bench's positions");
    data->positions = *positions;
    data->sequences = *sequences;
    const Spread seconds = rig_.time(8, [&](std::uint32_t layer) { cuda::rope_and_store(rig_.stream(), {reinterpret_cast<Bf16*>(out_), nullptr, *table, kHeadDim / 2, rows, kHeads, layer, *data}); });
    add("rope and KV write", std::to_string(rows) + " x 6144", seconds, rows * kQkvColumns * 4.0, "bytes", report_.copy.median);
    return {};
  }

  Result<void> sampling() {
    constexpr std::uint32_t kRows = 64;
    const cuda::SampleRow greedy{}, plain{.temperature = 1}, cut{.temperature = 1, .top_p = 0.9F, .top_k = 50}, likely{.temperature = 1, .top_p = 0.9F};
    const auto changes = rig_.plain_memory(64);
    if (!changes) return tl::unexpected<Error>(changes.error());
    auto* logits = reinterpret_cast<float*>(out_);
    // Logits as spread as a model's: normally distributed they are not, but no two are alike.
    std::vector<float> row(std::size_t{kRows} * kLlama8bVocabulary);
    for (std::size_t i = 0; i < row.size(); ++i) row[i] = static_cast<float>(random_at(1, i) >> 40) * (20.0F / 16777216.0F);
    cuda::copy(rig_.stream(), logits, row.data(), row.size() * sizeof(float));
    for (const auto& [name, parameters] : {std::pair{"greedy", greedy}, {"temperature 1", plain}, {"top-k 50, top-p 0.9", cut}, {"top-p 0.9", likely}}) {
      const auto there = rig_.upload(std::vector<cuda::SampleRow>(kRows, parameters));
      const auto drawn = rig_.plain_memory(kRows * sizeof(cuda::SampledRow));
      if (!there || !drawn) return fail(ErrorCode::kResourceExhausted, "no memory for the bench's draws");
      const Spread seconds = rig_.time(8, [&](std::uint32_t) {
        cuda::sample(rig_.stream(), {logits, kRows, kLlama8bVocabulary, *there, reinterpret_cast<cuda::LogitChange*>(*changes), reinterpret_cast<cuda::SampledRow*>(*drawn)});
      });
      add("sampling", std::string(name) + ", 64 x 128256", seconds, static_cast<double>(row.size() * sizeof(float)), "bytes", report_.read.median);
    }
    return {};
  }

  DeviceRig& rig_;
  DeviceBenchReport& report_;
  const std::function<void(std::string_view)>& progress_;
  std::byte *weights_ = nullptr, *pool_ = nullptr, *x_ = nullptr, *out_ = nullptr;
};

}  // namespace

Result<DeviceBenchReport> bench_device_kernels(const DeviceBenchOptions& options, const std::function<void(std::string_view)>& progress) {
  const auto rig = DeviceRig::open(options);
  if (!rig) return tl::unexpected<Error>(rig.error());
  DeviceBenchReport report;
  progress("limits");
  RETURN_IF_ERROR((*rig)->limits(report));
  RETURN_IF_ERROR(KernelBench(**rig, report, progress).run());
  return report;
}

}  // namespace baton
