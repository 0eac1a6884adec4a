// SPDX-License-Identifier: Apache-2.0
#include "launcher/coordinator_line.h"

#include <mutex>
#include <thread>

#include "actors/job_client.h"
#include "launcher/supervisor.h"
#include "runtime/actor/real_loop.h"
#include "runtime/base/log.h"

namespace baton {
namespace {

constexpr Duration kAskAgain = std::chrono::milliseconds(500);
constexpr Duration kSilence = std::chrono::seconds(3);  // then another connection is tried: the coordinator may be another one

}  // namespace

// The loop's thread fills the answers, the launcher's thread takes them.
struct CoordinatorLine::Connection {
  Connection(std::unique_ptr<RealLoop> opened, const std::string& address)
      : loop(std::move(opened)), actor(node_id("edge/jobs"), address, [this](const JobClient::Inbox& answer, Outbox&) { take(answer); }), cell(actor) {
    loop->add(0, cell);
    thread = std::thread([this] { loop->run(); });
  }
  ~Connection() {
    loop->stop();
    thread.join();
  }
  void take(const JobClient::Inbox& answer) {
    const std::lock_guard lock(mutex);
    if (answers.size() < 2 * kOpenMax) answers.push_back(answer);
  }
  void ask(const Question& question) {
    std::visit([this](const auto& each) { loop->executor().post(0, [this, each](Outbox& out) { actor.ask(each, out); }); }, question);
  }

  std::unique_ptr<RealLoop> loop;
  JobClient actor;
  ActorCell<JobClient> cell;
  std::mutex mutex;
  std::vector<JobClient::Inbox> answers;
  std::thread thread;
};

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
  std::vector<JobClient::Inbox> heard;
  if (connection_) {
    const std::lock_guard lock(connection_->mutex);
    heard.swap(connection_->answers);
  }
  bool lost = false;
  for (const JobClient::Inbox& each : heard) {
    lost |= std::holds_alternative<LinkDown>(each);
    heard_ = now;
    if (const auto* done = std::get_if<ClusterCommandDone>(&each); done != nullptr && open_.erase(done->tag) > 0) answered.emplace_back(done->tag, *done);
    if (const auto* report = std::get_if<StatusReport>(&each); report != nullptr && open_.erase(report->tag) > 0) answered.emplace_back(report->tag, *report);
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
      RealLoopOptions options;
      options.incarnation = random_incarnation();
      options.node = node_id("client/" + to_hex(options.incarnation.value));
      auto loop = RealLoop::open(options);
      if (!loop) {
        log_warn("launcher", "cannot speak to the coordinator", {{"why", loop.error().message}});
        open.ask_at = now + kAskAgain;
        break;
      }
      connection_ = std::make_unique<Connection>(std::move(*loop), address_);
    }
    connection_->ask(open.question);
    open.ask_at = now + kAskAgain;
  }
  return answered;
}

}  // namespace baton
