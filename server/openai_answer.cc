// SPDX-License-Identifier: Apache-2.0
#include "server/openai_answer.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <utility>
#include <vector>

#include "server/openai_error.h"
#include "server/openai_logprobs.h"

namespace baton {
namespace {

namespace json = boost::json;

// Between two events of a stream: proxies take a longer silence for death.
constexpr Duration kKeepAlive = std::chrono::seconds(15);

class Answer : public std::enable_shared_from_this<Answer> {
 public:
  Answer(OpenAiCall call, std::shared_ptr<HttpExchange> exchange, std::vector<HttpHeader> headers, const AnswerEnvironment& environment)
      : call_(std::move(call)),
        exchange_(std::move(exchange)),
        headers_(std::move(headers)),
        jobs_(environment.jobs),
        http_(environment.http),
        model_(environment.model),
        log_(environment.log) {}

  void begin() {
    const std::weak_ptr<Answer> self = weak_from_this();
    const auto if_here = [self](void (Answer::*turn)()) {
      return [self, turn] {
        if (const auto here = self.lock()) (here.get()->*turn)();
      };
    };
    log_.began(call_, http_.now(), if_here(&Answer::cancelled_from_outside));
    exchange_->on_gone(if_here(&Answer::abandon));
    const bool keeps_ids = call_.return_token_ids || (call_.echo && call_.logprobs);
    choices_.reserve(call_.jobs.size() * call_.n);
    for (std::size_t job = 0; job < call_.jobs.size(); ++job) {
      prompts_.push_back(keeps_ids ? call_.jobs[job].prompt_ids : std::vector<TokenId>());
      for (std::uint32_t n = 0; n < call_.n; ++n) choices_.emplace_back(call_, *model_.tokenizer);
    }
    open_jobs_ = call_.jobs.size();
    for (std::size_t job = 0; job < call_.jobs.size(); ++job)
      tickets_.push_back(jobs_.submit(std::move(call_.jobs[job]), [self = shared_from_this(), job](const std::vector<JobPort::Event>& events) {
        self->take(job, events);
      }));
    if (call_.stream) watch_silence();
  }

 private:
  struct Choice {
    Choice(const OpenAiCall& call, const Tokenizer& tokenizer) : logprobs(call, tokenizer) {}
    std::string text;                 // of the whole answer, or what of a stream is not sent yet
    std::vector<ClientToken> tokens;  // the same, where their ids or log-probabilities are asked for
    std::uint32_t count = 0;          // of its tokens in all
    Time last_token{};                // when it came
    std::vector<ClientToken> prompt;  // log-probabilities of the prompt; the first choice has them
    ChoiceLogprobs logprobs;
    bool begun = false;               // the echo, or the first chunk, is there
    bool something = false;           // to be sent
    const char* finish = nullptr;     // once it has ended
    json::value stop_reason = nullptr;
  };

  // ---- events of jobs ----

  void take(std::size_t job, const std::vector<JobPort::Event>& events) {
    for (const JobPort::Event& event : events) {
      if (over_) return;
      std::visit([&](const auto& each) { on(job, each); }, event);
    }
    if (over_) return;
    if (call_.stream) send_chunks(job);
    if (open_jobs_ == 0) finish();
  }

  std::size_t choice_of(std::size_t job, std::uint32_t number) const { return job * call_.n + number; }

  void on(std::size_t, const ClientAccepted& accepted) {
    prompt_tokens_ += accepted.prompt_tokens;
    log_.prompt(call_.id, accepted.prompt_tokens);
  }

  void on(std::size_t job, const ClientTokens& tokens) {
    if (tokens.choice >= call_.n) return;
    Choice& choice = choices_[choice_of(job, tokens.choice)];
    choice.prompt.insert(choice.prompt.end(), tokens.prompt.begin(), tokens.prompt.end());
    if (tokens.tokens.empty() || call_.score_only) return;
    const bool whole = call_.logprobs || call_.return_token_ids;
    for (const ClientToken& token : tokens.tokens) choice.text += token.text;
    if (whole) choice.tokens.insert(choice.tokens.end(), tokens.tokens.begin(), tokens.tokens.end());
    choice.count += static_cast<std::uint32_t>(tokens.tokens.size());
    choice.something |= !choice.text.empty() || whole;
    log_.tokens(call_.id, static_cast<std::uint32_t>(tokens.tokens.size()), std::exchange(choice.last_token, http_.now()), http_.now());
  }

