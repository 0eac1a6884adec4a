// SPDX-License-Identifier: Apache-2.0
#include "config/section.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "config/suggest.h"
#include "config/units.h"

namespace baton {
namespace {

std::string quoted(std::string_view text) {
  constexpr std::size_t kShownMax = 60;
  if (text.size() > kShownMax) return '"' + std::string(text.substr(0, kShownMax)) + "…\"";
  return '"' + std::string(text) + '"';
}

std::string last_component(const std::string& path) { return path.substr(path.rfind('.') + 1); }

std::string shown(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

// Like the formats of units.h, but never rounded: what is shown can be fed back.
std::string exact(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed).ptr;
  return std::string(text, end);
}

std::string exact_bytes(std::uint64_t bytes) {
  const std::string text = format_bytes(bytes);
  return parse_bytes(text).value_or(~bytes) == bytes ? text : std::to_string(bytes) + 'B';
}

std::string exact_duration(Duration duration) {
  const std::string text = format_duration(duration);
  if (const auto parsed = parse_duration(text); parsed && *parsed == duration) return text;
  return std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(duration).count()) + "us";
}

}  // namespace

Place ReadContext::place_of(std::string_view path) const {
  while (true) {
    if (const auto found = places.find(path); found != places.end()) return found->second;
    const std::size_t dot = path.rfind('.');
    if (dot == std::string_view::npos) return Place{};
    path = path.substr(0, dot);
  }
}

void ReadContext::set_effective(std::string_view path, EffectiveValue value) {
  for (auto each = origins.rbegin(); each != origins.rend(); ++each) {
    if (each->path != path) continue;
    each->value = std::move(value);
    return;
  }
}

void ReadContext::report_unknown() {
  std::size_t suggested = 0;
  for (const Unknown& each : unknown) {
    const std::string prefix = each.section.empty() ? "" : each.section + '.';
    std::vector<std::string> siblings;
    std::string elsewhere;
    if (suggested++ < kDiagnosticsMax) {
      for (const std::string& path : known_paths) {
        if (path.starts_with(prefix) && path.find('.', prefix.size()) == std::string::npos) siblings.push_back(path.substr(prefix.size()));
        else if (elsewhere.empty() && last_component(path) == each.key) elsewhere = path;
      }
    }
    std::string hint = did_you_mean(each.key, siblings);
    if (hint.empty() && !elsewhere.empty()) hint = "did you mean \"" + elsewhere + "\"?";
    if (hint.empty() && !siblings.empty()) {
      hint = "known here:";
      for (const std::string& name : siblings) hint += (hint.back() == ':' ? " " : ", ") + name;
    }
    reporter.error(each.place, "unknown key " + quoted(each.key) + (each.section.empty() ? "" : " in " + each.section), hint);
  }
  unknown.clear();
}

Section::Section(ReadContext& context, const YamlNode* node, std::string path, const Place& place)
    : context_(context), node_(node), path_(std::move(path)), place_(place) {
  if (node_ == nullptr) return;
  place_ = node_->place;
  if (node_->kind == YamlKind::kMapping) return;
  context_.reporter.error(node_->place, (path_.empty() ? "the file" : path_) + " must be a mapping, this is " + std::string(describe(*node_)));
  node_ = nullptr;
  broken_ = true;
}

const YamlNode* Section::take(std::string_view key) {
  const std::string path = path_of(key);
  asked_.emplace_back(key);
  context_.known_paths.push_back(path);
  Overrides::Found found = context_.overrides.find(path);
  std::uint32_t line = 0;
  if (found.node == nullptr && node_ != nullptr) {
    found = {node_->find(key), Origin::kFile};
    if (found.node != nullptr) line = found.node->place.line;
  }
  if (found.node == nullptr) found.origin = Origin::kDefault;
  context_.origins.push_back({path, found.origin, line, std::nullopt});
  if (found.node == nullptr) return nullptr;
  given_[std::string(key)] = true;
  context_.places[path] = found.node->place;
  return found.node;
}

Section Section::section(std::string_view key) {
  const YamlNode* node = take(key);
  context_.origins.pop_back();  // its keys have origins, the section itself has none
  context_.specs[path_of(key)].kind = KeyKind::kSection;
  return Section(context_, node, path_of(key), place_);
}

