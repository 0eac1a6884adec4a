// SPDX-License-Identifier: Apache-2.0
#include "tests/support/sim_crowd.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <variant>

namespace baton {
namespace {

constexpr Duration kLookEvery = std::chrono::milliseconds(10);
constexpr Duration kUntilAllHaveJoined = std::chrono::milliseconds(100);

}  // namespace

SimCrowd::SimCrowd(SimCluster& cluster, OracleOptions model, SimCrowdOptions options)
    : cluster_(cluster), model_(model), options_(std::move(options)), random_(cluster.world().heap().random().next()) {
  cluster.add_client(
      "client/crowd", [this](const JobClient::Inbox& answer, Outbox&) { take(answer); },
      [this](JobClient& client, Outbox&, SimNodeContext& context) {
        client_ = &client;
        context_ = &context;
        context.after(kUntilAllHaveJoined, [this] {
          look();
          enter(0);
        });
      });
}

void SimCrowd::enter(std::size_t phase) {
  if (phase == options_.phases.size()) sending_over_ = true;
  else wait(phase, cluster_.world().heap().now() + options_.phases[phase].length);
}

// For the next one, an exponential pause; what reaches into the next phase is drawn anew there.
void SimCrowd::wait(std::size_t phase, Time end) {
  const double share = (static_cast<double>(random_.below(1u << 30)) + 0.5) / (1u << 30);
  const Duration pause{static_cast<std::int64_t>(-std::log(share) / options_.phases[phase].per_second * 1e9)};
  const Duration left = end - cluster_.world().heap().now();
  if (pause >= left) return context_->after(left, [this, phase] { enter(phase + 1); });
  context_->after(pause, [this, phase, end] {
    arrive();
    wait(phase, end);
  });
}

void SimCrowd::arrive() {
  const std::uint64_t tag = jobs_.size() + 1;
  Job& job = jobs_[tag];
  job.submit.tag = tag;
  job.submit.id = "crowd-" + std::to_string(tag);
  const std::uint64_t length = options_.prompt_min + random_.below(options_.prompt_max - options_.prompt_min + 1);
  for (std::uint64_t i = 0; i < length; ++i) job.submit.prompt_ids.push_back(static_cast<TokenId>(random_.below(kOracleVocabulary)));
  job.submit.sampling.max_tokens = options_.tokens;
  job.submit.sampling.ignore_eos = true;
  job.submit.seed_given = true;
  job.submit.time_limit_ns = options_.time_limit_ns;
  ++open_;
  send(tag);
}

void SimCrowd::send(std::uint64_t tag) {
  Job& job = jobs_.at(tag);
  ++job.attempts;
  job.sent = cluster_.world().heap().now();
  context_->executor().post(0, [this, tag](Outbox& turn) { client_->ask(jobs_.at(tag).submit, turn); });
}

void SimCrowd::look() {
  const AdmissionStatus status = cluster_.coordinator().admission();
  most_queued_ = std::max(most_queued_, status.queued);
  most_queued_tokens_ = std::max(most_queued_tokens_, status.queued_tokens);
  if (!all_ended()) context_->after(kLookEvery, [this] { look(); });
}

void SimCrowd::end(std::uint64_t tag, bool Job::*how) {
  jobs_.at(tag).*how = true;
  --open_;
}

void SimCrowd::take(const JobClient::Inbox& answer) {
  if (const auto* tokens = std::get_if<ClientTokens>(&answer)) {
    Job& job = jobs_.at(tokens->tag);
    if (job.first == Time{}) job.first = cluster_.world().heap().now();
    for (const ClientToken& token : tokens->tokens) job.got.push_back(token.token);
  } else if (const auto* done = std::get_if<ClientDone>(&answer)) {
    const Job& job = jobs_.at(done->tag);
    if (job.got != expected_answer(model_, job.submit, 0).tokens) complaints_.push_back(job.submit.id + ": wrong tokens");
    end(done->tag, &Job::finished);
  } else if (const auto* error = std::get_if<ClientError>(&answer)) {
    take_error(*error);
  } else if (std::holds_alternative<LinkDown>(answer)) {
    complaints_.push_back("the edge was lost");
  }
}

void SimCrowd::take_error(const ClientError& error) {
  const Job& job = jobs_.at(error.tag);
  if (error.code == ErrorCode::kDeadlineExceeded && job.submit.time_limit_ns != 0) return end(error.tag, &Job::expired);
  const bool refusal = error.code == ErrorCode::kOverloaded || error.code == ErrorCode::kResourceExhausted;
  if (!refusal) complaints_.push_back(job.submit.id + ": " + std::string(to_string(error.code)) + ": " + error.message);
  if (error.code == ErrorCode::kOverloaded && error.retry_after_ns == 0) complaints_.push_back(job.submit.id + ": refused without a time to come again");
  if (!refusal || job.attempts >= options_.attempts) return end(error.tag, &Job::refused);
  const std::uint64_t pause = std::max<std::uint64_t>(error.retry_after_ns, 100'000'000);
  context_->after(Duration{static_cast<std::int64_t>(pause)}, [this, tag = error.tag] { send(tag); });
}

std::uint64_t SimCrowd::count(bool Job::*what) const {
  return static_cast<std::uint64_t>(std::count_if(jobs_.begin(), jobs_.end(), [what](const auto& job) { return job.second.*what; }));
}

std::uint64_t SimCrowd::answered_prompt_tokens() const {
  std::uint64_t tokens = 0;
  for (const auto& [tag, job] : jobs_)
    if (job.first != Time{}) tokens += job.submit.prompt_ids.size();
  return tokens;
}

std::vector<Duration> SimCrowd::ttfts(Duration from, Duration until) const {
  std::vector<Duration> all;
  for (const auto& [tag, job] : jobs_)
    if (job.first != Time{} && job.sent >= Time{} + from && job.sent < Time{} + until) all.push_back(job.first - job.sent);
  std::sort(all.begin(), all.end());
  return all;
}

Time SimCrowd::last_slow(Duration limit) const {
  Time last{};
  for (const auto& [tag, job] : jobs_)
    if (job.first != Time{} && job.first - job.sent > limit) last = std::max(last, job.sent);
  return last;
}

}  // namespace baton
