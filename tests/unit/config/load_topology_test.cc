// SPDX-License-Identifier: Apache-2.0
#include "config/load_topology.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace baton {
namespace {

constexpr const char* kSmall = "version: 1\nmodel: { path: \"oracle:\" }\npools:\n  - { name: prefill, role: prefill }\n  - { name: decode, role: decode }\n";

LoadOptions options_with(std::vector<std::string> set, std::map<std::string, std::string> environment = {}) {
  LoadOptions options;
  options.set = std::move(set);
  options.environment = std::move(environment);
  options.environment["HOME"] = "/users/me";
  return options;
}

Origin origin_of(const LoadedTopology& loaded, const std::string& path) {
  for (const ValueOrigin& each : loaded.origins)
    if (each.path == path) return each.origin;
  ADD_FAILURE() << path;
  return Origin::kDefault;
}

TEST(LoadTopology, FillsDefaultsAndNamesWorkers) {
  const LoadResult loaded = parse_topology(kSmall, "/etc/x.yaml", options_with({}));
  ASSERT_TRUE(loaded) << render(loaded.error());
  const Topology& topology = loaded->topology;
  EXPECT_EQ(topology.name, "baton");
  EXPECT_EQ(topology.file, "/etc/x.yaml");
  EXPECT_EQ(topology.kv_cache.memory, 512ull << 20);
  EXPECT_EQ(topology.coordinator.state, "/users/me/.local/state/baton/baton");
  ASSERT_EQ(topology.nodes.size(), 1u);
  EXPECT_EQ(topology.nodes[0].name, "here");
  ASSERT_TRUE(topology.model.oracle.has_value());
  EXPECT_EQ(topology.lifecycle.heartbeat_interval, std::chrono::milliseconds(200));
  const auto slots = worker_slots(topology);
  ASSERT_EQ(slots.size(), 2u);
  EXPECT_EQ(slots[0].name, "prefill-0");
  EXPECT_EQ(slots[1].name, "decode-0");
  EXPECT_EQ(find_worker(topology, "decode-0")->pool, 1u);
  EXPECT_FALSE(find_worker(topology, "decode-1").has_value());
}

TEST(LoadTopology, SharesTheCoresAmongWorkersThatNameNoThreads) {
  const LoadResult loaded = parse_topology(kSmall, "x.yaml", options_with({"pools.prefill.threads=3"}));
  ASSERT_TRUE(loaded);
  EXPECT_EQ(worker_threads(loaded->topology, loaded->topology.pools[0], 8), 3u);
  EXPECT_EQ(worker_threads(loaded->topology, loaded->topology.pools[1], 8), 8u) << "it takes turns with the prefill worker";
  EXPECT_EQ(threads_at_once(loaded->topology, 8), 8u);
  EXPECT_EQ(worker_threads(loaded->topology, loaded->topology.pools[1], 1), 1u);
}

TEST(LoadTopology, WorkersThatPinTheirThreadsHaveCoresOfTheirOwnOrNone) {
  const LoadResult loaded = parse_topology(kSmall, "x.yaml", options_with({"pools.prefill.threads=3", "pools.prefill.replicas=2", "pools.decode.threads=2", "pools.decode.pin_threads=true"}));
  ASSERT_TRUE(loaded);
  const Topology& topology = loaded->topology;
  EXPECT_FALSE(topology.pools[0].pin_threads);
  EXPECT_TRUE(topology.pools[1].pin_threads);
  EXPECT_EQ(first_core(topology, *find_worker(topology, "prefill-0"), 8), 0u);
  EXPECT_EQ(first_core(topology, *find_worker(topology, "prefill-1"), 8), 3u);
  EXPECT_EQ(first_core(topology, *find_worker(topology, "decode-0"), 8), 6u);
  EXPECT_EQ(first_core(topology, *find_worker(topology, "decode-0"), 7), std::nullopt);
}

TEST(LoadTopology, FlagBeatsEnvironmentBeatsFileBeatsDefault) {
  const std::string file = std::string(kSmall) + "kv_cache: { memory: 1MiB, block_size: 8 }\n";
  const std::map<std::string, std::string> environment = {{"BATON_KV_CACHE_MEMORY", "2MiB"}, {"BATON_POOLS_DECODE_REPLICAS", "3"}};
  const LoadResult loaded = parse_topology(file, "x.yaml", options_with({"kv_cache.memory=9MiB", "kv_cache.memory=4MiB"}, environment));
  ASSERT_TRUE(loaded) << render(loaded.error());
  EXPECT_EQ(loaded->topology.kv_cache.memory, 4ull << 20);
  EXPECT_EQ(loaded->topology.kv_cache.block_size, 8u);
  EXPECT_EQ(loaded->topology.pools[1].replicas, 3u);
  EXPECT_EQ(origin_of(*loaded, "kv_cache.memory"), Origin::kFlag);
  EXPECT_EQ(origin_of(*loaded, "pools.decode.replicas"), Origin::kEnvironment);
  EXPECT_EQ(origin_of(*loaded, "kv_cache.block_size"), Origin::kFile);
  EXPECT_EQ(origin_of(*loaded, "lifecycle.heartbeat.miss"), Origin::kDefault);
}

TEST(LoadTopology, OverridesReachSectionsThatTheFileLeavesOut) {
  const LoadResult loaded = parse_topology(kSmall, "x.yaml", options_with({"lifecycle.heartbeat.miss=7", "transport.order=[tcp]", "scheduling={request_timeout: 3s}"}));
  ASSERT_TRUE(loaded) << render(loaded.error());
  EXPECT_EQ(loaded->topology.lifecycle.heartbeat_miss, 7u);
  EXPECT_EQ(loaded->topology.transport.order, std::vector<TransportOption>{TransportOption::kTcp});
  EXPECT_EQ(loaded->topology.scheduling.request_timeout, std::chrono::seconds(3));
}

TEST(LoadTopology, ScalarsAreTypedByTheSchemaNotByTheirLooks) {
  const LoadResult loaded = parse_topology(std::string(kSmall) + "name: 010\n", "x.yaml", options_with({}));
  ASSERT_TRUE(loaded) << render(loaded.error());
  EXPECT_EQ(loaded->topology.name, "010");
}

TEST(LoadTopology, RelativePathsStartFromTheFile) {
  const std::string file = "version: 1\nmodel: { path: m/x.gguf }\npools: [{ name: all, role: both }]\ncoordinator: { state: run }\n";
  LoadOptions options = options_with({});
  options.check_files = false;
  const LoadResult loaded = parse_topology(file, "/srv/a/x.yaml", options);
  ASSERT_TRUE(loaded) << render(loaded.error());
  EXPECT_EQ(loaded->topology.model.path, "/srv/a/m/x.gguf");
  EXPECT_EQ(loaded->topology.model.served_model_name, std::vector<std::string>{"x"});
  EXPECT_EQ(loaded->topology.coordinator.state, "/srv/a/run");
}

TEST(LoadTopology, KeysLetHttpLeaveLoopbackAndNothingElse) {
  const auto complaints = [](const std::string& security) {
    const std::string file = std::string(kSmall) + "gateway: { http: \"0.0.0.0:8000\", admin: \"0.0.0.0:8001\" }\n" + security;
    LoadOptions options = options_with({});
    options.check_files = false;
    const LoadResult loaded = parse_topology(file, "/srv/a/x.yaml", options);
    return loaded ? loaded->topology.security.api_keys_file : render(loaded.error());
  };
  EXPECT_NE(complaints("").find("gateway.http is off loopback"), std::string::npos) << complaints("");
  const std::string with_keys = complaints("security: { api_keys_file: keys.txt }\n");
  EXPECT_EQ(with_keys.find("gateway.http is off loopback"), std::string::npos) << with_keys;
  EXPECT_NE(with_keys.find("gateway.admin is off loopback"), std::string::npos) << with_keys;
  EXPECT_EQ(complaints("security: { api_keys_file: keys.txt, insecure: true }\n"), "/srv/a/keys.txt") << "it starts from the file";
}

TEST(LoadTopology, WindowsLineEndingsAndAByteOrderMarkAreFine) {
  std::string text = "\xef\xbb\xbf" + std::string(kSmall);
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) text.insert(at, "\r");
  EXPECT_TRUE(parse_topology(text, "x.yaml", options_with({})));
}