const YamlNode* Section::list(std::string_view key) {
  const YamlNode* node = take(key);
  context_.specs[path_of(key)].kind = KeyKind::kSections;
  if (node == nullptr || node->kind == YamlKind::kSequence) return node;
  wrong(key, *node, "a list");
  return nullptr;
}

const std::string* Section::scalar(std::string_view key, const YamlNode& node, std::string_view wanted, bool quoted_is_fine) {
  if (node.kind == YamlKind::kScalar && (quoted_is_fine || !node.quoted)) return &node.text;
  wrong(key, node, wanted, node.kind == YamlKind::kScalar ? "remove the quotes" : "");
  return nullptr;
}

void Section::wrong(std::string_view key, const YamlNode& node, std::string_view wanted, std::string hint) {
  std::string is = node.kind == YamlKind::kScalar ? (node.quoted ? "text in quotes" : quoted(node.text)) : std::string(describe(node));
  context_.reporter.error(node.place, path_of(key) + " must be " + std::string(wanted) + ", this is " + is, std::move(hint));
}

void Section::know(std::string_view key, const KeySpec& spec, std::optional<EffectiveValue> value) {
  const std::string path = path_of(key);
  KeySpec& known = context_.specs[path];
  const bool required = known.required;
  known = spec;
  known.required = required;
  if (value) context_.set_effective(path, std::move(*value));
}

bool Section::read(std::string_view key, std::string& out) {
  const bool good = read_given(key, out);
  const bool is_set = good || !out.empty();
  know(key, {.kind = KeyKind::kText}, is_set ? std::optional(EffectiveValue{.is_text = true, .items = {out}}) : std::nullopt);
  return good;
}

bool Section::read(std::string_view key, bool& out) {
  const bool good = read_given(key, out);
  know(key, {.kind = KeyKind::kSwitch}, EffectiveValue{.items = {out ? "true" : "false"}});
  return good;
}

// A default outside the range stands for "not set".
bool Section::read(std::string_view key, double& out, Range<double> range) {
  const bool good = read_given(key, out, range);
  const bool is_set = out >= range.min && out <= range.max;
  know(key, {.kind = KeyKind::kNumber, .min = range.min, .max = range.max}, is_set ? std::optional(EffectiveValue{.items = {exact(out)}}) : std::nullopt);
  return good;
}

bool Section::read(std::string_view key, std::uint32_t& out, Range<std::uint32_t> range) {
  const bool good = read_given(key, out, range);
  const bool is_set = out >= range.min && out <= range.max;
  know(key, {.kind = KeyKind::kInteger, .min = static_cast<double>(range.min), .max = static_cast<double>(range.max)},
       is_set ? std::optional(EffectiveValue{.items = {std::to_string(out)}}) : std::nullopt);
  return good;
}

bool Section::read_bytes(std::string_view key, std::uint64_t& out, Range<std::uint64_t> range) {
  const bool good = read_given_bytes(key, out, range);
  know(key, {.kind = KeyKind::kBytes}, EffectiveValue{.items = {exact_bytes(out)}});
  return good;
}

bool Section::read_duration(std::string_view key, Duration& out, Range<Duration> range) {
  const bool good = read_given_duration(key, out, range);
  know(key, {.kind = KeyKind::kDuration}, EffectiveValue{.items = {exact_duration(out)}});
  return good;
}

bool Section::read_texts(std::string_view key, std::vector<std::string>& out, bool one_is_enough) {
  const bool good = read_given_texts(key, out, one_is_enough);
  know(key, {.kind = one_is_enough ? KeyKind::kTextOrTexts : KeyKind::kTexts}, EffectiveValue{.is_text = true, .is_list = true, .items = out});
  return good;
}

bool Section::read_given(std::string_view key, std::string& out) {
  const YamlNode* node = take(key);
  if (node == nullptr) return false;
  const std::string* text = scalar(key, *node, "text", true);
  if (text == nullptr) return false;
  out = *text;
  return true;
}

bool Section::read_given(std::string_view key, bool& out) {
  const YamlNode* node = take(key);
  if (node == nullptr) return false;
  const std::string* text = scalar(key, *node, "true or false", false);
  if (text == nullptr) return false;
  if (*text != "true" && *text != "false") {
    const bool yes = *text == "yes" || *text == "on" || *text == "True" || *text == "1";
    const bool no = *text == "no" || *text == "off" || *text == "False" || *text == "0";
    wrong(key, *node, "true or false", yes ? "did you mean \"true\"?" : no ? "did you mean \"false\"?" : "");
    return false;
  }
  out = *text == "true";
  return true;
}

