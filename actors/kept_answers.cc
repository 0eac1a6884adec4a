// SPDX-License-Identifier: Apache-2.0
#include "actors/kept_answers.h"

#include <algorithm>

namespace baton {
namespace {

std::uint64_t bytes_of(const ClientToken& token) {
  std::uint64_t bytes = sizeof(ClientToken) + token.text.size();
  for (const ClientLogprob& each : token.top) bytes += sizeof(ClientLogprob) + each.text.size();
  return bytes;
}

}  // namespace

void KeptAnswers::open(const ClientAccepted& accepted) {
  forget(accepted.id);
  while (answers_.size() >= answers_max_ && !ended_.empty()) forget(std::string(ended_.front().second));
  answers_[accepted.id].accepted = accepted;
}

void KeptAnswers::watch(const std::string& id, const ActorRef& viewer, std::uint64_t tag, std::uint32_t from) {
  Answer* answer = find(id);
  if (answer == nullptr) return;
  answer->viewer = viewer;
  answer->viewer_tag = tag;
  answer->viewer_from = from;
}

void KeptAnswers::add(const std::string& id, const std::vector<ClientToken>& tokens) {
  Answer* answer = find(id);
  if (answer == nullptr) return;
  for (const ClientToken& token : tokens) {
    const std::uint64_t bytes = bytes_of(token);
    answer->tokens.push_back(token);
    answer->bytes += bytes;
    bytes_ += bytes;
  }
  make_room(*answer);
}

void KeptAnswers::make_room(Answer& growing) {
  while (bytes_ > bytes_max_ && !ended_.empty()) forget(std::string(ended_.front().second));
  for (; bytes_ > bytes_max_ && !growing.tokens.empty(); growing.tokens.pop_front()) {
    const std::uint64_t bytes = bytes_of(growing.tokens.front());
    growing.bytes -= bytes;
    bytes_ -= bytes;
    ++growing.tokens_gone;
  }
}

void KeptAnswers::end(const std::string& id, End end, Time now) {
  Answer* answer = find(id);
  if (answer == nullptr || answer->end) return;
  answer->end = std::move(end);
  ended_.emplace_back(now + kKeptFor, id);
}

KeptAnswers::Answer* KeptAnswers::find(const std::string& id) {
  const auto it = answers_.find(id);
  return it == answers_.end() ? nullptr : &it->second;
}

void KeptAnswers::leave(NodeId node, Incarnation life) {
  for (auto& [id, answer] : answers_)
    if (answer.viewer.node == node && answer.viewer.incarnation == life) answer.viewer = {};
}

void KeptAnswers::expire(Time now) {
  while (!ended_.empty() && ended_.front().first <= now) forget(std::string(ended_.front().second));
}

void KeptAnswers::forget(const std::string& id) {
  const auto it = answers_.find(id);
  if (it == answers_.end()) return;
  bytes_ -= it->second.bytes;
  answers_.erase(it);
  std::erase_if(ended_, [&](const auto& entry) { return entry.second == id; });
}

}  // namespace baton
