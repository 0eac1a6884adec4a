// SPDX-License-Identifier: Apache-2.0
// CoordinatorLine: the launcher's way to the coordinator, as a client of the jobs socket. Nothing here blocks: questions are
// handed over, answers are fetched with turn(), so a coordinator that is down delays nobody. Used from the launcher's main
// thread; owns a loop on a thread of its own, made with the first question and anew when the coordinator falls silent.
// Bounded: kOpenMax questions.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "protocol/messages.h"
#include "runtime/base/result.h"
#include "runtime/base/time.h"

namespace baton {

class JobsConnection;

class CoordinatorLine {
 public:
  using Question = std::variant<ClusterCommand, StatusRequest>;
  using Answer = std::variant<ClusterCommandDone, StatusReport, Error>;  // Error: none within the limit

  explicit CoordinatorLine(std::string address);
  ~CoordinatorLine();
  CoordinatorLine(const CoordinatorLine&) = delete;
  CoordinatorLine& operator=(const CoordinatorLine&) = delete;

  // The question's number. It is asked again until it is answered or the limit has passed.
  std::uint64_t ask(Question question, Duration limit);
  // What has been answered, or given up, since.
  std::vector<std::pair<std::uint64_t, Answer>> turn();
  // The coordinator is another one from now on.
  void forget_connection();
  // turn() is worth calling soon.
  bool waits() const { return !open_.empty(); }

 private:
  struct Open {
    Question question;
    Time ask_at{};
    Time give_up{};
  };
  static constexpr std::size_t kOpenMax = 4096;

  std::string address_;
  std::map<std::uint64_t, Open> open_;  // by tag
  std::uint64_t last_tag_ = 0;
  Time heard_{};
  std::unique_ptr<JobsConnection> connection_;
};

}  // namespace baton
