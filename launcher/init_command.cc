// SPDX-License-Identifier: Apache-2.0
#include "launcher/init_command.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "config/load_topology.h"
#include "config/memory.h"
#include "config/units.h"
#include "launcher/commands.h"
#include "launcher/effective_config.h"
#include "launcher/environment.h"
#include "launcher/exit_code.h"
#include "launcher/find_cluster.h"

namespace baton {
namespace {

constexpr const char* kDefaultModel = "~/.cache/baton/models/smollm2-135m-instruct";
constexpr std::uint64_t kMiB = 1u << 20;

std::string pool_line(const char* name, const char* role, std::uint32_t replicas) {
  return std::string("  - { name: ") + name + ", role: " + role + ", replicas: " + std::to_string(replicas) + " }\n";
}

// All or nothing, and never over what is there: O_EXCL also where two do it at once.
Result<void> write_new_file(const std::string& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file < 0 && errno == EEXIST)
    return fail(ErrorCode::kAlreadyExists, path + " is there already: name another with --out, or remove it");
  if (file < 0) return fail(ErrorCode::kIo, "cannot write " + path + ": " + std::strerror(errno));
  const ssize_t written = ::write(file, text.data(), text.size());
  const int problem = errno;
  ::close(file);
  if (written == static_cast<ssize_t>(text.size())) return {};
  ::unlink(path.c_str());
  return fail(ErrorCode::kIo, "cannot write " + path + ": " + std::strerror(written < 0 ? problem : ENOSPC));
}

}  // namespace

Result<PoolShape> parse_pool_shape(std::string_view text) {
  if (text == "both") return PoolShape{};
  const std::size_t p = text.find('p');
  if (p != std::string_view::npos && text.ends_with('d') && text.size() > p + 2) {
    const auto prefill = parse_unsigned(text.substr(0, p)), decode = parse_unsigned(text.substr(p + 1, text.size() - p - 2));
    if (prefill && decode && *prefill >= 1 && *prefill <= 1024 && *decode >= 1 && *decode <= 1024)
      return PoolShape{static_cast<std::uint32_t>(*prefill), static_cast<std::uint32_t>(*decode)};
  }
  return fail(ErrorCode::kInvalidArgument,
              "--pools " + std::string(text) + " is neither both nor as in 1p1d (1 to 1024 of each)");
}

std::string starting_topology(const InitFacts& facts) {
  const PoolShape& shape = facts.shape;
  const std::uint64_t workers = std::max<std::uint64_t>(1, std::uint64_t{shape.prefill} + shape.decode);
  // A quarter of what is free for all workers together leaves room for weights and neighbours.
  const std::uint64_t share = facts.memory == 0 ? 512 * kMiB : facts.memory / 4 / workers;
  const std::uint64_t kv = std::clamp<std::uint64_t>(share, kMiB, 512 * kMiB) / kMiB * kMiB;
  const EffectiveValue path{.is_text = true, .items = {facts.model_path}};
  std::string text =
      "# A cluster on this machine (" + std::to_string(facts.cores) + (facts.cores == 1 ? " core" : " cores") +
      (facts.memory == 0 ? "" : ", " + format_bytes(facts.memory / kMiB * kMiB) + " of memory free when this was written") +
      "). Next:\n"
      "#   baton validate FILE    baton plan FILE    baton up FILE\n"
      "# docs/topology.md explains every key; `baton config show FILE` lists the defaults.\n"
      "version: 1\n"
      "name: baton                       # of the cluster, as in `baton down baton`\n"
      "model:\n"
      "  path: " +
      yaml_value(path) +
      "\n"
      "  # max_model_len: 4096           # tokens of prompt and answer; default: the model's own\n"
      "kv_cache:\n"
      "  memory: " +
      format_bytes(kv) +
      "                  # per worker; `baton plan` shows how many tokens that is\n"
      "coordinator:\n"
      "  jobs: tcp://127.0.0.1:7070      # `baton submit` talks to this socket\n"
      "  control: tcp://127.0.0.1:7071   # workers join here\n"
      "pools:\n";
  if (shape.prefill == 0) text += pool_line("all", "both", 1);
  else text += pool_line("prefill", "prefill", shape.prefill) + pool_line("decode", "decode", shape.decode);
  if (shape.prefill != 0) text += "transport: { order: [shm, tcp] }  # what KV travels over, best first\n";
  return text;
}

int run_init(const InitOptions& options) {
  const auto shape = parse_pool_shape(options.pools);
  if (!shape) {
    complain("init", shape.error());
    return kBadUsage;
  }
  const bool chosen = !options.model.empty(), oracle = options.model.starts_with("oracle:");
  LoadOptions surroundings = load_options({});
  surroundings.check_files = chosen;
  std::error_code problem;
  // The file may be written elsewhere, and relative paths start from its folder.
  const std::string model = !chosen ? kDefaultModel
                            : oracle || options.model.starts_with("~")
                                ? options.model
                                : std::filesystem::absolute(options.model, problem).string();
  const std::string text = starting_topology({model, *shape, std::max(surroundings.cores, 1u), available_memory()});
  std::erase_if(surroundings.environment, [](const auto& each) { return each.first.starts_with("BATON_"); });
  if (const LoadResult loaded = parse_topology(text, options.out, surroundings); !loaded) {
    std::fprintf(stderr, "%s", render(loaded.error()).c_str());
    return kBadConfiguration;
  }
  if (options.out == "-") {
    std::printf("%s", text.c_str());
    return kDone;
  }
  if (const auto written = write_new_file(options.out, text); !written) return complain("init", written.error());
  const std::string fetch = !chosen && !std::filesystem::exists(home_folder() + std::string(kDefaultModel).substr(1), problem)
                                ? "baton model fetch smollm2 && "
                                : "";
  std::printf("wrote %s; next: %sbaton up %s\n", options.out.c_str(), fetch.c_str(), options.out.c_str());
  return kDone;
}

}  // namespace baton
