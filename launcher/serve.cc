// SPDX-License-Identifier: Apache-2.0
// `baton serve`: a topology in memory, made of the command line and read and checked as a file would be; then what `up` does.
// Flags become overrides of keys, so they beat the environment, and an error about a key names the flag that set it.
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>

#include "config/address.h"
#include "config/suggest.h"
#include "launcher/check_model.h"
#include "launcher/commands.h"
#include "launcher/environment.h"
#include "launcher/exit_code.h"
#include "launcher/find_cluster.h"
#include "launcher/json_writer.h"
#include "launcher/model_fetch.h"
#include "launcher/start_cluster.h"

namespace baton {
namespace {

constexpr std::size_t kNameMax = 40;

// One flag of the command line as an override of the topology.
struct FlagKey {
  std::string flag;   // "--block-size 17"
  std::string set;    // "kv_cache.block_size=17"
};

// JSON's quotes and escapes are YAML's, too.
std::string quoted(const std::string& text) {
  JsonWriter json;
  return json.value(text).take();
}

// What the file or folder, or the name of a fetched one, may be called as a cluster.
std::string name_from(const std::string& model) {
  if (model.starts_with("oracle:")) return "oracle";
  std::string stem = model;
  while (stem.ends_with('/')) stem.pop_back();
  stem.erase(0, stem.rfind('/') + 1);
  if (stem.ends_with(".gguf")) stem.resize(stem.size() - 5);
  std::string name;
  for (const char c : stem) {
    const char small = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if ((small >= 'a' && small <= 'z') || (small >= '0' && small <= '9')) name += small;
    else if (!name.empty() && name.back() != '-') name += '-';
  }
  name.resize(std::min(name.size(), kNameMax));
  while (name.ends_with('-')) name.pop_back();
  return name.empty() ? "model" : name;
}

struct FoundModel {
  std::string path;      // absolute, or "oracle:…" as it is
  bool present = true;   // false: a dry run found that it would be fetched
};

Result<FoundModel> fetch_unless_dry(const std::string& name, bool dry_run) {
  const auto tell = [](std::string_view what) { std::fprintf(stderr, "%.*s\n", static_cast<int>(what.size()), what.data()); };
  if (dry_run) {
    auto place = place_of_model(name);
    if (!place) return tl::unexpected<Error>(place.error());
    if (!place->present) tell("would fetch " + name + " (" + std::to_string(place->bytes / 1000000) + " MB) into " + place->path);
    return FoundModel{std::move(place->path), place->present};
  }
  auto path = fetch_model(name, "", tell);
  if (!path) return tl::unexpected<Error>(path.error());
  return FoundModel{std::move(*path)};
}

// A known name is fetched if it is not in the cache yet, though not by a dry run.
Result<FoundModel> find_model(const std::string& model, bool dry_run) {
  std::error_code ignored;
  if (model.ends_with(".yaml") || model.ends_with(".yml"))
    return fail(ErrorCode::kNotFound, model + " is a topology file; `baton up " + model + "` starts what it describes");
  if (model.starts_with("oracle:")) return FoundModel{model};
  if (std::filesystem::exists(model, ignored)) return FoundModel{std::filesystem::absolute(model, ignored).lexically_normal().string()};
  std::vector<std::string> names;
  for (const ModelPackage& each : known_models()) names.emplace_back(each.name);
  if (std::find(names.begin(), names.end(), model) != names.end()) return fetch_unless_dry(model, dry_run);
  std::string known;
  for (const std::string& each : names) known += (known.empty() ? "" : ", ") + each;
  const std::string hint = did_you_mean(model, names);
  return fail(ErrorCode::kNotFound, "there is no file or folder " + model + (hint.empty() ? ", and no model of that name to fetch; known: " + known : " (" + hint + ')'));
}

std::string base_text(const ServeOptions& options, const std::string& model) {
  std::string text = "# Made by `baton serve`; its flags are overrides of this file.\nversion: 1\nname: " + quoted(name_from(options.model)) +
                     "\nmodel: { path: " + quoted(model) + " }\ngateway: { http: \"127.0.0.1:8000\" }\npools:\n";
  if (!options.prefill && !options.decode) return text + "  - { name: worker, role: both }\n";
  return text + "  - { name: prefill, role: prefill, replicas: " + std::to_string(options.prefill.value_or(1)) + " }\n" +
         "  - { name: decode, role: decode, replicas: " + std::to_string(options.decode.value_or(1)) + " }\n";
}

// The address of the jobs socket with the next port, where workers join.
std::string next_port(const std::string& jobs) {
  const auto address = parse_tcp_address(jobs);
  if (!address || address->port == 65535) return jobs;  // the checks say what is wrong with it
  return jobs.substr(0, jobs.rfind(':') + 1) + std::to_string(address->port + 1);
}

std::vector<FlagKey> flag_keys(const ServeOptions& options) {
  std::vector<FlagKey> keys;
  const auto add = [&](const char* flag, const std::optional<std::string>& value, const std::string& path) {
    if (value) keys.push_back({std::string(flag) + ' ' + *value, path + '=' + *value});
  };
  const auto add_to_pools = [&](const char* flag, const std::optional<std::string>& value, const std::string& key) {
    const bool split = options.prefill || options.decode;
    for (const char* pool : {"worker", "prefill", "decode"})
      if ((std::string_view(pool) == "worker") != split) add(flag, value, std::string("pools.") + pool + '.' + key);
  };
  add("--name", options.name, "name");
  add("--max-model-len", options.max_model_len, "model.max_model_len");
  add("--dtype", options.dtype, "model.dtype");
  add("--block-size", options.block_size, "kv_cache.block_size");
  add("--kv-cache-memory", options.kv_cache_memory, "kv_cache.memory");
  add("--numerics", options.numerics, "numerics");
  add("--jobs", options.jobs, "coordinator.jobs");
  if (options.host || options.port) {
    std::string host = options.host.value_or("127.0.0.1");
    if (host.find(':') != std::string::npos && !host.starts_with('[')) host = '[' + host + ']';
    const std::string flag = (options.host ? "--host " + *options.host : "") + (options.host && options.port ? " " : "") + (options.port ? "--port " + *options.port : "");
    keys.push_back({flag, "gateway.http=" + host + ':' + options.port.value_or("8000")});
  }
  add("--api-keys-file", options.api_keys_file, "security.api_keys_file");
  if (options.jobs) keys.push_back({"--jobs " + *options.jobs, "coordinator.control=" + next_port(*options.jobs)});
  add_to_pools("--max-num-seqs", options.max_num_seqs, "limits.max_num_seqs");
  add_to_pools("--max-num-batched-tokens", options.max_num_batched_tokens, "limits.max_num_batched_tokens");
  add_to_pools("--tensor-parallel-size", options.tensor_parallel_size, "tensor_parallel_size");
  add_to_pools("--threads", options.threads, "threads");
  if (options.prefix_caching)
    keys.push_back({*options.prefix_caching ? "--enable-prefix-caching" : "--no-enable-prefix-caching",
                    std::string("kv_cache.prefix_caching=") + (*options.prefix_caching ? "true" : "false")});
  if (!options.served_model_name.empty()) {
    std::string names;
    for (const std::string& each : options.served_model_name) names += (names.empty() ? "" : ", ") + quoted(each);
    keys.push_back({"--served-model-name", "model.served_model_name=[" + names + ']'});
  }
  return keys;
}

// In the user's words where a flag is to blame, else as for a file. One line for each flag and message.
void explain(const std::vector<Diagnostic>& diagnostics, const std::vector<FlagKey>& keys) {
  std::string last;
  for (const Diagnostic& each : diagnostics) {
    const auto blamed = std::find_if(keys.begin(), keys.end(), [&](const FlagKey& key) { return each.file == "--set" && key.set == each.source_line; });
    std::string text = render(each);
    if (blamed != keys.end()) {
      text = "baton serve: " + blamed->flag + (each.severity == Severity::kNote ? ": note: " : ": ") + each.message;
      if (!each.hint.empty()) text += " (" + each.hint + ')';
      text += '\n';
    }
    if (text != last) std::fputs(text.c_str(), stderr);
    last = std::move(text);
  }
}

}  // namespace

int run_serve(const ServeOptions& options) {
  const auto model = find_model(options.model, options.dry_run);
  if (!model) {
    complain("serve", model.error());
    return model.error().code == ErrorCode::kNotFound ? kBadConfiguration : kFailed;
  }
  const std::vector<FlagKey> keys = flag_keys(options);
  std::vector<std::string> set;
  for (const FlagKey& key : keys) set.push_back(key.set);
  set.insert(set.end(), options.set.begin(), options.set.end());

  LoadOptions load = start_options(set);
  load.check_files = model->present;
  LoadResult loaded = parse_topology(base_text(options, model->path), "serve", load);
  if (loaded && model->present && !check_model("serve", loaded->topology)) return kBadConfiguration;
  explain(loaded ? loaded->notes : loaded.error(), keys);
  if (!loaded) {
    const std::size_t count = loaded.error().size();
    std::fprintf(stderr, "baton serve: %zu error%s; nothing was started\n", count, count == 1 ? "" : "s");
    return kBadConfiguration;
  }
  loaded->topology.file = loaded->topology.coordinator.state + "/topology.yaml";  // where the launcher keeps the text
  return start_cluster(*loaded, {"serve", set, options.detach, options.dry_run, false});
}

}  // namespace baton
