// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/kernels_bench.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>

#include "benchmarks/limits.h"
#include "benchmarks/run_tool.h"
#include "models/gguf.h"

namespace baton {
namespace {

constexpr std::uint32_t kRowTokens = 512;
constexpr WeightType kWeightTypes[] = {WeightType::kF32, WeightType::kF16, WeightType::kBF16, WeightType::kQ8_0, WeightType::kQ4_0, WeightType::kQ4_1};

// The model's distinct matrices, its rows and its attention.
Result<std::vector<KernelCase>> model_cases(const std::string& path, const std::vector<std::uint32_t>& tokens, std::size_t cold_bytes) {
  const auto file = GgufFile::open(path);
  if (!file) return tl::unexpected<Error>(file.error());
  std::vector<MatrixShape> shapes;
  for (const GgufTensor& tensor : (*file)->tensors()) {
    if (tensor.shape.size() < 2 || tensor.view.data == nullptr) continue;
    const MatrixShape shape{tensor.view.rows, tensor.view.columns, tensor.view.type};
    if (std::find(shapes.begin(), shapes.end(), shape) == shapes.end()) shapes.push_back(shape);
  }
  std::vector<KernelCase> cases;
  for (const MatrixShape& shape : shapes)
    for (KernelCase& each : matmul_cases(shape, tokens, cold_bytes)) cases.push_back(std::move(each));
  const std::string prefix = (*file)->get_string("general.architecture").value_or("") + '.';
  const auto number = [&](const char* key) { return static_cast<std::uint32_t>((*file)->get_uint(prefix + key).value_or(0)); };
  const std::uint32_t width = number("embedding_length"), heads = number("attention.head_count");
  const std::uint32_t layers = number("block_count");
  if (width == 0 || heads == 0 || layers == 0)
    return fail(ErrorCode::kIncompatible, path + " does not say its embedding_length, attention.head_count and block_count");
  for (KernelCase& each : row_cases(width, number("feed_forward_length"), kRowTokens)) cases.push_back(std::move(each));
  const std::uint32_t kv_heads = number("attention.head_count_kv");
  for (KernelCase& each : attention_cases({heads, kv_heads == 0 ? heads : kv_heads, width / heads})) cases.push_back(std::move(each));
  const KvGeometry geometry{0, layers, kv_heads == 0 ? heads : kv_heads, width / heads, 16, DType::kF16};
  for (KernelCase& each : digest_cases(geometry, cold_bytes)) cases.push_back(std::move(each));
  return cases;
}

class Bench {
 public:
  explicit Bench(const KernelsBenchOptions& options) : options_(options), pool_(options.threads), backend_(cpu::best_ops(), pool_, options.numerics) {}

  Result<KernelsBenchRow> run(KernelCase& kernel) {
    KernelsBenchRow row;
    row.op = kernel.op;
    row.shape = kernel.shape;
    row.weights = kernel.weights;
    row.tokens = kernel.tokens;
    row.counts_bytes = kernel.integer_operations + kernel.float_operations == 0;
    kernel.run(backend_);  // makes its data
    const LimitMemory memory(kernel.weights == "cold" ? std::max<std::size_t>(options_.cold_bytes, static_cast<std::size_t>(kernel.bytes)) : static_cast<std::size_t>(kernel.bytes));
    std::vector<double> seconds, rates, limits, peers;
    for (std::uint32_t round = 0; round < options_.rounds; ++round) {
      limits.push_back(limit(kernel, read_bandwidth(pool_, memory), row));
      seconds.push_back(time_of(kernel));
      rates.push_back((row.counts_bytes ? kernel.bytes : kernel.integer_operations + kernel.float_operations) / seconds.back());
      if (options_.peer_folder.empty() || kernel.matrix.rows == 0) continue;
      const auto peer = peer_seconds(kernel);
      if (!peer) return tl::unexpected<Error>(peer.error());
      peers.push_back(kernel.integer_operations / *peer);
    }
    row.seconds = spread_of(seconds);
    row.rate = spread_of(rates);
    row.limit = spread_of(limits);
    row.of_limit = spread_of(ratios(rates, limits));
    if (!peers.empty()) {
      row.peer = spread_of(peers);
      row.ratio = spread_of(ratios(rates, peers));
    }
    return row;
  }

