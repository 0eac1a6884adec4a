// SPDX-License-Identifier: Apache-2.0
// Drawing tokens as engine/sampler.h does it: the same order of changes, cuts and draws, the same generator, the inverse of
// the cumulated weights in the order of falling logits (of ids where nothing is cut). One block a row. No sort, and no sum that depends
// on the order of threads: weights are whole numbers of 2^-40. The ids a cut or a draw falls on are found by counting into bins of equal
// width by logit, then inside one bin; a bin too full for shared memory is narrowed by halving (logit, id) instead.
#include "kernels/cuda/launch.cuh"

#include "runtime/base/check.h"
#include "runtime/base/random.h"

namespace baton::cuda {
namespace {

constexpr std::uint32_t kThreads = 1024;
constexpr std::uint32_t kBins = 2048;
constexpr float kSpan = 28.0F;             // nats below the largest that the bins cover: e^-28 < 2^-40
constexpr std::uint32_t kMostListed = 2048;
constexpr float kUnit = 0x1p40F;
using Word = std::uint64_t;

struct Shared {
  Word mass[kBins];
  std::uint32_t count[kBins];
  Word list[kMostListed];  // keys of the bin that is looked into
  std::uint32_t listed;
  Word words[kThreads / 32];
  float floats[kThreads / 32];
  Word found[4];
};

// ---- reductions over the block; every thread gets the result -----------------------------------------------------------

template <class T, class Combine>
__device__ T over_block(T value, T* scratch, const Combine& combine) {
#pragma unroll
  for (int lane = 16; lane > 0; lane >>= 1) value = combine(value, __shfl_xor_sync(0xffffffffu, value, lane));
  __syncthreads();
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = value;
  __syncthreads();
  T all = scratch[0];
  for (std::uint32_t warp = 1; warp < kThreads / 32; ++warp) all = combine(all, scratch[warp]);
  return all;
}
__device__ Word block_sum(Shared& shared, Word value) {
  return over_block(value, shared.words, [](Word a, Word b) { return a + b; });
}
__device__ Word block_min(Shared& shared, Word value) {
  return over_block(value, shared.words, [](Word a, Word b) { return a < b ? a : b; });
}
__device__ float block_max(Shared& shared, float value) {
  return over_block(value, shared.floats, [](float a, float b) { return fmaxf(a, b); });
}

// ---- a row -------------------------------------------------------------------------------------------------------------

struct Row {
  float* logits;
  std::uint32_t vocabulary;
  float largest;
  float temperature;
};

// Falling logit, then rising id, as one number that rises. -0 counts as 0.
__device__ __forceinline__ Word key_of(float logit, std::uint32_t id) {
  const std::uint32_t bits = __float_as_uint(logit + 0.0F);
  const std::uint32_t rising = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
  return (Word{~rising} << 32) | id;
}
__device__ __forceinline__ float scaled(const Row& row, float logit) { return (logit - row.largest) / row.temperature; }
__device__ __forceinline__ Word weight_of(const Row& row, float logit) { return static_cast<Word>(expf(scaled(row, logit)) * kUnit); }
__device__ __forceinline__ std::uint32_t bin_of(const Row& row, float logit) {
  return min(static_cast<std::uint32_t>(scaled(row, logit) * (-static_cast<float>(kBins) / kSpan)), kBins - 1);
}
template <class Body>
__device__ __forceinline__ void each(const Row& row, const Body& body) {
  for (std::uint32_t id = threadIdx.x; id < row.vocabulary; id += kThreads) body(id, row.logits[id]);
}

__device__ Word first_key(Shared& shared, const Row& row, Word above, bool any) {
  Word best = ~Word{0};
  each(row, [&](std::uint32_t id, float logit) {
    const Word key = key_of(logit, id);
    if ((any || key > above) && key < best) best = key;
  });
  return block_min(shared, best);
}

__device__ void fill_bins(Shared& shared, const Row& row) {
  for (std::uint32_t i = threadIdx.x; i < kBins; i += kThreads) shared.mass[i] = 0, shared.count[i] = 0;
  __syncthreads();
  each(row, [&](std::uint32_t, float logit) {
    const std::uint32_t bin = bin_of(row, logit);
    atomicAdd(&shared.count[bin], 1u);
    const Word weight = weight_of(row, logit);
    if (weight != 0) atomicAdd(reinterpret_cast<unsigned long long*>(&shared.mass[bin]), weight);
  });
  __syncthreads();
}

// An id in the order of keys, and what lies before it.
struct Found {
  Word key;
  Word before, count_before;
  Word weight;
};
__device__ __forceinline__ float logit_of(const Row& row, Word key) { return row.logits[static_cast<std::uint32_t>(key)]; }

// Mass and number of the keys of a bin up to `most`.
__device__ Found up_to(Shared& shared, const Row& row, std::uint32_t bin, Word most) {
  Word mass = 0, count = 0;
  each(row, [&](std::uint32_t id, float logit) {
    if (bin_of(row, logit) != bin || key_of(logit, id) > most) return;
    mass += weight_of(row, logit);
    ++count;
  });
  mass = block_sum(shared, mass);
  return {most, mass, block_sum(shared, count), 0};
}

// The first key at which the cumulated mass exceeds `mass`, or reaches the `count`-th (from 1); the last one if none does. A search
// by mass has count 0.
__device__ Found locate(Shared& shared, const Row& row, Word mass, Word count) {
  const auto there = [&](Word cumulated_mass, Word cumulated_count) { return count != 0 ? cumulated_count >= count : cumulated_mass > mass; };
  if (threadIdx.x == 0) {
    Word m = 0, c = 0;
    std::uint32_t bin = 0, last = 0;
    Word last_mass = 0, last_count = 0;
    for (; bin < kBins; ++bin) {
      if (shared.count[bin] == 0) continue;
      if (shared.mass[bin] != 0 || count != 0) last = bin, last_mass = m, last_count = c;
      if (there(m + shared.mass[bin], c + shared.count[bin])) break;
      m += shared.mass[bin], c += shared.count[bin];
    }
    shared.found[0] = last, shared.found[1] = last_mass, shared.found[2] = last_count;
    shared.listed = 0;
  }
  __syncthreads();
  const auto bin = static_cast<std::uint32_t>(shared.found[0]);
  const Word mass_before = shared.found[1], count_before = shared.found[2];
  const std::uint32_t number = shared.count[bin];
  if (number > kMostListed) {
    Word low = 0, high = ~Word{0};  // the answer is in (low, high] but for low = 0
    while (low < high) {
      const Word middle = low + (high - low) / 2;
      const Found at = up_to(shared, row, bin, middle);
      if (there(mass_before + at.before, count_before + at.count_before) || at.count_before == number) high = middle;
      else low = middle + 1;
    }
    const Found at = up_to(shared, row, bin, high);
    const Word weight = weight_of(row, logit_of(row, high));
    return {high, mass_before + at.before - weight, count_before + at.count_before - 1, weight};
  }
  each(row, [&](std::uint32_t id, float logit) {
    if (bin_of(row, logit) == bin) shared.list[atomicAdd(&shared.listed, 1u)] = key_of(logit, id);
  });
  __syncthreads();
  // Each key's rank among the bin's, by comparing with all of them.
  Word best = ~Word{0};
  for (std::uint32_t i = threadIdx.x; i < number; i += kThreads) {
    const Word key = shared.list[i];
    Word m = mass_before, c = count_before;
    for (std::uint32_t j = 0; j < number; ++j)
      if (shared.list[j] <= key) m += weight_of(row, logit_of(row, shared.list[j])), ++c;
    if ((there(m, c) || c == count_before + number) && key < best) best = key;
  }
  best = block_min(shared, best);
  Word m = 0, c = 0;
  for (std::uint32_t i = threadIdx.x; i < number; i += kThreads)
    if (shared.list[i] < best) m += weight_of(row, logit_of(row, shared.list[i])), ++c;
  m = block_sum(shared, m);
  c = block_sum(shared, c);
  return {best, mass_before + m, count_before + c, weight_of(row, logit_of(row, best))};
}

// ---- steps of a draw ---------------------------------------------------------------------------------------------------

__device__ float change(const SampleRow& p, const LogitChange& c, float logit) {
  if (c.forbidden != 0) logit = -INFINITY;
  logit += c.bias;
  if (c.count == 0 && c.in_prompt == 0) return logit;
  logit = logit > 0 ? fminf(logit / p.repetition_penalty, 3.402823466e38F) : logit * p.repetition_penalty;
  if (c.count == 0) return logit;
  logit -= p.frequency_penalty * static_cast<float>(c.count);
  return logit - p.presence_penalty;
}

// In the order of ids: warps have neighbouring ranges of them.
__device__ std::uint32_t draw_from_all(Shared& shared, const Row& row, double chance) {
  const std::uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const std::uint32_t range = (row.vocabulary + kThreads - 1) / kThreads * 32;
  const std::uint32_t begin = min(warp * range, row.vocabulary), end = min(begin + range, row.vocabulary);
  Word mass = 0;
  for (std::uint32_t id = begin + lane; id < end; id += 32) mass += weight_of(row, row.logits[id]);
#pragma unroll
  for (int other = 16; other > 0; other >>= 1) mass += __shfl_xor_sync(0xffffffffu, mass, other);
  __syncthreads();
  if (lane == 0) shared.words[warp] = mass;
  __syncthreads();
  Word total = 0, before = 0;
  for (std::uint32_t i = 0; i < kThreads / 32; ++i) total += shared.words[i];
  const Word target = min(static_cast<Word>(chance * static_cast<double>(total)), total - 1);
  for (std::uint32_t i = 0; i < warp; ++i) before += shared.words[i];
  if (target >= before && target - before < mass) {
    for (std::uint32_t first = begin; first < end; first += 32) {
      const Word weight = first + lane < end ? weight_of(row, row.logits[first + lane]) : 0;
      Word sum = weight;
#pragma unroll
      for (int other = 1; other < 32; other *= 2) {
        const Word lower = __shfl_up_sync(0xffffffffu, sum, other);
        if (lane >= static_cast<std::uint32_t>(other)) sum += lower;
      }
      const std::uint32_t past = __ballot_sync(0xffffffffu, before + sum > target);
      if (past != 0) {
        if (lane == 0) shared.found[3] = first + __ffs(static_cast<int>(past)) - 1;
        break;
      }
      before += __shfl_sync(0xffffffffu, sum, 31);
    }
  }
  __syncthreads();
  return static_cast<std::uint32_t>(shared.found[3]);
}

__device__ std::uint32_t draw_from_likeliest(Shared& shared, const Row& row, const SampleRow& p, double chance) {
  fill_bins(shared, row);
  Word mass = 0;
  for (std::uint32_t i = threadIdx.x; i < kBins; i += kThreads) mass += shared.mass[i];
  mass = block_sum(shared, mass);
  Word last = ~Word{0};  // the last key that stays
  if (p.top_k != 0 && p.top_k < row.vocabulary) {
    const Found cut = locate(shared, row, 0, p.top_k);
    last = cut.key;
    mass = cut.before + cut.weight;
  }
  if (p.top_p < 1) {
    const double enough = static_cast<double>(p.top_p) * static_cast<double>(mass);
    // Whole numbers: at least `enough` is more than the one below its ceiling.
    const Found cut = locate(shared, row, enough > 1 ? static_cast<Word>(ceil(enough)) - 1 : 0, 0);
    if (cut.key < last) last = cut.key, mass = cut.before + cut.weight;
  }
  if (p.min_p > 0) {
    Word likely = 0;
    each(row, [&](std::uint32_t id, float logit) {
      const Word key = key_of(logit, id);
      if (key <= last && (logit == row.largest || expf(scaled(row, logit)) >= p.min_p)) likely += weight_of(row, logit);
    });
    mass = block_sum(shared, likely);
  }
  const Found drawn = locate(shared, row, min(static_cast<Word>(chance * static_cast<double>(mass)), mass - 1), 0);
  return static_cast<std::uint32_t>(drawn.key);
}

__device__ void add_logprobs(Shared& shared, const Row& raw, std::int32_t top, SampledRow& out, std::uint32_t token) {
  Word mass = 0;
  each(raw, [&](std::uint32_t, float logit) { mass += weight_of(raw, logit); });
  mass = block_sum(shared, mass);
  const double log_total = log(static_cast<double>(mass)) - log(static_cast<double>(kUnit));
  const auto logprob_of = [&](std::uint32_t id) { return static_cast<float>(static_cast<double>(raw.logits[id]) - static_cast<double>(raw.largest) - log_total); };
  if (threadIdx.x == 0) out.logprob = logprob_of(token);
  Word key = 0;
  for (std::int32_t i = 0; i < top && static_cast<std::uint32_t>(i) < raw.vocabulary; ++i) {
    key = first_key(shared, raw, key, i == 0);
    if (threadIdx.x == 0) out.top_tokens[i] = static_cast<std::int32_t>(key & 0xffffffffu), out.top_logprobs[i] = logprob_of(static_cast<std::uint32_t>(key));
  }
}

__global__ void __launch_bounds__(kThreads) sample_rows(Sample op) {
  __shared__ Shared shared;
  wait_for_previous();
  let_next_begin();
  const SampleRow p = op.parameters[blockIdx.x];
  SampledRow& out = op.out[blockIdx.x];
  Row row{op.logits + std::size_t{blockIdx.x} * op.vocabulary, op.vocabulary, -INFINITY, 1.0F};
  float largest = -INFINITY;
  bool finite = true;
  each(row, [&](std::uint32_t, float logit) {
    largest = fmaxf(largest, logit);
    finite = finite && isfinite(logit);
  });
  const float raw_largest = block_max(shared, largest);
  if (__syncthreads_or(!finite)) {
    if (threadIdx.x == 0) out.status = SampleStatus::kNotFinite;
    return;
  }
  LogitChange* changes = op.changes + p.first_change;
  for (std::uint32_t i = threadIdx.x; i < p.changes; i += kThreads) {
    float& logit = row.logits[changes[i].token];
    changes[i].saved = logit;
    logit = change(p, changes[i], logit);
  }
  __syncthreads();
  row.largest = raw_largest;
  if (p.changes != 0) {
    largest = -INFINITY;
    each(row, [&](std::uint32_t, float logit) { largest = fmaxf(largest, logit); });
    row.largest = block_max(shared, largest);
  }
  std::uint32_t token = 0;
  const bool none = row.largest == -INFINITY;
  if (p.given >= 0) {
    token = static_cast<std::uint32_t>(p.given);
  } else if (!none && !(p.temperature > 0)) {
    token = static_cast<std::uint32_t>(first_key(shared, row, 0, true));
  } else if (!none) {
    row.temperature = p.temperature;
    const double chance = static_cast<double>(random_at(p.generator_key, p.position) >> 11) * 0x1p-53;
    const bool all = (p.top_k == 0 || p.top_k >= row.vocabulary) && !(p.top_p < 1) && !(p.min_p > 0);
    token = all ? draw_from_all(shared, row, chance) : draw_from_likeliest(shared, row, p, chance);
  }
  __syncthreads();
  for (std::uint32_t i = threadIdx.x; i < p.changes; i += kThreads) row.logits[changes[i].token] = changes[i].saved;
  __syncthreads();
  if (threadIdx.x == 0) {
    out.token = static_cast<std::int32_t>(token);
    out.status = none ? SampleStatus::kAllForbidden : SampleStatus::kDrawn;
    out.logprob = 0;
  }
  const Row raw{row.logits, row.vocabulary, raw_largest, 1.0F};
  if (p.top >= 0 && !none) add_logprobs(shared, raw, p.top, out, token);
}

}  // namespace

void sample(Stream stream, const Sample& op) {
  if (op.rows != 0) launch("sample", sample_rows, dim3(op.rows), dim3(kThreads), 0, stream, 1, op);
}

}  // namespace baton::cuda
