// SPDX-License-Identifier: Apache-2.0
// A request that ends every worker that computes it: it is refused after few deaths, the streams beside it go on with the tokens they
// would have had, and the workers come back.
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "tests/support/cluster_process.h"
#include "tests/support/load_client.h"
#include "tests/support/raw_http.h"
#include "tests/support/stream_check.h"

namespace baton::test {
namespace {

constexpr std::size_t kClean = 16;
constexpr std::size_t kDeathsMax = 3;  // behind the last token
constexpr Duration kLimit = std::chrono::seconds(60);
constexpr TokenId kExclamation = '!' + 1;  // the test model's token of that byte

bool contains(const std::vector<TokenId>& ids, TokenId id) { return std::find(ids.begin(), ids.end(), id) != ids.end(); }

class Poison : public ::testing::Test {
 protected:
  Poison() {
    model_.vocab_size = 4096;
    model_.max_model_len = 1024;
    model_.step_time = std::chrono::milliseconds(5);
  }

  void up(TokenId crash_on) {
    model_.crash_on = crash_on;
    ClusterSpec spec = oracle_spec(model_, 1024);
    spec.pools = {"name: prefill, role: prefill, replicas: 2, threads: 1", "name: decode, role: decode, replicas: 2, threads: 1"};
    port_ = static_cast<std::uint16_t>(free_ports(1)[0]);
    spec.more = "gateway: { http: 127.0.0.1:" + std::to_string(port_) + " }\n";
    cluster_ = std::make_unique<ClusterProcess>(home_, spec);
    ASSERT_TRUE(cluster_->up());
    // So many streams that take seconds, none of which ever computes the id.
    std::vector<LoadJob> jobs = random_jobs(model_, 5, 4 * kClean, 100, 500, 0);
    std::erase_if(jobs, [&](LoadJob& job) {
      job.submit.seed_given = true;
      job.submit.sampling.max_tokens = std::max(job.submit.sampling.max_tokens, 200u);
      job.submit.sampling.ignore_eos = true;
      return job.submit.sampling.lists || contains(job.submit.prompt_ids, crash_on) || contains(oracle_stream(model_, job.submit.prompt_ids, job.submit.sampling), crash_on);
    });
    ASSERT_GE(jobs.size(), kClean);
    clean_ = std::make_unique<LoadSwarm>(
        cluster_->jobs(), [jobs](std::size_t number) { return number < kClean ? std::optional(jobs[number]) : std::nullopt; }, kClean, kLimit);
    ASSERT_TRUE(comes_true([&] { return clean_->streaming().size() >= kClean - 2; }));
  }

  std::size_t deaths() const {
    const std::string log = read_text(cluster_->state() + "/logs/launcher.log");
    std::size_t count = 0;
    for (std::size_t at = log.find("a process ended"); at != std::string::npos; at = log.find("a process ended", at + 1)) ++count;
    return count;
  }

  void expect_that_only_it_suffered(std::size_t deaths_max) {
    const std::vector<JobRecord> records = clean_->finish();
    EXPECT_EQ(records.size(), kClean);
    for (const JobRecord& record : records) EXPECT_EQ(judge_stream(model_, record).why, "");
    EXPECT_TRUE(comes_true([&] {
      const auto client = cluster_->connect();
      const auto report = client ? client->status(std::chrono::seconds(2)) : Result<StatusReport>(fail(ErrorCode::kUnavailable, ""));
      return report && report->workers.size() == 4 && std::all_of(report->workers.begin(), report->workers.end(), [&](const WorkerStatus& worker) {
               return worker.state == WorkerState::kReady && static_cast<pid_t>(worker.pid) == cluster_->pid(worker.name);
             });
    })) << "the workers did not come back";
    EXPECT_GE(deaths(), 2u);
    EXPECT_LE(deaths(), deaths_max);
    EXPECT_EQ(cluster_->fsck(), "");
    EXPECT_EQ(cluster_->complaints_in_logs(), "");
  }
  void TearDown() override {
    if (HasFailure() && cluster_) std::fputs((home_.run({"events", "it"}).out + cluster_->logs()).c_str(), stderr);
  }

  OracleOptions model_;
  TestHome home_;
  std::uint16_t port_ = 0;
  std::unique_ptr<ClusterProcess> cluster_;
  std::unique_ptr<LoadSwarm> clean_;
};

TEST_F(Poison, APromptThatEndsWorkersIsRefusedAndHarmsNobodyElse) {
  up(kExclamation);
  const auto answer = http_ask(port_, "POST", "/v1/completions", R"({"model": "oracle", "prompt": "Run!", "max_tokens": 5})", "Content-Type: application/json\r\n");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 500);
  EXPECT_NE(answer->body.find("request_quarantined"), std::string::npos) << answer->body;
  expect_that_only_it_suffered(kDeathsMax);
}

// Its prompt is harmless and so are its first tokens, which the client gets: the first worker to die of it has told them, so nobody suspects it yet.
TEST_F(Poison, AStreamThatEndsWorkersInItsMiddleIsRefusedAndHarmsNobodyElse) {
  LoadJob poison;
  poison.submit.prompt_ids = {7, 8, 9};
  poison.submit.sampling.max_tokens = 100;
  poison.submit.sampling.ignore_eos = true;
  const std::vector<TokenId> stream = oracle_stream(model_, poison.submit.prompt_ids, poison.submit.sampling);
  const auto first = [&](TokenId id) { return std::find(stream.begin(), stream.end(), id) - stream.begin(); };
  ASSERT_EQ(first(stream[30]), 30);
  up(stream[30]);
  LoadClient client(cluster_->jobs());
  const JobRecord record = client.run(poison, kLimit);
  ASSERT_TRUE(record.error) << (record.timed_out ? "no end" : "no error");
  EXPECT_EQ(record.error->code, ErrorCode::kQuarantined) << record.error->message;
  EXPECT_EQ(record.tokens.size(), 31u);
  for (std::size_t i = 0; i < record.tokens.size(); ++i) EXPECT_EQ(record.tokens[i].token, stream[i]) << i;
  expect_that_only_it_suffered(kDeathsMax + 1);
}

}  // namespace
}  // namespace baton::test
