// SPDX-License-Identifier: Apache-2.0
#include "launcher/bench.h"

#include <unistd.h>

#include <cstdio>

#include "launcher/environment.h"
#include "launcher/model_fetch.h"
#include "models/model_path.h"

namespace baton {

Result<std::string> bench_model(const std::string& model) {
  std::string wanted = model;
  if (wanted.empty()) {
    const auto cache = default_cache_dir();
    if (!cache) return tl::unexpected<Error>(cache.error());
    wanted = *cache + "/models/smollm2-135m-instruct";
  }
  auto path = resolve_model_path(wanted);
  if (!path) return fail(path.error().code, path.error().message + "; `baton model fetch smollm2` gets a small one");
  return path;
}

std::string standard_peer(const std::string& tool) {
  std::string folder = own_executable();
  for (int up = 0; up < 4; ++up) folder = folder.substr(0, folder.rfind('/'));
  folder += "/.deps/llama.cpp/bin";
  return access((folder + '/' + tool).c_str(), X_OK) == 0 ? folder : "";
}

std::string decimals(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string show_spread(const Spread& spread, int digits) {
  if (spread.median == 0) return "-";
  return decimals(spread.median, digits) + " (" + decimals(spread.min, digits) + "-" + decimals(spread.max, digits) + ')';
}

void write_spread(JsonWriter& json, std::string_view name, const Spread& spread) {
  json.key(name);
  if (spread.median == 0) json.null();
  else json.begin_object().member("median", spread.median).member("min", spread.min).member("max", spread.max).end_object();
}

}  // namespace baton
