// SPDX-License-Identifier: Apache-2.0
#include "launcher/effective_config.h"

#include <algorithm>
#include <cmath>

#include "launcher/json_writer.h"
#include "runtime/base/check.h"

namespace baton {
namespace {

// Text that every YAML reader takes for this text: neither a number, a switch, nothing, nor anything with a meaning of its own.
bool is_plain(const std::string& text) {
  if (text.empty() || text.back() == ':') return false;
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (!letter(text.front()) && text.front() != '/') return false;
  for (const char* word : {"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
    if (text.size() == std::string_view(word).size() &&
        std::equal(text.begin(), text.end(), word, [](char a, char b) { return (a | 0x20) == b; }))
      return false;
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || std::string_view("/._-:+@").find(c) != std::string_view::npos;
  });
}

// JSON's strings are YAML's double-quoted ones.
std::string scalar(const EffectiveValue& value, const std::string& item) {
  if (!value.is_text || (is_plain(item) && !value.is_list)) return item;
  if (value.is_list && is_plain(item) && item.find(':') == std::string::npos) return item;
  JsonWriter quoted;
  quoted.value(item);
  return quoted.take();
}

// "pools.decode.limits.max_num_seqs" -> {"pools", "-decode", "limits", "max_num_seqs"}; "nodes[0].name" -> {"nodes", "-0",
// "name"}.
std::vector<std::string> components(const std::string& path) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (begin <= path.size()) {
    const std::size_t end = std::min(path.find('.', begin), path.size());
    std::string part = path.substr(begin, end - begin);
    if (const std::size_t bracket = part.find('['); bracket != std::string::npos) {
      parts.push_back(part.substr(0, bracket));
      part = part.substr(bracket + 1, part.size() - bracket - 2);
      parts.push_back('-' + part);
    } else {
      parts.push_back(parts.size() == 1 && parts[0] == "pools" ? '-' + part : part);
    }
    begin = end + 1;
  }
  return parts;
}

}  // namespace

std::string yaml_value(const EffectiveValue& value) {
  if (!value.is_list) return scalar(value, value.items.front());
  std::string text = "[";
  for (const std::string& item : value.items) text += (text.size() > 1 ? ", " : "") + scalar(value, item);
  return text + ']';
}

std::string effective_yaml(const std::vector<ValueOrigin>& origins) {
  std::string text;
  std::vector<std::string> open;  // the sections that the last line stands in
  for (const ValueOrigin& each : origins) {
    if (!each.value) continue;
    std::vector<std::string> parts = components(each.path);
    const std::string key = parts.back();
    parts.pop_back();
    std::size_t same = 0;
    while (same < std::min(open.size(), parts.size()) && open[same] == parts[same]) ++same;
    std::string dash;
    for (std::size_t i = same; i < parts.size(); ++i) {
      if (parts[i].front() == '-') dash = std::string(2 * (i - 1), ' ') + "  - ";
      else text += std::string(2 * i, ' ') + parts[i] + ":\n";
    }
    open = parts;
    // An item's first key stands behind its dash; its others, and sections within it, are indented as far.
    const std::string indent = dash.empty() ? std::string(2 * parts.size(), ' ') : dash;
    text += indent + key + ": " + yaml_value(*each.value) + '\n';
  }
  return text;
}

