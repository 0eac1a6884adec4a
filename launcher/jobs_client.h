// SPDX-License-Identifier: Apache-2.0
// JobsClient: the jobs socket as a command sees it: blocking calls with time limits. Used from one thread; owns a loop on
// a thread of its own, which ends with the object. Nothing is queued without bound: one call at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <variant>

#include "actors/job_client.h"
#include "launcher/answer_so_far.h"
#include "protocol/messages.h"
#include "runtime/base/result.h"
#include "runtime/base/time.h"

namespace baton {

class JobsConnection;

class JobsClient {
 public:
  using Event = std::variant<ClientAccepted, ClientTokens, ClientChoiceDone, ClientDone, ClientError>;

  // kUnavailable if nobody answers within the limit.
  static Result<std::unique_ptr<JobsClient>> connect(const std::string& address, Duration time_limit);
  ~JobsClient();
  JobsClient(const JobsClient&) = delete;
  JobsClient& operator=(const JobsClient&) = delete;

  // Blocks until the job's terminal event (ClientDone or ClientError) was handed to `on_event`; an error is one of the
  // connection. A coordinator that is lost meanwhile and is there again within 10 s goes on with it, or is given it again, with the same
  // seed: no event comes twice, and another token than before is an error. `interrupted` is asked a few times a second: once true, the job is cancelled.
  Result<void> submit(const ClientSubmit& job, const std::function<void(const Event&)>& on_event,
                      const std::function<bool()>& interrupted);
  // The same of a detached job that runs or ended lately, from token `from` on. Once interrupted, the job goes on without us.
  Result<void> attach(const std::string& id, std::uint32_t from, const std::function<void(const Event&)>& on_event,
                      const std::function<bool()>& interrupted);
  // Its name; what it answers is for attach(). kCancelled: interrupted before it had one.
  Result<ClientAccepted> submit_detached(const ClientSubmit& job, const std::function<bool()>& interrupted);
  // False: no such job.
  Result<bool> cancel(const std::string& id, Duration time_limit);
  // `traffic`: with what each worker has sent to each other.
  Result<StatusReport> status(Duration time_limit, bool traffic = false);
  Result<FsckReport> fsck(Duration time_limit);
  // What happened after event number `after`.
  Result<EventsReport> events(std::uint64_t after, Duration time_limit);
  Result<TraceReport> trace(const std::string& id, Duration time_limit);
  // Asks again every half second, and is done once: what is asked again counts as the same. An error is one of the connection;
  // a refusal is an answer whose `ok` is false.
  Result<ClusterCommandDone> command(const ClusterCommand& command, Duration time_limit);

 private:
  // What a stream's client wants when it is interrupted.
  enum class Interrupt : std::uint8_t { kCancels, kLeaves };
  // An answer that is being followed, and how much of it is here.
  struct Stream {
    std::uint64_t tag = 0;
    std::string id;
    AnswerSoFar got;
    ClientSubmit again = {};       // what to submit once more if the cluster has lost the job; without an id: nothing
    Time again_until{};            // a cluster that has just come back may refuse it until then
    Interrupt interrupt = Interrupt::kCancels;
    Time give_up_at = kNever;      // once interrupted
  };
  enum class Return : std::uint8_t { kFollows, kUnknown, kNobody };
  using OnEvent = std::function<void(const Event&)>;
  using Interrupted = std::function<bool()>;
  template <class Answer, class Request>
  Result<Answer> question(Request request, Duration time_limit);
  Result<void> follow(Stream stream, const OnEvent& on_event, const Interrupted& interrupted);
  // True: that was the end.
  Result<bool> take(const JobClient::Inbox& answer, Stream& stream, const OnEvent& on_event);
  bool go_on(Stream& stream, const OnEvent& on_event, const Interrupted& interrupted);
  Return come_back(Stream& stream, const OnEvent& on_event, const Interrupted& interrupted);
  bool submit_again(Stream& stream);
  explicit JobsClient(std::unique_ptr<JobsConnection> connection);
  std::unique_ptr<JobsConnection> connection_;
  std::uint64_t tag_ = 0;  // the last
};

}  // namespace baton
