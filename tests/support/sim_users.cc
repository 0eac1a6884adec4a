// SPDX-License-Identifier: Apache-2.0
#include "tests/support/sim_users.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <variant>

#include "actors/job_timeline.h"
#include "config/utf8.h"

namespace baton {

SimUsers::SimUsers(SimCluster& cluster, OracleOptions model, const SimUsersOptions& options)
    : cluster_(cluster), model_(model), options_(options), random_(cluster.world().heap().random().next()) {
  prefixes_.resize(options_.prefixes);
  for (std::vector<TokenId>& prefix : prefixes_)
    for (std::uint32_t i = 0; i < options_.prompt_max; ++i) prefix.push_back(static_cast<TokenId>(random_.below(kOracleVocabulary)));
  for (std::uint64_t tag = 1; tag <= options_.jobs; ++tag) jobs_.emplace(tag, draw_job(tag));
  cluster.add_client(
      kNode, [this](const JobClient::Inbox& answer, Outbox&) { take(answer); },
      [this](JobClient& client, Outbox& out, SimNodeContext& context) { start(client, out, context); });
}

// A text of its own, after a part of a shared one; or an earlier job's prompt and answer with a question on top. What is not a whole
// number of blocks, equal texts and prompts that are all prefix come up by themselves.
void SimUsers::draw_prompt(Job& job, std::uint64_t tag) {
  std::vector<TokenId>& prompt = job.submit.prompt_ids;
  const std::size_t length = 1 + random_.below(options_.prompt_max);
  if (tag > 1 && options_.next_turn_in != 0 && random_.chance(1, options_.next_turn_in)) {
    const Job& earlier = jobs_.at(1 + random_.below(tag - 1));
    prompt = earlier.submit.prompt_ids;
    const std::vector<TokenId>& answer = earlier.choices.front().expected.tokens;
    prompt.insert(prompt.end(), answer.begin(), answer.end());
    job.submit.cache_salt = earlier.submit.cache_salt;
    job.turn = earlier.turn + 1;
    const std::size_t question = random_.below(options_.prompt_max / 4);
    if (prompt.size() + question <= options_.prompt_max) {
      for (std::size_t i = 0; i < question; ++i) prompt.push_back(static_cast<TokenId>(random_.below(kOracleVocabulary)));
      return;
    }
  } else if (!prefixes_.empty()) {
    prompt = prefixes_[random_.below(prefixes_.size())];
    prompt.resize(random_.below(prompt.size() + 1));
  }
  prompt.resize(std::min(prompt.size(), length));
  while (prompt.size() < length) prompt.push_back(static_cast<TokenId>(random_.below(kOracleVocabulary)));
}

SimUsers::Job SimUsers::draw_job(std::uint64_t tag) {
  Job job;
  job.submit.tag = tag;
  job.submit.id = "user-" + std::to_string(tag);
  if (tag > 1 && options_.double_in != 0 && random_.chance(1, options_.double_in)) {
    Job& earlier = jobs_.at(1 + random_.below(tag - 1));
    job.submit.id = earlier.submit.id;
    job.shares_id = earlier.shares_id = true;
  }
  if (options_.hurried_in != 0 && random_.chance(1, options_.hurried_in)) job.submit.time_limit_ns = 1 + random_.below(100'000'000);
  if (const std::uint64_t salt = random_.below(options_.salts); salt > 0) job.submit.cache_salt = "tenant-" + std::to_string(salt);
  draw_prompt(job, tag);
  job.submit.sampling.max_tokens = static_cast<std::uint32_t>(random_.chance(1, 10) ? 1 : 1 + random_.below(options_.tokens_max));
  job.submit.sampling.temperature = random_.chance(1, 2) ? 1.0F : 0.0F;
  job.submit.sampling.seed = random_.next();
  job.submit.seed_given = true;
  job.submit.sampling.ignore_eos = random_.chance(1, 4);
  draw_extras(job.submit);
  for (std::uint32_t choice = 0; choice < job.submit.n; ++choice) job.choices.push_back({expected_answer(model_, job.submit, choice), {}, {}, false});
  return job;
}

// Now and then what a plain job does without.
void SimUsers::draw_extras(ClientSubmit& submit) {
  SamplingParams& sampling = submit.sampling;
  if (random_.chance(1, 6)) submit.n = static_cast<std::uint32_t>(2 + random_.below(3));
  if (random_.chance(1, 4)) sampling.min_tokens = static_cast<std::uint32_t>(random_.below(sampling.max_tokens + 1));
  if (random_.chance(1, 5)) sampling.logprobs = static_cast<std::uint32_t>(random_.below(4));
  if (random_.chance(1, 8)) sampling.prompt_logprobs = static_cast<std::uint32_t>(random_.below(3));
  submit.include_stop = random_.chance(1, 2);
  if (random_.chance(1, 5)) {
    auto lists = std::make_shared<SamplingLists>();
    for (TokenId id = 0; id < 100; ++id) lists->stop_token_ids.push_back(static_cast<TokenId>(random_.below(kOracleVocabulary)));
    sampling.lists = std::move(lists);
  }
  if (!random_.chance(1, 4)) return;
  // Mostly a piece of what comes; most of the model's tokens look like "<123>".
  const std::string text = expected_answer(model_, submit, 0).text;
  for (const std::uint64_t wanted : {1 + random_.below(3), 3 + random_.below(8)}) {
    const std::string piece = text.substr(random_.below(text.size() + 1), wanted);
    if (!piece.empty() && find_invalid_utf8(piece) == std::string::npos) submit.stop.push_back(piece);
  }
}

void SimUsers::start(JobClient& client, Outbox&, SimNodeContext& context) {
  client_ = &client;
  context_ = &context;
  for (auto& [tag, job] : jobs_) {
    if (!job.ended && job.attaching > 0) attach(tag);
    if (job.ended || job.attaching > 0) continue;
    // A later turn is asked when the earlier one may have been answered.
    const Duration when = options_.from + Duration{static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(options_.over.count())))} +
                          job.turn * std::chrono::milliseconds(100);
    const bool cancelled = options_.cancel_in != 0 && random_.chance(1, options_.cancel_in);
    const Duration until_cancel{static_cast<std::int64_t>(random_.below(40'000'000))};
    Job* mine = &job;
    const auto ask = [&context, &client](auto request) {
      context.executor().post(0, [request, &client](Outbox& turn) { client.ask(request, turn); });
    };
    context.after(when, [this, ask, mine] {
      mine->sent = cluster_.world().heap().now();
      ask(mine->submit);
    });
    if (cancelled) context.after(when + until_cancel, [this, ask, mine] { cancel(mine->submit.id, ask); });
  }
}

