// SPDX-License-Identifier: Apache-2.0
// A YAML document as a plain tree with the place of every node: the subset of YAML a configuration needs, and nothing
// that hostile text could use. Refused with a diagnostic: more than 1 MiB, more than 32 levels, text that is not UTF-8,
// duplicate keys, keys that are no scalars, anchors, aliases, merge keys, tags, a second document.
// Scalars stay text: the reader of a key decides its type, so `name: 010` or `name: no` are what was written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostic.h"

namespace baton {

inline constexpr std::size_t kYamlBytesMax = std::size_t{1} << 20;
inline constexpr std::size_t kYamlDepthMax = 32;

enum class YamlKind : std::uint8_t { kNull, kScalar, kSequence, kMapping };

struct YamlNode {
  struct Entry;
  YamlKind kind = YamlKind::kNull;
  bool quoted = false;  // '…', "…" or a block scalar: text on purpose
  std::string text;     // of a scalar
  Place place;
  std::vector<YamlNode> items;    // of a sequence
  std::vector<Entry> entries;     // of a mapping, in the order of the text, keys unique

  const YamlNode* find(std::string_view key) const;
};
struct YamlNode::Entry {
  std::string key;
  Place key_place;
  YamlNode value;
};

// "a mapping", "a list", "text", "nothing": for messages.
std::string_view describe(const YamlNode& node);

// `source` was added to the reporter with the same text. nullopt: not even a tree; the reporter says why. A tree that is
// returned may still have come with errors (a duplicate key, say).
std::optional<YamlNode> parse_yaml(std::string_view text, std::uint32_t source, Reporter& reporter);

// A value on one line, at `place`: "[a, b]" and "{a: b}" are YAML, anything else is a plain scalar, taken literally.
std::optional<YamlNode> parse_yaml_value(std::string_view text, const Place& place, Reporter& reporter);

}  // namespace baton
