// SPDX-License-Identifier: Apache-2.0
#include "launcher/jobs_client.h"

#include <chrono>
#include <thread>
#include <utility>

#include "launcher/jobs_connection.h"

namespace baton {
namespace {

constexpr std::chrono::milliseconds kGlance{50};       // how often a waiting call looks up
constexpr std::chrono::milliseconds kAskAgain{500};    // an edge that is not in the cluster yet stays silent
constexpr std::chrono::seconds kSpeakUp{1};            // a link on which we say nothing notices nothing
constexpr std::chrono::seconds kUnreachable{5};        // without a sign of the other side after we spoke
constexpr std::chrono::seconds kCancelLimit{5};
constexpr std::chrono::seconds kComeBack{10};           // for a coordinator that was lost in the middle of a job
constexpr std::chrono::seconds kAdopt{2};               // for one that is back, to know of the job

}  // namespace

JobsClient::JobsClient(std::unique_ptr<JobsConnection> connection) : connection_(std::move(connection)) {}
JobsClient::~JobsClient() = default;

// Asks, and asks again, until an answer of that kind with the right tag comes.
template <class Answer, class Request>
Result<Answer> JobsClient::question(Request request, Duration time_limit) {
  request.tag = ++tag_;
  const Time deadline = real_now() + time_limit;
  Time ask_at{};
  while (real_now() < deadline) {
    if (real_now() >= ask_at) {
      connection_->ask(request);
      ask_at = real_now() + kAskAgain;
    }
    const auto answer = connection_->next(kGlance);
    if (!answer) continue;
    if (const auto* wanted = std::get_if<Answer>(&*answer); wanted != nullptr && wanted->tag == request.tag) return *wanted;
  }
  return fail(ErrorCode::kUnavailable, "nobody answers at " + connection_->address() + ": is the cluster up? `baton up TOPOLOGY` starts it");
}

Result<std::unique_ptr<JobsClient>> JobsClient::connect(const std::string& address, Duration time_limit) {
  auto connection = JobsConnection::open(address, kUnreachable);
  if (!connection) return tl::unexpected(connection.error());
  std::unique_ptr<JobsClient> client(new JobsClient(std::move(*connection)));
  RETURN_IF_ERROR(client->status(time_limit));
  return client;
}

Result<void> JobsClient::submit(const ClientSubmit& job, const std::function<void(const Event&)>& on_event,
                                const std::function<bool()>& interrupted) {
  ClientSubmit submit = job;
  submit.tag = ++tag_;
  connection_->ask(submit);
  Stream stream{submit.tag, submit.id};
  // What of these would come again cannot be told from what has come.
  stream.may_come_back = submit.n <= 1 && !submit.sampling.prompt_logprobs;
  return follow(std::move(stream), Interrupt::kCancels, on_event, interrupted);
}

Result<void> JobsClient::attach(const std::string& id, std::uint32_t from, const std::function<void(const Event&)>& on_event,
                                const std::function<bool()>& interrupted) {
  const std::uint64_t tag = ++tag_;
  connection_->ask(ClientAttach{tag, id, from});
  return follow(Stream{tag, id, from}, Interrupt::kLeaves, on_event, interrupted);
}

Result<ClientAccepted> JobsClient::submit_detached(const ClientSubmit& job, const std::function<bool()>& interrupted) {
  ClientSubmit submit = job;
  submit.tag = ++tag_;
  submit.detached = true;
  connection_->ask(submit);
  std::optional<ClientAccepted> accepted;
  std::optional<Error> refused;
  const Result<void> ended = follow(
      Stream{submit.tag, submit.id}, Interrupt::kLeaves,
      [&](const Event& event) {
        if (const auto* named = std::get_if<ClientAccepted>(&event)) accepted = *named;
        if (const auto* error = std::get_if<ClientError>(&event)) refused = Error{error->code, error->message};
      },
      [&] { return accepted || interrupted(); });
  if (accepted) return *accepted;
  if (refused) return tl::unexpected<Error>(*refused);
  if (!ended) return tl::unexpected<Error>(ended.error());
  return fail(ErrorCode::kCancelled, "interrupted before the job was accepted");
}

Result<void> JobsClient::follow(Stream stream, Interrupt interrupt, const std::function<void(const Event&)>& on_event,
                                const std::function<bool()>& interrupted) {
  const std::uint64_t tag = stream.tag;
  Time speak_at = real_now() + kSpeakUp;
  Time give_up_at = kNever;
  for (;;) {
    if (give_up_at == kNever && interrupted && interrupted()) {
      if (interrupt == Interrupt::kLeaves) return {};
      if (!stream.id.empty()) connection_->ask(ClientCancel{tag, stream.id});
      give_up_at = real_now() + kCancelLimit;
    }
    if (const Time now = real_now(); now >= give_up_at) {
      return fail(ErrorCode::kUnavailable, "the cluster at " + connection_->address() + " did not confirm that the job is cancelled");
    } else if (now >= speak_at) {
      connection_->ask(StatusRequest{});  // the answer is of no interest, that somebody takes it is
      speak_at = now + kSpeakUp;
    }
    const auto answer = connection_->next(kGlance);
    if (!answer) continue;
    if (const auto* accepted = std::get_if<ClientAccepted>(&*answer); accepted != nullptr && accepted->tag == tag) {
      stream.id = accepted->id;
      stream.accepted = true;
      if (give_up_at != kNever) connection_->ask(ClientCancel{tag, stream.id});  // interrupted before it had a name
      on_event(*accepted);
    } else if (const auto* tokens = std::get_if<ClientTokens>(&*answer); tokens != nullptr && tokens->tag == tag) {
      if (!tokens->tokens.empty()) stream.next = tokens->tokens.back().index + 1;
      on_event(*tokens);
    } else if (const auto* choice = std::get_if<ClientChoiceDone>(&*answer); choice != nullptr && choice->tag == tag) {
      on_event(*choice);
    } else if (const auto* done = std::get_if<ClientDone>(&*answer); done != nullptr && done->tag == tag) {
      on_event(*done);
      return {};
    } else if (const auto* error = std::get_if<ClientError>(&*answer); error != nullptr && error->tag == tag) {
      on_event(*error);
      return {};
    } else if (const auto* down = std::get_if<LinkDown>(&*answer)) {
      const Error lost{ErrorCode::kUnavailable, "lost the coordinator at " + connection_->address() + " (" + down->reason +
                                                    ") and the job with it; if `baton status` shows the cluster, submit it again"};
      if (give_up_at != kNever || !stream.accepted || !stream.may_come_back || !come_back(stream, interrupted)) return tl::unexpected(lost);
      speak_at = real_now() + kSpeakUp;
    }
  }
}

// A coordinator that died comes back and knows the job: this client goes on behind what it has. False: nobody came back, or whoever did
// does not have the job.
bool JobsClient::come_back(const Stream& stream, const std::function<bool()>& interrupted) {
  const Time deadline = real_now() + kComeBack;
  Time known_by = kNever;  // from the first answer on
  while (real_now() < std::min(deadline, known_by) && !(interrupted && interrupted())) {
    auto fresh = JobsConnection::open(connection_->address(), kUnreachable);
    if (!fresh) return false;
    connection_ = std::move(*fresh);
    connection_->ask(ClientAttach{stream.tag, stream.id, stream.next});
    const Time ask_again = real_now() + kAskAgain;
    while (real_now() < ask_again) {
      const auto answer = connection_->next(kGlance);
      if (!answer) continue;
      if (const auto* accepted = std::get_if<ClientAccepted>(&*answer); accepted != nullptr && accepted->tag == stream.tag) return true;
      const auto* error = std::get_if<ClientError>(&*answer);
      if (error == nullptr || error->tag != stream.tag) continue;
      if (error->code == ErrorCode::kNotFound && known_by == kNever) known_by = real_now() + kAdopt;
      std::this_thread::sleep_for(kGlance);
      break;
    }
  }
  return false;
}

Result<bool> JobsClient::cancel(const std::string& id, Duration time_limit) {
  auto answer = question<ClientCancelled>(ClientCancel{0, id}, time_limit);
  if (!answer) return tl::unexpected(answer.error());
  return answer->found;
}

Result<StatusReport> JobsClient::status(Duration time_limit, bool traffic) { return question<StatusReport>(StatusRequest{0, traffic}, time_limit); }
Result<FsckReport> JobsClient::fsck(Duration time_limit) { return question<FsckReport>(FsckRequest{}, time_limit); }
Result<EventsReport> JobsClient::events(std::uint64_t after, Duration time_limit) { return question<EventsReport>(EventsRequest{0, after}, time_limit); }
Result<TraceReport> JobsClient::trace(const std::string& id, Duration time_limit) { return question<TraceReport>(TraceRequest{0, id}, time_limit); }

Result<ClusterCommandDone> JobsClient::command(const ClusterCommand& command, Duration time_limit) { return question<ClusterCommandDone>(command, time_limit); }

}  // namespace baton
