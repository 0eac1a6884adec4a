// SPDX-License-Identifier: Apache-2.0
// Whether a listening address is free, and if not, who has it: told from the kernel's socket tables in /proc. Linux only.
#pragma once

#include "config/address.h"
#include "runtime/base/result.h"

namespace baton {

// kAlreadyExists: "127.0.0.1:7070 is taken by pid 123 (python3)"; the owner is left out where it is not ours to see.
Result<void> check_port_free(const SocketAddress& address);

}  // namespace baton
