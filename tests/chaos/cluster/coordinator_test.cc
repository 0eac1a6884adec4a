// SPDX-License-Identifier: Apache-2.0
// A coordinator is killed while very many HTTP clients have their streams: none sees it but as a pause, and new requests are served soon.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>

#include "tests/support/chaos_options.h"
#include "tests/support/cluster_process.h"
#include "tests/support/http_streams.h"
#include "tests/support/raw_http.h"
#include "tests/support/stream_check.h"
#include "tests/support/verdict.h"

namespace baton::test {
namespace {

constexpr std::size_t kStreams = 1000;
constexpr std::uint32_t kTokens = 120;
constexpr Duration kStep = std::chrono::milliseconds(100);
constexpr Duration kLimit = std::chrono::seconds(90);

std::vector<HttpStream> streams_of(std::size_t count) {
  std::vector<HttpStream> streams(count);
  for (std::size_t i = 0; i < count; ++i) {
    streams[i].prompt = {static_cast<TokenId>(i % 500), static_cast<TokenId>(i / 500), 7, static_cast<TokenId>(i % 7)};
    streams[i].sampling.max_tokens = kTokens;
    streams[i].sampling.ignore_eos = true;
    streams[i].sampling.temperature = i % 2 == 0 ? 0.0F : 0.75F;
    streams[i].sampling.seed = i;
  }
  return streams;
}

// From now to the first byte of the first answer that is a success; asked again and again, as a client does that is told to retry.
Duration admitted_after(std::uint16_t port, Time begin) {
  const char* body = R"({"model": "oracle", "prompt": [1, 2], "max_tokens": 1})";
  const Time deadline = real_now() + std::chrono::seconds(20);
  while (real_now() < deadline) {
    const auto answer = http_ask(port, "POST", "/v1/completions", body, "Content-Type: application/json\r\n");
    if (answer && answer->status == 200) return real_now() - begin;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ADD_FAILURE() << "no new request was served";
  return kLimit;
}

void allow_many_files() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = std::max<rlim_t>(files.rlim_cur, std::min<rlim_t>(files.rlim_max, 16384));
  setrlimit(RLIMIT_NOFILE, &files);
}

TEST(Chaos, AThousandHttpStreamsOutliveTheirCoordinator) {
  const auto options = chaos_options();
  ASSERT_TRUE(options) << options.error().message;
  if (options->measure || options->real || !options->has(ChaosRole::kCoordinator)) GTEST_SKIP() << "--measure, --engine real, or --roles without coordinator";
  allow_many_files();
  OracleOptions model;
  model.vocab_size = 512;
  model.max_model_len = 512;
  model.step_time = kStep;
  ClusterSpec spec = oracle_spec(model, 4096);
  const auto port = static_cast<std::uint16_t>(free_ports(1)[0]);
  spec.pools = {"name: prefill, role: prefill, threads: 1, limits: { max_num_seqs: 1024, max_num_batched_tokens: 8192 }",
                "name: decode, role: decode, replicas: 2, threads: 1, limits: { max_num_seqs: 1024, max_num_batched_tokens: 8192 }"};
  spec.more = "gateway: { http: 127.0.0.1:" + std::to_string(port) + " }\n";
  TestHome home;
  ClusterProcess cluster(home, spec);
  ASSERT_TRUE(cluster.up());
  HttpStreams swarm(port, streams_of(kStreams));
  ASSERT_TRUE(comes_true([&] { return swarm.begun() + swarm.ended() >= kStreams; }, kLimit)) << swarm.begun();
  ASSERT_EQ(swarm.ended(), 0u) << "all are live";
  const pid_t before = cluster.pid("coordinator");
  const Time fault = real_now();
  ASSERT_EQ(kill(before, SIGKILL), 0);
  const Duration admitted = admitted_after(port, fault);
  const std::vector<HttpStream> streams = swarm.finish(kLimit);
  std::size_t identical = 0;
  std::vector<Duration> gaps;
  for (const HttpStream& stream : streams) {
    const bool same = stream.status == 200 && stream.done && stream.trouble.empty() && stream.finish_reason == "length" &&
                      stream.tokens == oracle_stream(model, stream.prompt, stream.sampling);
    identical += same;
    EXPECT_TRUE(same) << stream.prompt[0] << '/' << stream.prompt[1] << ": status " << stream.status << ", " << stream.tokens.size() << " tokens, " << stream.trouble;
    if (const auto gap = gap_across(stream.arrived, fault)) gaps.push_back(*gap);
  }
  const std::string fsck = cluster.fsck(std::chrono::seconds(30));
  char line[256];
  std::snprintf(line, sizeof line, "chaos coordinator: streams=%zu identical=%zu gap_p50_ms=%.0f gap_p99_ms=%.0f gap_max_ms=%.0f admitted_again_ms=%.0f fsck=%s", streams.size(),
                identical, milliseconds_of(percentile(gaps, 50)), milliseconds_of(percentile(gaps, 99)), milliseconds_of(percentile(gaps, 100)), milliseconds_of(admitted),
                fsck.empty() ? "clean" : "NOT-CLEAN");
  report_verdict(line);
  EXPECT_NE(cluster.pid("coordinator"), before);
  EXPECT_EQ(fsck, "");
  EXPECT_EQ(cluster.down().exit_status, 0);
  EXPECT_EQ(cluster.complaints_in_logs(), "");
  if (::testing::Test::HasFailure()) std::fputs(cluster.logs().c_str(), stderr);
}

}  // namespace
}  // namespace baton::test