TEST(LoadTopology, AMissingFileIsADiagnosticToo) {
  const LoadResult loaded = load_topology("/nonexistent/x.yaml", options_with({}));
  ASSERT_FALSE(loaded);
  EXPECT_EQ(render(loaded.error()), "/nonexistent/x.yaml:1:1: error: no such file (start from examples/laptop.yaml)\n");
  EXPECT_FALSE(load_topology("/", options_with({})));
}

// ---- hostile text ---------------------------------------------------------------------------------------------------

std::string refusal(const std::string& text) {
  const LoadResult loaded = parse_topology(text, "x.yaml", options_with({}));
  EXPECT_FALSE(loaded);
  return loaded ? "" : render(loaded.error());
}

TEST(HostileTopologies, DeepNestingIsRefusedEarly) {
  for (const char* open : {"[", "{", "{a: ", "- ", "[{"}) {
    std::string text;
    for (int i = 0; i < 16384; ++i) text += open;
    EXPECT_NE(refusal(text), "") << open;
  }
  EXPECT_NE(refusal(std::string(16384, '[')).find("nested more than 32 levels deep"), std::string::npos);
  std::string indented;
  for (int i = 0; i < 600; ++i) indented += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  EXPECT_NE(refusal(indented).find("nested more than 32 levels deep"), std::string::npos);
}

