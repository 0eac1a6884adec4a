// SPDX-License-Identifier: Apache-2.0
#include "launcher/coordinator_line.h"

#include <optional>

#include "launcher/jobs_connection.h"
#include "launcher/supervisor.h"
#include "runtime/base/log.h"

namespace baton {
namespace {

constexpr Duration kAskAgain = std::chrono::milliseconds(500);
constexpr Duration kUnreachable = std::chrono::seconds(10);
constexpr Duration kSilence = std::chrono::seconds(3);  // then another connection is tried: the coordinator may be another one

}  // namespace

CoordinatorLine::CoordinatorLine(std::string address) : address_(std::move(address)) {}
CoordinatorLine::~CoordinatorLine() = default;
void CoordinatorLine::forget_connection() { connection_.reset(); }

std::uint64_t CoordinatorLine::ask(Question question, Duration limit) {
  const std::uint64_t tag = ++last_tag_;
  std::visit([tag](auto& each) { each.tag = tag; }, question);
  const Time now = launcher_now();
  if (open_.empty()) heard_ = now;
  open_[tag] = {std::move(question), now, open_.size() < kOpenMax ? now + limit : now};
  return tag;
}

std::vector<std::pair<std::uint64_t, CoordinatorLine::Answer>> CoordinatorLine::turn() {
  std::vector<std::pair<std::uint64_t, Answer>> answered;
  if (open_.empty()) return answered;
  const Time now = launcher_now();
  bool lost = false;
  while (const auto each = connection_ ? connection_->next(Duration{0}) : std::nullopt) {
    lost |= std::holds_alternative<LinkDown>(*each);
    heard_ = now;
    if (const auto* done = std::get_if<ClusterCommandDone>(&*each); done != nullptr && open_.erase(done->tag) > 0) answered.emplace_back(done->tag, *done);
    if (const auto* report = std::get_if<StatusReport>(&*each); report != nullptr && open_.erase(report->tag) > 0) answered.emplace_back(report->tag, *report);
  }
  for (auto it = open_.begin(); it != open_.end();) {
    if (now < it->second.give_up) {
      ++it;
      continue;
    }
    answered.emplace_back(it->first, Error{ErrorCode::kUnavailable, "the coordinator has not answered in time"});
    it = open_.erase(it);
  }
  if (lost || now - heard_ > kSilence) {
    connection_.reset();
    heard_ = now;
    for (auto& [tag, open] : open_) open.ask_at = now;
  }
  for (auto& [tag, open] : open_) {
    if (now < open.ask_at) continue;
    if (!connection_) {
      auto fresh = JobsConnection::open(address_, kUnreachable);
      if (!fresh) {
        log_warn("launcher", "cannot speak to the coordinator", {{"why", fresh.error().message}});
        open.ask_at = now + kAskAgain;
        break;
      }
      connection_ = std::move(*fresh);
    }
    std::visit([this](const auto& each) { connection_->ask(each); }, open.question);
    open.ask_at = now + kAskAgain;
  }
  return answered;
}

}  // namespace baton