namespace {

void write_type(JsonWriter& json, const KeySpec& spec) {
  const auto choices = [&] {
    json.key("enum").begin_array();
    for (const std::string& each : spec.choices) json.value(each);
    json.end_array();
  };
  const auto pattern = [&](const char* what) { json.member("type", "string").member("pattern", what); };
  const auto list_of_texts = [&] {
    json.member("type", "array").key("items").begin_object().member("type", "string").end_object();
  };
  switch (spec.kind) {
    case KeyKind::kText: json.member("type", "string"); break;
    case KeyKind::kSwitch: json.member("type", "boolean"); break;
    case KeyKind::kInteger:
      json.member("type", "integer").member("minimum", std::llround(spec.min)).member("maximum", std::llround(spec.max));
      break;
    case KeyKind::kNumber: json.member("type", "number").member("minimum", spec.min).member("maximum", spec.max); break;
    case KeyKind::kBytes:
      json.key("anyOf").begin_array().begin_object();
      pattern("^[0-9]+(\\.[0-9]+)?(B|[KMGT]iB|[KMGT]B)$");
      json.end_object().begin_object().member("const", 0).end_object().end_array();
      break;
    case KeyKind::kDuration:
      json.key("anyOf").begin_array().begin_object();
      pattern("^[0-9]+(\\.[0-9]+)?(us|ms|s|m|h)$");
      json.end_object().begin_object().member("const", 0).end_object().end_array();
      break;
    case KeyKind::kTexts: list_of_texts(); break;
    case KeyKind::kTextOrTexts:
      json.key("anyOf").begin_array().begin_object().member("type", "string").end_object().begin_object();
      list_of_texts();
      json.end_object().end_array();
      break;
    case KeyKind::kChoice: choices(); break;
    case KeyKind::kChoices:
      json.member("type", "array").member("minItems", 1).member("uniqueItems", true).key("items").begin_object();
      choices();
      json.end_object();
      break;
    case KeyKind::kDevices:
      json.key("anyOf").begin_array().begin_object();
      pattern("^(auto|cpu:[0-9]+|sim:.+)$");
      json.end_object().begin_object().member("type", "array").member("minItems", 1).key("items").begin_object();
      json.member("type", "integer").member("minimum", 0).member("maximum", 1023).end_object().end_object().end_array();
      break;
    case KeyKind::kSection:
    case KeyKind::kSections: break;  // written by write_section
  }
}

using Specs = std::map<std::string, KeySpec>;

// The properties of the section at `prefix` ("", "kv_cache.", "pools.-."), in alphabetical order.
void write_section(JsonWriter& json, const Specs& specs, const std::string& prefix) {
  json.member("type", "object").member("additionalProperties", false);
  json.key("required").begin_array();
  for (const auto& [path, spec] : specs)
    if (path.starts_with(prefix) && path.find('.', prefix.size()) == std::string::npos && spec.required)
      json.value(path.substr(prefix.size()));
  json.end_array().key("properties").begin_object();
  for (const auto& [path, spec] : specs) {
    if (!path.starts_with(prefix) || path.find('.', prefix.size()) != std::string::npos) continue;
    const std::string name = path.substr(prefix.size());
    if (name == "-") continue;
    json.key(name).begin_object();
    if (spec.kind == KeyKind::kSection) {
      write_section(json, specs, path + '.');
    } else if (spec.kind == KeyKind::kSections) {
      json.member("type", "array").member("minItems", 1).key("items").begin_object();
      write_section(json, specs, path + ".-.");
      json.end_object();
    } else {
      write_type(json, spec);
    }
    json.end_object();
  }
  json.end_object();
}

// One key a line, so that a difference can be read.
std::string on_lines(const std::string& json) {
  std::string text;
  std::size_t depth = 0;
  bool in_string = false;
  const auto line = [&] { text += '\n' + std::string(2 * depth, ' '); };
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (c == '"' && (i == 0 || json[i - 1] != '\\')) in_string = !in_string;
    const bool closes = !in_string && (c == '}' || c == ']');
    if (closes) --depth;
    if (closes && json[i - 1] != '{' && json[i - 1] != '[') line();
    text += c;
    if (in_string) continue;
    if (c == '{' || c == '[') ++depth;
    const bool is_empty = i + 1 < json.size() && (json[i + 1] == '}' || json[i + 1] == ']');
    if (c == ',' || ((c == '{' || c == '[') && !is_empty)) line();
    if (c == ':') text += ' ';
  }
  return text;
}

}  // namespace

// A file that has every section once, for a section that is not there is not asked for its keys.
std::string topology_schema() {
  constexpr const char* kEverySection =
      "version: 1\nmodel: { path: \"oracle:\" }\nnodes: [{ name: here }]\ngateway: { http: 127.0.0.1:8000 }\npools: [{ name: "
      "all, role: both }]\n";
  LoadOptions surroundings;
  surroundings.environment["HOME"] = "/";
  const LoadResult loaded = parse_topology(kEverySection, "schema", surroundings);
  CHECK(loaded.has_value(), "the file with every section does not load");
  Specs specs;
  for (const auto& [path, spec] : loaded->specs) {
    std::string normal;
    for (const std::string& part : components(path)) normal += (normal.empty() ? "" : ".") + (part.front() == '-' ? "-" : part);
    specs[normal] = spec;
  }
  JsonWriter json;
  json.begin_object()
      .member("$schema", "http://json-schema.org/draft-07/schema#")
      .member("title", "Topology of a Baton cluster");
  write_section(json, specs, "");
  json.end_object();
  return on_lines(json.take());
}

}  // namespace baton
