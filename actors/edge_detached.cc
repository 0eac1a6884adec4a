// SPDX-License-Identifier: Apache-2.0
// Jobs that outlive their clients: what they answer is kept, and sent to whoever is attached.
#include <algorithm>
#include <utility>

#include "actors/edge.h"

namespace baton {
namespace {

constexpr std::size_t kTokensPerMessage = 512;

}  // namespace

// Everything that a submission's client is told goes this way.
template <class Message>
void Edge::tell(const Request& request, const Message& message, Outbox& out) {
  if (request.client.valid()) out.send(request.client, message);
  else keep(request.id, message, out);
}
template void Edge::tell(const Request&, const ClientAccepted&, Outbox&);
template void Edge::tell(const Request&, const ClientTokens&, Outbox&);
template void Edge::tell(const Request&, const ClientChoiceDone&, Outbox&);
template void Edge::tell(const Request&, const ClientDone&, Outbox&);
template void Edge::tell(const Request&, const ClientError&, Outbox&);

// The submitting client waits for this one, and goes on as one that is attached for as long as it stays.
void Edge::keep(const std::string& id, const ClientAccepted& accepted, Outbox& out) {
  KeptAnswers::Answer* answer = kept_.find(id);
  if (answer == nullptr) return;
  answer->accepted = accepted;
  if (answer->viewer.valid()) out.send(answer->viewer, accepted);
}

void Edge::keep(const std::string& id, const ClientTokens& tokens, Outbox& out) {
  kept_.add(id, tokens.tokens);
  const KeptAnswers::Answer* answer = kept_.find(id);
  if (answer == nullptr || !answer->viewer.valid()) return;
  ClientTokens fresh{answer->viewer_tag, {}, 0, tokens.prompt};
  for (const ClientToken& token : tokens.tokens)
    if (token.index >= answer->viewer_from) fresh.tokens.push_back(token);
  if (!fresh.tokens.empty() || !fresh.prompt.empty()) out.send(answer->viewer, fresh);
}

void Edge::keep(const std::string&, const ClientChoiceDone&, Outbox&) {}  // of several choices only, and a detached job has one
void Edge::keep(const std::string& id, const ClientDone& done, Outbox& out) { keep_end(id, done, out); }
void Edge::keep(const std::string& id, const ClientError& error, Outbox& out) { keep_end(id, error, out); }

void Edge::keep_end(const std::string& id, KeptAnswers::End end, Outbox& out) {
  KeptAnswers::Answer* answer = kept_.find(id);
  if (answer == nullptr) return;
  // Of a job that was adopted the viewer may have more than has come out again.
  if (auto* done = std::get_if<ClientDone>(&end); done != nullptr && adopted_.contains(id))
    done->completion_tokens = std::max(done->completion_tokens, std::min(answer->viewer_from, requests_.at(by_id_.at(id)).sampling.max_tokens));
  kept_.end(id, std::move(end), out.now());
  out.wake_at(kept_.next_expiry());
  replay(*answer, out);
}

// Sends the end if there is one; the viewer has everything then.
void Edge::replay(KeptAnswers::Answer& answer, Outbox& out) {
  if (!answer.end || !answer.viewer.valid()) return;
  const ActorRef viewer = std::exchange(answer.viewer, {});
  std::visit(
      [&](auto end) {
        end.tag = answer.viewer_tag;
        out.send(viewer, end);
      },
      *answer.end);
}

void Edge::on(const ClientAttach& attach, Outbox& out) {
  const auto refuse_it = [&](const std::string& why) { out.send(out.sender(), ClientError{attach.tag, ErrorCode::kNotFound, why}); };
  KeptAnswers::Answer* answer = kept_.find(attach.id);
  // Until then it does not know what it may have to adopt.
  if (answer == nullptr && !joined_)
    return out.send(out.sender(), ClientError{attach.tag, ErrorCode::kUnavailable, "the coordinator has not answered yet: try again in a moment"});
  if (answer == nullptr) return refuse_it("no detached job '" + attach.id.substr(0, 256) + "' is kept: they are for 10 minutes after their end");
  if (attach.from < answer->tokens_gone)
    return refuse_it("of '" + attach.id + "' the first " + std::to_string(answer->tokens_gone) + " tokens are not kept any more: attach from there");
  if (answer->viewer.valid())
    out.send(answer->viewer, ClientError{answer->viewer_tag, ErrorCode::kCancelled, "another client has attached to the job"});
  if (const auto adopted = adopted_.find(attach.id); adopted != adopted_.end()) adopted->second = kNever;  // as long as it stays
  kept_.watch(attach.id, out.sender(), attach.tag, attach.from);
  ClientAccepted accepted = answer->accepted;
  accepted.tag = attach.tag;
  out.send(out.sender(), accepted);
  ClientTokens message{attach.tag, {}, 0, {}};
  for (std::size_t i = attach.from - answer->tokens_gone; i < answer->tokens.size(); ++i) {
    message.tokens.push_back(answer->tokens[i]);
    if (message.tokens.size() == kTokensPerMessage) out.send(out.sender(), std::exchange(message, {attach.tag, {}, 0, {}}));
  }
  if (!message.tokens.empty()) out.send(out.sender(), message);
  replay(*answer, out);
}

// An earlier life of this edge had it, and a client that will ask for it by its name. Its answer is kept from the beginning on.
void Edge::on(const AdoptJob& job, Outbox& out) {
  ClientSubmit submit;
  if (out.sender() != coordinator_ || streams_.contains(job.job)) return;
  if (!decode(PayloadView(ClientSubmit::kKind, job.client), submit) || by_id_.contains(submit.id) || kept_.full()) {
    out.send(coordinator_, JobClosed{job.job});
    return;
  }
  Request request;
  request.id = submit.id;
  request.prompt_tokens = static_cast<std::uint32_t>(job.prompt.size());
  request.sampling = job.sampling;
  request.stop = submit.stop;
  request.include_stop = submit.include_stop;
  request.summary.kv_bytes_known = true;
  request.marks.submitted = out.now();
  request.admitted = 1;
  request.accepted = true;
  const RequestId id = next_request_++;
  add_choice(id, request, job.job, 0, job.sampling, StopFilter(submit.stop, submit.include_stop)).admitted = true;
  by_id_[request.id] = id;
  kept_.open({0, request.id, request.prompt_tokens, job.sampling.seed});
  if (!submit.detached) adopted_[request.id] = out.now() + options_.adoption_limit;
  out.wake_at(out.now() + options_.adoption_limit);
  requests_.emplace(id, std::move(request));
}

// A client that does not come back for its answer would have cancelled it by leaving.
void Edge::expire_adopted(Outbox& out) {
  for (auto it = adopted_.begin(); it != adopted_.end();) {
    if (it->second > out.now()) {
      out.wake_at(it->second);
      ++it;
      continue;
    }
    const auto request = by_id_.find(it->first);
    it = adopted_.erase(it);
    if (request != by_id_.end()) cancel_request(request->second, out);
  }
}

void Edge::tick(Outbox& out) {
  if (joined_ && out.now() >= alive_at_) {
    out.send(coordinator_, Alive{});
    alive_at_ = out.now() + options_.alive_interval;
  }
  if (joined_) out.wake_at(alive_at_);
  kept_.expire(out.now());
  expire_adopted(out);
  if (orphaned_at_ && out.now() >= *orphaned_at_ + options_.coordinator_lease) give_up("the coordinator was lost and has not come back", out);
  else if (orphaned_at_) out.wake_at(*orphaned_at_ + options_.coordinator_lease);
  if (const Time next = kept_.next_expiry(); next != kNever) out.wake_at(next);
}

}  // namespace baton
