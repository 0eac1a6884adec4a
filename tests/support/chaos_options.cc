// SPDX-License-Identifier: Apache-2.0
#include "tests/support/chaos_options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <utility>

namespace baton::test {
namespace {

constexpr std::array kRoles = {ChaosRole::kPrefill, ChaosRole::kDecode, ChaosRole::kBoth, ChaosRole::kGateway, ChaosRole::kCoordinator};

Result<void> read_number(const std::optional<std::string>& text, const char* option, std::uint64_t most, std::uint64_t& into) {
  if (!text) return {};
  const auto [end, problem] = std::from_chars(text->data(), text->data() + text->size(), into);
  if (problem == std::errc{} && end == text->data() + text->size() && into <= most) return {};
  return fail(ErrorCode::kInvalidArgument, std::string(option) + ": \"" + *text + "\" is not a number up to " + std::to_string(most));
}

Result<std::vector<ChaosRole>> read_roles(const std::string& text) {
  std::vector<ChaosRole> roles;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    const auto role = std::find_if(kRoles.begin(), kRoles.end(), [&](ChaosRole each) { return word == to_string(each); });
    if (role == kRoles.end()) return fail(ErrorCode::kInvalidArgument, "--roles: \"" + word + "\" is none of prefill, decode, both, gateway, coordinator");
    roles.push_back(*role);
    begin = end + 1;
  }
  return roles;
}

}  // namespace

const char* to_string(ChaosRole role) {
  switch (role) {
    case ChaosRole::kPrefill: return "prefill";
    case ChaosRole::kDecode: return "decode";
    case ChaosRole::kBoth: return "both";
    case ChaosRole::kGateway: return "gateway";
    case ChaosRole::kCoordinator: return "coordinator";
  }
  return "?";
}

bool ChaosOptions::has(ChaosRole role) const { return std::find(roles.begin(), roles.end(), role) != roles.end(); }

Result<ChaosOptions> read_chaos_options(const std::function<std::optional<std::string>(const std::string&)>& look) {
  ChaosOptions options;
  std::uint64_t streams = options.streams, kills = options.kills, freezes = options.freezes, seconds = 0;
  RETURN_IF_ERROR(read_number(look("BATON_CHAOS_STREAMS"), "--streams", 1'000'000, streams));
  RETURN_IF_ERROR(read_number(look("BATON_CHAOS_KILLS"), "--kills", 100'000, kills));
  RETURN_IF_ERROR(read_number(look("BATON_CHAOS_FREEZES"), "--freezes", 100'000, freezes));
  RETURN_IF_ERROR(read_number(look("BATON_CHAOS_SEED"), "--seed", UINT64_MAX, options.seed));
  RETURN_IF_ERROR(read_number(look("BATON_CHAOS_SECONDS"), "--seconds", 86'400, seconds));
  options.streams = streams;
  options.kills = static_cast<std::uint32_t>(kills);
  options.freezes = static_cast<std::uint32_t>(freezes);
  options.load = std::chrono::seconds(seconds);
  if (const auto roles = look("BATON_CHAOS_ROLES")) {
    auto read = read_roles(*roles);
    if (!read) return tl::unexpected(read.error());
    options.roles = std::move(*read);
  }
  if (const auto engine = look("BATON_CHAOS_ENGINE"); engine && *engine != "oracle") {
    if (*engine != "real") return fail(ErrorCode::kInvalidArgument, "--engine: \"" + *engine + "\" is neither oracle nor real");
    options.real = true;
  }
  options.tell = look("BATON_CHAOS_TELL").value_or("no") == "yes";
  if (const auto measure = look("BATON_CHAOS_MEASURE")) {
    if (*measure != "gaps" && *measure != "1") return fail(ErrorCode::kInvalidArgument, "--measure: \"" + *measure + "\" is not gaps");
    options.measure = true;
  }
  return options;
}

Result<ChaosOptions> chaos_options() {
  return read_chaos_options([](const std::string& name) {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  });
}

}  // namespace baton::test