bool Section::read_given(std::string_view key, std::uint32_t& out, Range<std::uint32_t> range) {
  const std::string wanted =
      range.min == range.max ? std::to_string(range.min) : "a whole number from " + std::to_string(range.min) + " to " + std::to_string(range.max);
  const YamlNode* node = take(key);
  if (node == nullptr) return false;
  const std::string* text = scalar(key, *node, wanted, false);
  if (text == nullptr) return false;
  const auto value = parse_unsigned(*text);
  if (!value || *value < range.min || *value > range.max) {
    wrong(key, *node, wanted);
    return false;
  }
  out = static_cast<std::uint32_t>(*value);
  return true;
}

bool Section::read_given(std::string_view key, double& out, Range<double> range) {
  const std::string wanted = "a number from " + shown(range.min) + " to " + shown(range.max);
  const YamlNode* node = take(key);
  if (node == nullptr) return false;
  const std::string* text = scalar(key, *node, wanted, false);
  if (text == nullptr) return false;
  double value = 0.0;
  const auto [end, problem] = std::from_chars(text->data(), text->data() + text->size(), value, std::chars_format::fixed);
  if (problem != std::errc{} || end != text->data() + text->size() || !(value >= range.min && value <= range.max)) {
    wrong(key, *node, wanted);
    return false;
  }
  out = value;
  return true;
}

bool Section::read_given_bytes(std::string_view key, std::uint64_t& out, Range<std::uint64_t> range) {
  const YamlNode* node = take(key);
  if (node == nullptr) return false;
  const std::string* text = scalar(key, *node, "a size such as 512MiB", true);
  if (text == nullptr) return false;
  const auto value = parse_bytes(*text);
  if (!value) {
    wrong(key, *node, "a size", value.error().message);
    return false;
  }
  if (*value < range.min || *value > range.max) {
    wrong(key, *node, "a size from " + format_bytes(range.min) + " to " + format_bytes(range.max));
    return false;
  }
  out = *value;
  return true;
}

bool Section::read_given_duration(std::string_view key, Duration& out, Range<Duration> range) {
  const YamlNode* node = take(key);
  if (node == nullptr) return false;
  const std::string* text = scalar(key, *node, "a duration such as 200ms", true);
  if (text == nullptr) return false;
  const auto value = parse_duration(*text);
  if (!value) {
    wrong(key, *node, "a duration", value.error().message);
    return false;
  }
  if (*value < range.min || *value > range.max) {
    wrong(key, *node, "a duration from " + format_duration(range.min) + " to " + format_duration(range.max));
    return false;
  }
  out = *value;
  return true;
}

bool Section::read_given_texts(std::string_view key, std::vector<std::string>& out, bool one_is_enough) {
  const YamlNode* node = take(key);
  if (node == nullptr) return false;
  if (one_is_enough && node->kind == YamlKind::kScalar) {
    out = {node->text};
    return true;
  }
  if (node->kind != YamlKind::kSequence) {
    wrong(key, *node, one_is_enough ? "text or a list of texts" : "a list of texts");
    return false;
  }
  std::vector<std::string> texts;
  for (const YamlNode& item : node->items) {
    if (item.kind != YamlKind::kScalar) {
      wrong(key, item, "a list of texts");
      return false;
    }
    texts.push_back(item.text);
  }
  out = std::move(texts);
  return true;
}

void Section::report_choice(std::string_view key, const YamlNode& node, const std::vector<std::string>& names) {
  std::string wanted = names.size() > 1 ? "one of " : "";
  for (std::size_t i = 0; i < names.size(); ++i) wanted += (i == 0 ? "" : ", ") + names[i];
  wrong(key, node, wanted, node.kind == YamlKind::kScalar ? did_you_mean(node.text, names) : "");
}

void Section::require(std::string_view key, std::string_view example) {
  context_.specs[path_of(key)].required = true;
  if (has(key) || broken_) return;
  context_.reporter.error(place_, "missing key " + quoted(path_of(key)), "as in `" + std::string(example) + "`");
}

void Section::finish() {
  if (node_ == nullptr) return;
  for (const YamlNode::Entry& entry : node_->entries)
    if (std::find(asked_.begin(), asked_.end(), entry.key) == asked_.end())
      context_.unknown.push_back({entry.key_place, entry.key, path_});
}

}  // namespace baton
