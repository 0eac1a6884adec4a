// SPDX-License-Identifier: Apache-2.0
#include "tests/support/load_client.h"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <random>
#include <utility>

#include "launcher/jobs_client.h"
#include "runtime/base/check.h"

namespace baton::test {
namespace {

constexpr Duration kAfterTheEnd = std::chrono::milliseconds(200);

std::unique_ptr<RealLoop> open_loop() {
  RealLoopOptions options;
  options.incarnation = random_incarnation();
  options.node = node_id("load/" + to_hex(options.incarnation.value));
  auto loop = RealLoop::open(options);
  CHECK(loop.has_value(), "no loop for a client");
  return std::move(*loop);
}

}  // namespace

LoadClient::LoadClient(const std::string& address)
    : address_(address), loop_(open_loop()), actor_(node_id("edge/jobs"), address, [this](const JobClient::Inbox& event, Outbox&) { take(event); }), cell_(actor_) {
  loop_->add(0, cell_);
  thread_ = std::thread([this] { loop_->run(); });
}

LoadClient::~LoadClient() {
  loop_->stop();
  thread_.join();
}

void LoadClient::take(const JobClient::Inbox& event) {
  const std::lock_guard lock(mutex_);
  const auto record_of = [this](std::uint64_t tag) -> JobRecord& {
    JobRecord& record = records_[tag];  // a tag of no job shows as a record without a prompt
    if (record.terminals > 0) ++record.after_the_end;
    return record;
  };
  if (const auto* accepted = std::get_if<ClientAccepted>(&event)) record_of(accepted->tag).accepted = *accepted;
  if (const auto* fresh = std::get_if<ClientTokens>(&event)) {
    JobRecord& record = record_of(fresh->tag);
    record.tokens.insert(record.tokens.end(), fresh->tokens.begin(), fresh->tokens.end());
    record.arrived.resize(record.tokens.size(), real_now());
    record.prompt.insert(record.prompt.end(), fresh->prompt.begin(), fresh->prompt.end());
  }
  if (const auto* done = std::get_if<ClientDone>(&event)) {
    JobRecord& record = record_of(done->tag);
    record.done = *done;
    ++record.terminals;
  }
  if (const auto* error = std::get_if<ClientError>(&event)) {
    JobRecord& record = record_of(error->tag);
    record.error = *error;
    ++record.terminals;
  }
  if (const auto* down = std::get_if<LinkDown>(&event)) {
    for (auto& [tag, record] : records_)
      if (!record.ended()) record.lost = "link down: " + down->reason;
  }
  changed_.notify_all();
}

std::uint64_t LoadClient::open(ClientSubmit& submit) {
  const std::lock_guard lock(mutex_);
  submit.tag = ++last_tag_;
  records_[submit.tag].submit = submit;
  return submit.tag;
}

JobRecord LoadClient::close(std::uint64_t tag, Time begin) {
  const std::lock_guard lock(mutex_);
  JobRecord& record = records_[tag];
  record.timed_out = !record.ended();
  record.took = real_now() - begin;
  return record;
}

JobRecord LoadClient::run(const LoadJob& job, Duration limit) {
  const Time begin = real_now();
  ClientSubmit submit = job.submit;
  const std::uint64_t tag = open(submit);
  ask(submit);
  std::unique_lock lock(mutex_);
  JobRecord& record = records_[tag];
  while (!record.ended() && real_now() - begin < limit) {
    const bool late = job.cancel_after && real_now() - begin >= *job.cancel_after;
    const bool far = job.cancel_at_tokens && record.tokens.size() >= *job.cancel_at_tokens;
    if (!record.cancel_sent && (late || far)) {
      record.cancel_sent = true;
      lock.unlock();
      ask(ClientCancel{0, submit.id});
      lock.lock();
      continue;
    }
    changed_.wait_for(lock, std::chrono::milliseconds(2));
  }
  lock.unlock();
  return close(tag, begin);
}

JobRecord LoadClient::outlive(const LoadJob& job, Duration limit) {
  const Time begin = real_now();
  ClientSubmit submit = job.submit;
  const std::uint64_t tag = open(submit);
  const auto lose = [&](const Error& error) {
    const std::lock_guard lock(mutex_);
    records_[tag].lost = error.message;
  };
  const auto client = JobsClient::connect(address_, limit);
  if (!client) {
    lose(client.error());
    return close(tag, begin);
  }
  const auto take_as_ours = [&](const JobsClient::Event& event) {
    std::visit(
        [&](auto each) {
          each.tag = tag;
          take(each);
        },
        event);
  };
  const auto ended = (*client)->submit(submit, take_as_ours, [&] { return real_now() - begin >= limit; });
  if (!ended) lose(ended.error());
  return close(tag, begin);
}

std::vector<JobRecord> LoadClient::records() {
  const std::lock_guard lock(mutex_);
  std::vector<JobRecord> all;
  for (const auto& [tag, record] : records_) all.push_back(record);
  return all;
}

std::string LoadClient::streaming() {
  const std::lock_guard lock(mutex_);
  const auto last = records_.find(last_tag_);
  return last == records_.end() || last->second.ended() || last->second.tokens.empty() ? "" : last->second.submit.id;
}

LoadSwarm::LoadSwarm(const std::string& address, Source next, std::size_t clients, Duration limit, std::function<void(std::size_t)> progress, bool outlives)
    : next_(std::move(next)), limit_(limit), progress_(std::move(progress)), outlives_(outlives), shares_(clients) {
  for (std::size_t i = 0; i < clients; ++i) clients_.push_back(std::make_unique<LoadClient>(address));
  for (std::size_t i = 0; i < clients; ++i) threads_.emplace_back([this, i] { drive(i); });
}

LoadSwarm::~LoadSwarm() {
  for (std::thread& thread : threads_)
    if (thread.joinable()) thread.join();
}

void LoadSwarm::drive(std::size_t client) {
  while (true) {
    const std::size_t number = number_++;
    const std::optional<LoadJob> job = next_(number);
    if (!job) return;
    shares_[client].push_back(number);
    if (outlives_) clients_[client]->outlive(*job, limit_);
    else clients_[client]->run(*job, limit_);
    const std::size_t so_far = ++ended_;
    if (progress_) progress_(so_far);
  }
}

std::vector<std::string> LoadSwarm::streaming() {
  std::vector<std::string> names;
  for (const auto& client : clients_)
    if (std::string name = client->streaming(); !name.empty()) names.push_back(std::move(name));
  return names;
}

std::vector<JobRecord> LoadSwarm::finish() {
  for (std::thread& thread : threads_) thread.join();
  std::this_thread::sleep_for(kAfterTheEnd);
  std::vector<JobRecord> all;
  std::vector<JobRecord> strangers;  // events of a tag that was never given out
  for (const auto& share : shares_)
    for (const std::size_t number : share) all.resize(std::max(all.size(), number + 1));
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    std::vector<JobRecord> records = clients_[i]->records();
    for (std::size_t k = 0; k < records.size(); ++k) {
      if (k < shares_[i].size()) all[shares_[i][k]] = std::move(records[k]);
      else strangers.push_back(std::move(records[k]));
    }
  }
  std::move(strangers.begin(), strangers.end(), std::back_inserter(all));
  return all;
}

