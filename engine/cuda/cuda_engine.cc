// SPDX-License-Identifier: Apache-2.0
// A step: the plan becomes rows, goes to the device in one copy, runs as a graph if it only decodes, and what was drawn comes
// back in one copy. The host waits for it.
#include "engine/cuda_engine.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <map>
#include <optional>
#include <utility>

#include "engine/cuda/device_inputs.h"
#include "engine/cuda/step_rows.h"
#include "kernels/cuda/device.h"
#include "models/cuda/device_llama.h"
#include "runtime/base/check.h"
#include "runtime/base/hash.h"

namespace baton {
namespace {

using cuda::SampledRow;

constexpr std::uint32_t kLeastPieces = 4096;  // of row attention in one launch
constexpr std::uint32_t kMostLogitRows = 512; // whose logits are held at a time
constexpr std::uint32_t kMostDigests = 4096;  // of one launch
constexpr std::uint32_t kBuckets[] = {1, 2, 4, 8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512};

std::uint64_t numerics_fingerprint(Numerics numerics) { return mix64(mix64(0x637564612d656e67u, kCudaKernelVersion), static_cast<std::uint64_t>(numerics)); }

std::string gibibytes(std::size_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GiB", static_cast<double>(bytes) / (1u << 30));
  return text;
}

Result<void> check_options(const CudaEngineOptions& options) {
  if (options.numerics == Numerics::kReference)
    return fail(ErrorCode::kInvalidArgument, "numerics 'reference' is computed on CPUs alone: use 'invariant' or 'fast' on a CUDA device");
  if (options.block_tokens < 16 || options.block_tokens > 1024 || options.block_tokens % 16 != 0)
    return fail(ErrorCode::kInvalidArgument, "kv_cache.block_size must be a multiple of 16 between 16 and 1024 on a CUDA device, not " + std::to_string(options.block_tokens));
  if (options.max_batched_tokens < 1 || options.max_sequences < 1)
    return fail(ErrorCode::kInvalidArgument, "a CUDA device needs room for at least one token and one sequence a step");
  return {};
}

struct Source {
  std::unique_ptr<GgufFile> file;
  LlamaDescription description;
};

Result<Source> source_of(const CudaEngineOptions& options) {
  Source source;
  if (options.random_shape) {
    const LlamaShape& shape = *options.random_shape;
    source.description.shape = shape;
    source.description.info = {.name = "random", .architecture = "llama", .hash = 0, .layers = shape.layers, .kv_heads = shape.kv_heads, .head_dim = shape.head_dim,
                               .vocab_size = options.random_vocabulary, .context_length = shape.context_length, .stop_tokens = {}};
    return source;
  }
  auto file = GgufFile::open(options.model_path);
  if (!file) return tl::unexpected<Error>(file.error());
  const std::string architecture = (*file)->get_string("general.architecture").value_or("");
  if (architecture != "llama") return fail(ErrorCode::kIncompatible, options.model_path + ": architecture '" + architecture + "' does not run on CUDA devices; llama does");
  auto description = describe_llama(**file, cpu::best_ops());
  if (!description) return tl::unexpected<Error>(description.error());
  source.file = std::move(*file);
  source.description = std::move(*description);
  return source;
}

class DeviceEngine final : public CudaEngine {
 public:
  explicit DeviceEngine(const CudaEngineOptions& options) : options_(options) {}

  Result<void> open();
  const EngineInfo& info() const override { return info_; }
  std::uint32_t pool_blocks() const override { return pool_blocks_; }
  std::string plan() const override;
  StepResult step(const BatchPlan& plan) override;

 private:
  // What the launches of a step read and write.
  struct Launch {
    DeviceBatch batch;
    const std::uint32_t* picked = nullptr;
    const cuda::SampleRow* samples = nullptr;
    cuda::LogitChange* changes = nullptr;
    std::uint32_t draws = 0;
  };

  Result<void> load(const Source& source);
  Result<void> make_pool(const cuda::DeviceFacts& facts);
  Result<void> make_results();
  Launch put_inputs();
  void enqueue(const Launch& launch);
  void run_decodes();
  void start_digests(std::size_t begin);
  void take_digests(const BatchPlan& plan, StepResult& result);
  std::uint32_t rows_most() const { return std::max(options_.max_batched_tokens, std::bit_ceil(options_.max_sequences)); }
  std::uint32_t logit_rows() const { return std::min(kMostLogitRows, std::bit_ceil(options_.max_sequences)); }
  void take_draws(const BatchPlan& plan, StepResult& result) const;
  void take_draw(const SequencePlan& sequence, const SampledRow& drawn, SequenceResult& out) const;
  std::vector<TokenLogprob> likeliest(const SampledRow& row, const std::optional<std::uint32_t>& wanted) const;

