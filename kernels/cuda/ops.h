// SPDX-License-Identifier: Apache-2.0
// The CUDA kernels' contracts, for plain C++: each function enqueues its op on a stream and returns; every pointer names
// memory of the device unless it says otherwise, and must stay until the stream is past it. Nothing allocates. All may be captured
// into a graph. A launch that CUDA refuses ends the process (device.h). Activations are bfloat16, the residual stream and logits float32,
// sums float32 in an order that does not depend on the batch: a row's result is a function of the row (matmul() on cuBLASLt,
// matmul_library.h, is the one exception). Bounds: columns of matrices are multiples of 64, head_dim is 64 or 128, up to 16 query heads
// share a KV head, blocks hold a multiple of 16 tokens.
// Kernels are chained by programmatic dependent launch: each begins while the one before it ends, and waits for it before it
// touches anything that may have been written there; only weights are read earlier.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kv_geometry.h"

struct CUstream_st;

namespace baton::cuda {

using Stream = CUstream_st*;
struct Bf16 {
  std::uint16_t bits = 0;
};

// In place of a position: the row is padding. It stores no KV and attends to nothing.
inline constexpr std::uint32_t kNoPosition = 0xffffffffu;

// Where rows of a batch stand in their sequences, and where those keep their KV.
struct PagedRows {
  const std::uint32_t* positions = nullptr;  // [rows]
  const std::uint32_t* sequences = nullptr;  // [rows]: which block table
  const std::uint32_t* tables = nullptr;     // [sequences][table_stride] block ids in position order
  std::uint32_t table_stride = 0;
  KvGeometry geometry;                       // dtype kBF16
  std::byte* pool = nullptr;                 // aligned to 16 bytes
  std::uint32_t pool_blocks = 0;
};

// ---- rows (rows.cu) ------------------------------------------------------------------------------------------------

// x[row] = table[tokens[row]]
struct Embed {
  const std::int32_t* tokens = nullptr;
  const Bf16* table = nullptr;
  std::uint32_t rows = 0, width = 0;
  float* x = nullptr;
};
void embed(Stream stream, const Embed& op);

// y[row] = x / sqrt(mean(x^2) + epsilon) gain, of x[picked[row]] where rows are picked.
struct RmsNorm {
  const float* x = nullptr;
  const float* gain = nullptr;
  const std::uint32_t* picked = nullptr;  // null: all, in order
  std::uint32_t rows = 0, width = 0;      // width: a multiple of 4
  float epsilon = 0;
  Bf16* y = nullptr;
};
void rms_norm(Stream stream, const RmsNorm& op);

// cosine and sine of position x frequency, in double, rounded once: out[position][pair] = {cosine, sine}.
void rotary_table(Stream stream, const double* frequencies, std::uint32_t pairs, std::uint32_t positions, float* out);

// Per row: qkv = qkv + bias, rotates neighbouring pairs of each head's first 2 x pairs elements of queries and keys, as the CPU's
// rope does, leaves the queries in qkv and stores K and V in the row's slot of the pool.
struct RopeAndStore {
  Bf16* qkv = nullptr;          // [rows][(heads + 2 kv_heads) head_dim]
  const float* bias = nullptr;  // of a row's columns; null: none
  const float* rotary = nullptr;
  std::uint32_t pairs = 0;      // of a head, that turn; a multiple of 4
  std::uint32_t rows = 0, heads = 0, layer = 0;
  PagedRows paged;
};
void rope_and_store(Stream stream, const RopeAndStore& op);

// out = silu(gate) up, of rows [gate | up], each `width` long, a multiple of 8.
struct SiluMultiply {
  const Bf16* gate_up = nullptr;
  Bf16* out = nullptr;
  std::uint32_t rows = 0, width = 0;
};
void silu_multiply(Stream stream, const SiluMultiply& op);

// Uniform in [-magnitude, magnitude), a function of (seed, index): weights for benchmarks.
void fill_random(Stream stream, Bf16* out, std::size_t count, std::uint64_t seed, float magnitude);

// ---- matrix products (row_matmul.cu) -------------------------------------------------------------------------------

enum class MatmulOut : std::uint8_t {
  kBf16,      // out[row][i] = sum
  kFloat,
  kAddFloat,  // out[row][i] += sum: the residual stream
  kGated,     // bf16 silu(sum of weights row i) x (sum of weights row outputs + i)
};
// sums over k of x[row][k] weights[i][k]. Made for few rows: reads weights at the memory's speed up to 64 rows, and once for
// every 64. `splits` of the sum's range (1..8, a cluster) are added in order; they are the caller's choice and must depend on nothing
// but the shape where rows must not depend on their number (row_matmul_splits).
struct RowMatmul {
  const Bf16* x = nullptr;        // [rows][columns]
  const Bf16* weights = nullptr;  // [outputs][columns]; kGated: [2 outputs][columns]
  std::uint32_t rows = 0, outputs = 0, columns = 0, splits = 1;
  MatmulOut kind = MatmulOut::kBf16;
  void* out = nullptr;            // [rows][outputs]; outputs a multiple of 16, of 64 with kGated
};
void row_matmul(Stream stream, const RowMatmul& op);
std::uint32_t row_matmul_splits(std::uint32_t outputs, std::uint32_t columns, MatmulOut kind);

// ---- attention (row_attention.cu, prompt_attention.cu) -------------------------------------------------------------

// Rows that attend on their own: each to all stored positions up to its own. The work is shared out on the device: a list of pieces of
// sequences, made once a step by plan_attention() from positions alone.
struct AttentionPlan {
  std::uint32_t* memory = nullptr;      // attention_plan_words() words, zero at first
  float* partial = nullptr;             // attention_partial_floats() floats
  std::uint32_t rows_most = 0;
  std::uint32_t pieces_most = 0;        // what does not fit is an error of the caller: see attention_pieces()
};
inline constexpr std::uint32_t kInvariantPieceTokens = 512;
// With fixed pieces a row's sum is cut at multiples of kInvariantPieceTokens; else so that the device is full.
constexpr std::uint32_t attention_pieces(std::uint32_t length) { return (length + kInvariantPieceTokens - 1) / kInvariantPieceTokens; }
std::size_t attention_plan_words(std::uint32_t rows_most, std::uint32_t pieces_most, std::uint32_t kv_heads);
std::size_t attention_partial_floats(std::uint32_t pieces_most, std::uint32_t heads, std::uint32_t head_dim);
void plan_attention(Stream stream, const AttentionPlan& plan, const std::uint32_t* positions, std::uint32_t rows, std::uint32_t heads, const KvGeometry& geometry,
                    bool fixed_pieces);

struct RowAttention {
  const Bf16* qkv = nullptr;      // [rows][qkv_stride], queries first
  std::uint32_t qkv_stride = 0;
  Bf16* out = nullptr;            // [rows][heads x head_dim]
  std::uint32_t heads = 0, layer = 0;
  PagedRows paged;                // its first row is the plan's row 0
  AttentionPlan plan;
};
void row_attention(Stream stream, const RowAttention& op);

// Chunks of prompts: tiles of neighbouring tokens of one sequence, each of up to prompt_tile_tokens() tokens.
struct PromptTile {
  std::uint32_t first_row = 0;
  std::uint32_t tokens = 0;
  std::uint32_t first_position = 0;
  std::uint32_t sequence = 0;
};
constexpr std::uint32_t prompt_tile_tokens(std::uint32_t heads_per_kv_head) { return 128 / heads_per_kv_head; }
struct PromptAttention {
  const PromptTile* tiles = nullptr;  // the longest first is fastest
  std::uint32_t tile_count = 0;
  const Bf16* qkv = nullptr;
  std::uint32_t qkv_stride = 0;
  Bf16* out = nullptr;
  std::uint32_t heads = 0, layer = 0;
  PagedRows paged;
};
void prompt_attention(Stream stream, const PromptAttention& op);

// ---- drawing tokens (sample.cu) ------------------------------------------------------------------------------------

// What applies to one token's logit before the temperature, as engine/sampler.h has it; each token at most once in a row's list.
struct LogitChange {
  std::uint32_t token = 0;
  std::uint32_t forbidden = 0;
  float bias = 0;
  std::uint32_t count = 0;      // in the answer
  std::uint32_t in_prompt = 0;
  float saved = 0;              // the kernel's
};
inline constexpr std::uint32_t kMostTop = 20;
struct SampleRow {
  std::uint64_t generator_key = 0;
  std::uint64_t position = 0;
  float temperature = 0;        // 0: the largest
  float top_p = 1, min_p = 0;
  std::uint32_t top_k = 0;
  float repetition_penalty = 1, presence_penalty = 0, frequency_penalty = 0;
  std::uint32_t first_change = 0, changes = 0;
  std::int32_t top = -1;        // log-probabilities of so many likeliest tokens; -1: none at all
  std::int32_t given = -1;      // a token to score instead of a draw
};
enum class SampleStatus : std::uint32_t { kDrawn = 0, kNotFinite = 1, kAllForbidden = 2 };
struct SampledRow {
  std::int32_t token = 0;
  float logprob = 0;
  SampleStatus status = SampleStatus::kDrawn;
  std::int32_t top_tokens[kMostTop] = {};
  float top_logprobs[kMostTop] = {};
};
struct Sample {
  float* logits = nullptr;      // [rows][vocabulary]; the same afterwards
  std::uint32_t rows = 0, vocabulary = 0;
  const SampleRow* parameters = nullptr;
  LogitChange* changes = nullptr;
  SampledRow* out = nullptr;
};
void sample(Stream stream, const Sample& op);

// ---- KV (digest.cu) ------------------------------------------------------------------------------------------------

struct DigestBlock {
  std::uint32_t block = 0;
  std::uint32_t first_position = 0;
  std::uint32_t tokens = 0;
};
// digests[i] = kvstore/digest.h's block_digest of blocks[i]. Rows of 128 or 256 bytes.
void block_digests(Stream stream, const KvGeometry& geometry, const std::byte* pool, const DigestBlock* blocks, std::uint32_t count,
                   std::uint64_t* digests);

// ---- limits (limits.cu), for benchmarks ----------------------------------------------------------------------------

// Reads everything; writes nothing unless the words' sum is a value they do not have.
void read_all(Stream stream, const void* memory, std::size_t bytes, std::uint32_t* sink);

}  // namespace baton::cuda
