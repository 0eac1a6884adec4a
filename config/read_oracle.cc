// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <string>
#include <vector>

#include "config/read_topology.h"
#include "config/suggest.h"
#include "config/units.h"

namespace baton {
namespace {

struct CountOption {
  std::string_view name;
  std::uint32_t OracleSection::*field;
  std::uint32_t min;
  std::uint32_t max;
};
struct TimeOption {
  std::string_view name;
  Duration OracleSection::*field;
};
constexpr std::array kCounts = {
    CountOption{"layers", &OracleSection::layers, 1, 1024},
    CountOption{"kv_heads", &OracleSection::kv_heads, 1, 1024},
    CountOption{"head_dim", &OracleSection::head_dim, 1, 4096},
    CountOption{"vocab_size", &OracleSection::vocab_size, 2, 1u << 20},
};
constexpr std::string_view kCrashOn = "crash_on";
constexpr std::array kTimes = {TimeOption{"step_time", &OracleSection::step_time}, TimeOption{"token_time", &OracleSection::token_time}};

// "" if the option was taken, else what is wrong with its value.
std::string take_option(OracleSection& options, std::string_view name, std::string_view value, bool& known) {
  known = true;
  for (const CountOption& each : kCounts) {
    if (each.name != name) continue;
    const auto number = parse_unsigned(value);
    if (!number || *number < each.min || *number > each.max)
      return "a whole number from " + std::to_string(each.min) + " to " + std::to_string(each.max) + " is wanted";
    options.*each.field = static_cast<std::uint32_t>(*number);
    return {};
  }
  if (name == kCrashOn) {
    const auto number = parse_unsigned(value);
    if (!number || *number >= 1u << 20) return "a token id is wanted";
    options.crash_on = static_cast<std::uint32_t>(*number);
    return {};
  }
  for (const TimeOption& each : kTimes) {
    if (each.name != name) continue;
    const auto time = parse_duration(value);
    if (!time) return time.error().message;
    if (*time > std::chrono::minutes(1)) return "at most 1m";
    options.*each.field = *time;
    return {};
  }
  known = false;
  return {};
}

}  // namespace

OracleSection read_oracle_options(std::string_view path, const Place& place, Reporter& reporter) {
  OracleSection options;
  std::string_view rest = path.substr(path.find(':') + 1);
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    const std::string_view item = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    const std::size_t equals = item.find('=');
    const std::string_view name = item.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? std::string_view{} : item.substr(equals + 1);
    bool known = false;
    const std::string wrong = take_option(options, name, value, known);
    if (!known) {
      std::vector<std::string> names;
      for (const CountOption& each : kCounts) names.emplace_back(each.name);
      for (const TimeOption& each : kTimes) names.emplace_back(each.name);
      std::string hint = did_you_mean(name, names);
      if (hint.empty()) hint = "as in oracle:layers=4,step_time=2ms";
      reporter.error(place, "unknown option \"" + std::string(name) + "\" of the oracle model", hint);
    } else if (!wrong.empty()) {
      reporter.error(place, "option " + std::string(name) + " of the oracle model is \"" + std::string(value) + '"', wrong);
    }
  }
  return options;
}

}  // namespace baton
