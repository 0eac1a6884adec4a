// SPDX-License-Identifier: Apache-2.0
// The address of an actor: which process, which life of that process, which slot in it, which tenant of that slot.
// A reference to a dead life or an earlier tenant reaches nobody. Incarnation 0 means "whichever lives now" and is
// only for first contact.
#pragma once

#include <compare>
#include <cstdint>

#include "runtime/base/ids.h"

namespace baton {

struct ActorRef {
  NodeId node;
  Incarnation incarnation;
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  friend constexpr auto operator<=>(const ActorRef&, const ActorRef&) = default;
  constexpr bool valid() const { return node.value != 0; }
};

}  // namespace baton