OracleOptions busy_model() {
  OracleOptions model;
  model.head_dim = 4;
  model.vocab_size = 512;
  model.max_model_len = 512;
  model.step_time = std::chrono::milliseconds(3);
  return model;
}

std::vector<JobRecord> run_load(const std::string& address, const std::vector<LoadJob>& jobs, std::size_t clients, Duration limit,
                                const std::function<void(std::size_t)>& progress) {
  const auto next = [&jobs](std::size_t number) { return number < jobs.size() ? std::optional(jobs[number]) : std::nullopt; };
  return LoadSwarm(address, next, clients, limit, progress).finish();
}

std::vector<LoadJob> random_jobs(const OracleOptions& model, std::uint64_t seed, std::size_t count, std::uint32_t prompt_max, std::uint32_t tokens_max,
                                 std::uint32_t cancel_every) {
  std::mt19937_64 random(seed);
  const auto up_to = [&random](std::uint32_t most) { return static_cast<std::uint32_t>(1 + random() % most); };
  std::vector<LoadJob> jobs(count);
  for (std::size_t i = 0; i < count; ++i) {
    ClientSubmit& submit = jobs[i].submit;
    submit.id = "load-" + std::to_string(seed) + '-' + std::to_string(i);
    const std::uint32_t length = up_to(prompt_max);
    for (std::uint32_t t = 0; t < length; ++t) submit.prompt_ids.push_back(static_cast<TokenId>(random() % model.vocab_size));
    submit.sampling.max_tokens = up_to(tokens_max);
    if (i % 2 == 1) {
      submit.sampling.temperature = 0.8F;
      submit.sampling.seed = random();
      submit.seed_given = i % 4 == 1;  // else the cluster draws it and says so
    }
    submit.sampling.ignore_eos = i % 3 == 0;
    if (i % 5 == 0) submit.sampling.min_tokens = static_cast<std::uint32_t>(random() % (submit.sampling.max_tokens + 1));
    if (i % 7 == 0) {
      SamplingLists lists;
      for (int k = 0; k < 40; ++k) lists.stop_token_ids.push_back(static_cast<TokenId>(random() % model.vocab_size));
      submit.sampling.lists = std::make_shared<SamplingLists>(std::move(lists));
    }
    if (cancel_every == 0 || random() % cancel_every != 0) continue;
    if (random() % 2 == 0) jobs[i].cancel_at_tokens = static_cast<std::uint32_t>(random() % tokens_max);
    else jobs[i].cancel_after = std::chrono::microseconds(random() % 40'000);
  }
  return jobs;
}

std::string oracle_complaint(const OracleOptions& model, const JobRecord& record) {
  const std::string name = "job " + record.submit.id + ": ";
  if (record.submit.prompt_ids.empty()) return "events for a tag that was never given out";
  if (record.timed_out) return name + "no end";
  if (!record.lost.empty()) return name + record.lost;
  if (record.terminals != 1) return name + std::to_string(record.terminals) + " terminal events";
  if (record.after_the_end != 0) return name + std::to_string(record.after_the_end) + " events after the end";
  SamplingParams sampling = record.submit.sampling;
  if (record.accepted) sampling.seed = record.accepted->seed;
  if (record.accepted && record.submit.seed_given && record.accepted->seed != record.submit.sampling.seed) return name + "another seed than asked for";
  if (!record.accepted && !record.tokens.empty()) return name + "tokens without an acceptance";
  const std::vector<TokenId> wanted = oracle_stream(model, record.submit.prompt_ids, sampling);
  if (record.tokens.size() > wanted.size()) return name + std::to_string(record.tokens.size()) + " tokens, not " + std::to_string(wanted.size());
  for (std::size_t i = 0; i < record.tokens.size(); ++i) {
    if (record.tokens[i].index != i) return name + "position " + std::to_string(record.tokens[i].index) + " where " + std::to_string(i) + " was due";
    if (record.tokens[i].token != wanted[i]) return name + "wrong token at " + std::to_string(i);
  }
  if (record.error) return record.error->message.empty() ? name + "an error without words" : "";
  const ClientDone& done = *record.done;
  if (done.completion_tokens != record.tokens.size() || done.prompt_tokens != record.submit.prompt_ids.size()) return name + "usage is not what was sent";
  if (done.reason == FinishReason::kCancelled) return record.cancel_sent ? "" : name + "cancelled by nobody";
  if (record.tokens.size() != wanted.size()) return name + std::to_string(record.tokens.size()) + " tokens, not " + std::to_string(wanted.size());
  const bool stopped = sampling.stops_at(wanted.back(), {kOracleStopToken});
  if (done.reason != (stopped ? FinishReason::kStop : FinishReason::kLength)) return name + "another reason to finish";
  return {};
}

}  // namespace baton::test
