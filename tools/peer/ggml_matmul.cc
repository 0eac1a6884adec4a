// SPDX-License-Identifier: Apache-2.0
// The peer of `baton bench kernels`: one matrix multiplication of ggml (MIT, llama.cpp's library) through its public interface,
// in the CPU's own weight layout where it has one (repacking), as llama.cpp itself would load the tensor. tools/get_llama_cpp.sh
// builds it beside llama-bench; no part of Baton links it.
//   ggml-matmul TYPE ROWS COLUMNS TOKENS THREADS COPIES MILLISECONDS
// TYPE is f32, f16, bf16, q8_0, q4_0 or q4_1. With COPIES > 1 each run takes the next of so many equal matrices, so that weights
// are cold. Runs for so long at least, twice at least; prints {"seconds": mean of a run}.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "ggml-alloc.h"
#include "ggml-backend.h"
#include "ggml-cpu.h"
#include "ggml.h"

namespace {

ggml_type type_named(const std::string& name) {
  for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16, GGML_TYPE_Q8_0, GGML_TYPE_Q4_0, GGML_TYPE_Q4_1})
    if (name == ggml_type_name(type)) return type;
  std::fprintf(stderr, "ggml-matmul: unknown type %s\n", name.c_str());
  std::exit(2);
}

std::vector<float> noise(std::size_t count) {
  std::vector<float> values(count);
  std::uint32_t state = 1;
  for (float& value : values) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(state >> 8) / static_cast<float>(1 << 23) - 1.0F;
  }
  return values;
}

// The buffer type that multiplies this type fastest here: the CPU's own repacked one if it takes the multiplication.
ggml_backend_buffer_type_t weight_buffers(ggml_backend_t cpu, ggml_tensor* product) {
  ggml_backend_dev_t device = ggml_backend_get_device(cpu);
  auto* extra = reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(
      ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device), "ggml_backend_dev_get_extra_bufts"));
  for (ggml_backend_buffer_type_t* each = extra != nullptr ? extra(device) : nullptr; each != nullptr && *each != nullptr; ++each) {
    ggml_backend_buffer_t probe = ggml_backend_buft_alloc_buffer(*each, 0);
    product->src[0]->buffer = probe;
    const bool takes = ggml_backend_dev_supports_op(device, product);
    product->src[0]->buffer = nullptr;
    ggml_backend_buffer_free(probe);
    if (takes) return *each;
  }
  return ggml_backend_cpu_buffer_type();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 8) {
    std::fprintf(stderr, "usage: ggml-matmul TYPE ROWS COLUMNS TOKENS THREADS COPIES MILLISECONDS\n");
    return 2;
  }
  const ggml_type type = type_named(argv[1]);
  const std::int64_t rows = std::atoll(argv[2]), columns = std::atoll(argv[3]), tokens = std::atoll(argv[4]);
  const int threads = std::atoi(argv[5]), copies = std::atoi(argv[6]);
  const double least = std::atof(argv[7]) / 1000;

  ggml_backend_t cpu = ggml_backend_cpu_init();
  ggml_backend_cpu_set_n_threads(cpu, threads);
  const ggml_init_params sizes = {ggml_tensor_overhead() * static_cast<std::size_t>(4 * copies + 8) + ggml_graph_overhead() * static_cast<std::size_t>(copies), nullptr, true};
  ggml_context* weights = ggml_init(sizes);
  ggml_context* rest = ggml_init(sizes);
  ggml_tensor* x = ggml_new_tensor_2d(rest, GGML_TYPE_F32, columns, tokens);
  std::vector<ggml_tensor*> matrices;
  std::vector<ggml_cgraph*> graphs;
  for (int copy = 0; copy < copies; ++copy) {
    matrices.push_back(ggml_new_tensor_2d(weights, type, columns, rows));
    ggml_cgraph* graph = ggml_new_graph_custom(rest, 4, false);
    ggml_build_forward_expand(graph, ggml_mul_mat(rest, matrices.back(), x));
    graphs.push_back(graph);
  }
  ggml_backend_alloc_ctx_tensors_from_buft(weights, weight_buffers(cpu, ggml_graph_node(graphs.front(), 0)));
  ggml_backend_alloc_ctx_tensors(rest, cpu);
  const std::vector<float> values = noise(static_cast<std::size_t>(rows * columns));
  std::vector<std::uint8_t> quantized(ggml_row_size(type, columns) * static_cast<std::size_t>(rows));
  ggml_quantize_chunk(type, values.data(), quantized.data(), 0, rows, columns, nullptr);
  for (ggml_tensor* matrix : matrices) ggml_backend_tensor_set(matrix, quantized.data(), 0, quantized.size());
  const std::vector<float> input = noise(static_cast<std::size_t>(columns * tokens));
  ggml_backend_tensor_set(x, input.data(), 0, input.size() * sizeof(float));

  ggml_backend_graph_compute(cpu, graphs.front());  // threads start, pages come
  double sum = 0;
  std::size_t runs = 0;
  for (; sum < least || runs < 2; ++runs) {
    const auto begin = std::chrono::steady_clock::now();
    ggml_backend_graph_compute(cpu, graphs[runs % graphs.size()]);
    sum += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  std::printf("{\"seconds\": %.9g, \"layout\": \"%s\"}\n", sum / static_cast<double>(runs), ggml_backend_buffer_name(matrices.front()->buffer));
  return 0;
}
