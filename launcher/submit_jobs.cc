// SPDX-License-Identifier: Apache-2.0
// `baton submit --jobs`: many jobs from a file of JSON lines, so many at once, one line of answer each in the order in which they end.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <mutex>
#include <thread>

#include "launcher/chat_prompt.h"
#include "launcher/exit_code.h"
#include "launcher/find_cluster.h"
#include "launcher/interrupt.h"
#include "launcher/job_line.h"
#include "launcher/job_printer.h"
#include "launcher/json_writer.h"
#include "launcher/links.h"
#include "launcher/submit.h"
#include "launcher/timeline.h"
#include "runtime/actor/real_loop.h"

namespace baton {
namespace {

constexpr Duration kConnectLimit = std::chrono::seconds(5);
constexpr std::chrono::milliseconds kProgressEvery{200};
constexpr std::chrono::milliseconds kGlance{50};
constexpr Duration kSoonestAgain = std::chrono::milliseconds(200);

// What became of a job.
struct Answer {
  std::size_t line = 0;
  std::string id;
  std::string text;
  ClientDone done;
  std::optional<Error> error;
  Duration again_after{};  // a refusal's

  void on(const ClientAccepted& accepted) { id = accepted.id; }
  void on(const ClientTokens& tokens) {
    for (const ClientToken& token : tokens.tokens) text += token.text;
  }
  void on(const ClientChoiceDone&) {}
  void on(const ClientDone& end) {
    done = end;
    text += end.tail;
  }
  void on(const ClientError& failed) {
    error = Error{failed.code, failed.message};
    again_after = Duration{static_cast<std::int64_t>(failed.retry_after_ns)};
  }
};

std::string answer_line(const Answer& answer) {
  JsonWriter json;
  json.begin_object().member("line", answer.line);
  if (!answer.id.empty()) json.member("id", answer.id);
  if (answer.error) {
    json.key("error").begin_object().member("code", to_string(answer.error->code)).member("message", answer.error->message).end_object();
    return json.end_object().take() + '\n';
  }
  json.member("text", answer.text).member("finish_reason", to_string(answer.done.reason)).key("usage").begin_object();
  json.member("prompt_tokens", answer.done.prompt_tokens).member("completion_tokens", answer.done.completion_tokens);
  json.member("total_tokens", answer.done.prompt_tokens + answer.done.completion_tokens).end_object().key("timings").begin_object();
  add_timeline(json, answer.done.timeline);
  return json.end_object().end_object().take() + '\n';
}

// Lines out, each under a lock; any thread.
class JobFile {
 public:
  JobFile(std::istream& in, std::FILE* out, const std::string& name, const ClientSubmit& defaults, const ChatEncoder& chat)
      : in_(in), out_(out), name_(name), defaults_(defaults), chat_(chat) {}

