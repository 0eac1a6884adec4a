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
constexpr std::chrono::milliseconds kSpeakUp{250};     // a link on which we say nothing notices nothing
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
  // By its name it is found again; a name of the edge's may never have reached us.
  if (submit.id.empty()) submit.id = "job-" + to_hex(random_incarnation().value);
  connection_->ask(submit);
  Stream stream{submit.tag, submit.id, AnswerSoFar()};
  stream.again = std::move(submit);
  return follow(std::move(stream), on_event, interrupted);
}

Result<void> JobsClient::attach(const std::string& id, std::uint32_t from, const std::function<void(const Event&)>& on_event,
                                const std::function<bool()>& interrupted) {
  const std::uint64_t tag = ++tag_;
  connection_->ask(ClientAttach{tag, id, from});
  Stream stream{tag, id, AnswerSoFar(from)};
  stream.interrupt = Interrupt::kLeaves;
  return follow(std::move(stream), on_event, interrupted);
}

Result<ClientAccepted> JobsClient::submit_detached(const ClientSubmit& job, const std::function<bool()>& interrupted) {
  ClientSubmit submit = job;
  submit.tag = ++tag_;
  submit.detached = true;
  connection_->ask(submit);
  std::optional<ClientAccepted> accepted;
  std::optional<Error> refused;
  Stream stream{submit.tag, submit.id, AnswerSoFar()};
  stream.interrupt = Interrupt::kLeaves;
  const Result<void> ended = follow(
      std::move(stream),
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

Result<void> JobsClient::follow(Stream stream, const OnEvent& on_event, const Interrupted& interrupted) {
  Time speak_at = real_now() + kSpeakUp;
  for (;;) {
    if (stream.give_up_at == kNever && interrupted && interrupted()) {
      if (stream.interrupt == Interrupt::kLeaves) return {};
      if (!stream.id.empty()) connection_->ask(ClientCancel{stream.tag, stream.id});
      stream.give_up_at = real_now() + kCancelLimit;
    }
    if (const Time now = real_now(); now >= stream.give_up_at) {
      return fail(ErrorCode::kUnavailable, "the cluster at " + connection_->address() + " did not confirm that the job is cancelled");
    } else if (now >= speak_at) {
      connection_->ask(Alive{});
      speak_at = now + kSpeakUp;
    }
    const auto answer = connection_->next(kGlance);
    if (!answer) continue;
    if (const auto* down = std::get_if<LinkDown>(&*answer)) {
      const Error lost{ErrorCode::kUnavailable, "lost the coordinator at " + connection_->address() + " (" + down->reason +
                                                    ") and the job with it; if `baton status` shows the cluster, submit it again"};
      if (stream.give_up_at != kNever || !go_on(stream, on_event, interrupted)) return tl::unexpected(lost);
      speak_at = real_now() + kSpeakUp;
      continue;
    }
    const auto ended = take(*answer, stream, on_event);
    if (!ended) return tl::unexpected(ended.error());
    if (*ended) return {};
  }
}

Result<bool> JobsClient::take(const JobClient::Inbox& answer, Stream& stream, const OnEvent& on_event) {
  if (const auto* accepted = std::get_if<ClientAccepted>(&answer); accepted != nullptr && accepted->tag == stream.tag) {
    stream.id = accepted->id;
    if (stream.give_up_at != kNever) connection_->ask(ClientCancel{stream.tag, stream.id});  // interrupted before it had a name
    const auto news = stream.got.take(*accepted);
    if (!news) return tl::unexpected(news.error());
    if (*news) on_event(*accepted);
  } else if (const auto* tokens = std::get_if<ClientTokens>(&answer); tokens != nullptr && tokens->tag == stream.tag) {
    ClientTokens fresh = *tokens;
    RETURN_IF_ERROR(stream.got.take(fresh));
    if (!fresh.tokens.empty() || !fresh.prompt.empty()) on_event(fresh);
  } else if (const auto* choice = std::get_if<ClientChoiceDone>(&answer); choice != nullptr && choice->tag == stream.tag) {
    if (stream.got.take(*choice)) on_event(*choice);
  } else if (const auto* done = std::get_if<ClientDone>(&answer); done != nullptr && done->tag == stream.tag) {
    on_event(*done);
    return true;
  } else if (const auto* error = std::get_if<ClientError>(&answer); error != nullptr && error->tag == stream.tag) {
    const bool too_soon = error->code == ErrorCode::kUnavailable || error->code == ErrorCode::kAlreadyExists;
    if (!too_soon || real_now() >= stream.again_until) {
      on_event(*error);
      return true;
    }
    std::this_thread::sleep_for(kGlance);
    connection_->ask(stream.again);
  }
  return false;
}

// A coordinator that died comes back and knows the job: this client goes on behind what it has. One that does not know it gets it again:
// it died before it had taken it, or what it keeps cannot continue such an answer, or it gave this client up.
bool JobsClient::go_on(Stream& stream, const OnEvent& on_event, const Interrupted& interrupted) {
  // Of these no next life knows, and what of several choices has come no position tells.
  const bool known_by_name = stream.again.n <= 1 && !stream.again.sampling.prompt_logprobs;
  const Return back = known_by_name ? come_back(stream, on_event, interrupted) : Return::kUnknown;
  if (back != Return::kUnknown) return back == Return::kFollows;
  return !stream.again.id.empty() && submit_again(stream);
}

JobsClient::Return JobsClient::come_back(Stream& stream, const OnEvent& on_event, const Interrupted& interrupted) {
  const Time deadline = real_now() + kComeBack;
  Time known_by = kNever;  // from the first answer on
  while (real_now() < std::min(deadline, known_by) && !(interrupted && interrupted())) {
    auto fresh = JobsConnection::open(connection_->address(), kUnreachable);
    if (!fresh) return Return::kNobody;
    connection_ = std::move(*fresh);
    connection_->ask(ClientAttach{stream.tag, stream.id, stream.got.next()});
    const Time ask_again = real_now() + kAskAgain;
    while (real_now() < ask_again) {
      const auto answer = connection_->next(kGlance);
      if (!answer) continue;
      if (const auto* accepted = std::get_if<ClientAccepted>(&*answer); accepted != nullptr && accepted->tag == stream.tag)
        return take(*answer, stream, on_event) ? Return::kFollows : Return::kNobody;
      const auto* error = std::get_if<ClientError>(&*answer);
      if (error == nullptr || error->tag != stream.tag) continue;
      if (error->code == ErrorCode::kNotFound && known_by == kNever) known_by = real_now() + kAdopt;
      std::this_thread::sleep_for(kGlance);
      break;
    }
  }
  return known_by == kNever ? Return::kNobody : Return::kUnknown;
}

bool JobsClient::submit_again(Stream& stream) {
  auto fresh = JobsConnection::open(connection_->address(), kUnreachable);
  if (!fresh) return false;
  connection_ = std::move(*fresh);
  if (!status(kComeBack)) return false;
  if (const auto& accepted = stream.got.accepted()) {
    stream.again.sampling.seed = accepted->seed;
    stream.again.seed_given = true;
  }
  stream.again_until = real_now() + kComeBack;
  connection_->ask(stream.again);
  return true;
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
