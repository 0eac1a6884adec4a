// SPDX-License-Identifier: Apache-2.0
#include "launcher/check_model.h"

#include <string>

#include "launcher/find_cluster.h"
#include "models/model_path.h"

namespace baton {

std::uint64_t context_length(const GgufFile& file) {
  return file.get_uint(file.get_string("general.architecture").value_or("") + ".context_length").value_or(0);
}

Result<std::unique_ptr<GgufFile>> open_model(const Topology& topology) {
  const auto path = resolve_model_path(topology.model.path);
  if (!path) return tl::unexpected<Error>(path.error());
  auto file = GgufFile::open(*path);
  if (!file) return tl::unexpected<Error>(file.error());
  const std::uint64_t context = context_length(**file), wanted = topology.model.max_model_len;
  if (wanted != 0 && context != 0 && wanted > context)
    return fail(ErrorCode::kInvalidArgument, "max_model_len is " + std::to_string(wanted) + ", the model was made for " + std::to_string(context) +
                                                 " tokens: lower it or leave it out");
  return file;
}

bool check_model(const char* command, const Topology& topology) {
  if (topology.model.oracle) return true;
  const auto file = open_model(topology);
  if (!file) complain(command, file.error());
  return file.has_value();
}

}  // namespace baton