// Whoever bears the id may be hit.
void SimUsers::cancel(const std::string& id, const std::function<void(ClientCancel)>& ask) {
  for (auto& [tag, job] : jobs_)
    if (job.submit.id == id) job.cancel_sent = true;
  ask(ClientCancel{0, id});
}

void SimUsers::die() {
  cluster_.world().kill(kNode);
  for (auto& [tag, job] : jobs_)
    if (!job.ended) begin_anew(job);
}

void SimUsers::begin_anew(Job& job) {
  for (Choice& choice : job.choices) choice = {choice.expected, {}, {}, false};
  job.prompt_known = 0;
  job.attaching = 0;
  job.first = {};
  job.accepted = false;
  job.shares_id = true;  // the edge may not know yet that the earlier life is gone
}

// The edge was lost, or the link to it: another life of the client asks for the answers of what was accepted, and submits the rest again.
void SimUsers::come_back() {
  if (cluster_.world().alive(kNode)) cluster_.world().kill(kNode);
  for (auto& [tag, job] : jobs_) {
    if (job.ended) continue;
    const bool goes_on = job.accepted && job.submit.n == 1 && !job.submit.sampling.prompt_logprobs;
    if (goes_on) job.attaching = 1;
    else begin_anew(job);
  }
  cluster_.world().restart(kNode);
}

void SimUsers::attach(std::uint64_t tag) {
  Job& job = jobs_.at(tag);
  const ClientAttach ask{tag, job.submit.id, static_cast<std::uint32_t>(job.choices.front().got.size())};
  context_->after(std::chrono::milliseconds(job.attaching > 1 ? 100 : 1), [this, ask] {
    context_->executor().post(0, [this, ask](Outbox& turn) { client_->ask(ask, turn); });
  });
}

void SimUsers::submit_again(std::uint64_t tag) {
  Job& job = jobs_.at(tag);
  begin_anew(job);
  context_->after(std::chrono::milliseconds(100), [this, &job] {
    job.sent = cluster_.world().heap().now();
    context_->executor().post(0, [this, &job](Outbox& turn) { client_->ask(job.submit, turn); });
  });
}

void SimUsers::complain(std::uint64_t tag, const std::string& what) { complaints_.push_back("job " + std::to_string(tag) + ": " + what); }

