// SPDX-License-Identifier: Apache-2.0
// Whether a listening address is free, and if not, who has it: told from the kernel's socket tables in /proc. Linux only.
#pragma once

#include <string>
#include <vector>

#include "config/address.h"
#include "launcher/state_folder.h"
#include "runtime/base/result.h"

namespace baton {

// kAlreadyExists: "127.0.0.1:7070 is taken by pid 123 (python3); stop that, or choose other ports: …"; the owner is left out
// where it is not ours to see, and named as a cluster if its parent is the launcher of one of `ours`. `other_ports`: how the
// user chooses others.
Result<void> check_port_free(const SocketAddress& address, const std::vector<ClusterEntry>& ours, const std::string& other_ports);

}  // namespace baton
