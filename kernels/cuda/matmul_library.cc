// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/matmul_library.h"

#include <cublasLt.h>
#include <dlfcn.h>

#include <string>

#include "runtime/base/check.h"

namespace baton::cuda {
namespace {

constexpr std::size_t kWorkspaceBytes = 32u << 20;
constexpr std::size_t kMostShapes = 4096;

// The few functions that are used, by their own types.
struct Functions {
  decltype(&cublasLtCreate) create = nullptr;
  decltype(&cublasLtDestroy) destroy = nullptr;
  decltype(&cublasLtMatmulDescCreate) create_operation = nullptr;
  decltype(&cublasLtMatmulDescDestroy) destroy_operation = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) set_operation = nullptr;
  decltype(&cublasLtMatrixLayoutCreate) create_layout = nullptr;
  decltype(&cublasLtMatrixLayoutDestroy) destroy_layout = nullptr;
  decltype(&cublasLtMatmulPreferenceCreate) create_preference = nullptr;
  decltype(&cublasLtMatmulPreferenceDestroy) destroy_preference = nullptr;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference = nullptr;
  decltype(&cublasLtMatmulAlgoGetHeuristic) choose = nullptr;
  decltype(&cublasLtMatmul) multiply = nullptr;
};

template <class Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

Result<Functions> load() {
  void* library = nullptr;
  for (const char* name : {"libcublasLt.so.13", "/usr/local/cuda/lib64/libcublasLt.so.13"})
    if (library == nullptr) library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    return fail(ErrorCode::kUnavailable, std::string("CUDA devices need cuBLASLt of CUDA 13 (libcublasLt.so.13), which could not be loaded: ") + dlerror() +
                                             "; install CUDA 13's libcublas, or name its folder in LD_LIBRARY_PATH");
  Functions f;
  const bool all = find(library, "cublasLtCreate", f.create) && find(library, "cublasLtDestroy", f.destroy) && find(library, "cublasLtMatmulDescCreate", f.create_operation) &&
                   find(library, "cublasLtMatmulDescDestroy", f.destroy_operation) && find(library, "cublasLtMatmulDescSetAttribute", f.set_operation) &&
                   find(library, "cublasLtMatrixLayoutCreate", f.create_layout) && find(library, "cublasLtMatrixLayoutDestroy", f.destroy_layout) &&
                   find(library, "cublasLtMatmulPreferenceCreate", f.create_preference) && find(library, "cublasLtMatmulPreferenceDestroy", f.destroy_preference) &&
                   find(library, "cublasLtMatmulPreferenceSetAttribute", f.set_preference) && find(library, "cublasLtMatmulAlgoGetHeuristic", f.choose) &&
                   find(library, "cublasLtMatmul", f.multiply);
  if (!all) return fail(ErrorCode::kIncompatible, "libcublasLt.so.13 lacks functions of CUDA 13.0: install that version or a later one of CUDA 13");
  return f;
}

void require(cublasStatus_t status, const char* what) {
  CHECK(status == CUBLAS_STATUS_SUCCESS, std::string("cuBLASLt refused ") + what + " with status " + std::to_string(static_cast<int>(status)));
}

// Rows are cuBLAS's columns: out^T [outputs x rows] = weights^T' x^T.
class Library final : public MatmulLibrary {
 public:
  Library(const Functions& functions, Memory workspace) : f_(functions), workspace_(std::move(workspace)) {
    require(f_.create(&handle_), "to start");
    require(f_.create_operation(&operation_, CUBLAS_COMPUTE_32F, CUDA_R_32F), "an operation");
    const cublasOperation_t transposed = CUBLAS_OP_T;
    require(f_.set_operation(operation_, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed), "an attribute");
    require(f_.create_preference(&preference_), "a preference");
    const std::size_t bytes = kWorkspaceBytes;
    require(f_.set_preference(preference_, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes, sizeof bytes), "a preference");
  }
  ~Library() override {
    clear();
    f_.destroy_preference(preference_);
    f_.destroy_operation(operation_);
    f_.destroy(handle_);
  }

  void multiply(Stream stream, const Matmul& op) override {
    CHECK(op.kind != MatmulOut::kGated);
    if (op.rows == 0) return;
    const Shape& shape = shape_of(op);
    const float one = 1, beta = op.kind == MatmulOut::kAddFloat ? 1.0F : 0.0F;
    require(f_.multiply(handle_, operation_, &one, op.weights, shape.weights, op.x, shape.x, &beta, op.out, shape.out, op.out, shape.out, &shape.algorithm, workspace_.data(),
                        kWorkspaceBytes, stream),
            "a product");
  }

 private:
  struct Shape {
    cublasLtMatrixLayout_t weights = nullptr, x = nullptr, out = nullptr;
    cublasLtMatmulAlgo_t algorithm = {};
  };

  const Shape& shape_of(const Matmul& op) {
    const auto key = std::make_tuple(op.rows, op.outputs, op.columns, op.kind);
    if (const auto known = shapes_.find(key); known != shapes_.end()) return known->second;
    if (shapes_.size() >= kMostShapes) clear();
    Shape shape;
    require(f_.create_layout(&shape.weights, CUDA_R_16BF, op.columns, op.outputs, op.columns), "a layout");
    require(f_.create_layout(&shape.x, CUDA_R_16BF, op.columns, op.rows, op.columns), "a layout");
    require(f_.create_layout(&shape.out, op.kind == MatmulOut::kBf16 ? CUDA_R_16BF : CUDA_R_32F, op.outputs, op.rows, op.outputs), "a layout");
    cublasLtMatmulHeuristicResult_t chosen = {};
    int found = 0;
    require(f_.choose(handle_, operation_, shape.weights, shape.x, shape.out, shape.out, preference_, 1, &chosen, &found), "a shape");
    CHECK(found == 1, "cuBLASLt has no algorithm for a product of the model");
    shape.algorithm = chosen.algo;
    return shapes_.emplace(key, shape).first->second;
  }
  void clear() {
    for (auto& [key, shape] : shapes_)
      for (cublasLtMatrixLayout_t layout : {shape.weights, shape.x, shape.out}) f_.destroy_layout(layout);
    shapes_.clear();
  }

  const Functions f_;
  const Memory workspace_;
  cublasLtHandle_t handle_ = nullptr;
  cublasLtMatmulDesc_t operation_ = nullptr;
  cublasLtMatmulPreference_t preference_ = nullptr;
  std::map<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t, MatmulOut>, Shape> shapes_;
};

}  // namespace

Result<std::unique_ptr<MatmulLibrary>> MatmulLibrary::open() {
  const auto functions = load();
  if (!functions) return tl::unexpected<Error>(functions.error());
  auto workspace = Memory::on_device(kWorkspaceBytes);
  if (!workspace) return tl::unexpected<Error>(workspace.error());
  return std::make_unique<Library>(*functions, std::move(*workspace));
}

}  // namespace baton::cuda