void SimUsers::take(const JobClient::Inbox& answer) {
  if (const auto* accepted = std::get_if<ClientAccepted>(&answer)) {
    if (Job* job = live(accepted->tag)) {
      if (job->accepted && job->attaching == 0) complain(accepted->tag, "accepted twice");
      if (job->attaching > 0) ++reattached_;
      job->came_back |= job->attaching > 0;
      job->attaching = 0;
      job->accepted = true;
    }
  } else if (const auto* tokens = std::get_if<ClientTokens>(&answer)) {
    take_tokens(*tokens);
  } else if (const auto* ended = std::get_if<ClientChoiceDone>(&answer)) {
    take_choice_done(*ended);
  } else if (const auto* done = std::get_if<ClientDone>(&answer)) {
    take_done(*done);
  } else if (const auto* error = std::get_if<ClientError>(&answer)) {
    take_error(*error);
  } else if (std::holds_alternative<LinkDown>(answer)) {
    if (!options_.errors_allowed) complain(0, "the edge was lost: " + std::get<LinkDown>(answer).reason);
    cluster_.world().heap().after(Duration{0}, [this] {  // a program would end here and be started again
      if (options_.reattach) return come_back();
      if (cluster_.world().alive(kNode)) die();
      cluster_.world().restart(kNode);
    });
  }
}

SimUsers::Job* SimUsers::live(std::uint64_t tag) {
  const auto it = jobs_.find(tag);
  if (it == jobs_.end()) complain(tag, "an answer to a question nobody asked");
  else if (it->second.ended) complain(tag, "an answer after the end");
  else return &it->second;
  return nullptr;
}

void SimUsers::take_tokens(const ClientTokens& tokens) {
  Job* job = live(tokens.tag);
  if (job == nullptr) return;
  if (!job->accepted) complain(tokens.tag, "tokens before the acceptance");
  if (tokens.choice >= job->choices.size()) return complain(tokens.tag, "a choice that was not asked for");
  Choice& choice = job->choices[tokens.choice];
  if (choice.ended) complain(tokens.tag, "tokens after the end of their choice");
  for (const ClientToken& token : tokens.prompt) take_prompt(tokens.tag, *job, choice, token);
  const std::vector<TokenId>& expected = choice.expected.tokens;
  const auto prompt_tokens = static_cast<std::uint32_t>(job->submit.prompt_ids.size());
  for (const ClientToken& token : tokens.tokens) {
    if (token.index != choice.got.size()) complain(tokens.tag, "position " + std::to_string(token.index) + " after " + std::to_string(choice.got.size()) + " tokens");
    else if (token.index >= expected.size() || expected[token.index] != token.token) complain(tokens.tag, "wrong token at " + std::to_string(token.index));
    const std::string wrong = wrong_logprobs(model_, token, prompt_tokens + token.index, job->submit.sampling.logprobs);
    if (!wrong.empty()) complain(tokens.tag, wrong);
    if (job->first == Time{}) job->first = cluster_.world().heap().now();
    choice.got.push_back(token.token);
    choice.text += token.text;
    if (!choice.expected.text.starts_with(choice.text)) complain(tokens.tag, "text that is not of the answer: " + choice.text);
    ++tokens_;
  }
}

void SimUsers::take_prompt(std::uint64_t tag, Job& job, const Choice& choice, const ClientToken& token) {
  const auto& asked = job.submit.sampling.prompt_logprobs;
  if (!asked) return complain(tag, "log-probabilities of a prompt that nobody asked for");
  if (token.index != ++job.prompt_known || token.index >= job.submit.prompt_ids.size() || job.submit.prompt_ids[token.index] != token.token)
    return complain(tag, "wrong prompt token at " + std::to_string(token.index));
  if (!choice.got.empty()) complain(tag, "log-probabilities of the prompt after a token");
  const std::string wrong = wrong_logprobs(model_, token, token.index, asked);
  if (!wrong.empty()) complain(tag, "in the prompt " + wrong);
}

void SimUsers::end_choice(std::uint64_t tag, Job& job, Choice& choice, const ClientChoiceDone& end) {
  if (std::exchange(choice.ended, true)) complain(tag, "a choice that ended twice");
  if (end.completion_tokens != choice.got.size()) complain(tag, "usage counts " + std::to_string(end.completion_tokens) + " of " + std::to_string(choice.got.size()) + " tokens");
  if (end.reason == FinishReason::kCancelled) {
    if (!job.cancel_sent) complain(tag, "cancelled by nobody");
    return;
  }
  const ExpectedAnswer& expected = choice.expected;
  if (choice.got != expected.tokens) complain(tag, "finished after " + std::to_string(choice.got.size()) + " of " + std::to_string(expected.tokens.size()) + " tokens");
  if (choice.text + end.tail != expected.text) complain(tag, "the text is '" + choice.text + end.tail + "', not '" + expected.text + "'");
  if (end.reason != expected.reason) complain(tag, "wrong finish reason");
  if (end.stop != expected.stop || end.stop_token != expected.stop_token) complain(tag, "ended by '" + end.stop + "', not by '" + expected.stop + "'");
  if (end.choice == 0 && job.submit.sampling.prompt_logprobs && job.prompt_known + 1 != job.submit.prompt_ids.size()) complain(tag, "log-probabilities of the prompt are missing");
}

