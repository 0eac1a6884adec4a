// SPDX-License-Identifier: Apache-2.0
// Launcher and coordinator of a real cluster are killed while jobs are under way: nothing hangs, nothing is left running that should
// not, and jobs outlive the coordinator: the next one finds them, and their clients go on with them.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <thread>

#include "tests/support/cluster_process.h"
#include "tests/support/load_client.h"
#include "tests/support/stream_check.h"

namespace baton::test {
namespace {

constexpr Duration kSeconds = std::chrono::seconds(25);

OracleOptions slow_model() {
  OracleOptions model;
  model.vocab_size = 512;
  model.max_model_len = 4096;
  model.step_time = std::chrono::milliseconds(20);
  return model;
}

class ControlFaults : public ::testing::Test {
 protected:
  ControlFaults() : cluster_(home_, oracle_spec(model_, 2048)) {}

  // A job of so many steps of 20 ms, as `baton submit` does it. Returns once it is under way.
  void start_job(std::uint32_t tokens = 3000) {
    client_ = cluster_.connect();
    ASSERT_NE(client_, nullptr);
    submit_.prompt_ids = {1, 2, 3};
    submit_.sampling.max_tokens = tokens;
    submit_.sampling.ignore_eos = true;
    thread_ = std::thread([this] {
      const auto done = client_->submit(
          submit_, [this](const JobsClient::Event& event) {
            if (const auto* more = std::get_if<ClientTokens>(&event)) {
              for (const ClientToken& token : more->tokens) tokens_.push_back(token.token);
              under_way_ = true;
            }
            if (const auto* error = std::get_if<ClientError>(&event)) error_ = error->message;
          },
          {});
      if (!done) error_ = done.error().message;
      ended_ = true;
    });
    ASSERT_TRUE(comes_true([this] { return under_way_.load(); }));
  }
  bool job_fails_within(Duration limit) { return comes_true([this] { return ended_.load(); }, limit) && !error_.empty(); }
  ~ControlFaults() override {
    if (!thread_.joinable()) return;
    for (const pid_t pid : home_.processes()) kill(pid, SIGKILL);
    thread_.join();
  }