  // The next job and its line; nothing at the end. Lines that are no job are answered and passed over.
  std::optional<std::pair<std::size_t, ClientSubmit>> next() {
    const std::lock_guard lock(mutex_);
    for (std::string text; !over_ && std::getline(in_, text);) {
      ++line_;
      if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
      auto job = read_job_line(text, defaults_, chat_);
      if (job) return std::pair{line_, std::move(*job)};
      std::fprintf(stderr, "%s%s:%zu: %s\n", progress_shown_ ? "\r\033[K" : "", name_.c_str(), line_, job.error().message.c_str());
      Answer refused;
      refused.line = line_;
      refused.error = job.error();
      write(refused);
    }
    return std::nullopt;
  }
  void put(const Answer& answer) {
    const std::lock_guard lock(mutex_);
    write(answer);
  }
  void stop() {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  bool output_closed() {
    const std::lock_guard lock(mutex_);
    return output_closed_;
  }
  void show_progress(bool last) {
    const std::lock_guard lock(mutex_);
    progress_shown_ = true;
    std::fprintf(stderr, "\r\033[K%zu done, %zu failed, %llu tokens%s", done_, failed_, static_cast<unsigned long long>(tokens_), last ? "\n" : "");
  }
  bool all_well() const { return failed_ == 0; }
  std::size_t answered() const { return done_ + failed_; }

 private:
  void write(const Answer& answer) {
    ++(answer.error || answer.done.reason == FinishReason::kCancelled ? failed_ : done_);
    tokens_ += answer.done.completion_tokens;
    const std::string text = answer_line(answer);
    output_closed_ |= std::fwrite(text.data(), 1, text.size(), out_) != text.size() || std::fflush(out_) != 0;
  }

  std::mutex mutex_;
  std::istream& in_;
  std::FILE* out_;
  const std::string name_;
  const ClientSubmit& defaults_;
  const ChatEncoder& chat_;
  std::size_t line_ = 0;
  std::size_t done_ = 0;
  std::size_t failed_ = 0;
  std::uint64_t tokens_ = 0;
  bool over_ = false;
  bool output_closed_ = false;
  bool progress_shown_ = false;
};

// Whoever has many jobs is in no hurry with each: a cluster that has too many is asked again when it says.
Result<void> ask(JobsClient& client, const ClientSubmit& job, Answer& answer, JobFile& file) {
  const auto over = [&] { return interrupted() || file.output_closed(); };
  for (;;) {
    const Result<void> ended = client.submit(job, [&](const JobsClient::Event& event) { std::visit([&](const auto& each) { answer.on(each); }, event); }, over);
    if (!ended || over() || !answer.error || answer.error->code != ErrorCode::kOverloaded) return ended;
    for (const Time again = real_now() + std::max(answer.again_after, kSoonestAgain); real_now() < again && !over();) std::this_thread::sleep_for(kGlance);
    if (over()) return ended;
    answer.error.reset();
  }
}

// One stream: a connection, with one job at a time.
void work(JobsClient& client, JobFile& file) {
  while (auto job = file.next()) {
    Answer answer;
    answer.line = job->first;
    answer.id = job->second.id;
    const Result<void> ended = ask(client, job->second, answer, file);
    if (!ended) answer.error = ended.error();
    file.put(answer);
    if (!ended || interrupted() || file.output_closed()) return file.stop();  // the cluster is gone, or nobody wants more
  }
}

int run_all(const std::vector<std::unique_ptr<JobsClient>>& clients, JobFile& file) {
  catch_interrupts();
  std::atomic<std::size_t> working{clients.size()};
  std::vector<std::thread> streams;
  for (const auto& client : clients)
    streams.emplace_back([&file, &working, at = client.get()] {
      work(*at, file);
      --working;
    });
  const bool terminal = isatty(STDERR_FILENO) != 0;
  for (; terminal && working > 0; std::this_thread::sleep_for(kProgressEvery)) file.show_progress(false);
  for (std::thread& stream : streams) stream.join();
  if (terminal) file.show_progress(true);
  if (interrupted() || file.output_closed()) return kInterrupted;
  if (file.answered() == 0) std::fprintf(stderr, "baton submit: the file has no jobs\n");
  return file.all_well() && file.answered() > 0 ? kDone : kFailed;
}

Result<void> usable(const SubmitOptions& options) {
  if (options.prompt || !options.file.empty()) return fail(ErrorCode::kInvalidArgument, "give a prompt or --jobs, not both");
  if (!options.id.empty()) return fail(ErrorCode::kInvalidArgument, "with --jobs, each line has its own \"id\"");
  if (options.n != 1) return fail(ErrorCode::kInvalidArgument, "with --jobs, a line has one answer: leave --n out");
  if (options.detach) return fail(ErrorCode::kInvalidArgument, "with --jobs, answers are waited for: leave --detach out");
  return {};
}

}  // namespace

int run_submit_jobs(const SubmitOptions& options) {
  if (const auto ok = usable(options); !ok) {
    complain("submit", ok.error());
    return kBadUsage;
  }
  const auto defaults = job_without_prompt(options);
  if (!defaults) {
    complain("submit", defaults.error());
    return kBadUsage;
  }
  std::ifstream lines;
  if (options.jobs != "-") lines.open(options.jobs, std::ios::binary);
  if (options.jobs != "-" && !lines) return complain("submit", Error{ErrorCode::kNotFound, "cannot open " + options.jobs});
  auto cluster = connect_cluster(options.cluster);
  if (!cluster) return complain("submit", cluster.error());
  ChatEncoder encoder;
  if (options.chat) {
    auto chat = chat_prompt_of(cluster->entry);
    if (!chat) return complain("submit", chat.error());
    encoder = [chat = std::move(*chat)](const boost::json::value& messages) { return chat.ids(messages); };
  }
  std::vector<std::unique_ptr<JobsClient>> clients;
  while (clients.size() < options.concurrency) {
    auto client = JobsClient::connect(cluster->entry.jobs, kConnectLimit);
    if (!client) return complain("submit", client.error());
    clients.push_back(std::move(*client));
  }
  std::FILE* out = options.out.empty() || options.out == "-" ? stdout : std::fopen(options.out.c_str(), "w");
  if (out == nullptr) return complain("submit", Error{ErrorCode::kIo, "cannot write " + options.out});
  JobFile file(options.jobs == "-" ? std::cin : static_cast<std::istream&>(lines), out, options.jobs, *defaults, encoder);
  const int status = run_all(clients, file);
  return out == stdout || std::fclose(out) == 0 ? status : kFailed;
}

}  // namespace baton
