// SPDX-License-Identifier: Apache-2.0
// Which kernels to run on this CPU: what the CPU claims is tried before it is believed. A table must give the scalar table's
// bits for a small matmul and a small attention, and of those that do, the one whose matmul is fastest wins (on some CPUs wide
// registers lower the clock by more than they save). Takes a few milliseconds, once a process.
#pragma once

#include <initializer_list>

#include "kernels/cpu/ops.h"

namespace baton::cpu {

// Null candidates are skipped; `reference` is the answer when none is exact.
const Ops& fastest_exact(const Ops& reference, std::initializer_list<const Ops*> candidates);

}  // namespace baton::cpu