  void on(std::size_t job, const ClientChoiceDone& done) {
    if (done.choice < call_.n) end_choice(job, done.choice, done.reason, done.tail, done.stop, done.stop_token);
  }

  void on(std::size_t job, const ClientDone& done) {
    log_.job_done(call_.id, done);
    cached_tokens_ += std::min(done.timeline.cached_tokens, done.prompt_tokens);
    if (call_.n == 1) end_choice(job, 0, done.reason, done.tail, done.stop, done.stop_token);
    for (std::uint32_t number = 0; number < call_.n && !over_; ++number)
      if (choices_[choice_of(job, number)].finish == nullptr) fail(api_error(ErrorCode::kInternal, "a choice is missing"));
    if (!over_) --open_jobs_;
  }

  void on(std::size_t, const ClientError& error) { fail(api_error(error.code, error.message)); }

  void end_choice(std::size_t job, std::uint32_t number, FinishReason reason, const std::string& tail, const std::string& stop,
                  TokenId stop_token) {
    // Part of an answer is no answer: nobody may take it for one.
    if (reason == FinishReason::kCancelled) return fail(api_error(ErrorCode::kCancelled, "the request was cancelled before its end"));
    if (reason != FinishReason::kStop && reason != FinishReason::kLength)
      return fail(api_error(ErrorCode::kInternal, "a choice ended for no reason"));
    Choice& choice = choices_[choice_of(job, number)];
    if (!call_.score_only) choice.text += tail;
    choice.finish = reason == FinishReason::kStop && !call_.score_only ? "stop" : "length";
    if (!stop.empty()) choice.stop_reason = stop;
    else if (stop_token >= 0) choice.stop_reason = stop_token;
    choice.something = true;
  }

  // ---- bodies ----

  json::object head(const char* object) const {
    return {{"id", call_.id},
            {"object", object},
            {"created", call_.created},
            {"model", call_.model},
            {"system_fingerprint", model_.fingerprint}};
  }

  json::object usage() const {
    std::uint64_t completion = 0;
    for (const Choice& choice : choices_) completion += choice.count;
    json::object usage{{"prompt_tokens", prompt_tokens_}, {"completion_tokens", completion}, {"total_tokens", prompt_tokens_ + completion}};
    // Workers say at the end what they found.
    if (open_jobs_ == 0) usage["prompt_tokens_details"] = {{"cached_tokens", cached_tokens_}};
    return usage;
  }

  // Those of a prompt come with its first choice, and are part of all.
  bool prompt_is_known(std::size_t job) const {
    return !call_.echo || !call_.logprobs || choices_[choice_of(job, 0)].prompt.size() + 1 >= prompts_[job].size();
  }

  // Puts the echo before a choice's text. True: nothing of this choice was sent before.
  bool open_choice(std::size_t job, std::uint32_t number) {
    Choice& choice = choices_[choice_of(job, number)];
    if (std::exchange(choice.begun, true)) return false;
    if (!call_.echo) return true;
    choice.text.insert(0, call_.prompts[job]);
    if (call_.logprobs) choice.logprobs.add_prompt(prompts_[job], choices_[choice_of(job, 0)].prompt);
    return true;
  }

  // Takes the tokens of what is sent now.
  void add_tokens(json::object& object, Choice& choice) const {
    if (call_.logprobs)
      for (const ClientToken& token : choice.tokens) choice.logprobs.add(token);
    object["logprobs"] = choice.logprobs.take();
    if (!call_.return_token_ids) return;
    json::array ids;
    for (const ClientToken& token : choice.tokens) ids.emplace_back(token.token);
    object["token_ids"] = std::move(ids);
  }

  static void add_end(json::object& object, const Choice& choice) {
    if (choice.finish == nullptr) {
      object["finish_reason"] = nullptr;
      return;
    }
    object["finish_reason"] = choice.finish;
    object["stop_reason"] = choice.stop_reason;
  }

