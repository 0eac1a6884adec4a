// SPDX-License-Identifier: Apache-2.0
#include "config/address.h"

#include <algorithm>

#include "config/units.h"

namespace baton {
namespace {

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

}  // namespace

Result<SocketAddress> parse_tcp_address(std::string_view text) {
  constexpr std::string_view kScheme = "tcp://";
  if (!text.starts_with(kScheme)) return fail(ErrorCode::kInvalidArgument, "write it as tcp://127.0.0.1:7070");
  return parse_host_port(text.substr(kScheme.size()));
}

Result<SocketAddress> parse_host_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return fail(ErrorCode::kInvalidArgument, "the port is missing, as in 127.0.0.1:7070");
  std::string_view host = text.substr(0, colon);
  const auto port = parse_unsigned(text.substr(colon + 1));
  if (!port || *port == 0 || *port > 65535) return fail(ErrorCode::kInvalidArgument, "the port must be a number from 1 to 65535");
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const bool known = std::all_of(host.begin(), host.end(), [&](char c) { return is_host_character(c) || (bracketed && c == ':'); });
  if (host != "*" && (host.empty() || host.size() > 253 || !known))
    return fail(ErrorCode::kInvalidArgument, "\"" + std::string(host) + "\" is no host name or address");
  return SocketAddress{std::string(host), static_cast<std::uint16_t>(*port)};
}

bool is_loopback(std::string_view host) {
  if (host == "localhost" || host == "::1") return true;
  if (!host.starts_with("127.")) return false;
  int dots = 0;
  for (const char c : host) {
    if (c == '.') ++dots;
    else if (c < '0' || c > '9') return false;
  }
  return dots == 3;
}

}  // namespace baton
