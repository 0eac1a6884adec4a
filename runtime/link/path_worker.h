// SPDX-License-Identifier: Apache-2.0
// PathWorker: the ways KV can take from this process, as one link: UCX for shared memory within a node, our own sockets for
// TCP. Each peer is dialled by the first way of ours that reaches it; an address lists what a process listens on:
// "ucx=HOST/127.0.0.1:7000,tcp=127.0.0.1:7001", where HOST is equal only for processes that can share memory.
//
// It owns the pool: UCX's if UCX is among the ways (it must allocate what it shares), else memory of its own. One thread at
// a time calls it. Bounded by its workers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/link/plane_worker.h"

namespace baton {

struct PathWorkerOptions {
  std::string interface_name = "lo";
  std::string node_name;                                 // processes of different nodes never share memory
  std::vector<std::string> transports = {"shm", "tcp"};  // allowed ones, best first; also "ucx_tcp": TCP by UCX, to be measured
  std::uint64_t pool_bytes = 0;
};

class PathWorker : public PlaneWorker {
 public:
  static Result<std::unique_ptr<PathWorker>> create(const PathWorkerOptions& options, MessageEvents& events);
  // Zero-filled at first; lives as long as this object.
  virtual std::span<std::byte> pool() const = 0;
};

}  // namespace baton
