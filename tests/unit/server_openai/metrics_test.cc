// SPDX-License-Identifier: Apache-2.0
// Metrics as text, and what the request log and the coordinator's report put into them.
#include <gtest/gtest.h>

#include "server/cluster_metrics.h"
#include "server/metrics.h"
#include "server/request_log.h"

namespace baton::test {
namespace {

TEST(Metrics, AreWrittenInPrometheusTextFormat) {
  Metrics metrics;
  metrics.count("requests_total", "How many.", {{"reason", "stop"}});
  metrics.count("requests_total", "How many.", {{"reason", "stop"}}, 2);
  metrics.count("requests_total", "How many.", {{"reason", "length"}});
  metrics.set("share", "Of it.\nAll.", {}, 0.25);
  EXPECT_EQ(metrics.text("baton_"),
            "# HELP baton_requests_total How many.\n# TYPE baton_requests_total counter\n"
            "baton_requests_total{reason=\"length\"} 1\nbaton_requests_total{reason=\"stop\"} 3\n"
            "# HELP baton_share Of it.\\nAll.\n# TYPE baton_share gauge\nbaton_share 0.25\n");
}

TEST(Metrics, HistogramsCountUpToTheirBounds) {
  Metrics metrics;
  for (const double value : {0.5, 1.0, 1.5, 9.0}) metrics.observe("wait_seconds", "Waiting.", {{"model", "m"}}, {1, 2}, value);
  metrics.observe("wait_seconds", "Waiting.", {{"model", "m"}}, {1, 2}, 2, 3);
  metrics.observe("wait_seconds", "Waiting.", {{"model", "m"}}, {1, 2}, 2, 0);
  EXPECT_EQ(metrics.text("b_"),
            "# HELP b_wait_seconds Waiting.\n# TYPE b_wait_seconds histogram\n"
            "b_wait_seconds_bucket{model=\"m\",le=\"1\"} 2\nb_wait_seconds_bucket{model=\"m\",le=\"2\"} 6\n"
            "b_wait_seconds_bucket{model=\"m\",le=\"+Inf\"} 7\nb_wait_seconds_sum{model=\"m\"} 18\n"
            "b_wait_seconds_count{model=\"m\"} 7\n");
}

TEST(Metrics, LabelsAreEscapedAndGoneSeriesAreNotShown) {
  Metrics metrics;
  metrics.set("a", "A.", {{"model", "x\"\\\ny"}}, 1);
  EXPECT_NE(metrics.text("").find("a{model=\"x\\\"\\\\\\ny\"} 1\n"), std::string::npos) << metrics.text("");
  metrics.clear("a");
  metrics.clear("never there");
  EXPECT_EQ(metrics.text(""), "");
}

class Log : public ::testing::Test {
 protected:
  void begin(const std::string& id) {
    OpenAiCall call;
    call.id = id;
    call.model = "m";
    log_.began(call, now_, [this] { ++cancelled_; });
  }
  bool shows(const std::string& line) const { return metrics_.text("b_").find("b_" + line + '\n') != std::string::npos; }

