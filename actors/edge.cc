// SPDX-License-Identifier: Apache-2.0
#include "actors/edge.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "actors/bad_words.h"
#include "protocol/sampling_limits.h"
#include "protocol/validate.h"

namespace baton {
namespace {

constexpr std::size_t kStrangersMax = 64;
constexpr std::size_t kStrangerItemsMax = 4096;

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
  out.wake_at(alive_at_ = out.now() + options_.alive_interval);
  if (std::exchange(orphaned_at_, std::nullopt)) report_streams(out);
}

// To another life of the coordinator: what is open here, and what it may not have heard of.
void Edge::report_streams(Outbox& out) {
  constexpr std::size_t kStreamsPerReport = 8192;
  for (const auto& [job, stream] : streams_)
    if (stream.asked) out.send(coordinator_, *stream.asked);
  EdgeReport report;
  for (const auto& [job, stream] : streams_) {
    report.streams.push_back({job, stream.epoch});
    if (report.streams.size() == kStreamsPerReport) out.send(coordinator_, std::exchange(report, {}));
  }
  report.last = true;
  out.send(coordinator_, report);
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
  if (streams_.size() + submit.n > options_.streams_max)
    return fail(ErrorCode::kResourceExhausted, std::to_string(streams_.size()) + " streams are open and " + std::to_string(submit.n) +
                                                   " more would be beyond the limit of this socket, " + std::to_string(options_.streams_max) + ": try later");
  if (by_id_.contains(submit.id)) return fail(ErrorCode::kAlreadyExists, "a job with id '" + submit.id + "' is running: choose another");
  RETURN_IF_ERROR(validate(submit));
  if (submit.detached && submit.n > 1) return fail(ErrorCode::kInvalidArgument, "a detached job has one answer: leave n out");
  if (submit.detached && kept_.full())
    return fail(ErrorCode::kResourceExhausted, "as many detached jobs run as this socket keeps: try later, or do not detach");
  return validate_ids(submit.sampling, tokenizer_.vocab_size());
}

Result<std::vector<TokenId>> Edge::prompt_of(ClientSubmit& submit) const {
  std::vector<TokenId> prompt = std::move(submit.prompt_ids);
  // No token is shorter than a byte and none known is longer than 512, so hopeless texts are refused before the work.
  if (prompt.empty() && submit.prompt.size() / 512 > options_.max_model_len)
    return fail(ErrorCode::kInvalidArgument, "the prompt of " + std::to_string(submit.prompt.size()) + " bytes cannot fit the context of " +
                                                 std::to_string(options_.max_model_len) + " tokens");
  if (prompt.empty()) prompt = tokenizer_.encode(submit.prompt, {true, false});
  if (prompt.empty()) return fail(ErrorCode::kInvalidArgument, "the prompt is empty");
  if (prompt.size() > kPromptTokensMax)
    return fail(ErrorCode::kInvalidArgument, "the prompt has " + std::to_string(prompt.size()) + " tokens; a job carries at most " +
                                                 std::to_string(kPromptTokensMax) + ", whatever the model's context: shorten it");
  for (const TokenId id : prompt)
    if (id < 0 || static_cast<std::uint32_t>(id) >= tokenizer_.vocab_size())
      return fail(ErrorCode::kInvalidArgument, "prompt token " + std::to_string(id) + " is outside the vocabulary of " + std::to_string(tokenizer_.vocab_size()));
  const std::uint64_t room = prompt.size() < options_.max_model_len ? options_.max_model_len - prompt.size() : 0;
  if (!submit.max_tokens_given) submit.sampling.max_tokens = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(room, 1, std::max(options_.default_max_tokens, submit.sampling.min_tokens)));
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
  // A limit that nobody gave follows from the prompt, and yields to a minimum that somebody gave.
  if (!submit.max_tokens_given) submit.sampling.max_tokens = std::max(options_.default_max_tokens, submit.sampling.min_tokens);
  if (const auto ok = acceptable(submit); !ok) return refuse(submit, ok.error(), out);
  auto prompt = prompt_of(submit);
  if (!prompt) return refuse(submit, prompt.error(), out);
  open_request(std::move(submit), std::move(*prompt), out);
}

