// SPDX-License-Identifier: Apache-2.0
// Socket addresses as the topology writes them: "tcp://127.0.0.1:7070", "127.0.0.1:8000", "tcp://[::1]:7070". Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/base/result.h"

namespace baton {

struct SocketAddress {
  std::string host;  // without brackets; a name or a number
  std::uint16_t port = 0;
  friend bool operator==(const SocketAddress&, const SocketAddress&) = default;
};

// "tcp://host:port", port 1..65535.
Result<SocketAddress> parse_tcp_address(std::string_view text);
// "host:port".
Result<SocketAddress> parse_host_port(std::string_view text);
// 127.0.0.0/8, ::1 or "localhost": reachable from this machine only. "*" and 0.0.0.0 are not.
bool is_loopback(std::string_view host);

}  // namespace baton
