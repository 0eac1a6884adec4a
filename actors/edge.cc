// SPDX-License-Identifier: Apache-2.0
#include "actors/edge.h"

#include <algorithm>
#include <utility>

#include "protocol/validate.h"
#include "runtime/base/check.h"

namespace baton {
namespace {

constexpr std::size_t kQuestionsMax = 4096;
constexpr std::size_t kStrangersMax = 64;
constexpr std::size_t kStrangerItemsMax = 4096;

std::uint64_t nanoseconds(Duration duration) { return static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0)); }

bool printable(const std::string& id) {
  return id.size() <= 128 && std::all_of(id.begin(), id.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

Edge::Edge(EdgeOptions options, const Tokenizer& tokenizer, ProcessControl& process)
    : options_(std::move(options)), tokenizer_(tokenizer), process_(process), coordinator_{options_.coordinator_node, {}, 0, 0} {}

void Edge::start(Outbox& out) {
  out.introduce(options_.coordinator_node, options_.coordinator_address);
  say_hello(out);
}

void Edge::say_hello(Outbox& out) {
  EdgeHello hello;
  hello.name = options_.name;
  hello.control_address = options_.control_address;
  hello.model_hash = options_.model_hash;
  out.send(coordinator_, hello);
}

void Edge::on(const JoinAccepted&, Outbox& out) {
  if (out.sender().node != options_.coordinator_node) return;
  coordinator_ = out.sender();
  joined_ = true;
}

void Edge::on(const JoinRefused& refused, Outbox& out) {
  if (out.sender().node == options_.coordinator_node) process_.exit(1, "the coordinator refused this edge: " + refused.message);
}

void Edge::on(const PeersJoined& joined, Outbox& out) {
  if (out.sender() != coordinator_) return;
  for (const PeerCard& card : joined.peers) {
    out.introduce(card.actor.node, card.control_address);
    members_[card.actor.node] = card.actor;
  }
  for (const auto& [sender, batch] : std::exchange(strangers_, {})) hear(sender, batch, out);
}

void Edge::on(const PeerLeft& left, Outbox& out) {
  if (out.sender() != coordinator_) return;
  out.fence(left.actor.node, left.actor.incarnation);
  if (const auto it = members_.find(left.actor.node); it != members_.end() && it->second == left.actor) members_.erase(it);
}

// ---- clients -------------------------------------------------------------------------------------------------------

Result<void> Edge::acceptable(const ClientSubmit& submit) const {
  if (!joined_) return fail(ErrorCode::kUnavailable, "the coordinator has not answered yet: try again in a moment");
  if (streams_.size() >= options_.streams_max)
    return fail(ErrorCode::kResourceExhausted, std::to_string(streams_.size()) + " streams are open, the limit of this socket: try later");
  if (!printable(submit.id)) return fail(ErrorCode::kInvalidArgument, "an id has at most 128 printable characters and no spaces");
  if (!printable(submit.cache_salt)) return fail(ErrorCode::kInvalidArgument, "a cache_salt has at most 128 printable characters and no spaces");
  if (by_id_.contains(submit.id)) return fail(ErrorCode::kAlreadyExists, "a job with id '" + submit.id + "' is running: choose another");
  return validate(submit.sampling);
}

Result<std::vector<TokenId>> Edge::prompt_of(ClientSubmit& submit) const {
  std::vector<TokenId> prompt = std::move(submit.prompt_ids);
  // No token is shorter than a byte and none known is longer than 512, so hopeless texts are refused before the work.
  if (prompt.empty() && submit.prompt.size() / 512 > options_.max_model_len)
    return fail(ErrorCode::kInvalidArgument, "the prompt of " + std::to_string(submit.prompt.size()) + " bytes cannot fit the context of " +
                                                 std::to_string(options_.max_model_len) + " tokens");
  if (prompt.empty()) prompt = tokenizer_.encode(submit.prompt, {true, false});
  if (prompt.empty()) return fail(ErrorCode::kInvalidArgument, "the prompt is empty");
  for (const TokenId id : prompt)
    if (id < 0 || static_cast<std::uint32_t>(id) >= tokenizer_.vocab_size())
      return fail(ErrorCode::kInvalidArgument, "prompt token " + std::to_string(id) + " is outside the vocabulary of " + std::to_string(tokenizer_.vocab_size()));
  const std::uint64_t room = prompt.size() < options_.max_model_len ? options_.max_model_len - prompt.size() : 0;
  if (!submit.max_tokens_given) submit.sampling.max_tokens = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(room, 1, options_.default_max_tokens));
  if (room == 0)
    return fail(ErrorCode::kInvalidArgument, "the prompt has " + std::to_string(prompt.size()) + " tokens and leaves no room in the context of " +
                                                 std::to_string(options_.max_model_len) + ": shorten the prompt");
  if (submit.sampling.max_tokens > room)
    return fail(ErrorCode::kInvalidArgument, "the prompt has " + std::to_string(prompt.size()) + " tokens; with max_tokens " +
                                                 std::to_string(submit.sampling.max_tokens) + " that is more than the context of " +
                                                 std::to_string(options_.max_model_len) + ": lower max_tokens to " + std::to_string(room) +
                                                 " or shorten the prompt");
  return prompt;
}

void Edge::on(const ClientSubmit& asked, Outbox& out) {
  ClientSubmit submit = asked;
  if (const auto ok = acceptable(submit); !ok) return refuse(submit, ok.error(), out);
  auto prompt = prompt_of(submit);
  if (!prompt) return refuse(submit, prompt.error(), out);
  JobId job{out.random().next()};
  while (job.value == 0 || streams_.contains(job)) job.value = out.random().next();
  if (submit.id.empty()) submit.id = "job-" + to_hex(job.value);
  Stream stream;
  stream.client = out.sender();
  stream.tag = submit.tag;
  stream.id = submit.id;
  stream.prompt_tokens = static_cast<std::uint32_t>(prompt->size());
  stream.submitted = out.now();
  stream.text.emplace(tokenizer_);
  by_id_[submit.id] = job;
  by_client_[{stream.client.node, stream.client.incarnation}].insert(job);
  streams_.emplace(job, std::move(stream));
  AdmitJob admit;
  admit.job = job;
  admit.prompt = std::move(*prompt);
  admit.sampling = submit.sampling;
  admit.seed_given = submit.seed_given;
  admit.time_limit_ns = submit.time_limit_ns;
  admit.cache_salt = submit.cache_salt;
  out.send(coordinator_, admit);
}

void Edge::refuse(const ClientSubmit& submit, const Error& error, Outbox& out) {
  out.send(out.sender(), ClientError{submit.tag, error.code, error.message.substr(0, 2048)});
}

void Edge::on(const ClientCancel& cancel, Outbox& out) {
  const auto it = by_id_.find(cancel.id);
  out.send(out.sender(), ClientCancelled{cancel.tag, it != by_id_.end()});
  if (it == by_id_.end()) return;
  const JobId job = it->second;
  cancel_job(job, out);
  complete(job, FinishReason::kCancelled, out);
}

void Edge::on(const StatusRequest& request, Outbox& out) {
  if (!joined_ || questions_.size() >= kQuestionsMax) return;  // silence is the client's time limit
  const std::uint64_t question = next_question_++;
  questions_[question] = {out.sender(), request.tag};
  out.send(coordinator_, StatusRequest{question});
}

void Edge::on(const StatusReport& report, Outbox& out) {
  const auto it = questions_.find(report.tag);
  if (out.sender() != coordinator_ || it == questions_.end()) return;
  StatusReport answer = report;
  answer.tag = it->second.tag;
  out.send(it->second.asker, answer);
  questions_.erase(it);
}

void Edge::on(const FsckRequest& request, Outbox& out) {
  if (!joined_ || questions_.size() >= kQuestionsMax) return;
  const std::uint64_t question = next_question_++;
  questions_[question] = {out.sender(), request.tag};
  out.send(coordinator_, FsckRequest{question});
}

void Edge::on(const FsckReport& report, Outbox& out) {
  const auto it = questions_.find(report.tag);
  if (out.sender() != coordinator_ || it == questions_.end()) return;
  FsckReport answer = report;
  answer.tag = it->second.tag;
  out.send(it->second.asker, answer);
  questions_.erase(it);
}

void Edge::on(const LinkDown& down, Outbox& out) {
  if (down.node != options_.coordinator_node) return lose_client(down.node, down.incarnation, out);
  if (joined_ && down.incarnation != coordinator_.incarnation) return;
  if (!joined_ && down.incarnation.value != 0) {
    // That life has ended the link and never takes it up again: only another life of this edge is listened to.
    process_.exit(1, "the coordinator does not listen to this edge any more: " + down.reason);
    return;
  }
  joined_ = false;
  coordinator_ = {options_.coordinator_node, {}, 0, 0};
  while (!streams_.empty()) fail_stream(streams_.begin()->first, ErrorCode::kUnavailable, "the coordinator was lost: " + down.reason.substr(0, 512), out);
  questions_.clear();
  members_.clear();
  say_hello(out);
}

// A client that is gone wants no more tokens: its jobs' blocks go back to others.
void Edge::lose_client(NodeId node, Incarnation life, Outbox& out) {
  const auto it = by_client_.find({node, life});
  if (it != by_client_.end()) {
    const std::set<JobId> jobs = it->second;
    for (const JobId job : jobs) {
      cancel_job(job, out);
      out.send(coordinator_, JobClosed{job});
      forget(job);
    }
  }
  std::erase_if(questions_, [&](const auto& question) { return question.second.asker.node == node && question.second.asker.incarnation == life; });
}

// ---- jobs ----------------------------------------------------------------------------------------------------------

void Edge::on(const JobAdmitted& admitted, Outbox& out) {
  const auto it = streams_.find(admitted.job);
  if (out.sender() != coordinator_ || it == streams_.end()) return;
  Stream& stream = it->second;
  if (std::exchange(stream.admitted, true)) return;
  out.send(stream.client, ClientAccepted{stream.tag, stream.id, stream.prompt_tokens, admitted.seed});
  // A quick worker's tokens, or its whole answer, may have come before word of the admission: they waited.
  ClientTokens waited{stream.tag, {}};
  deliver(stream, waited, out.now());
  if (!waited.tokens.empty()) out.send(stream.client, waited);
  finish_if_complete(admitted.job, out);
}

// False: what comes under this epoch is no longer wanted.
bool Edge::raise_epoch(Stream& stream, Epoch epoch) {
  if (epoch < stream.epoch) return false;
  if (epoch > stream.epoch) stream.finish.reset();  // of an attempt that is over; its tokens stay, and must come out equal
  stream.epoch = epoch;
  return true;
}

void Edge::on(const JobPlaced& placed, Outbox& out) {
  const auto it = streams_.find(placed.job);
  if (out.sender() != coordinator_ || it == streams_.end() || !raise_epoch(it->second, placed.epoch)) return;
  if (it->second.placed == Time{}) it->second.placed = out.now();
  it->second.prefill_worker = placed.prefill_worker;
  it->second.decode_worker = placed.decode_worker;
}

void Edge::on(const JobFailed& failed, Outbox& out) {
  if (out.sender() == coordinator_) fail_stream(failed.job, failed.code, failed.message, out);
}

void Edge::on(const TokenBatch& batch, Outbox& out) { hear(out.sender(), batch, out); }

// Clients share this socket, so tokens count only from members. A new one may be faster than word of it.
void Edge::hear(const ActorRef& sender, const TokenBatch& batch, Outbox& out) {
  const auto member = members_.find(sender.node);
  if (sender == coordinator_ || (member != members_.end() && member->second == sender)) return take_batch(batch, out);
  if (batch.tokens.size() + batch.finished.size() + batch.released.size() > kStrangerItemsMax) return;
  if (strangers_.size() >= kStrangersMax) strangers_.pop_front();
  strangers_.emplace_back(sender, batch);
}

void Edge::take_batch(const TokenBatch& batch, Outbox& out) {
  std::map<JobId, ClientTokens> fresh;
  for (const TokenItem& item : batch.tokens) {
    const auto it = streams_.find(item.job);
    if (it == streams_.end() || !raise_epoch(it->second, item.epoch)) continue;
    if (!take(item.job, it->second, item, out)) {
      fresh.erase(item.job);
      continue;
    }
    ClientTokens& tokens = fresh[item.job];
    tokens.tag = it->second.tag;
    deliver(it->second, tokens, out.now());
  }
  for (const auto& [job, tokens] : fresh)
    if (!tokens.tokens.empty()) out.send(streams_.at(job).client, tokens);
  for (const JobFinish& finish : batch.finished) {
    const auto it = streams_.find(finish.job);
    if (it == streams_.end() || !raise_epoch(it->second, finish.epoch)) continue;
    it->second.finish = finish;
    finish_if_complete(finish.job, out);
  }
  for (const auto& [job, tokens] : fresh) finish_if_complete(job, out);
}

// Notes a token; false if it contradicts one that is already known, which ends the stream.
bool Edge::take(JobId job, Stream& stream, const TokenItem& item, Outbox& out) {
  const bool known_id = item.token >= 0 && static_cast<std::uint32_t>(item.token) < tokenizer_.vocab_size();
  const bool delivered = item.index < stream.delivered.size();
  const bool equal = delivered ? stream.delivered[item.index] == item.token
                               : stream.early.emplace(item.index, item.token).first->second == item.token;
  if (known_id && equal) return true;
  cancel_job(job, out);
  fail_stream(job, ErrorCode::kCorrupt, "two workers disagree about token " + std::to_string(item.index) + "; the stream was stopped there", out);
  return false;
}

void Edge::deliver(Stream& stream, ClientTokens& tokens, Time now) {
  if (!stream.admitted) return;
  if (stream.delivered.empty() && stream.early.contains(0)) stream.first_token = now;
  for (auto next = stream.early.begin(); next != stream.early.end() && next->first == stream.delivered.size(); next = stream.early.erase(next)) {
    stream.delivered.push_back(next->second);
    tokens.tokens.push_back({next->first, next->second, stream.text->push(next->second)});
  }
}

void Edge::finish_if_complete(JobId job, Outbox& out) {
  const auto it = streams_.find(job);
  if (it == streams_.end() || !it->second.admitted || !it->second.finish || it->second.delivered.size() < it->second.finish->tokens) return;
  if (it->second.delivered.size() > it->second.finish->tokens) {
    fail_stream(job, ErrorCode::kCorrupt, "the stream has more tokens than its worker counts", out);
    return;
  }
  complete(job, it->second.finish->reason, out);
}

void Edge::complete(JobId job, FinishReason reason, Outbox& out) {
  Stream& stream = streams_.at(job);
  ClientDone done;
  done.tag = stream.tag;
  done.reason = reason;
  done.tail = stream.text->flush();
  done.prompt_tokens = stream.prompt_tokens;
  done.completion_tokens = static_cast<std::uint32_t>(stream.delivered.size());
  if (stream.placed != Time{}) done.queue_ns = nanoseconds(stream.placed - stream.submitted);
  if (!stream.delivered.empty()) done.ttft_ns = nanoseconds(stream.first_token - stream.submitted);
  done.total_ns = nanoseconds(out.now() - stream.submitted);
  done.prefill_worker = stream.prefill_worker;
  done.decode_worker = stream.decode_worker;
  if (stream.finish) {
    done.kv_bytes_moved = stream.finish->kv_bytes_moved;
    done.transport = stream.finish->transport;
  }
  out.send(stream.client, done);
  out.send(coordinator_, JobClosed{job});
  forget(job);
}

void Edge::fail_stream(JobId job, ErrorCode code, const std::string& message, Outbox& out) {
  const auto it = streams_.find(job);
  if (it == streams_.end()) return;
  out.send(it->second.client, ClientError{it->second.tag, code, message});
  out.send(coordinator_, JobClosed{job});
  forget(job);
}

void Edge::cancel_job(JobId job, Outbox& out) { out.send(coordinator_, CancelJob{job, streams_.at(job).epoch}); }

void Edge::forget(JobId job) {
  const auto it = streams_.find(job);
  by_id_.erase(it->second.id);
  const auto client = by_client_.find({it->second.client.node, it->second.client.incarnation});
  client->second.erase(job);
  if (client->second.empty()) by_client_.erase(client);
  streams_.erase(it);
}

}  // namespace baton
