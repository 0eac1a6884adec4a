// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "config/load_topology.h"
#include "launcher/commands.h"
#include "launcher/environment.h"
#include "launcher/exit_code.h"
#include "launcher/json_writer.h"

namespace baton {
namespace {

void add(JsonWriter& json, const std::vector<Diagnostic>& diagnostics) {
  for (const Diagnostic& each : diagnostics) {
    json.begin_object().member("severity", each.severity == Severity::kError ? "error" : "note").member("file", each.file);
    json.member("line", each.line).member("column", each.column).member("message", each.message).member("hint", each.hint).end_object();
  }
}

int validate_as_json(const std::string& path, const LoadResult& loaded) {
  JsonWriter json;
  json.begin_object().member("file", path).member("valid", loaded.has_value()).key("diagnostics").begin_array();
  add(json, loaded ? loaded->notes : loaded.error());
  json.end_array().end_object();
  std::printf("%s\n", json.take().c_str());
  return loaded ? kDone : kBadConfiguration;
}

}  // namespace

int run_validate(const ValidateOptions& options) {
  if (options.json) return validate_as_json(options.topology, load_topology(options.topology, load_options(options.set)));
  const auto loaded = load_or_explain(options.topology, load_options(options.set));
  if (!loaded) return kBadConfiguration;
  const Topology& topology = loaded->topology;
  std::printf("%s: fine: %s, %zu worker%s in %zu pool%s, jobs at %s\n", options.topology.c_str(), topology.name.c_str(), worker_slots(topology).size(),
              worker_slots(topology).size() == 1 ? "" : "s", topology.pools.size(), topology.pools.size() == 1 ? "" : "s", topology.coordinator.jobs.c_str());
  return kDone;
}

}  // namespace baton
