// SPDX-License-Identifier: Apache-2.0
// What `baton scale` and a cluster's launcher say to each other: one JSON object a line, each way. A line from outside is
// bounded in bytes, in pools and in numbers. Pure; any thread.
//   {"command":"scale","timeout_ms":60000,"pools":[{"name":"decode","replicas":3}]}
//   {"text":"decode-1 is ready"}   …   {"text":"decode: 3 workers","exit_status":0}
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/base/time.h"

namespace baton {

inline constexpr std::size_t kScaleLineMax = 64 * 1024;  // bytes, its end not counted

struct PoolSize {
  std::string pool;
  std::uint32_t replicas = 0;
};

struct ScaleRequest {
  std::vector<PoolSize> pools;  // each pool once
  Duration limit{0};            // until all of it must be done
};

struct ScaleReply {
  std::string text;
  std::optional<int> exit_status;  // of the command; its last reply has one
};

// kInvalidArgument says what is wrong with the line.
Result<ScaleRequest> parse_scale_request(std::string_view line);
Result<ScaleReply> parse_scale_reply(std::string_view line);
// "decode=3".
Result<PoolSize> parse_pool_size(std::string_view word);

// With the line's end.
std::string to_line(const ScaleRequest& request);
std::string to_line(const ScaleReply& reply);

// Bytes as they come, lines as they end.
class LineBuffer {
 public:
  // kResourceExhausted: a line is too long; nothing more is to be expected of such a sender.
  Result<void> add(std::string_view bytes);
  std::optional<std::string> next();

 private:
  std::string bytes_;
};

}  // namespace baton
