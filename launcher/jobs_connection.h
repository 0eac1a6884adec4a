// SPDX-License-Identifier: Apache-2.0
// JobsConnection: one life of a client of the jobs socket: a loop on a thread of its own, and the answers that have come. Used from one
// thread, which owns it; the loop's thread fills the answers. Bounded by what was asked: nobody speaks to it unasked.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "actors/job_client.h"
#include "runtime/actor/real_loop.h"
#include "runtime/base/result.h"

namespace baton {

class JobsConnection {
 public:
  // Dials with the first question; under a fresh name, since an earlier life may not be listened to any more. `unreachable_after`: how
  // long what is said may stay unanswered until the link is given up (LinkDown is an answer).
  static Result<std::unique_ptr<JobsConnection>> open(const std::string& address, Duration unreachable_after);
  ~JobsConnection();
  JobsConnection(const JobsConnection&) = delete;
  JobsConnection& operator=(const JobsConnection&) = delete;

  template <class Request>
  void ask(Request request) {
    loop_->executor().post(0, [this, request = std::move(request)](Outbox& out) { actor_.ask(request, out); });
  }
  // The next answer, or nothing after `wait`.
  std::optional<JobClient::Inbox> next(Duration wait);
  const std::string& address() const { return address_; }

 private:
  JobsConnection(std::unique_ptr<RealLoop> loop, const std::string& address);
  void take(const JobClient::Inbox& answer);

  const std::string address_;
  std::unique_ptr<RealLoop> loop_;
  JobClient actor_;
  ActorCell<JobClient> cell_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<JobClient::Inbox> answers_;
  std::thread thread_;
};

}  // namespace baton
