// SPDX-License-Identifier: Apache-2.0
// What is told without a cluster: the configuration that counts, its schema, plans, model files.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "launcher/effective_config.h"
#include "launcher/inspect_model.h"
#include "launcher/plan.h"
#include "tests/support/gguf_writer.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

LoadOptions surroundings() {
  LoadOptions options;
  options.environment["HOME"] = "/users/me";
  options.check_files = false;
  return options;
}

LoadedTopology load(const std::string& text, LoadOptions options = surroundings()) {
  LoadResult loaded = parse_topology(text, "/somewhere/test.yaml", options);
  EXPECT_TRUE(loaded.has_value()) << (loaded ? "" : render(loaded.error()));
  return loaded ? std::move(*loaded) : LoadedTopology{};
}

const ValueOrigin& origin_of(const LoadedTopology& loaded, const std::string& path) {
  for (const ValueOrigin& each : loaded.origins)
    if (each.path == path) return each;
  ADD_FAILURE() << "no key " << path;
  return loaded.origins.front();
}

std::vector<fs::path> good_files() {
  std::vector<fs::path> files;
  for (const char* folder : {"examples", "tests/unit/config/good"})
    for (const auto& entry : fs::directory_iterator(fs::path(BATON_SOURCE_DIR) / folder))
      if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  return files;
}

TEST(ConfigShow, FedBackItGivesTheSameForEveryGoodFile) {
  ASSERT_GE(good_files().size(), 7u);
  for (const fs::path& file : good_files()) {
    const LoadedTopology first = load(read_file(file));
    const std::string shown = effective_yaml(first.origins);
    const LoadedTopology second = load(shown);
    EXPECT_EQ(effective_yaml(second.origins), shown) << file;
    EXPECT_EQ(second.topology.pools.size(), first.topology.pools.size()) << file;
    for (const ValueOrigin& each : second.origins)
      EXPECT_TRUE(!each.value || each.origin == Origin::kFile) << file << ' ' << each.path;
  }
}

TEST(ConfigShow, HostileTextComesBackAsItWas) {
  for (const char* text : {"true", "010", "~", "a: b", "# no", "- x", "quo\\\"te", "null", "1e3", "x:", "[a]", "*a"}) {
    const std::string file = std::string("version: 1\nmodel: { path: \"oracle:\", served_model_name: [\"") + text +
                             "\"] }\npools: [{ name: all, role: both }]\n";
    const LoadedTopology first = load(file), second = load(effective_yaml(first.origins));
    EXPECT_EQ(second.topology.model.served_model_name, first.topology.model.served_model_name) << text;
  }
}

TEST(ConfigShow, EachValueSaysWhereItIsFrom) {
  LoadOptions options = surroundings();
  options.set = {"pools.all.replicas=3"};
  options.environment["BATON_KV_CACHE_MEMORY"] = "8MiB";
  const LoadedTopology loaded =
      load("version: 1\nmodel: { path: \"oracle:\" }\npools: [{ name: all, role: both, replicas: 2 }]\n", options);
  EXPECT_EQ(origin_of(loaded, "pools.all.replicas").origin, Origin::kFlag);
  EXPECT_EQ(origin_of(loaded, "pools.all.replicas").value->items.front(), "3");
  EXPECT_EQ(origin_of(loaded, "kv_cache.memory").origin, Origin::kEnvironment);
  EXPECT_EQ(origin_of(loaded, "kv_cache.memory").value->items.front(), "8MiB");
  EXPECT_EQ(origin_of(loaded, "model.path").line, 2u);
  EXPECT_EQ(origin_of(loaded, "kv_cache.block_size").origin, Origin::kDefault);
  EXPECT_FALSE(origin_of(loaded, "pools.all.threads").value) << "no number of threads was chosen";
}

TEST(ConfigShow, SizesAndDurationsAreNotRounded) {
  const LoadedTopology loaded = load(
      "version: 1\nmodel: { path: \"oracle:\" }\nkv_cache: { memory: 1048577B }\nscheduling: { request_timeout: 1234567us }\n"
      "pools: [{ name: all, role: both }]\n");
  const LoadedTopology again = load(effective_yaml(loaded.origins));
  EXPECT_EQ(again.topology.kv_cache.memory, 1048577u);
  EXPECT_EQ(again.topology.scheduling.request_timeout, std::chrono::microseconds(1234567));
}

TEST(ConfigSchema, TheCommittedFileIsTheOneTheKeysGive) {
  const fs::path file = fs::path(BATON_SOURCE_DIR) / "docs/topology.schema.json";
  const std::string schema = topology_schema() + '\n';
  if (std::getenv("BATON_TEST_UPDATE") != nullptr) std::ofstream(file, std::ios::binary) << schema;
  EXPECT_EQ(read_file(file), schema) << "`baton config schema > docs/topology.schema.json`, then read the difference";
}

