// SPDX-License-Identifier: Apache-2.0
// Section: one mapping of the topology while it is read into its struct. Each take/read names a key, its type and its
// range in one place; whatever is in the mapping and was never asked for is an unknown key. Overrides and origins are
// handled here, so that no reader has to think of them. Single-threaded; borrows the tree and the ReadContext.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/diagnostic.h"
#include "config/overrides.h"
#include "config/yaml_tree.h"
#include "runtime/base/time.h"

namespace baton {

// The value that counts, as text: numbers, switches, sizes and durations as YAML writes them, everything else as it is.
struct EffectiveValue {
  bool is_text = false;  // may need quotes
  bool is_list = false;
  std::vector<std::string> items = {};  // one, unless it is a list
};

// Where a value came from; for `baton config show --origin`.
struct ValueOrigin {
  std::string path;
  Origin origin = Origin::kDefault;
  std::uint32_t line = 0;  // of the file; 0 otherwise
  std::optional<EffectiveValue> value;  // nullopt: not set, or a list of sections
};

// What a key takes; for the JSON Schema. Filled by the same calls that read the keys, so that the two cannot differ.
enum class KeyKind : std::uint8_t { kText, kSwitch, kInteger, kNumber, kBytes, kDuration, kTexts, kTextOrTexts, kChoice, kChoices, kDevices, kSection, kSections };
struct KeySpec {
  KeyKind kind = KeyKind::kText;
  double min = 0;  // of kInteger and kNumber
  double max = 0;
  std::vector<std::string> choices = {};
  bool required = false;
};

// What all sections of one file share.
struct ReadContext {
  Reporter& reporter;
  Overrides& overrides;
  std::vector<std::string> known_paths;            // every key that was asked for
  std::map<std::string, Place, std::less<>> places;  // of every value that was given
  std::vector<ValueOrigin> origins;
  std::map<std::string, KeySpec> specs;  // by path

  // Of the key that was taken last under this path; a later call replaces an earlier one.
  void set_effective(std::string_view path, EffectiveValue value);

  // The place of a path's value, or of the nearest enclosing one that was given.
  Place place_of(std::string_view path) const;
  // Unknown keys wait for the end, when every key of every section is known and can be suggested.
  struct Unknown {
    Place place;
    std::string key;
    std::string section;
  };
  std::vector<Unknown> unknown;
  void report_unknown();
};

template <class T>
struct Range {
  T min;
  T max;
};
template <class Enum>
using Choices = std::span<const std::pair<std::string_view, Enum>>;

class Section {
 public:
  // `node` may be null: then only overrides speak. `path` is "" for the whole document.
  Section(ReadContext& context, const YamlNode* node, std::string path, const Place& place);

  // The section of a key that holds a mapping.
  Section section(std::string_view key);
  // The value of a key that holds a list, each item given to the caller; null if absent or of another kind.
  const YamlNode* list(std::string_view key);

  // Each leaves `out` alone if the key is absent, and reports a wrong type or range. True if a good value was stored.
  bool read(std::string_view key, std::string& out);
  bool read(std::string_view key, bool& out);
  bool read(std::string_view key, double& out, Range<double> range);
  bool read(std::string_view key, std::uint32_t& out, Range<std::uint32_t> range);
  bool read_bytes(std::string_view key, std::uint64_t& out, Range<std::uint64_t> range);
  bool read_duration(std::string_view key, Duration& out, Range<Duration> range);
  bool read_texts(std::string_view key, std::vector<std::string>& out, bool one_is_enough);
  template <class Enum>
  bool read_choice(std::string_view key, Enum& out, Choices<Enum> choices) {
    const YamlNode* node = take(key);
    std::vector<std::string> names;
    for (const auto& [name, value] : choices) names.emplace_back(name);
    const KeySpec spec{.kind = KeyKind::kChoice, .choices = names};
    bool good = false;
    for (const auto& [name, value] : choices) {
      if (node == nullptr || node->kind != YamlKind::kScalar || node->text != name) continue;
      out = value;
      good = true;
    }
    for (const auto& [name, value] : choices)
      if (value == out) know(key, spec, EffectiveValue{.is_text = true, .items = {std::string(name)}});
    if (node != nullptr && !good) report_choice(key, *node, names);
    return good;
  }
  // For keys with a shape of their own, which also say what they take and which value counts.
  const YamlNode* take(std::string_view key);
  void know(std::string_view key, const KeySpec& spec, std::optional<EffectiveValue> value);

  // Reports the key's absence; `example` shows a good line.
  void require(std::string_view key, std::string_view example);
  // To be called once, after all keys were asked for.
  void finish();

  bool has(std::string_view key) const { return given_.contains(std::string(key)); }
  bool exists() const { return node_ != nullptr; }
  const std::string& path() const { return path_; }
  std::string path_of(std::string_view key) const { return path_.empty() ? std::string(key) : path_ + '.' + std::string(key); }
  const Place& place() const { return place_; }

 private:
  bool read_given(std::string_view key, std::string& out);
  bool read_given(std::string_view key, bool& out);
  bool read_given(std::string_view key, double& out, Range<double> range);
  bool read_given(std::string_view key, std::uint32_t& out, Range<std::uint32_t> range);
  bool read_given_bytes(std::string_view key, std::uint64_t& out, Range<std::uint64_t> range);
  bool read_given_duration(std::string_view key, Duration& out, Range<Duration> range);
  bool read_given_texts(std::string_view key, std::vector<std::string>& out, bool one_is_enough);
  void report_choice(std::string_view key, const YamlNode& node, const std::vector<std::string>& names);
  // The text of a scalar; quoted text does not pass for a number or a switch.
  const std::string* scalar(std::string_view key, const YamlNode& node, std::string_view wanted, bool quoted_is_fine);
  void wrong(std::string_view key, const YamlNode& node, std::string_view wanted, std::string hint = {});

  ReadContext& context_;
  const YamlNode* node_;
  std::string path_;
  Place place_;
  bool broken_ = false;  // not a mapping; said once, its missing keys are not named as well
  std::vector<std::string> asked_;
  std::map<std::string, bool> given_;
};

}  // namespace baton
