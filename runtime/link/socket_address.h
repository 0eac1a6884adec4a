// SPDX-License-Identifier: Apache-2.0
// Addresses of sockets as text and back, and the address of a network interface. Pure apart from asking the kernel for its
// interfaces; any thread.
#pragma once

#include <sys/socket.h>

#include <optional>
#include <string>

#include "runtime/base/result.h"

namespace baton {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

// "10.0.0.1:7000", "[::1]:7000"; names are not looked up.
std::string to_text(const sockaddr_storage& storage);
std::optional<SocketAddress> address_from_text(const std::string& text);

// The interface's own address without a port, IPv4 before IPv6 (link-local ones need a scope the peer does not know, so
// they are skipped).
Result<SocketAddress> address_of_interface(const std::string& name);

}  // namespace baton
