// SPDX-License-Identifier: Apache-2.0
// Strong ids: a NodeId cannot be passed where an Incarnation is wanted. Plain values, ordered and hashable.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace baton {

template <class Tag, class Rep>
struct Id {
  Rep value{};
  friend constexpr auto operator<=>(const Id&, const Id&) = default;
};

// A process of the cluster by role and name ("coordinator", "worker/prefill-0"); stable over restarts.
using NodeId = Id<struct NodeIdTag, std::uint64_t>;
// One life of a node: random, never 0 for a live node. 0 in a reference means "whichever lives now".
using Incarnation = Id<struct IncarnationTag, std::uint64_t>;

// 128 random bits that name one transfer; knowing them is what lets a sender reach a receiver's places.
struct TransferId {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend constexpr auto operator<=>(const TransferId&, const TransferId&) = default;
};

NodeId node_id(std::string_view name);
std::string to_hex(std::uint64_t value);
std::string to_string(const TransferId& id);

}  // namespace baton

template <class Tag, class Rep>
struct std::hash<baton::Id<Tag, Rep>> {
  std::size_t operator()(const baton::Id<Tag, Rep>& id) const noexcept { return std::hash<Rep>{}(id.value); }
};
template <>
struct std::hash<baton::TransferId> {
  std::size_t operator()(const baton::TransferId& id) const noexcept { return id.high ^ (id.low * 0x9e3779b97f4a7c15u); }
};
