// SPDX-License-Identifier: Apache-2.0
// HttpLimits: what one client may take of the HTTP server. Tests make them small.
#pragma once

#include <cstddef>

#include "runtime/base/time.h"

namespace baton {

struct HttpLimits {
  std::size_t head_bytes = 16u << 10;              // request line, headers and trailers of one request
  std::size_t target_bytes = 8u << 10;             // of the request line alone
  std::size_t headers = 100;                       // with trailers
  std::size_t body_bytes = 8u << 20;               // decoded; counted while it is read
  Duration head_time = std::chrono::seconds(5);    // from a request's first byte to the end of its headers
  Duration body_grace = std::chrono::seconds(5);   // a body may be this late…
  std::size_t body_bytes_per_second = 1u << 10;    // …beyond what this rate allows
  Duration idle_time = std::chrono::seconds(60);   // between requests
  Duration stall_time = std::chrono::seconds(30);  // the taking of an answer may be this late…
  std::size_t answer_bytes_per_second = 1u << 10;  // …behind what this rate asks for; what was taken fast earns nothing beyond
  Duration linger_time = std::chrono::seconds(2);  // after the last answer, for it to arrive before the connection is reset
  std::size_t linger_bytes = 1u << 20;             // read and dropped meanwhile
  std::size_t held_bytes = 512u << 20;  // of unfinished requests, and of those sent ahead, of all connections together
  std::size_t connections = 10'000;
  std::size_t connections_per_key = 256;
  std::size_t stream_buffer_bytes = 256u << 10;  // unsent bytes of a stream
  std::size_t ahead_bytes = 64u << 10;           // of further requests, read while one is being answered
};

}  // namespace baton