  const CudaEngineOptions options_;
  cuda::DeviceFacts facts_;
  std::unique_ptr<cuda::OwnedStream> stream_;
  std::unique_ptr<DeviceLlama> model_;
  EngineInfo info_;
  StepRowsOptions rows_options_;
  cuda::Memory pool_, logits_, drawn_, drawn_host_, digests_, digests_host_;
  std::uint32_t pool_blocks_ = 0;
  StepRows rows_;
  DeviceInputs inputs_, digest_inputs_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, cuda::Graph> graphs_;  // by rows and stride of the block tables
};

Result<void> DeviceEngine::open() {
  RETURN_IF_ERROR(check_options(options_));
  auto facts = cuda::use_device(options_.device);
  if (!facts) return tl::unexpected<Error>(facts.error());
  facts_ = *facts;
  stream_ = std::make_unique<cuda::OwnedStream>();
  const auto source = source_of(options_);
  if (!source) return tl::unexpected<Error>(source.error());
  const ModelInfo& model = source->description.info;
  if (options_.max_model_len > model.context_length)
    return fail(ErrorCode::kInvalidArgument, "max_model_len " + std::to_string(options_.max_model_len) + " is more than the model's context length " + std::to_string(model.context_length));
  info_ = EngineInfo{.model_name = options_.model_name.empty() ? model.name : options_.model_name,
                     .model_hash = model.hash,
                     .numerics_fingerprint = numerics_fingerprint(options_.numerics),
                     .geometry = {.group = 0, .layers = model.layers, .kv_heads = model.kv_heads, .head_dim = model.head_dim, .block_tokens = options_.block_tokens, .dtype = DType::kBF16},
                     .vocab_size = model.vocab_size,
                     .max_model_len = options_.max_model_len == 0 ? model.context_length : options_.max_model_len,
                     .stop_tokens = model.stop_tokens};
  RETURN_IF_ERROR(load(*source));
  RETURN_IF_ERROR(make_results());
  RETURN_IF_ERROR(make_pool(*facts));
  stream_->wait();
  return {};
}

Result<void> DeviceEngine::load(const Source& source) {
  const LlamaShape& shape = source.description.shape;
  rows_options_ = {.invariant = options_.numerics == Numerics::kInvariant,
                   .heads_per_kv_head = shape.heads / shape.kv_heads,
                   .pieces_most = std::max({kLeastPieces, 2 * options_.max_sequences, cuda::attention_pieces(info_.max_model_len)}),
                   .pool_blocks = 0};
  auto model = DeviceLlama::create(shape, info_.vocab_size,
                                   {.rows_most = rows_most(), .positions = info_.max_model_len, .pieces_most = rows_options_.pieces_most, .invariant = rows_options_.invariant});
  if (!model) return tl::unexpected<Error>(model.error());
  model_ = std::move(*model);
  return options_.random_shape ? model_->load_random(stream_->get(), 1) : model_->load(stream_->get(), source.description.weights, options_.threads);
}

Result<void> DeviceEngine::make_results() {
  const std::size_t draws = (std::size_t{rows_most()} + options_.max_sequences + kMostLogitRows) * sizeof(SampledRow);
  for (const auto& [memory, bytes] : {std::pair{&logits_, std::size_t{logit_rows()} * info_.vocab_size * sizeof(float)}, {&drawn_, draws}, {&digests_, kMostDigests * sizeof(std::uint64_t)}}) {
    auto made = cuda::Memory::on_device(bytes);
    if (!made) return tl::unexpected<Error>(made.error());
    *memory = std::move(*made);
  }
  for (const auto& [memory, bytes] : {std::pair{&drawn_host_, draws}, {&digests_host_, kMostDigests * sizeof(std::uint64_t)}}) {
    auto made = cuda::Memory::pinned(bytes);
    if (!made) return tl::unexpected<Error>(made.error());
    *memory = std::move(*made);
  }
  for (DeviceInputs* inputs : {&inputs_, &digest_inputs_})
    if (const auto made = inputs->reserve(1u << 20); !made) return tl::unexpected<Error>(made.error());
  return {};
}

Result<void> DeviceEngine::make_pool(const cuda::DeviceFacts& facts) {
  const std::size_t block = info_.geometry.block_bytes();
  std::size_t bytes = options_.kv_bytes;
  if (bytes == 0) {
    const std::size_t others = facts.memory_bytes - facts.free_bytes, ours = model_->weight_bytes() + model_->workspace_bytes() + logits_.bytes() + drawn_.bytes();
    const auto share = static_cast<std::size_t>(static_cast<double>(facts.memory_bytes) * options_.utilization);
    bytes = share > others + ours ? share - others - ours : 0;
  }
  pool_blocks_ = static_cast<std::uint32_t>(std::min<std::size_t>(bytes / block, 1u << 24));
  if (pool_blocks_ == 0)
    return fail(ErrorCode::kResourceExhausted, "no block of KV (" + std::to_string(block) + " bytes) fits: " + plan() + "; raise kv_cache.memory or gpu_memory_utilization, or free the device");
  auto pool = cuda::Memory::on_device(std::size_t{pool_blocks_} * block);
  if (!pool) return tl::unexpected<Error>(pool.error());
  pool_ = std::move(*pool);
  cuda::fill(stream_->get(), pool_.data(), 0, pool_.bytes());
  rows_options_.pool_blocks = pool_blocks_;
  return {};
}

std::string DeviceEngine::plan() const {
  const std::size_t workspace = model_->workspace_bytes() + logits_.bytes() + drawn_.bytes();
  return facts_.name + ", " + gibibytes(facts_.memory_bytes) + " of which " + gibibytes(facts_.free_bytes) + " were free: weights " + gibibytes(model_->weight_bytes()) + ", KV " +
         gibibytes(pool_.bytes()) + " (" + std::to_string(pool_blocks_) + " blocks, " + std::to_string(std::uint64_t{pool_blocks_} * options_.block_tokens) + " tokens), workspace " +
         gibibytes(workspace);
}

StepResult DeviceEngine::step(const BatchPlan& plan) {
  StepResult result{.step = plan.step, .sequences = {}};
  for (const SequencePlan& sequence : plan.sequences) result.sequences.push_back({.sequence = sequence.sequence, .digests = {}, .error = {}});
  if (plan.sequences.empty()) return result;
  cuda::select_device(options_.device);
  rows_.fill(plan, info_, rows_options_);
  if (options_.graphs && rows_.only_decodes() && rows_.runs.size() == 1 && rows_.tokens.size() <= logit_rows()) run_decodes();
  else enqueue(put_inputs());
  cuda::copy(stream_->get(), drawn_host_.data(), drawn_.data(), rows_.picks.size() * sizeof(SampledRow));
  start_digests(0);
  stream_->wait();
  take_draws(plan, result);
  take_digests(plan, result);
  return result;
}

// One copy for all; the graphs of before read where the buffer was.
DeviceEngine::Launch DeviceEngine::put_inputs() {
  const std::size_t bytes = DeviceInputs::room_for(rows_.tokens) + DeviceInputs::room_for(rows_.positions) + DeviceInputs::room_for(rows_.sequences) +
                            DeviceInputs::room_for(rows_.tables) + DeviceInputs::room_for(rows_.picked) + DeviceInputs::room_for(rows_.samples) +
                            DeviceInputs::room_for(rows_.changes) + DeviceInputs::room_for(rows_.tiles);
  const auto grown = inputs_.reserve(bytes);
  CHECK(grown.has_value(), "no memory for a step's inputs");
  if (*grown) graphs_.clear();
  inputs_.clear();
  Launch launch;
  DeviceBatch& batch = launch.batch;
  batch.tokens = inputs_.put(rows_.tokens);
  batch.paged.positions = inputs_.put(rows_.positions);
  batch.paged.sequences = inputs_.put(rows_.sequences);
  batch.paged.tables = inputs_.put(rows_.tables);
  batch.paged.table_stride = rows_.stride;
  batch.paged.geometry = info_.geometry;
  batch.paged.pool = pool_.data();
  batch.paged.pool_blocks = pool_blocks_;
  batch.rows = static_cast<std::uint32_t>(rows_.tokens.size());
  batch.alone = rows_.alone;
  batch.runs = rows_.runs;
  launch.picked = inputs_.put(rows_.picked);
  launch.samples = inputs_.put(rows_.samples);
  launch.draws = static_cast<std::uint32_t>(rows_.picked.size());
  launch.changes = inputs_.put(rows_.changes);
  batch.tiles = inputs_.put(rows_.tiles);
  batch.tile_count = static_cast<std::uint32_t>(rows_.tiles.size());
  inputs_.send(stream_->get());
  return launch;
}

void DeviceEngine::enqueue(const Launch& launch) {
  const cuda::Stream stream = stream_->get();
  model_->forward(stream, launch.batch);
  auto* logits = reinterpret_cast<float*>(logits_.data());
  for (std::uint32_t begin = 0; begin < launch.draws; begin += logit_rows()) {
    const std::uint32_t count = std::min(logit_rows(), launch.draws - begin);
    model_->logits(stream, launch.picked + begin, count, logits);
    cuda::sample(stream, {logits, count, info_.vocab_size, launch.samples + begin, launch.changes, reinterpret_cast<SampledRow*>(drawn_.data()) + begin});
  }
}

// The first step of a size runs as it is, so that everything it needs is loaded, and is captured behind that.
void DeviceEngine::run_decodes() {
  const std::uint32_t bucket = *std::lower_bound(std::begin(kBuckets), std::end(kBuckets), static_cast<std::uint32_t>(rows_.tokens.size()));
  rows_.pad(bucket);
  const Launch launch = put_inputs();
  cuda::Graph& graph = graphs_[{bucket, rows_.stride}];
  if (!graph.empty()) {
    graph.launch(stream_->get());
    return;
  }
  enqueue(launch);
  graph = cuda::Graph::capture(stream_->get(), [&] { enqueue(launch); });
}

// The digests from `begin` on, as many as one launch takes.
void DeviceEngine::start_digests(std::size_t begin) {
  if (begin >= rows_.digests.size()) return;
  const std::size_t end = std::min(rows_.digests.size(), begin + kMostDigests);
  const std::vector<cuda::DigestBlock> blocks(rows_.digests.begin() + static_cast<std::ptrdiff_t>(begin), rows_.digests.begin() + static_cast<std::ptrdiff_t>(end));
  digest_inputs_.clear();
  const cuda::DigestBlock* there = digest_inputs_.put(blocks);
  digest_inputs_.send(stream_->get());
  auto* digests = reinterpret_cast<std::uint64_t*>(digests_.data());
  cuda::block_digests(stream_->get(), info_.geometry, pool_.data(), there, static_cast<std::uint32_t>(blocks.size()), digests);
  cuda::copy(stream_->get(), digests_host_.data(), digests, blocks.size() * sizeof(std::uint64_t));
}

void DeviceEngine::take_digests(const BatchPlan& plan, StepResult& result) {
  std::vector<std::uint64_t> all;
  while (all.size() < rows_.digests.size()) {
    const std::size_t count = std::min<std::size_t>(rows_.digests.size() - all.size(), kMostDigests);
    const auto* here = reinterpret_cast<const std::uint64_t*>(digests_host_.data());
    all.insert(all.end(), here, here + count);
    if (all.size() == rows_.digests.size()) break;
    start_digests(all.size());
    stream_->wait();
  }
  auto next = all.begin();
  for (std::size_t i = 0; i < plan.sequences.size(); ++i) {
    const SequencePlan& sequence = plan.sequences[i];
    const auto count = sequence.digest_end > sequence.digest_begin ? static_cast<std::ptrdiff_t>(sequence.digest_end - sequence.digest_begin) : 0;
    result.sequences[i].digests.assign(next, next + count);
    next += count;
  }
}

void DeviceEngine::take_draws(const BatchPlan& plan, StepResult& result) const {
  for (std::size_t i = 0; i < plan.sequences.size(); ++i) result.sequences[i].prompt.resize(plan.sequences[i].scored.size());
  const auto* drawn = reinterpret_cast<const SampledRow*>(drawn_host_.data());
  for (const StepRows::Pick& pick : rows_.picks) {
    const SampledRow& row = *drawn++;
    const SequencePlan& sequence = plan.sequences[pick.sequence];
    SequenceResult& out = result.sequences[pick.sequence];
    if (pick.scored < 0) take_draw(sequence, row, out);
    else if (row.status != cuda::SampleStatus::kDrawn) out.error = "the model's logits are not finite numbers in the prompt";
    else out.prompt[static_cast<std::size_t>(pick.scored)] = {row.token, row.logprob, likeliest(row, sequence.sampling.prompt_logprobs)};
  }
}

void DeviceEngine::take_draw(const SequencePlan& sequence, const SampledRow& drawn, SequenceResult& out) const {
  const std::uint64_t position = std::uint64_t{sequence.first_position} + sequence.tokens.size() - 1;
  if (drawn.status == cuda::SampleStatus::kNotFinite) {
    out.error = "the model's logits are not finite numbers, at position " + std::to_string(position);
    out.code = ErrorCode::kInternal;
  } else if (drawn.status == cuda::SampleStatus::kAllForbidden) {
    out.error = "logit_bias, bad_words and min_tokens together forbid every token, at position " + std::to_string(position);
    out.code = ErrorCode::kInvalidArgument;
  } else {
    out.sampled = true;
    out.token = drawn.token;
    out.logprob = drawn.logprob;
    out.top = likeliest(drawn, sequence.sampling.logprobs);
  }
}

std::vector<TokenLogprob> DeviceEngine::likeliest(const SampledRow& row, const std::optional<std::uint32_t>& wanted) const {
  std::vector<TokenLogprob> top;
  for (std::uint32_t i = 0; i < std::min({wanted.value_or(0), cuda::kMostTop, info_.vocab_size}); ++i) top.push_back({row.top_tokens[i], row.top_logprobs[i]});
  return top;
}

}  // namespace

Result<std::unique_ptr<CudaEngine>> make_cuda_engine(const CudaEngineOptions& options) {
  auto engine = std::make_unique<DeviceEngine>(options);
  RETURN_IF_ERROR(engine->open());
  return engine;
}

}  // namespace baton
