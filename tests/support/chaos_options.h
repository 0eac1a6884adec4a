// SPDX-License-Identifier: Apache-2.0
// What `./check chaos --NAME VALUE` asks for: it reaches the test as BATON_CHAOS_NAME.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/base/time.h"

namespace baton::test {

// What may be killed. Workers and the coordinator are frozen, too.
enum class ChaosRole : std::uint8_t { kPrefill, kDecode, kBoth, kGateway, kCoordinator };
const char* to_string(ChaosRole role);

struct ChaosOptions {
  std::size_t streams = 300;  // at least: more are sent while faults are still to come
  std::uint32_t kills = 20;
  std::uint32_t freezes = 10;
  std::uint64_t seed = 1;
  std::vector<ChaosRole> roles = {ChaosRole::kPrefill, ChaosRole::kDecode, ChaosRole::kBoth, ChaosRole::kGateway, ChaosRole::kCoordinator};
  Duration load{};            // for how long the streams should last; 0: as long as the faults need
  bool real = false;          // the real model instead of the oracle
  bool tell = false;          // each fault and what it cost, also where all is well
  bool measure = false;       // gaps, instead of the mixed run

  bool has(ChaosRole role) const;
  bool has_workers() const { return has(ChaosRole::kPrefill) || has(ChaosRole::kDecode) || has(ChaosRole::kBoth); }
  bool has_victims() const { return has_workers() || has(ChaosRole::kCoordinator); }
};

// `look`: the value of an environment variable. An error says which option is wrong.
Result<ChaosOptions> read_chaos_options(const std::function<std::optional<std::string>(const std::string&)>& look);
Result<ChaosOptions> chaos_options();  // of this process's environment

}  // namespace baton::test
