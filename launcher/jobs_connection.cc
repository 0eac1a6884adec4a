// SPDX-License-Identifier: Apache-2.0
#include "launcher/jobs_connection.h"

namespace baton {

Result<std::unique_ptr<JobsConnection>> JobsConnection::open(const std::string& address, Duration unreachable_after) {
  RealLoopOptions options;
  options.incarnation = random_incarnation();
  options.node = node_id("client/" + to_hex(options.incarnation.value));
  options.links.unreachable_after = unreachable_after;
  auto loop = RealLoop::open(options);
  if (!loop) return tl::unexpected(loop.error());
  return std::unique_ptr<JobsConnection>(new JobsConnection(std::move(*loop), address));
}

JobsConnection::JobsConnection(std::unique_ptr<RealLoop> loop, const std::string& address)
    : address_(address),
      loop_(std::move(loop)),
      actor_(node_id("edge/jobs"), address, [this](const JobClient::Inbox& answer, Outbox&) { take(answer); }),
      cell_(actor_) {
  loop_->add(0, cell_);
  thread_ = std::thread([this] { loop_->run(); });
}

JobsConnection::~JobsConnection() {
  loop_->stop();
  thread_.join();
}

void JobsConnection::take(const JobClient::Inbox& answer) {
  {
    const std::lock_guard lock(mutex_);
    answers_.push_back(answer);
  }
  arrived_.notify_one();
}

std::optional<JobClient::Inbox> JobsConnection::next(Duration wait) {
  std::unique_lock lock(mutex_);
  if (!arrived_.wait_for(lock, wait, [this] { return !answers_.empty(); })) return std::nullopt;
  JobClient::Inbox answer = std::move(answers_.front());
  answers_.pop_front();
  return answer;
}

}  // namespace baton