  json::object whole_choice(std::size_t job, std::uint32_t number) {
    open_choice(job, number);
    Choice& choice = choices_[choice_of(job, number)];
    json::object object{{"index", choice_of(job, number)}};
    if (call_.kind == CallKind::kChat) object["message"] = {{"role", "assistant"}, {"content", choice.text}, {"refusal", nullptr}};
    else object["text"] = choice.text;
    add_tokens(object, choice);
    add_end(object, choice);
    if (call_.return_token_ids && call_.kind == CallKind::kCompletion) object["prompt_token_ids"] = prompt_ids(job);
    return object;
  }

  json::array prompt_ids(std::size_t job) const { return json::array(prompts_[job].begin(), prompts_[job].end()); }

  void respond_whole() {
    json::object body = head(call_.kind == CallKind::kChat ? "chat.completion" : "text_completion");
    json::array choices;
    for (std::size_t job = 0; job < prompts_.size(); ++job)
      for (std::uint32_t number = 0; number < call_.n; ++number) choices.emplace_back(whole_choice(job, number));
    body["choices"] = std::move(choices);
    body["usage"] = usage();
    if (call_.return_token_ids && call_.kind == CallKind::kChat) body["prompt_token_ids"] = prompt_ids(0);
    exchange_->respond({200, "application/json", std::move(headers_), json::serialize(body)});
  }

  // ---- streams ----

  void start_stream() {
    if (std::exchange(streaming_, true)) return;
    std::vector<HttpHeader> headers = std::move(headers_);
    headers.push_back({"Cache-Control", "no-cache"});
    headers.push_back({"X-Accel-Buffering", "no"});
    exchange_->start_stream({200, "text/event-stream", std::move(headers), {}});
  }

  void write(const std::string& bytes) {
    if (over_) return;
    last_write_ = http_.now();
    if (!exchange_->write(bytes)) abandon();
  }

  void send(json::object chunk, json::array choices, json::value usage) {
    chunk["choices"] = std::move(choices);
    if (call_.include_usage) chunk["usage"] = std::move(usage);
    batch_ += "data: " + json::serialize(chunk) + "\n\n";
  }

  // What one turn has of all choices is one write: several echoes of a long prompt are not to look like a slow reader.
  void flush() {
    const std::string bytes = std::exchange(batch_, {});
    if (!bytes.empty()) write(bytes);
  }

  void send_choice(json::object choice) {
    send(head(call_.kind == CallKind::kChat ? "chat.completion.chunk" : "text_completion"), {std::move(choice)},
         call_.continuous_usage ? json::value(usage()) : json::value(nullptr));
  }

  // One chunk for all that came of a choice in one turn; in chat its end is one of its own.
  void send_chunks(std::size_t job) {
    if (!prompt_is_known(job)) return;
    for (std::uint32_t number = 0; number < call_.n && !over_; ++number) {
      Choice& choice = choices_[choice_of(job, number)];
      if (!choice.something) continue;
      start_stream();
      if (call_.kind == CallKind::kChat) send_chat_chunks(job, number);
      else send_completion_chunk(job, number);
      choice.something = false;
    }
    flush();
  }

  json::object delta(std::size_t job, std::uint32_t number, json::object content) const {
    return {{"index", choice_of(job, number)}, {"delta", std::move(content)}, {"logprobs", nullptr}, {"finish_reason", nullptr}};
  }

  void send_chat_chunks(std::size_t job, std::uint32_t number) {
    Choice& choice = choices_[choice_of(job, number)];
    if (open_choice(job, number)) {
      json::object first = delta(job, number, {{"role", "assistant"}, {"content", ""}});
      if (call_.return_token_ids) first["prompt_token_ids"] = prompt_ids(job);
      send_choice(std::move(first));
    }
    if (!choice.text.empty() || !choice.tokens.empty()) {
      json::object object = delta(job, number, {{"content", std::exchange(choice.text, {})}});
      add_tokens(object, choice);
      choice.tokens.clear();
      send_choice(std::move(object));
    }
    if (choice.finish == nullptr) return;
    json::object last = delta(job, number, {});
    add_end(last, choice);
    send_choice(std::move(last));
  }

