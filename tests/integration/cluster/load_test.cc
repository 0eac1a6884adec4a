// SPDX-License-Identifier: Apache-2.0
// A prefill and a decode worker of the test model under load from many clients, with pools so small that jobs wait for
// blocks: every token of every stream is checked, and afterwards nothing is left of any job.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <thread>

#include "tests/support/cluster_process.h"
#include "tests/support/load_client.h"

namespace baton::test {
namespace {

constexpr std::uint32_t kBlocks = 64;
constexpr std::size_t kClients = 32;
constexpr Duration kJobLimit = std::chrono::seconds(60);

OracleOptions small_model() {
  OracleOptions model;
  model.head_dim = 16;  // 16 KiB a block, so that 64 of them are what kv_cache.memory allows at least
  model.vocab_size = 512;
  model.max_model_len = 512;
  return model;
}

struct Footprint {
  std::size_t rss = 0;
  std::size_t files = 0;
};

std::map<std::string, Footprint> footprints(const ClusterProcess& cluster) {
  std::map<std::string, Footprint> found;
  for (const char* name : {"launcher", "coordinator", "prefill-0", "decode-0"}) found[name] = {rss_bytes(cluster.pid(name)), open_files(cluster.pid(name))};
  return found;
}

// A connection that just ended may still hold its file.
std::map<std::string, Footprint> settled_footprints(const ClusterProcess& cluster) {
  std::map<std::string, Footprint> last = footprints(cluster);
  EXPECT_TRUE(comes_true([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    std::map<std::string, Footprint> now = footprints(cluster);
    const bool same = std::all_of(now.begin(), now.end(), [&](const auto& entry) { return entry.second.files == last.at(entry.first).files; });
    last = std::move(now);
    return same;
  }));
  return last;
}

void expect_as_the_oracle_says(const OracleOptions& model, const std::vector<JobRecord>& records) {
  for (const JobRecord& record : records) {
    EXPECT_EQ(oracle_complaint(model, record), "");
    EXPECT_FALSE(record.error) << record.error->message;
    if (!record.done || record.done->reason == FinishReason::kCancelled) continue;
    // Nothing was lost on the way and computed again: each block of the prompt moved once. One token needs no second worker.
    const KvGeometry geometry = oracle_info(model).geometry;
    const std::size_t blocks = record.tokens.size() == 1 ? 0 : geometry.blocks_for(record.submit.prompt_ids.size());
    EXPECT_EQ(record.done->kv_bytes_moved, blocks * geometry.block_bytes()) << record.submit.id;
  }
}

TEST(Load, FiveHundredJobsLeaveTheRightTokensAndNothingElse) {
  const OracleOptions model = small_model();
  TestHome home;
  // Freed memory is otherwise kept for 256 MiB before it is used again, which no account of growth survives.
  home.set_environment("ASAN_OPTIONS", "quarantine_size_mb=1:thread_local_quarantine_size_kb=16");
  ClusterProcess cluster(home, oracle_spec(model, kBlocks));
  ASSERT_TRUE(cluster.up());
  const auto report = cluster.connect()->status(std::chrono::seconds(5));
  ASSERT_TRUE(report);
  for (const WorkerStatus& worker : report->workers) EXPECT_EQ(worker.blocks_total, kBlocks) << worker.name;

  expect_as_the_oracle_says(model, run_load(cluster.jobs(), random_jobs(model, 1, 100, 200, 60, 6), kClients, kJobLimit));
  EXPECT_EQ(cluster.fsck(), "");
  const std::map<std::string, Footprint> before = settled_footprints(cluster);

  const std::vector<JobRecord> records = run_load(cluster.jobs(), random_jobs(model, 2, 500, 200, 60, 6), kClients, kJobLimit);
  ASSERT_EQ(records.size(), 500u);
  expect_as_the_oracle_says(model, records);
  std::size_t cancelled = 0;
  for (const JobRecord& record : records) cancelled += record.done && record.done->reason == FinishReason::kCancelled;
  EXPECT_GT(cancelled, 20u);
  EXPECT_EQ(cluster.fsck(), "");

  EXPECT_TRUE(comes_true([&] {
    for (const auto& [name, footprint] : footprints(cluster))
      if (footprint.files > before.at(name).files) return false;
    return true;
  }));
  for (const auto& [name, footprint] : footprints(cluster)) {
    EXPECT_LE(footprint.files, before.at(name).files) << name;
    EXPECT_LT(footprint.rss, before.at(name).rss + (std::size_t{6} << 20)) << name << " had " << before.at(name).rss;
    RecordProperty("growth_" + name, std::to_string(static_cast<std::int64_t>(footprint.rss) - static_cast<std::int64_t>(before.at(name).rss)));
  }
  EXPECT_EQ(cluster.down().exit_status, 0);
  EXPECT_TRUE(comes_true([&] { return home.processes().empty(); }));
  EXPECT_EQ(cluster.complaints_in_logs(), "");
}

}  // namespace
}  // namespace baton::test
