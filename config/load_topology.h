// SPDX-License-Identifier: Apache-2.0
// From a YAML file to a Topology, or to the list of everything that is wrong with it, at once. Reads the file and looks
// whether the model exists; starts nothing, needs no device. Precedence: flag > environment > file > default.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "config/diagnostic.h"
#include "config/section.h"
#include "config/topology.h"

namespace baton {

struct LoadOptions {
  std::vector<std::string> set;                    // "pools.decode.replicas=3", each
  std::map<std::string, std::string> environment;  // BATON_… and HOME are looked at
  std::string base_folder;                         // what relative paths start from; empty: the file's folder
  bool check_files = true;
  std::uint32_t cores = 0;                         // 0: threads are not compared with it
  std::uint64_t memory = 0;                        // bytes; 0: the workers' KV is not compared with it
};

struct LoadedTopology {
  Topology topology;
  std::string text;                  // as it was read
  std::vector<Diagnostic> notes;     // worth showing, no error
  std::vector<ValueOrigin> origins;  // of every key, in the order of docs/topology.md
  std::map<std::string, KeySpec> specs;  // what every key takes
};

using LoadResult = tl::expected<LoadedTopology, std::vector<Diagnostic>>;

LoadResult load_topology(const std::string& path, const LoadOptions& options);

// `file` names the text in diagnostics; relative paths in it start from the file's folder.
LoadResult parse_topology(std::string_view text, const std::string& file, const LoadOptions& options);

}  // namespace baton
