// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "launcher/commands.h"
#include "launcher/effective_config.h"
#include "launcher/environment.h"
#include "launcher/exit_code.h"
#include "launcher/json_writer.h"
#include "launcher/table.h"

namespace baton {
namespace {

// "--set", "BATON_KV_CACHE_MEMORY", "laptop.yaml:9", "default".
std::string describe_origin(const ValueOrigin& value, const std::string& file) {
  switch (value.origin) {
    case Origin::kFlag: return "--set " + value.path;
    case Origin::kEnvironment: return environment_name(value.path);
    case Origin::kFile: return file + ':' + std::to_string(value.line);
    case Origin::kDefault: return "default";
  }
  return "?";
}

void write_value(JsonWriter& json, const ValueOrigin& each) {
  if (!each.value) {
    json.null();
    return;
  }
  const bool bare = !each.value->is_text && each.value->items.front().find_first_not_of("0123456789.") == std::string::npos;
  const auto item = [&](const std::string& text) {
    if (text == "true" || text == "false") json.value(text == "true");
    else if (bare && text.find('.') == std::string::npos) json.value(std::stoull(text));
    else if (bare) json.value(std::stod(text));
    else json.value(text);
  };
  if (!each.value->is_list) return item(each.value->items.front());
  json.begin_array();
  for (const std::string& text : each.value->items) json.value(text);
  json.end_array();
}

void print_json(const LoadedTopology& loaded) {
  JsonWriter json;
  json.begin_object().member("file", loaded.topology.file).member("name", loaded.topology.name).key("keys").begin_array();
  for (const ValueOrigin& each : loaded.origins) {
    const auto spec = loaded.specs.find(each.path);
    if (spec != loaded.specs.end() && spec->second.kind == KeyKind::kSections) continue;
    json.begin_object().member("key", each.path).key("value");
    write_value(json, each);
    json.member("origin", to_string(each.origin)).key("line");
    if (each.origin == Origin::kFile) json.value(each.line);
    else json.null();
    json.end_object();
  }
  json.end_array().end_object();
  std::printf("%s\n", json.take().c_str());
}

}  // namespace

int run_config_show(const ConfigShowOptions& options) {
  const auto loaded = load_or_explain(options.topology, load_options(options.set));
  if (!loaded) return kBadConfiguration;
  if (options.json) {
    print_json(*loaded);
    return kDone;
  }
  if (!options.origin) {
    std::printf("%s", effective_yaml(loaded->origins).c_str());
    return kDone;
  }
  std::vector<std::vector<std::string>> rows = {{"KEY", "VALUE", "FROM"}};
  for (const ValueOrigin& each : loaded->origins) {
    const auto spec = loaded->specs.find(each.path);
    if (spec != loaded->specs.end() && spec->second.kind == KeyKind::kSections) continue;
    rows.push_back({each.path, each.value ? yaml_value(*each.value) : "(not set)", describe_origin(each, options.topology)});
  }
  std::printf("%s", render_table(rows).c_str());
  return kDone;
}

int run_config_schema(const ConfigSchemaOptions&) {
  std::printf("%s\n", topology_schema().c_str());
  return kDone;
}

}  // namespace baton
