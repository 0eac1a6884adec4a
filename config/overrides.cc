// SPDX-License-Identifier: Apache-2.0
#include "config/overrides.h"

#include <algorithm>
#include <array>
#include <utility>

#include "config/suggest.h"

namespace baton {
namespace {

// Variables of the test runners, of the tools and of the kernels (BATON_CPU_KERNELS); not meant for the topology.
constexpr std::array<std::string_view, 6> kForeignPrefixes = {"BATON_SIM_",   "BATON_TEST_",        "BATON_CHECK_",
                                                              "BATON_BUILD_", "BATON_INTEGRATION_", "BATON_CPU_"};

bool is_foreign(std::string_view name) {
  return std::any_of(kForeignPrefixes.begin(), kForeignPrefixes.end(), [&](std::string_view prefix) { return name.starts_with(prefix); });
}

}  // namespace

std::string_view to_string(Origin origin) {
  switch (origin) {
    case Origin::kDefault: return "default";
    case Origin::kFile: return "file";
    case Origin::kEnvironment: return "environment";
    case Origin::kFlag: return "flag";
  }
  return "?";
}

std::string environment_name(std::string_view path) {
  std::string name = "BATON_";
  for (const char c : path) {
    if (c >= 'a' && c <= 'z') name += static_cast<char>(c - 'a' + 'A');
    else if ((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) name += c;
    else name += '_';
  }
  return name;
}

Overrides::Overrides(const std::vector<std::string>& set, const std::map<std::string, std::string>& environment, Reporter& reporter) {
  for (const std::string& text : set) {
    const std::uint32_t source = reporter.add_source("--set", text);
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      reporter.error({source, 1, 1}, "no key=value", "as in --set pools.decode.replicas=3");
      continue;
    }
    const Place value_place{source, 1, static_cast<std::uint32_t>(equals + 2)};
    if (auto node = parse_yaml_value(std::string_view(text).substr(equals + 1), value_place, reporter))
      flags_.push_back({text.substr(0, equals), std::move(*node), {source, 1, 1}, false});
  }
  for (const auto& [name, value] : environment) {
    if (!name.starts_with("BATON_") || is_foreign(name)) continue;
    const std::uint32_t source = reporter.add_source("environment", name + '=' + value);
    const Place value_place{source, 1, static_cast<std::uint32_t>(name.size() + 2)};
    if (auto node = parse_yaml_value(value, value_place, reporter))
      variables_.emplace(name, Override{name, std::move(*node), {source, 1, 1}, false});
  }
}

Overrides::Found Overrides::find(std::string_view path) {
  Found found;
  if (const auto variable = variables_.find(environment_name(path)); variable != variables_.end()) {
    variable->second.used = true;
    found = {&variable->second.node, Origin::kEnvironment};
  }
  for (Override& flag : flags_) {
    if (flag.path != path) continue;
    flag.used = true;
    found = {&flag.node, Origin::kFlag};  // the last one of a key counts
  }
  return found;
}

void Overrides::report_unused(const std::vector<std::string>& known, Reporter& reporter) const {
  for (const Override& flag : flags_)
    if (!flag.used) reporter.error(flag.place, "no key \"" + flag.path + "\"", did_you_mean(flag.path, known));
  std::vector<std::string> names;
  for (const auto& [name, variable] : variables_) {
    if (variable.used) continue;
    if (names.empty()) std::transform(known.begin(), known.end(), std::back_inserter(names), [](const std::string& path) { return environment_name(path); });
    reporter.note(variable.place, name + " is set but names no key of the topology", did_you_mean(name, names));
  }
}

}  // namespace baton