  Metrics metrics_;
  RequestLog log_{{{metrics_, {{"model", "m"}}}}, 2};
  Time now_ = Time{} + std::chrono::seconds(10);
  int cancelled_ = 0;
};

TEST_F(Log, TimesTokens) {
  begin("a");
  log_.prompt("a", 7);
  const Time first = now_ + std::chrono::seconds(1), second = first + std::chrono::seconds(4);
  log_.tokens("a", 1, Time{}, first);
  log_.tokens("a", 2, first, second);
  log_.choice_done("a", 3, first, second);
  log_.ended("a", RequestLog::Outcome::kStop, second);
  EXPECT_TRUE(shows("time_to_first_token_seconds_sum{model=\"m\"} 1"));
  EXPECT_TRUE(shows("inter_token_latency_seconds_sum{model=\"m\"} 4"));
  EXPECT_TRUE(shows("inter_token_latency_seconds_count{model=\"m\"} 2"));
  EXPECT_TRUE(shows("request_time_per_output_token_seconds_sum{model=\"m\"} 2"));
  EXPECT_TRUE(shows("e2e_request_latency_seconds_sum{model=\"m\"} 5"));
  EXPECT_TRUE(shows("prompt_tokens_total{model=\"m\"} 7"));
  EXPECT_TRUE(shows("generation_tokens_total{model=\"m\"} 3"));
  EXPECT_TRUE(shows("request_success_total{model=\"m\",finished_reason=\"stop\"} 1"));
  EXPECT_EQ(log_.find("a")->completion_tokens, 3u);
}

TEST_F(Log, TimesEachChoiceAndNotWhatCameWithTheFirstToken) {
  begin("a");
  const Time first = now_ + std::chrono::seconds(1), second = first + std::chrono::seconds(4), third = second + std::chrono::seconds(8);
  log_.tokens("a", 3, Time{}, first);
  EXPECT_EQ(metrics_.text("").find("inter_token"), std::string::npos) << "nothing is known of these";
  log_.choice_done("a", 3, first, first);
  EXPECT_EQ(metrics_.text("").find("per_output_token"), std::string::npos) << metrics_.text("");
  log_.tokens("a", 1, Time{}, second);
  log_.tokens("a", 4, second, third);
  log_.choice_done("a", 5, second, third);
  log_.choice_done("a", 1, second, second);
  log_.ended("a", RequestLog::Outcome::kStop, third);
  EXPECT_TRUE(shows("inter_token_latency_seconds_sum{model=\"m\"} 8"));
  EXPECT_TRUE(shows("inter_token_latency_seconds_count{model=\"m\"} 4"));
  EXPECT_TRUE(shows("request_time_per_output_token_seconds_sum{model=\"m\"} 2"));
  EXPECT_TRUE(shows("request_time_per_output_token_seconds_count{model=\"m\"} 1"));
}

TEST_F(Log, RemembersTheLastOnesThatEnded) {
  for (const char* id : {"a", "b", "c"}) {
    begin(id);
    log_.ended(id, RequestLog::Outcome::kError, now_, "why");
  }
  EXPECT_EQ(log_.find("a"), nullptr);
  EXPECT_EQ(log_.find("c")->error, "why");
  begin("b");  // once more, and running now: not to be forgotten with its first end
  begin("d");
  log_.ended("d", RequestLog::Outcome::kStop, now_);
  log_.ended("c", RequestLog::Outcome::kStop, now_);  // ended already
  ASSERT_NE(log_.find("b"), nullptr);
  EXPECT_TRUE(log_.cancel("b"));
  EXPECT_FALSE(log_.cancel("d"));
  EXPECT_EQ(cancelled_, 1);
}

TEST_F(Log, AnIdThatEndsAgainIsRememberedFromThenOn) {
  for (const char* id : {"a", "b", "a", "c"}) {  // two are kept: the last "a", and "c"
    begin(id);
    log_.ended(id, RequestLog::Outcome::kStop, now_);
  }
  EXPECT_NE(log_.find("a"), nullptr);
  EXPECT_EQ(log_.find("b"), nullptr);
}

TEST(ClusterMetrics, OfWorkersAndTheirLinks) {
  Metrics ours, theirs;
  StatusReport report;
  report.block_tokens = 16;
  for (const char* name : {"prefill-0", "decode-0"}) {
    WorkerStatus worker;
    worker.name = name;
    worker.pool = "p";
    worker.role = name[0] == 'p' ? Role::kPrefill : Role::kDecode;
    worker.state = WorkerState::kReady;
    worker.blocks_total = 100;
    worker.last.blocks_free = 75;
    worker.last.running = 3;
    worker.last.prefix_cache_hits = 5;
    worker.traffic = {{"x", "shm", 2, 1, 4096, 1'500'000'000}};
    report.workers.push_back(worker);
  }
  report.workers.back().state = WorkerState::kDrained;
  report.admission.refused_predicted = 4;
  report.admission.refused_full = 2;
  report.admission.queued = 7;
  report.admission.wait_ns = 2'500'000'000;
  set_cluster_metrics(ours, "m", &report);
  const std::string text = ours.text("baton_");
  for (const char* line : {"baton_coordinator_up 1\n", "baton_kv_cache_usage_perc{model=\"m\",pool=\"p\",worker=\"decode-0\",role=\"decode\"} 0.25\n",
                           "baton_worker_state{model=\"m\",pool=\"p\",worker=\"prefill-0\",role=\"prefill\",state=\"ready\"} 1\n",
                           "role=\"decode\",state=\"drained\"} 1\n", "baton_jobs_refused_total{reason=\"predicted_ttft\"} 4\n",
                           "baton_jobs_refused_total{reason=\"queue_full\"} 2\n", "baton_jobs_queued 7\n", "baton_predicted_wait_seconds 2.5\n",
                           "baton_kv_transfer_seconds_total{source=\"prefill-0\",destination=\"x\",transport=\"shm\"} 1.5\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  set_vllm_metrics(theirs, {{"model_name", "m"}, {"engine", "0"}}, &report);
  for (const char* line : {"vllm:num_requests_running{model_name=\"m\",engine=\"0\"} 6\n", "vllm:kv_cache_usage_perc{model_name=\"m\",engine=\"0\"} 0.25\n",
                           "vllm:num_requests_waiting{model_name=\"m\",engine=\"0\"} 7\n",
                           "vllm:prefix_cache_hits_total{model_name=\"m\",engine=\"0\"} 10\n",
                           "vllm:cache_config_info{model_name=\"m\",engine=\"0\",block_size=\"16\",num_gpu_blocks=\"200\"} 1\n"})
    EXPECT_NE(theirs.text("vllm:").find(line), std::string::npos) << line;
  set_cluster_metrics(ours, "m", nullptr);
  EXPECT_EQ(ours.text("").find("decode-0"), std::string::npos) << "nothing is known of it now";
  EXPECT_EQ(ours.text("").find("coordinator_jobs"), std::string::npos) << "a figure of the past is none";
  EXPECT_NE(ours.text("").find("coordinator_up 0\n"), std::string::npos);
  set_vllm_metrics(theirs, {{"model_name", "m"}, {"engine", "0"}}, nullptr);
  EXPECT_EQ(theirs.text("vllm:"), "") << "whoever balances load by these must not take them for today's";
}

}  // namespace
}  // namespace baton::test