TEST(PlanTest, CountsBlocksJobsAndTransfers) {
  const LoadedTopology loaded = load(
      "version: 1\nmodel: { path: \"oracle:layers=2,kv_heads=2,head_dim=4\", max_model_len: 2048 }\nkv_cache: { memory: 8MiB, "
      "block_size: 16 }\n"
      "pools:\n  - { name: p, role: prefill }\n  - { name: d, role: decode, replicas: 2, limits: { max_num_seqs: 10 } }\n");
  const auto plan = make_plan(loaded.topology, {4, 1ull << 30, 1ull << 30});
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->geometry.block_bytes(), 2u * 2 * 2 * 16 * 4 * 8);
  EXPECT_EQ(plan->blocks_per_worker, (8u << 20) / 4096);
  ASSERT_EQ(plan->processes.size(), 4u);
  ASSERT_EQ(plan->pools.size(), 2u);
  EXPECT_EQ(plan->pools[1].kv_tokens, 2u * 2048 * 16);
  EXPECT_EQ(plan->pools[0].jobs_at_full_context, 2048u / 128);
  EXPECT_EQ(plan->pools[1].jobs_at_full_context, 2u * 10) << "max_num_seqs bounds it";
  ASSERT_EQ(plan->transfers.size(), 2u) << "shm and tcp";
  EXPECT_NEAR(plan->transfers[1].seconds_per_1k_tokens, 64 * 4096 / 5.26e9, 1e-9);
  EXPECT_TRUE(plan->fits());
}

TEST(PlanTest, WithoutRoomInDevShmKvGoesOverTcp) {
  const LoadedTopology loaded = load(
      "version: 1\nmodel: { path: \"oracle:\" }\nkv_cache: { memory: 8MiB }\npools: [{ name: p, role: prefill }, { name: d, "
      "role: decode }]\n");
  const auto plan = make_plan(loaded.topology, {4, 0, 1 << 20});
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->transfers.size(), 1u);
  EXPECT_EQ(plan->transfers[0].transport, "tcp");
}

TEST(PlanTest, MemoryForNotOneBlockIsAnError) {
  const LoadedTopology loaded = load(
      "version: 1\nmodel: { path: \"oracle:layers=1024,head_dim=1024\" }\nkv_cache: { memory: 1MiB }\npools: [{ name: all, "
      "role: both }]\n");
  const auto plan = make_plan(loaded.topology, {});
  ASSERT_FALSE(plan);
  EXPECT_NE(plan.error().message.find("holds no block"), std::string::npos);
}

TEST(InspectModel, TellsWhatTheHeaderSaysAndWhyItCannotRun) {
  test::GgufWriter writer;
  writer.add_string("general.architecture", "mamba").add_string("general.name", "Tiny").add_uint("mamba.block_count", 2);
  writer.add_uint("mamba.embedding_length", 64)
      .add_uint("mamba.attention.head_count", 4)
      .add_uint("mamba.attention.head_count_kv", 2);
  writer.add_string("tokenizer.ggml.model", "gpt2")
      .add_uint("tokenizer.ggml.bos_token_id", 7)
      .add_string("tokenizer.chat_template", "{{ x }}");
  writer.add_tensor("token_embd.weight", {64, 10}, WeightType::kQ8_0).add_tensor("a", {32, 2}, WeightType::kF16);
  const test::TempFile file(writer.build());
  const auto opened = GgufFile::open(file.path());
  ASSERT_TRUE(opened) << opened.error().message;
  const ModelFacts facts = inspect_model(**opened);
  EXPECT_EQ(facts.name, "Tiny");
  EXPECT_EQ(facts.head_dim, 16u);
  EXPECT_EQ(facts.kv_bytes_per_token(), 2u * 2 * 2 * 16 * 2);
  EXPECT_EQ(facts.vocabulary, 10u);
  EXPECT_EQ(facts.parameters, 64u * 10 + 64);
  EXPECT_EQ(facts.chat_template_bytes, 7u);
  ASSERT_EQ(facts.types.size(), 2u);
  EXPECT_EQ(facts.types[0].name, "Q8_0");
  EXPECT_EQ(facts.types[0].bytes, 680u);
  ASSERT_EQ(facts.special_tokens.size(), 1u);
  EXPECT_NE(facts.why_not.find("'mamba' is not supported"), std::string::npos) << facts.why_not;
}

}  // namespace
}  // namespace baton