void SimUsers::take_choice_done(const ClientChoiceDone& done) {
  Job* job = live(done.tag);
  if (job == nullptr) return;
  if (job->choices.size() < 2 || done.choice >= job->choices.size()) return complain(done.tag, "the end of a choice that was not asked for");
  end_choice(done.tag, *job, job->choices[done.choice], done);
}

void SimUsers::take_done(const ClientDone& done) {
  Job* job = live(done.tag);
  if (job == nullptr) return;
  job->ended = true;
  ++ended_;
  std::size_t got = 0;
  for (const Choice& choice : job->choices) got += choice.got.size();
  if (job->choices.size() == 1)
    end_choice(done.tag, *job, job->choices[0], {done.tag, 0, done.reason, done.tail, done.completion_tokens, done.stop, done.stop_token});
  else if (done.completion_tokens != got) complain(done.tag, "usage counts " + std::to_string(done.completion_tokens) + " of " + std::to_string(got) + " tokens");
  for (const Choice& choice : job->choices)
    if (!choice.ended) complain(done.tag, "the end before that of every choice");
  if (total_ns(done.timeline) != done.total_ns || (got > 0 && !job->came_back && ttft_ns(done.timeline) != done.ttft_ns) || done.ttft_ns > done.total_ns)
    complain(done.tag, "a timeline whose parts do not add up");
  compare_clocks(*job, done);
  if (done.reason == FinishReason::kCancelled) {
    ++cancelled_;
    return;
  }
  ++finished_;
  if (done.kv_bytes_moved > 0) ++transferred_;
  const KvGeometry geometry = oracle_info(model_).geometry;
  const std::uint64_t positions = job->submit.prompt_ids.size() + job->submit.sampling.max_tokens;  // an attempt may begin behind what another has generated
  const std::uint64_t whole = geometry.blocks_for(positions) * geometry.block_bytes();
  // What the decode worker has cached does not move.
  if (done.kv_bytes_moved % geometry.block_bytes() != 0 || done.kv_bytes_moved > whole * job->choices.size())
    complain(done.tag, "moved " + std::to_string(done.kv_bytes_moved) + " bytes of KV for a prompt of " + std::to_string(whole));
}

// What the coordinator saw of a job lies within what its client saw.
void SimUsers::compare_clocks(const Job& job, const ClientDone& done) {
  if (job.shares_id || job.came_back) return;  // the answer may be that of an earlier life, which began sooner
  const auto compare = [&](Time end, std::uint64_t accounted, const char* what) {
    const Duration gap = end - job.sent - Duration{static_cast<std::int64_t>(accounted)};
    if (gap < Duration{}) return complain(done.tag, std::string("a timeline longer than the client's clock: ") + what);
    worst_gap_ = std::max(worst_gap_, gap);
  };
  compare(cluster_.world().heap().now(), done.total_ns, "total");
  if (job.first != Time{}) compare(job.first, done.ttft_ns, "time to the first token");
}

void SimUsers::take_error(const ClientError& error) {
  Job* job = live(error.tag);
  if (job == nullptr) return;
  if (job->attaching > 0 && (error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kNotFound)) {
    // Not yet; or it was cancelled when the link was lost, for it was the client that seemed to be gone.
    if (++job->attaching < 10) attach(error.tag);
    else submit_again(error.tag);
    return;
  }
  job->ended = true;
  ++ended_;
  ++failed_;
  const bool fault_kind = error.code == ErrorCode::kQuarantined || (error.code == ErrorCode::kDeadlineExceeded && job->submit.time_limit_ns != 0) || error.code == ErrorCode::kUnavailable ||
                          error.code == ErrorCode::kResourceExhausted || error.code == ErrorCode::kOverloaded || error.code == ErrorCode::kRetriesExhausted || (error.code == ErrorCode::kAlreadyExists && job->shares_id);
  if (!options_.errors_allowed || !fault_kind) complain(error.tag, std::string(to_string(error.code)) + ": " + error.message);
}

std::string SimUsers::unfinished() const {
  std::string list;
  for (const auto& [tag, job] : jobs_) {
    if (job.ended) continue;
    list += " " + std::to_string(tag);
    for (const Choice& choice : job.choices) list += "(" + std::to_string(choice.got.size()) + "/" + std::to_string(choice.expected.tokens.size()) + ")";
  }
  return list;
}

}  // namespace baton