TEST(HostileTopologies, AnAliasBombStopsAtItsFirstAlias) {
  std::string text = "a: &a [x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c < 'j'; ++c) {
    const std::string last(1, static_cast<char>(c - 1));
    text += std::string(1, c) + ": &" + c + " [*" + last + ", *" + last + ", *" + last + ", *" + last + "]\n";
  }
  EXPECT_NE(refusal(text).find("aliases are not accepted"), std::string::npos);
}

TEST(HostileTopologies, MoreThanAMegabyteIsNotRead) {
  EXPECT_NE(refusal(std::string(kSmall) + "#" + std::string(1 << 20, 'x')).find("at most 1 MiB"), std::string::npos);
  const auto path = std::filesystem::temp_directory_path() / "baton_large_topology.yaml";
  std::ofstream(path) << kSmall << '#' << std::string(3 << 20, 'x');
  const LoadResult loaded = load_topology(path.string(), options_with({}));
  std::filesystem::remove(path);
  ASSERT_FALSE(loaded);
  EXPECT_NE(render(loaded.error()).find("at most 1 MiB"), std::string::npos);
}

TEST(HostileTopologies, ManyErrorsAreCountedNotListed) {
  std::string text = kSmall;
  for (int i = 0; i < 20000; ++i) text += "k" + std::to_string(i) + ": 1\n";
  const std::string shown = refusal(text);
  EXPECT_NE(shown.find("19900 more errors are not shown"), std::string::npos);
  EXPECT_LT(shown.size(), 100'000u);
}

TEST(HostileTopologies, AnyBytesAreAnsweredWithoutACrash) {
  const std::string seed = std::string(kSmall) + "kv_cache: { memory: 64MiB }\ntransport: { order: [shm, tcp] }\n";
  std::uint64_t state = 1;
  const auto next = [&] { return state = state * 6364136223846793005u + 1442695040888963407u; };
  for (int round = 0; round < 3000; ++round) {
    std::string text = seed;
    for (int edits = 0; edits < 4; ++edits) {
      const std::size_t at = (next() >> 33) % text.size();
      const char c = "{}[]:,-&*!|>'\"%@`#?\n\t \\<~0\x80\xff"[(next() >> 33) % 29];
      if ((next() >> 40) % 2 == 0) text[at] = c;
      else text.insert(at, 1, c);
    }
    const LoadResult loaded = parse_topology(text, "x.yaml", options_with({}));
    EXPECT_TRUE(loaded || !loaded.error().empty());
  }
}

TEST(LoadTopology, TheTestModelMayEndItsWorkers) {
  std::string text = kSmall;
  EXPECT_FALSE(parse_topology(text, "/etc/x.yaml", options_with({}))->topology.model.oracle->crash_on);
  text.replace(text.find("oracle:"), 7, "oracle:crash_on=34");
  EXPECT_EQ(parse_topology(text, "/etc/x.yaml", options_with({}))->topology.model.oracle->crash_on, 34u);
}

}  // namespace
}  // namespace baton