void Edge::open_request(ClientSubmit submit, std::vector<TokenId> prompt, Outbox& out) {
  if (!submit.bad_words.empty()) {
    auto lists = std::make_shared<SamplingLists>(submit.sampling.lists ? *submit.sampling.lists : SamplingLists{});
    lists->bad_words = bad_word_ids(tokenizer_, submit.bad_words);
    submit.sampling.lists = std::move(lists);
  }
  // Here, not at the coordinator: one for all choices, and the same for a next life of it that is asked again.
  if (!submit.seed_given) submit.sampling.seed = out.random().next();
  submit.sampling.choice = 0;
  Request request;
  request.client = out.sender();
  request.tag = submit.tag;
  request.prompt_tokens = static_cast<std::uint32_t>(prompt.size());
  request.sampling = submit.sampling;
  request.stop = submit.stop;
  request.include_stop = submit.include_stop;
  request.summary.kv_bytes_known = true;
  request.marks.submitted = out.now();
  const RequestId id = next_request_++;
  const StopFilter stops(submit.stop, submit.include_stop);
  AdmitJob admit;
  admit.prompt = std::move(prompt);
  admit.sampling = submit.sampling;
  admit.seed_given = true;
  admit.time_limit_ns = submit.time_limit_ns;
  admit.cache_salt = submit.cache_salt;
  JobId first{out.random().next()};
  while (first.value == 0 || streams_.contains(first)) first.value = out.random().next();
  request.id = submit.id.empty() ? "job-" + to_hex(first.value) : submit.id;
  // A request of several choices, or with its prompt's log-probabilities, which are not kept, ends with its edge.
  if (options_.resumable && submit.n == 1 && !submit.sampling.prompt_logprobs) {
    ClientSubmit wishes = submit;
    wishes.prompt.clear();
    wishes.prompt_ids.clear();
    wishes.bad_words.clear();
    wishes.sampling.lists.reset();
    wishes.id = request.id;
    encode(wishes, admit.client);
  }
  for (std::uint32_t choice = 0; choice < submit.n; ++choice) {
    admit.job = first;
    while (admit.job.value == 0 || streams_.contains(admit.job)) admit.job.value = out.random().next();
    admit.sampling.choice = choice;
    if (choice > 0) admit.sampling.prompt_logprobs.reset();  // the prompt is the same for all
    Stream& stream = add_choice(id, request, admit.job, choice, admit.sampling, stops);
    stream.asked = admit;
    out.send(coordinator_, admit);
  }
  by_id_[request.id] = id;
  if (submit.detached) {
    // The client learns the name; the rest is kept for whoever attaches.
    kept_.open({0, request.id, request.prompt_tokens, 0});
    kept_.watch(request.id, std::exchange(request.client, {}), request.tag);
  } else {
    by_client_[{request.client.node, request.client.incarnation}].insert(id);
  }
  requests_.emplace(id, std::move(request));
}

Edge::Stream& Edge::add_choice(RequestId id, Request& request, JobId job, std::uint32_t choice, const SamplingParams& sampling, const StopFilter& stops) {
  Stream& stream = streams_.emplace(job, Stream(id, choice, stops, tokenizer_)).first->second;
  if (sampling.prompt_logprobs) stream.prompt_due = request.prompt_tokens - 1;
  request.jobs.push_back(job);
  request.open.insert(choice);
  return stream;
}

void Edge::refuse(const ClientSubmit& submit, const Error& error, Outbox& out) {
  out.send(out.sender(), ClientError{submit.tag, error.code, error.message.substr(0, 2048)});
}

void Edge::on(const ClientCancel& cancel, Outbox& out) {
  const auto it = by_id_.find(cancel.id);
  out.send(out.sender(), ClientCancelled{cancel.tag, it != by_id_.end()});
  if (it != by_id_.end()) cancel_request(it->second, out);
}

void Edge::on(const LinkDown& down, Outbox& out) {
  if (down.node != options_.coordinator_node) return lose_client(down.node, down.incarnation, out);
  if (joined_ && down.incarnation != coordinator_.incarnation) return;
  if (!joined_ && down.how == LinkEnd::kFenced) {
    // That life has ended the link and never takes it up again: only another life of this edge is listened to.
    process_.exit(1, "the coordinator does not listen to this edge any more: " + down.reason);
    return;
  }
  // Streams go on: their workers send tokens without it, and it comes back.
  joined_ = false;
  if (!orphaned_at_) orphaned_at_ = out.now();
  coordinator_ = {options_.coordinator_node, {}, 0, 0};
  questions_.clear();
  say_hello(out);
  out.wake_at(*orphaned_at_ + options_.coordinator_lease);
}

void Edge::give_up(const std::string& why, Outbox& out) {
  while (!requests_.empty()) fail_request(requests_.begin()->first, ErrorCode::kUnavailable, why, out);
}

// A client that is gone wants no more tokens: its jobs' blocks go back to others.
void Edge::lose_client(NodeId node, Incarnation life, Outbox& out) {
  const auto it = by_client_.find({node, life});
  if (it != by_client_.end()) {
    const std::set<RequestId> theirs = it->second;
    for (const RequestId id : theirs) {
      const Request& request = requests_.at(id);
      cancel_jobs(request, out);
      report_end(request, JobState::kFailed, FinishReason::kCancelled, "its client went away", out);
      for (const std::uint32_t choice : request.open) close_stream(request.jobs[choice], out);
      forget(id);
    }
  }
  kept_.leave(node, life);
  for (auto& [id, until] : adopted_)
    if (const auto* answer = kept_.find(id); until == kNever && answer != nullptr && !answer->viewer.valid()) out.wake_at(until = out.now() + options_.adoption_limit);
  std::erase_if(questions_, [&](const auto& question) { return question.second.asker.node == node && question.second.asker.incarnation == life; });
}

// ---- workers -------------------------------------------------------------------------------------------------------

void Edge::on(const TokenBatch& batch, Outbox& out) { hear(out.sender(), batch, out); }

// Clients share this socket, so tokens count only from members. A new one may be faster than word of it.
void Edge::hear(const ActorRef& sender, const TokenBatch& batch, Outbox& out) {
  const auto member = members_.find(sender.node);
  if (sender == coordinator_ || (member != members_.end() && member->second == sender)) return take_batch(batch, out);
  if (batch.tokens.size() + batch.finished.size() + batch.released.size() + batch.prompt.size() + batch.timings.size() > kStrangerItemsMax) return;
  if (strangers_.size() >= kStrangersMax) strangers_.pop_front();
  strangers_.emplace_back(sender, batch);
}

}  // namespace baton
