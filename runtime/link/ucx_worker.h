// SPDX-License-Identifier: Apache-2.0
// UcxWorker: everything of UCX that Baton uses, without a UCX type: a registered pool, a listener, endpoints and messages
// whose receiver says where the bytes go. The only file pair that knows UCX; compiles against 1.13 (Debian 12) and later.
//
// Connections are made to a socket address of the bound interface, one per direction (the dialling side sends, the
// accepting side receives), so that an endpoint has one owner at each end and either side notices at once when the other
// closes it or dies. Bytes then travel by the lanes UCX picks among the allowed transports: shared memory within a host.
//
// One thread at a time calls it; after create() that is the data thread. Events come from inside progress() and send().
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

struct UcxWorkerOptions {
  std::string interface_name = "lo";
  std::vector<std::string> transports = {"shm", "tcp"};  // allowed ones, best first
  std::uint64_t pool_bytes = 0;
};

class UcxWorker : public PlaneWorker {
 public:
  static Result<std::unique_ptr<UcxWorker>> create(const UcxWorkerOptions& options, MessageEvents& events);

  virtual std::span<std::byte> pool() const = 0;
};

}  // namespace baton
