// SPDX-License-Identifier: Apache-2.0
// LoadClient: a client of the jobs socket that keeps every event it ever gets, also those that nobody should get: a second
// terminal, a token after the end, an answer to a question never asked. A LoadSwarm drives many of them at once, one job at a
// time each. A LoadClient is used from one thread (streaming() from any) and owns another one, its loop's.
// LoadClient::outlive() is the same by what `baton submit` uses, which goes on when the coordinator has died.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "actors/job_client.h"
#include "engine/oracle_engine.h"
#include "runtime/actor/real_loop.h"

namespace baton::test {

struct JobRecord {
  ClientSubmit submit;
  std::optional<ClientAccepted> accepted;
  std::vector<ClientToken> tokens;
  std::vector<Time> arrived;        // of each token
  std::vector<ClientToken> prompt;  // where its log-probabilities were asked for
  std::optional<ClientDone> done;
  std::optional<ClientError> error;
  std::string lost;               // the link to the cluster went down
  bool timed_out = false;         // no terminal event within the limit
  bool cancel_sent = false;
  std::uint32_t terminals = 0;
  std::uint32_t after_the_end = 0;  // events behind the terminal one
  Duration took{};

  bool ended() const { return terminals > 0 || !lost.empty(); }
};

struct LoadJob {
  ClientSubmit submit;
  std::optional<std::uint32_t> cancel_at_tokens;  // cancelled once it has so many tokens…
  std::optional<Duration> cancel_after;           // …or after that time
};

class LoadClient {
 public:
  explicit LoadClient(const std::string& address);
  ~LoadClient();
  LoadClient(const LoadClient&) = delete;
  LoadClient& operator=(const LoadClient&) = delete;

  // Submits and waits for the end. Needs `submit.id` if the job is to be cancelled.
  JobRecord run(const LoadJob& job, Duration limit);
  // The same through a JobsClient of its own, over deaths of the coordinator. Cancels nothing.
  JobRecord outlive(const LoadJob& job, Duration limit);
  // All jobs of this client so far, with what has come since.
  std::vector<JobRecord> records();
  // The name of the job that has tokens and has not ended; "" if there is none.
  std::string streaming();

 private:
  std::uint64_t open(ClientSubmit& submit);
  JobRecord close(std::uint64_t tag, Time begin);
  void take(const JobClient::Inbox& event);
  template <class Request>
  void ask(const Request& request) {
    loop_->executor().post(0, [this, request](Outbox& out) { actor_.ask(request, out); });
  }

  const std::string address_;
  std::unique_ptr<RealLoop> loop_;
  JobClient actor_;
  ActorCell<JobClient> cell_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint64_t, JobRecord> records_;  // by tag
  std::uint64_t last_tag_ = 0;
  std::thread thread_;
};

// So many clients at once, each with its next job as soon as its last one has ended, from construction until finish().
class LoadSwarm {
 public:
  using Source = std::function<std::optional<LoadJob>(std::size_t)>;  // job number 0, 1, …; nothing: no more. Called on any thread

  // `outlives`: jobs are asked for by LoadClient::outlive().
  LoadSwarm(const std::string& address, Source next, std::size_t clients, Duration limit, std::function<void(std::size_t)> progress = {}, bool outlives = false);
  ~LoadSwarm();
  LoadSwarm(const LoadSwarm&) = delete;
  LoadSwarm& operator=(const LoadSwarm&) = delete;

  // Names of the jobs that have tokens and have not ended. From any thread.
  std::vector<std::string> streaming();
  // Waits for the last one. Records in the order of the jobs' numbers; further ones for events of jobs that never were.
  std::vector<JobRecord> finish();

 private:
  void drive(std::size_t client);

  const Source next_;
  const Duration limit_;
  const std::function<void(std::size_t)> progress_;
  const bool outlives_;
  std::vector<std::unique_ptr<LoadClient>> clients_;
  std::vector<std::vector<std::size_t>> shares_;  // numbers of each client's jobs
  std::atomic<std::size_t> number_{0};
  std::atomic<std::size_t> ended_{0};
  std::vector<std::thread> threads_;
};

// Steps take so long that at any moment every client of a test has a job under way.
OracleOptions busy_model();

// All jobs, by so many clients at once; records in the order of `jobs`. A little after the last end the clients are asked
// again, so that what comes too late is in the records. `progress` is called with the number of ended jobs, on any thread.
std::vector<JobRecord> run_load(const std::string& address, const std::vector<LoadJob>& jobs, std::size_t clients, Duration limit,
                                const std::function<void(std::size_t)>& progress = {});

// Jobs that fit the model and a pool of `blocks` blocks: random prompts and lengths, half greedy, half seeded, some with
// minimum lengths or ids that end them; of each
// `cancel_every`, one is cancelled at a random moment (0: none).
std::vector<LoadJob> random_jobs(const OracleOptions& model, std::uint64_t seed, std::size_t count, std::uint32_t prompt_max, std::uint32_t tokens_max,
                                 std::uint32_t cancel_every);

// "" if the record is what the model must give: exactly one terminal, every token that of oracle_stream, all of them unless it
// was cancelled or failed with a typed error (which the caller may forbid by looking at `error`).
std::string oracle_complaint(const OracleOptions& model, const JobRecord& record);

}  // namespace baton::test