  const OracleOptions model_ = slow_model();
  TestHome home_;
  ClusterProcess cluster_;
  std::unique_ptr<JobsClient> client_;
  ClientSubmit submit_;
  std::vector<TokenId> tokens_;  // read once ended_
  std::atomic<bool> under_way_{false};
  std::atomic<bool> ended_{false};
  std::string error_;  // written before ended_
  std::thread thread_;
};

TEST_F(ControlFaults, NothingOutlivesAKilledLauncher) {
  ASSERT_TRUE(cluster_.up());
  ASSERT_EQ(home_.processes().size(), 4u);
  start_job();
  ASSERT_TRUE(cluster_.send_signal("launcher", SIGKILL));
  EXPECT_TRUE(comes_true([&] { return home_.processes().empty(); }, std::chrono::seconds(5)));
  EXPECT_TRUE(job_fails_within(kSeconds));  // it has waited for a coordinator to come back
  EXPECT_EQ(home_.run({"status"}).exit_status, 1);
  ASSERT_TRUE(cluster_.up());  // what it left behind is in nobody's way
  EXPECT_EQ(cluster_.fsck(), "");
}

TEST_F(ControlFaults, AKilledCoordinatorComesBackAndItsJobsGoOn) {
  ASSERT_TRUE(cluster_.up());
  const pid_t coordinator = cluster_.pid("coordinator");
  const pid_t decode = cluster_.pid("decode-0");
  start_job(400);
  for (int kills = 0; kills < 2; ++kills) {
    const pid_t now = cluster_.pid("coordinator");
    ASSERT_EQ(kill(now, SIGKILL), 0);
    EXPECT_TRUE(cluster_.is_back("coordinator", now, std::chrono::seconds(30)));
  }
  EXPECT_TRUE(comes_true([this] { return ended_.load(); }, std::chrono::seconds(30)));
  EXPECT_EQ(error_, "");
  EXPECT_EQ(tokens_, oracle_stream(model_, submit_.prompt_ids, submit_.sampling));
  EXPECT_NE(cluster_.pid("coordinator"), coordinator);
  EXPECT_EQ(cluster_.pid("decode-0"), decode) << "workers wait for it";
  const std::vector<LoadJob> jobs = random_jobs(model_, 7, 8, 50, 20, 0);
  for (const JobRecord& record : run_load(cluster_.jobs(), jobs, 4, std::chrono::seconds(30))) {
    EXPECT_EQ(oracle_complaint(model_, record), "");
    EXPECT_FALSE(record.error) << record.error->message;
  }
  EXPECT_EQ(cluster_.fsck(), "");
  EXPECT_EQ(cluster_.down().exit_status, 0);
  EXPECT_FALSE(std::filesystem::exists(cluster_.state() + "/journal")) << "prompts of jobs that have ended";
  EXPECT_EQ(cluster_.complaints_in_logs(), "");
  if (HasFailure()) std::fputs(cluster_.logs().c_str(), stderr);
}

// Of several choices, and of the prompt's log-probabilities, the next coordinator knows nothing: they are computed again, and none comes twice.
TEST_F(ControlFaults, AnswersThatNobodyKnowsAnyMoreAreAskedForAgain) {
  ASSERT_TRUE(cluster_.up());
  submit_.prompt_ids = {1, 2, 3, 4, 5};
  submit_.n = 3;
  submit_.sampling.max_tokens = 150;
  submit_.sampling.ignore_eos = true;
  submit_.sampling.temperature = 0.9F;
  LoadJob scored;
  scored.submit.id = "scored";
  scored.submit.prompt_ids = {9, 8, 7, 6};
  scored.submit.sampling.max_tokens = 150;
  scored.submit.sampling.ignore_eos = true;
  scored.submit.sampling.prompt_logprobs = 2;
  LoadClient beside(cluster_.jobs());
  JobRecord scores;
  std::thread other([&] { scores = beside.outlive(scored, kSeconds); });
  std::map<std::uint32_t, std::vector<TokenId>> choices;
  std::map<std::uint32_t, int> ends;
  int accepted = 0;
  client_ = cluster_.connect();
  ASSERT_NE(client_, nullptr);
  thread_ = std::thread([&] {
    const auto take = [&](const JobsClient::Event& event) {
      if (const auto* first = std::get_if<ClientAccepted>(&event)) {
        ++accepted;
        submit_.sampling.seed = first->seed;
      }
      if (const auto* choice = std::get_if<ClientChoiceDone>(&event)) ++ends[choice->choice];
      if (const auto* error = std::get_if<ClientError>(&event)) error_ = error->message;
      const auto* more = std::get_if<ClientTokens>(&event);
      for (std::size_t i = 0; more != nullptr && i < more->tokens.size(); ++i) choices[more->choice].push_back(more->tokens[i].token);
      under_way_ = under_way_ || (choices.size() == 3 && choices[1].size() > 20);
    };
    const auto done = client_->submit(submit_, take, {});
    if (!done) error_ = done.error().message;
    ended_ = true;
  });
  EXPECT_TRUE(comes_true([&] { return under_way_.load() && !beside.streaming().empty(); }));
  const pid_t now = cluster_.pid("coordinator");
  ASSERT_EQ(kill(now, SIGKILL), 0);
  EXPECT_TRUE(comes_true([this] { return ended_.load(); }, kSeconds));
  other.join();
  EXPECT_EQ(error_, "");
  EXPECT_EQ(accepted, 1);
  for (std::uint32_t choice = 0; choice < 3; ++choice) {
    SamplingParams sampling = submit_.sampling;
    sampling.choice = choice;
    EXPECT_EQ(choices[choice], oracle_stream(model_, submit_.prompt_ids, sampling)) << "choice " << choice;
    EXPECT_EQ(ends[choice], 1);
  }
  EXPECT_EQ(judge_stream(model_, scores).why, "");
  EXPECT_EQ(cluster_.fsck(), "");
  if (HasFailure()) std::fputs(cluster_.logs().c_str(), stderr);
}

// It says nothing and takes nothing: the client notices by itself, and so do the workers.
TEST_F(ControlFaults, AFrozenCoordinatorIsNoticed) {
  ASSERT_TRUE(cluster_.up());
  const pid_t coordinator = cluster_.pid("coordinator");
  start_job();
  ASSERT_EQ(kill(coordinator, SIGSTOP), 0);
  EXPECT_TRUE(job_fails_within(kSeconds));
  const Output status = home_.run({"status"});
  EXPECT_EQ(status.exit_status, 1);
  EXPECT_NE(status.err.find("does not answer"), std::string::npos) << status.err;
  ASSERT_EQ(kill(coordinator, SIGCONT), 0);
  EXPECT_TRUE(cluster_.is_back("coordinator", 0, std::chrono::seconds(30)));
  EXPECT_EQ(cluster_.pid("coordinator"), coordinator);
  // The job goes on until the edge gives the silent client up.
  EXPECT_EQ(cluster_.fsck(std::chrono::seconds(30)), "");
  if (HasFailure()) std::fputs(cluster_.logs().c_str(), stderr);
}

// Workers wait for it meanwhile, and a coordinator that has slept does not take their silence for death.
TEST_F(ControlFaults, ACoordinatorThatWasFrozenForAWhileGoesOnWithEverything) {
  ASSERT_TRUE(cluster_.up());
  const pid_t coordinator = cluster_.pid("coordinator");
  const pid_t decode = cluster_.pid("decode-0");
  const pid_t prefill = cluster_.pid("prefill-0");
  start_job(400);
  ASSERT_EQ(kill(coordinator, SIGSTOP), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(3500));
  ASSERT_EQ(kill(coordinator, SIGCONT), 0);
  EXPECT_TRUE(comes_true([this] { return ended_.load(); }, std::chrono::seconds(30)));
  EXPECT_EQ(error_, "");
  EXPECT_EQ(tokens_, oracle_stream(model_, submit_.prompt_ids, submit_.sampling));
  EXPECT_EQ(cluster_.pid("decode-0"), decode);
  EXPECT_EQ(cluster_.pid("prefill-0"), prefill);
  EXPECT_EQ(cluster_.fsck(), "");
  if (HasFailure()) std::fputs(cluster_.logs().c_str(), stderr);
}

// A worker that cannot live: after its restarts the cluster stops, says which and why, and names exit status 5.
TEST_F(ControlFaults, AWorkerThatKeepsDyingEndsTheCluster) {
  const pid_t up = home_.start({"up", cluster_.file()}, "up.log");
  const auto words = [&] { return read_text(home_.path() + "/up.log"); };
  ASSERT_TRUE(comes_true([&] { return words().find("it is up") != std::string::npos; })) << words();
  pid_t last = 0;
  const auto kill_next = [&] {
    const pid_t now = cluster_.pid("decode-0");
    if (now != 0 && now != last && kill(now, SIGKILL) == 0) last = now;
    return words().find("is given up") != std::string::npos;
  };
  EXPECT_TRUE(comes_true(kill_next, std::chrono::seconds(40)));
  EXPECT_EQ(home_.wait_for(up, std::chrono::seconds(40)), 5);
  EXPECT_NE(words().find("decode-0 keeps ending (killed by signal 9"), std::string::npos) << words();
  EXPECT_TRUE(comes_true([&] { return home_.processes().empty(); }));
}

}  // namespace
}  // namespace baton::test
