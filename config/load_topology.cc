// SPDX-License-Identifier: Apache-2.0
#include "config/load_topology.h"

#include <filesystem>
#include <fstream>
#include <utility>

#include "config/check_topology.h"
#include "config/read_topology.h"
#include "config/yaml_tree.h"

namespace baton {
namespace {

tl::unexpected<std::vector<Diagnostic>> unreadable(const std::string& path, const std::string& why, std::string hint) {
  Diagnostic problem;
  problem.file = path;
  problem.message = why;
  problem.hint = std::move(hint);
  return tl::unexpected<std::vector<Diagnostic>>({problem});
}

std::string absolute_path(const std::string& path) {
  std::error_code problem;
  const std::filesystem::path absolute = std::filesystem::absolute(path, problem);
  return problem ? path : absolute.lexically_normal().string();
}

}  // namespace

LoadResult load_topology(const std::string& path, const LoadOptions& options) {
  std::error_code problem;
  if (!std::filesystem::exists(path, problem)) return unreadable(path, "no such file", "start from examples/laptop.yaml");
  if (!std::filesystem::is_regular_file(path, problem)) return unreadable(path, "not a file", "");
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return unreadable(path, "cannot be opened for reading", "");
  std::string text(kYamlBytesMax + 1, '\0');  // one more than allowed tells "too large" from "just fits"
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) return unreadable(path, "cannot be read", "");
  text.resize(static_cast<std::size_t>(stream.gcount()));
  return parse_topology(text, path, options);
}

LoadResult parse_topology(std::string_view text, const std::string& file, const LoadOptions& options) {
  Reporter reporter;
  const std::uint32_t source = reporter.add_source(file, std::string(text));
  Overrides overrides(options.set, options.environment, reporter);
  const std::optional<YamlNode> root = parse_yaml(text, source, reporter);
  if (!root) return tl::unexpected<std::vector<Diagnostic>>(reporter.errors());

  ReadContext context{reporter, overrides, {}, {}, {}, {}, {}};
  const auto home = options.environment.find("HOME");
  const std::string absolute = absolute_path(file);
  Topology topology = read_topology(context, *root, home == options.environment.end() ? "" : home->second,
                                    options.base_folder.empty() ? std::filesystem::path(absolute).parent_path().string() : options.base_folder);
  topology.file = absolute;
  if (root->kind == YamlKind::kMapping) {
    context.report_unknown();
    overrides.report_unused(context.known_paths, reporter);
    check_topology(topology, {options.check_files, options.cores, options.memory}, context);
    check_supported(topology, context);
  }
  if (reporter.failed()) return tl::unexpected<std::vector<Diagnostic>>(reporter.errors());
  return LoadedTopology{std::move(topology), std::string(text), reporter.notes(), std::move(context.origins), std::move(context.specs)};
}

}  // namespace baton
