// SPDX-License-Identifier: Apache-2.0
// TcpWorker: messages whose receiver says where the bytes go, over TCP sockets of our own: about half as fast again as UCX
// over TCP in the mode that notices failures, and voided at once by closing the socket.
//
// One connection per direction: the dialling side sends frames, the accepting side answers each with one byte, in order.
// A frame is the payload's length, a header and the payload. The receiver reads the header, asks where the payload may go,
// and reads it from the socket straight into that place; a refused one is read away. Small payloads are read in bulk and
// copied. The answer says that the payload is in its place (0) or was refused (1); until then the sender's memory counts
// as read. A frame that announces more than `payload_limit`, an answer that nobody asked for, a connection that says
// nothing within 5 s: closed.
//
// One thread at a time calls it. It owns its sockets; payloads and places are the owner's pool. Bounded: 1024 accepted
// connections with 64 KiB each, answers that are not taken, and the frames its owner sends.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "runtime/base/result.h"
#include "runtime/link/plane_worker.h"

namespace baton {

struct TcpWorkerOptions {
  std::string interface_name = "lo";
  std::uint64_t payload_limit = 0;  // the size of the pool: no honest payload is larger
};

class TcpWorker : public PlaneWorker {
 public:
  static Result<std::unique_ptr<TcpWorker>> create(const TcpWorkerOptions& options, MessageEvents& events);
};

}  // namespace baton
