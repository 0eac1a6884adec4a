// SPDX-License-Identifier: Apache-2.0
#include "server/gateway_client.h"

#include <algorithm>
#include <iterator>

#include "protocol/sampling_limits.h"
#include "protocol/validate.h"
#include "runtime/base/hash.h"
#include "server/guarded.h"

namespace baton {
namespace {

constexpr Duration kStatusLimit = std::chrono::seconds(2);
constexpr Duration kAskAgain = std::chrono::milliseconds(200);
// Of one message, with room for what the checks of the single fields bound.
constexpr std::size_t kPromptBytesMax = 6u << 20;

}  // namespace

// ---- HTTP thread -----------------------------------------------------------------------------------------------------

// A message of ours that its receiver on the same node does not take would be a bug; what a user sent is none.
Result<Payload> GatewayClient::message_of(const ClientSubmit& job) const {
  RETURN_IF_ERROR(validate(job));
  const std::size_t bytes = job.prompt.size() + job.prompt_ids.size() * sizeof(TokenId);
  if (bytes > kPromptBytesMax || job.prompt_ids.size() > kPromptTokensMax)
    return fail(ErrorCode::kInvalidArgument, "the prompt has " + std::to_string(bytes) + " bytes; a job carries at most " +
                                                 std::to_string(kPromptBytesMax) + ": shorten it");
  if (ids_.contains(job.id))
    return fail(ErrorCode::kAlreadyExists, "a job with id '" + job.id + "' is running: choose another");
  Payload message = encode(job);
  ClientSubmit probe;
  RETURN_IF_ERROR(decode(message, probe));
  return message;
}

void GatewayClient::ask(Payload message) {
  loop_.post(slot_, [edge = edge_, message = std::move(message)](Outbox& out) { out.post(edge, message); });
}

JobPort::Ticket GatewayClient::submit(ClientSubmit job, Sink sink) {
  const Ticket ticket = ++last_ticket_;
  job.tag = ticket;
  if (job.id.empty()) job.id = "job-" + to_hex(mix64(random_key_, ticket));
  // A limit that nobody gave is the edge's to choose; it is never in the way of a minimum.
  if (!job.max_tokens_given) job.sampling.max_tokens = std::max(job.sampling.max_tokens, job.sampling.min_tokens);
  auto message = message_of(job);
  jobs_.emplace(ticket, Job{message ? job.id : std::string(), std::move(sink)});
  if (!message) {
    http_.post([this, ticket, error = message.error()] { refuse(ticket, error); });
    return ticket;
  }
  ids_.insert(job.id);
  ask(std::move(*message));
  return ticket;
}

void GatewayClient::refuse(Ticket ticket, const Error& error) {
  deliver(ticket, {ClientError{ticket, error.code, error.message}});
}

void GatewayClient::cancel(Ticket ticket) {
  const auto it = jobs_.find(ticket);
  if (it == jobs_.end() || !it->second.sink) return;
  it->second.sink = nullptr;
  if (!it->second.id.empty()) ask(encode(ClientCancel{ticket, it->second.id}));
}

// One question of a kind at a time; its answer is for all who wait.
void GatewayClient::status(bool traffic, std::function<void(std::optional<StatusReport>)> answer) {
  Question& question = questions_[traffic ? 1 : 0];
  question.askers.push_back(std::move(answer));
  if (question.tag != 0) return;
  question.tag = 2 * ++last_question_ + (traffic ? 1 : 0);
  ask_status(question.tag);
  http_.after(kStatusLimit, [this, tag = question.tag] { answer_status(tag, std::nullopt); });
}

// nullptr: it is no longer open.
GatewayClient::Question* GatewayClient::question_of(std::uint64_t tag) {
  Question& question = questions_[tag % 2];
  return tag != 0 && question.tag == tag ? &question : nullptr;
}

// And again, until it is answered: an edge that is not in the cluster yet stays silent.
void GatewayClient::ask_status(std::uint64_t tag) {
  if (question_of(tag) == nullptr) return;
  ask(encode(StatusRequest{tag, tag % 2 == 1}));
  http_.after(kAskAgain, [this, tag] { ask_status(tag); });
}

void GatewayClient::answer_status(std::uint64_t tag, std::optional<StatusReport> report) {
  Question* const question = question_of(tag);
  if (question == nullptr) return;
  for (const auto& asker : std::exchange(*question, {}).askers) run_guarded("who asked for the status", [&] { asker(report); });
}

void GatewayClient::deliver() {
  std::vector<Arrival> arrived;
  {
    const std::lock_guard lock(mutex_);
    arrived.swap(arrived_);
  }
  // By job, each one's in the order they came; jobs in the order of their first.
  std::vector<std::pair<Ticket, std::vector<Event>>> batches;
  std::map<Ticket, std::size_t> places;
  for (Arrival& each : arrived) {
    if (auto* report = std::get_if<StatusReport>(&each)) {
      const std::uint64_t question = report->tag;
      answer_status(question, std::move(*report));
      continue;
    }
    auto& [ticket, event] = std::get<0>(each);
    const auto [place, fresh] = places.emplace(ticket, batches.size());
    if (fresh) batches.push_back({ticket, {}});
    batches[place->second].second.push_back(std::move(event));
  }
  for (const auto& [ticket, events] : batches) deliver(ticket, events);
}

void GatewayClient::deliver(Ticket ticket, const std::vector<Event>& events) {
  const auto it = jobs_.find(ticket);
  if (it == jobs_.end()) return;
  const Sink sink = it->second.sink;  // a copy: it may cancel, or submit
  if (std::holds_alternative<ClientDone>(events.back()) || std::holds_alternative<ClientError>(events.back())) {
    ids_.erase(it->second.id);
    jobs_.erase(it);
  }
  // What its owner cannot take is the end of this job; the others of this delivery have their events.
  if (sink && !run_guarded("the taker of a job's events", [&] { sink(events); })) cancel(ticket);
}

// ---- loop ------------------------------------------------------------------------------------------------------------

void GatewayClient::on(const ClientAccepted& event, Outbox& out) { note(std::pair<Ticket, Event>{event.tag, event}, out); }
void GatewayClient::on(const ClientTokens& event, Outbox& out) { note(std::pair<Ticket, Event>{event.tag, event}, out); }
void GatewayClient::on(const ClientChoiceDone& event, Outbox& out) { note(std::pair<Ticket, Event>{event.tag, event}, out); }
void GatewayClient::on(const ClientDone& event, Outbox& out) { note(std::pair<Ticket, Event>{event.tag, event}, out); }
void GatewayClient::on(const ClientError& event, Outbox& out) { note(std::pair<Ticket, Event>{event.tag, event}, out); }
void GatewayClient::on(const StatusReport& report, Outbox& out) { note(report, out); }

void GatewayClient::note(Arrival arrival, Outbox& out) {
  turn_.push_back(std::move(arrival));
  out.wake_at(out.now());  // behind the messages that are here already
}

void GatewayClient::tick(Outbox&) {
  if (turn_.empty()) return;
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = arrived_.empty();
    arrived_.insert(arrived_.end(), std::make_move_iterator(turn_.begin()), std::make_move_iterator(turn_.end()));
  }
  turn_.clear();
  if (first) http_.post([this] { deliver(); });
}

}  // namespace baton
