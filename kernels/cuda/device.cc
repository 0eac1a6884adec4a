// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/device.h"

#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>

namespace baton::cuda {
namespace {

[[noreturn]] void device_failed(const std::string& what, cudaError_t code) {
  std::fprintf(stderr, "fatal: the CUDA device failed at %s: %s (%s). This process ends, since nothing it would compute can be trusted; if it happens again, look at "
                       "nvidia-smi and the kernel's log for Xid messages\n",
               what.c_str(), cudaGetErrorString(code), cudaGetErrorName(code));
  std::fflush(stderr);
  std::_Exit(EXIT_FAILURE);
}

cudaError_t as_error(int code) { return static_cast<cudaError_t>(code); }

std::string in_mebibytes(std::size_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

}  // namespace

void require_success(int code, const char* what) {
  if (code != cudaSuccess) [[unlikely]] device_failed(what, as_error(code));
}

void require_launched(const char* kernel) {
  if (const cudaError_t code = cudaGetLastError(); code != cudaSuccess) [[unlikely]] device_failed(std::string("the launch of ") + kernel, code);
}

Result<DeviceFacts> use_device(std::uint32_t index) {
  int count = 0;
  if (const cudaError_t code = cudaGetDeviceCount(&count); code != cudaSuccess)
    return fail(ErrorCode::kUnavailable, std::string("no CUDA device can be used here: ") + cudaGetErrorString(code) +
                                             "; see that nvidia-smi lists one, or give CPUs instead (nodes[].devices: cpu:1)");
  if (index >= static_cast<std::uint32_t>(count))
    return fail(ErrorCode::kInvalidArgument, "there is no CUDA device " + std::to_string(index) + ": this machine has " + std::to_string(count) + ", numbered from 0");
  cudaDeviceProp properties;
  require_success(cudaGetDeviceProperties(&properties, static_cast<int>(index)), "cudaGetDeviceProperties");
  if (properties.major != 9 || properties.minor != 0)
    return fail(ErrorCode::kIncompatible, std::string("CUDA device ") + std::to_string(index) + " is a " + properties.name + " of compute capability " +
                                              std::to_string(properties.major) + "." + std::to_string(properties.minor) + "; these kernels are made for 9.0 (H100, H200)");
  require_success(cudaSetDevice(static_cast<int>(index)), "cudaSetDevice");
  DeviceFacts facts{.name = properties.name, .multiprocessors = static_cast<std::uint32_t>(properties.multiProcessorCount)};
  require_success(cudaMemGetInfo(&facts.free_bytes, &facts.memory_bytes), "cudaMemGetInfo");
  return facts;
}

void select_device(std::uint32_t index) { require_success(cudaSetDevice(static_cast<int>(index)), "cudaSetDevice"); }

std::uint32_t multiprocessors() {
  int device = 0, count = 0;
  require_success(cudaGetDevice(&device), "cudaGetDevice");
  require_success(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device), "cudaDeviceGetAttribute");
  return static_cast<std::uint32_t>(count);
}

Result<Memory> Memory::on_device(std::size_t bytes) {
  Memory memory;
  void* data = nullptr;
  if (const cudaError_t code = cudaMalloc(&data, bytes); code != cudaSuccess) {
    if (code != cudaErrorMemoryAllocation) device_failed("cudaMalloc", code);
    cudaGetLastError();  // this one is not sticky
    std::size_t free = 0, all = 0;
    require_success(cudaMemGetInfo(&free, &all), "cudaMemGetInfo");
    return fail(ErrorCode::kResourceExhausted, "the CUDA device has no " + in_mebibytes(bytes) + " in one piece: " + in_mebibytes(free) + " of " + in_mebibytes(all) +
                                                   " are free; lower kv_cache.memory, or stop what else uses the device");
  }
  memory.data_ = static_cast<std::byte*>(data);
  memory.bytes_ = bytes;
  return memory;
}

Result<Memory> Memory::pinned(std::size_t bytes) {
  Memory memory;
  void* data = nullptr;
  if (const cudaError_t code = cudaMallocHost(&data, bytes); code != cudaSuccess) {
    if (code != cudaErrorMemoryAllocation) device_failed("cudaMallocHost", code);
    cudaGetLastError();
    return fail(ErrorCode::kResourceExhausted, "cannot pin " + in_mebibytes(bytes) + " of this machine's memory for the CUDA device: free some, or raise the limit of locked memory");
  }
  memory.data_ = static_cast<std::byte*>(data);
  memory.bytes_ = bytes;
  memory.host_ = true;
  return memory;
}

Memory::~Memory() {
  if (data_ == nullptr) return;
  if (host_) cudaFreeHost(data_);
  else cudaFree(data_);
}

OwnedStream::OwnedStream() { require_success(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate"); }
OwnedStream::~OwnedStream() {
  cudaStreamSynchronize(stream_);
  cudaStreamDestroy(stream_);
}
void OwnedStream::wait() const { require_success(cudaStreamSynchronize(stream_), "a step"); }

void copy(Stream stream, void* to, const void* from, std::size_t bytes) {
  if (bytes != 0) require_success(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream), "a copy");
}
void fill(Stream stream, void* memory, int byte, std::size_t bytes) { require_success(cudaMemsetAsync(memory, byte, bytes, stream), "a fill"); }

void Graph::begin(Stream stream) { require_success(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "the begin of a capture"); }
Graph Graph::end(Stream stream) {
  cudaGraph_t captured = nullptr;
  cudaGraphExec_t executable = nullptr;
  require_success(cudaStreamEndCapture(stream, &captured), "the end of a capture");
  require_success(cudaGraphInstantiate(&executable, captured, 0), "a graph");
  cudaGraphDestroy(captured);
  Graph graph;
  graph.executable_ = executable;
  return graph;
}
void Graph::launch(Stream stream) const { require_success(cudaGraphLaunch(static_cast<cudaGraphExec_t>(executable_), stream), "the launch of a graph"); }
Graph::~Graph() {
  if (executable_ != nullptr) cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(executable_));
}

Stopwatch::Stopwatch() {
  require_success(cudaEventCreate(reinterpret_cast<cudaEvent_t*>(&begin_)), "cudaEventCreate");
  require_success(cudaEventCreate(reinterpret_cast<cudaEvent_t*>(&end_)), "cudaEventCreate");
}
Stopwatch::~Stopwatch() {
  cudaEventDestroy(static_cast<cudaEvent_t>(begin_));
  cudaEventDestroy(static_cast<cudaEvent_t>(end_));
}
void Stopwatch::start(Stream stream) { require_success(cudaEventRecord(static_cast<cudaEvent_t>(begin_), stream), "cudaEventRecord"); }
void Stopwatch::stop(Stream stream) { require_success(cudaEventRecord(static_cast<cudaEvent_t>(end_), stream), "cudaEventRecord"); }
double Stopwatch::seconds() const {
  require_success(cudaEventSynchronize(static_cast<cudaEvent_t>(end_)), "a timed piece of work");
  float milliseconds = 0;
  require_success(cudaEventElapsedTime(&milliseconds, static_cast<cudaEvent_t>(begin_), static_cast<cudaEvent_t>(end_)), "cudaEventElapsedTime");
  return static_cast<double>(milliseconds) * 1e-3;
}

}  // namespace baton::cuda
