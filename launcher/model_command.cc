// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <string>

#include "launcher/commands.h"
#include "launcher/exit_code.h"
#include "launcher/find_cluster.h"
#include "launcher/model_fetch.h"

namespace baton {

int run_model_fetch(const ModelFetchOptions& options) {
  const auto progress = [](std::string_view what) { std::fprintf(stderr, "%.*s\n", static_cast<int>(what.size()), what.data()); };
  const Result<std::string> path = fetch_model(options.name, options.cache, progress);
  if (!path) return complain("model fetch", path.error());
  std::printf("%s\n", path->c_str());
  return kDone;
}

}  // namespace baton
