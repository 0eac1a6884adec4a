// SPDX-License-Identifier: Apache-2.0
// Values that stand above the file: `--set a.b.c=value`, then the environment's BATON_A_B_C. Looked up by the dotted path of
// a key ("pools.decode.replicas"); they go through the same types and ranges as the file's. Single-threaded, short-lived.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostic.h"
#include "config/yaml_tree.h"

namespace baton {

enum class Origin : std::uint8_t { kDefault, kFile, kEnvironment, kFlag };
std::string_view to_string(Origin origin);

class Overrides {
 public:
  // Wrong ones (no "=", not UTF-8) are reported at once.
  Overrides(const std::vector<std::string>& set, const std::map<std::string, std::string>& environment, Reporter& reporter);

  struct Found {
    const YamlNode* node = nullptr;  // owned by this object
    Origin origin = Origin::kDefault;
  };
  // The highest override of this path, or node == nullptr. Marks it as used.
  Found find(std::string_view path);

  // Unused flags are errors, unused BATON_ variables notes; `known` are all paths that were asked for.
  void report_unused(const std::vector<std::string>& known, Reporter& reporter) const;

 private:
  struct Override {
    std::string path;  // of a variable: its whole name
    YamlNode node;
    Place place;       // of the path in its source
    bool used = false;
  };
  std::vector<Override> flags_;
  std::map<std::string, Override, std::less<>> variables_;
};

// "pools.decode-fast.replicas" -> "BATON_POOLS_DECODE_FAST_REPLICAS".
std::string environment_name(std::string_view path);

}  // namespace baton
