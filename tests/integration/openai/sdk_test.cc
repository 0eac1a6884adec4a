// SPDX-License-Identifier: Apache-2.0
// Foreign programs against a gateway: OpenAI's SDK, and Prometheus's own reader of metrics. tools/get_test_tools.sh fetches both;
// without them these tests are skipped.
#include <unistd.h>

#include <optional>

#include "launcher/subprocess.h"
#include "tests/integration/openai/api_cluster.h"
#include "tests/support/golden_data.h"
#include "tests/support/slow_build.h"

namespace baton::test {
namespace {

std::string tool(const std::string& path) { return std::string(BATON_SOURCE_DIR) + "/.deps/" + path; }

class ForeignPrograms : public ApiCluster {
 protected:
  void expect_sdk_content() {
    const std::string log = home_.path() + "/sdk.log";
    const auto status = run_program({tool("openai-sdk/bin/python"), BATON_SOURCE_DIR "/tests/integration/openai/sdk.py",
                                     "http://127.0.0.1:" + std::to_string(port_) + "/v1", kKey},
                                    log);
    ASSERT_TRUE(status) << status.error().message;
    EXPECT_EQ(*status, 0) << read_text(log);
    EXPECT_NE(read_text(log).find("ok      test_chat_stream"), std::string::npos) << read_text(log);
    EXPECT_EQ(cluster_->fsck(), "");
  }
};

TEST_F(ForeignPrograms, OpenAisSdkWithTheTestModel) {
  if (access(tool("openai-sdk/bin/python").c_str(), X_OK) != 0) GTEST_SKIP() << "tools/get_test_tools.sh fetches the SDK";
  up_oracle();
  expect_sdk_content();
}

TEST_F(ForeignPrograms, OpenAisSdkWithARealModel) {
  const std::optional<std::string> model = golden_model_path();
  if (!model) GTEST_SKIP() << golden_model_missing();
  if (kSlowBuild) GTEST_SKIP() << "the real model runs in the release preset";
  if (access(tool("openai-sdk/bin/python").c_str(), X_OK) != 0) GTEST_SKIP() << "tools/get_test_tools.sh fetches the SDK";
  ClusterSpec spec;
  spec.model = *model;
  spec.kv_memory = "256MiB";
  up(spec);
  expect_sdk_content();
}

TEST_F(ForeignPrograms, PromtoolHasNoComplaint) {
  if (access(tool("promtool/promtool").c_str(), X_OK) != 0) GTEST_SKIP() << "tools/get_test_tools.sh fetches promtool";
  OracleOptions model;
  up(oracle_spec(model, 4096));
  ASSERT_EQ(ask("POST", "/v1/completions", R"({"prompt":"a relay","max_tokens":5,"ignore_eos":true})")->status, 200);
  // The transfer is told by the next heartbeat.
  std::optional<RawResponse> metrics;
  ASSERT_TRUE(comes_true([&] {
    metrics = http_ask(admin_, "GET", "/metrics");
    return metrics && metrics->body.find("baton_kv_transfer_bytes_total{source=\"prefill-0\",destination=\"decode-0\"") != std::string::npos;
  })) << (metrics ? metrics->body : "nothing");
  EXPECT_EQ(metrics->header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  write_text(home_.path() + "/metrics", metrics->body);
  const std::string log = home_.path() + "/promtool.log";
  const auto status =
      run_program({"sh", "-c", "'" + tool("promtool/promtool") + "' check metrics < '" + home_.path() + "/metrics'"}, log);
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(*status, 0) << read_text(log) << metrics->body;
  EXPECT_EQ(read_text(log), "");
  for (const char* family :
       {"time_to_first_token_seconds", "inter_token_latency_seconds", "e2e_request_latency_seconds", "num_requests_running",
        "num_requests_waiting", "kv_cache_usage_perc", "prefix_cache_queries_total", "prefix_cache_hits_total", "num_preemptions_total",
        "prompt_tokens_total", "generation_tokens_total", "request_success_total", "request_queue_time_seconds", "kv_transfer_bytes_total",
        "kv_transfer_seconds_total", "kv_transfer_failures_total"})
    EXPECT_NE(metrics->body.find("# TYPE baton_" + std::string(family) + ' '), std::string::npos) << family << metrics->body;
}

}  // namespace
}  // namespace baton::test