 private:
  // The mean of enough runs. Cold weights stay cold: each run takes the next copy.
  double time_of(KernelCase& kernel) {
    const double least = std::chrono::duration<double>(options_.sample).count();
    double sum = 0;
    std::uint32_t runs = 0;
    for (; sum < least || runs < 2; ++runs) sum += seconds_of([&] { kernel.run(backend_); }).wall;
    return sum / runs;
  }

  // The same multiplication by ggml, in a process of its own.
  Result<double> peer_seconds(const KernelCase& kernel) const {
    std::string type(to_string(kernel.matrix.type));
    std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(options_.sample).count();
    const auto output = run_tool({options_.peer_folder + "/ggml-matmul", type, std::to_string(kernel.matrix.rows), std::to_string(kernel.matrix.columns),
                                  std::to_string(kernel.tokens), std::to_string(options_.threads), std::to_string(kernel.copies), std::to_string(milliseconds)},
                                 std::chrono::minutes(2));
    if (!output) return tl::unexpected<Error>(output.error());
    return json_number(output->text, "seconds");
  }

  double limit(const KernelCase& kernel, double bandwidth, KernelsBenchRow& row) {
    row.limited_by = "read bandwidth";
    if (row.counts_bytes) return bandwidth;
    const double operations = kernel.integer_operations + kernel.float_operations;
    const double by_memory = operations / (kernel.bytes / bandwidth);
    const bool floats = kernel.integer_operations == 0 || options_.numerics == Numerics::kReference;
    // `invariant` multiplies each weight with two int8 terms; they are one multiplication in what is counted.
    const double peak = floats ? float_peak(pool_) : integer_peak(pool_) / (options_.numerics == Numerics::kInvariant ? 2 : 1);
    if (peak == 0 || by_memory < peak) return by_memory;
    row.limited_by = floats ? "float32 peak" : "integer peak";
    return peak;
  }

  const KernelsBenchOptions& options_;
  ThreadPool pool_;
  cpu::Backend backend_;
};

}  // namespace

Result<MatrixShape> parse_shape(std::string_view text) {
  const auto wrong = [&] { return fail(ErrorCode::kInvalidArgument, '"' + std::string(text) + "\" is no shape: ROWSxCOLUMNS[:TYPE], as in 4096x1024:Q8_0, columns a multiple of 32"); };
  MatrixShape shape;
  const char* end = text.data() + text.size();
  const auto rows = std::from_chars(text.data(), end, shape.rows);
  if (rows.ec != std::errc() || rows.ptr == end || *rows.ptr != 'x') return wrong();
  const auto columns = std::from_chars(rows.ptr + 1, end, shape.columns);
  if (columns.ec != std::errc() || shape.rows == 0 || shape.columns == 0 || shape.columns % cpu::kQuantBlock != 0) return wrong();
  if (shape.rows > (1u << 20) || shape.columns > (1u << 20)) return wrong();
  if (columns.ptr == end) return shape;
  const std::string_view type(columns.ptr, static_cast<std::size_t>(end - columns.ptr));
  for (const WeightType each : kWeightTypes) {
    shape.type = each;
    if (type == ':' + std::string(to_string(each))) return shape;
  }
  return wrong();
}

Result<std::vector<KernelsBenchRow>> bench_kernels(const KernelsBenchOptions& options, const std::function<void(std::string_view)>& progress) {
  const std::vector<std::uint32_t> tokens = {1, 4, 16, 512};
  std::vector<KernelCase> cases;
  for (const MatrixShape& shape : options.shapes)
    for (KernelCase& each : matmul_cases(shape, tokens, options.cold_bytes)) cases.push_back(std::move(each));
  if (!options.model_path.empty()) {
    auto more = model_cases(options.model_path, tokens, options.cold_bytes);
    if (!more) return tl::unexpected<Error>(more.error());
    std::move(more->begin(), more->end(), std::back_inserter(cases));
  }
  Bench bench(options);
  std::vector<KernelsBenchRow> rows;
  for (KernelCase& each : cases) {
    progress(each.op + ' ' + each.shape + ", " + std::to_string(each.tokens) + " tokens" + (each.weights.empty() ? "" : ", " + each.weights));
    auto row = bench.run(each);
    if (!row) return tl::unexpected<Error>(row.error());
    rows.push_back(std::move(*row));
    each.run = nullptr;  // its memory goes
  }
  return rows;
}

}  // namespace baton