  void send_completion_chunk(std::size_t job, std::uint32_t number) {
    const bool first = open_choice(job, number);
    Choice& choice = choices_[choice_of(job, number)];
    json::object object{{"index", choice_of(job, number)}, {"text", std::exchange(choice.text, {})}};
    add_tokens(object, choice);
    choice.tokens.clear();
    add_end(object, choice);
    if (first && call_.return_token_ids) object["prompt_token_ids"] = prompt_ids(job);
    send_choice(std::move(object));
  }

  void watch_silence() {
    last_write_ = http_.now();
    look_again(kKeepAlive);
  }

  void look_again(Duration delay) {
    http_.after(delay, [self = weak_from_this()] {
      if (const auto here = self.lock()) here->break_silence();
    });
  }

  void break_silence() {
    if (over_) return;
    const Duration silent = http_.now() - last_write_;
    if (silent < kKeepAlive) return look_again(kKeepAlive - silent);
    start_stream();
    write(": keep-alive\n\n");
    look_again(kKeepAlive);
  }

  // ---- ends ----

  void finish() {
    if (call_.stream) {
      start_stream();
      if (call_.include_usage)
        send(head(call_.kind == CallKind::kChat ? "chat.completion.chunk" : "text_completion"), {}, usage());
      batch_ += "data: [DONE]\n\n";
      flush();
      if (over_) return;
      exchange_->finish();
    } else {
      respond_whole();
    }
    bool cut = false;
    for (const Choice& choice : choices_) cut |= std::string_view(choice.finish) == "length";
    end(cut ? RequestLog::Outcome::kLength : RequestLog::Outcome::kStop);
  }

  void fail(const ApiError& error) {
    if (over_) return;
    if (streaming_) {
      write("data: " + json::serialize(json::object{{"error", error_object(error)}}) + "\n\ndata: [DONE]\n\n");
      if (over_) return;
      exchange_->finish();
    } else {
      HttpResponse response = to_response(error);
      response.headers.insert(response.headers.end(), headers_.begin(), headers_.end());
      exchange_->respond(std::move(response));
    }
    cancel_jobs();
    end(error.code == "cancelled" ? RequestLog::Outcome::kCancelled : RequestLog::Outcome::kError, error.message);
  }

  // The client is gone.
  void abandon() {
    if (over_) return;
    cancel_jobs();
    end(RequestLog::Outcome::kCancelled, "the client went away");
  }

  void cancelled_from_outside() {
    const auto self = shared_from_this();  // the jobs' sinks may be the last to hold it
    fail(api_error(ErrorCode::kCancelled, "the request was cancelled before its end"));
  }

  void cancel_jobs() {
    for (const JobPort::Ticket ticket : tickets_) jobs_.cancel(ticket);
  }

  void end(RequestLog::Outcome outcome, const std::string& error = {}) {
    over_ = true;
    log_.ended(call_.id, outcome, http_.now(), error);
    exchange_.reset();
  }

  OpenAiCall call_;
  std::shared_ptr<HttpExchange> exchange_;
  std::vector<HttpHeader> headers_;
  JobPort& jobs_;
  HttpThread& http_;
  const OpenAiModel& model_;
  RequestLog& log_;
  std::vector<std::vector<TokenId>> prompts_;  // per job, where their ids are part of the answer
  std::vector<Choice> choices_;
  std::vector<JobPort::Ticket> tickets_;
  std::size_t open_jobs_ = 0;
  std::uint64_t prompt_tokens_ = 0;
  std::uint64_t cached_tokens_ = 0;  // of them, in a prefix cache
  std::string batch_;  // of a stream: what this turn has to write
  Time last_write_{};
  bool streaming_ = false;
  bool over_ = false;
};

}  // namespace

void answer_call(OpenAiCall call, std::shared_ptr<HttpExchange> exchange, std::vector<HttpHeader> headers, const AnswerEnvironment& environment) {
  std::make_shared<Answer>(std::move(call), std::move(exchange), std::move(headers), environment)->begin();
}

}  // namespace baton
