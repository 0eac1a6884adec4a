// SPDX-License-Identifier: Apache-2.0
#include "models/registry.h"

#include <string>
#include <utility>

#include "models/llama.h"

namespace baton {
namespace {

struct Family {
  const char* architecture;
  Result<std::unique_ptr<Model>> (*load)(std::unique_ptr<GgufFile> file, cpu::Backend& backend, std::unique_ptr<WeightArena> arena);
  Result<ModelInfo> (*examine)(const GgufFile& file);
};

constexpr Family kFamilies[] = {
    {"llama", load_llama, examine_llama},
};

Result<const Family*> family_of(const GgufFile& file) {
  const std::string architecture = file.get_string("general.architecture").value_or("");
  std::string known;
  for (const Family& family : kFamilies) {
    if (architecture == family.architecture) return &family;
    known += known.empty() ? family.architecture : std::string(", ") + family.architecture;
  }
  return fail(ErrorCode::kIncompatible, file.path() + ": architecture '" + architecture + "' is not supported; supported: " + known);
}

}  // namespace

Result<std::unique_ptr<Model>> load_model(std::unique_ptr<GgufFile> file, cpu::Backend& backend, std::unique_ptr<WeightArena> arena) {
  const auto family = family_of(*file);
  if (!family) return tl::unexpected<Error>(family.error());
  return (*family)->load(std::move(file), backend, std::move(arena));
}

Result<ModelInfo> examine_model(const GgufFile& file) {
  const auto family = family_of(file);
  if (!family) return tl::unexpected<Error>(family.error());
  return (*family)->examine(file);
}

}  // namespace baton
