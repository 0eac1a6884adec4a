// SPDX-License-Identifier: Apache-2.0
#include "server/openai_answer.h"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <utility>
#include <vector>

#include "server/guarded.h"
#include "server/json_text.h"
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
        log_(environment.log),
        share_(environment.gathered) {}

  void begin() {
    guarded([this] { submit(); });
  }

 private:
  // Whatever goes wrong in a turn of ours is the end of this request alone.
  template <class Turn>
  void guarded(Turn turn) {
    if (run_guarded("answering a request", std::move(turn)) || over_) return;
    if (!run_guarded("refusing a request", [this] { fail(internal_error()); }) && !over_)
      run_guarded("ending a request", [this] { abandon(); });  // and closes the connection
  }

  void submit() {
    const std::weak_ptr<Answer> self = weak_from_this();
    const auto if_here = [self](void (Answer::*turn)()) {
      return [self, turn] {
        if (const auto here = self.lock()) here->guarded([&] { (here.get()->*turn)(); });
      };
    };
    log_.began(call_, http_.now(), if_here(&Answer::cancelled_from_outside));
    exchange_->on_gone(if_here(&Answer::abandon));
    choices_.reserve(call_.jobs.size() * call_.n);
    for (std::size_t job = 0; job < call_.jobs.size(); ++job) {
      prompts_.emplace_back(call_, *model_.tokenizer);
      for (std::uint32_t n = 0; n < call_.n; ++n) choices_.emplace_back(call_, *model_.tokenizer);
      begin_prompt(job);
      if (over_) return;
    }
    open_jobs_ = call_.jobs.size();
    tickets_.reserve(open_jobs_);
    for (std::size_t job = 0; job < call_.jobs.size(); ++job)
      tickets_.push_back(jobs_.submit(std::move(call_.jobs[job]), [self = shared_from_this(), job](const std::vector<JobPort::Event>& events) {
        self->guarded([&] { self->take(job, events); });
      }));
    if (call_.stream) watch_silence();
  }

  struct Choice {
    Choice(const OpenAiCall& call, const Tokenizer& tokenizer) : logprobs(call, tokenizer) {}
    std::size_t bytes() const { return text.size() + ids.size() + logprobs.bytes(); }
    std::string text;              // of the whole answer, or what of a stream is not sent yet
    std::string ids;               // of the same, where they are asked for: the inside of a JSON list
    LogprobText logprobs;          // of the same
    std::uint32_t count = 0;       // of its tokens in all
    Time first_token{};            // when it came; zero: not yet
    Time last_token{};
    bool begun = false;            // the echo, or the first chunk, is there
    bool fresh = false;            // tokens came since the last chunk
    bool something = false;        // to be sent
    const char* finish = nullptr;  // once it has ended
    json::value stop_reason = nullptr;
  };
  struct Prompt {
    Prompt(const OpenAiCall& call, const Tokenizer& tokenizer) : logprobs(call, tokenizer) {}
    std::vector<TokenId> ids;   // where log-probabilities of them are part of the answer
    std::string ids_text;       // where they are themselves: the inside of a JSON list
    LogprobText logprobs;       // of the echo; every choice begins with them
    std::size_t told = 0;       // tokens that are in there
    std::uint32_t begun = 0;    // choices that have them
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
    add_to_echo(job, tokens.prompt);
    if (over_ || tokens.tokens.empty() || call_.score_only) return;
    const std::size_t before = choice.bytes();
    for (const ClientToken& token : tokens.tokens) {
      choice.text += token.text;
      if (call_.return_token_ids) append_element(choice.ids, std::string_view(std::to_string(token.token)));
      if (call_.logprobs) choice.logprobs.add(token);
    }
    choice.fresh = true;
    choice.count += static_cast<std::uint32_t>(tokens.tokens.size());
    choice.something |= !choice.text.empty() || call_.logprobs || call_.return_token_ids;
    if (!call_.stream && !hold(choice.bytes() - before)) return;
    if (choice.first_token == Time{}) choice.first_token = http_.now();
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

  void on(std::size_t, const ClientError& error) { fail(api_error(error.code, error.message, error.retry_after_ns)); }

  void end_choice(std::size_t job, std::uint32_t number, FinishReason reason, const std::string& tail, const std::string& stop,
                  TokenId stop_token) {
    // Part of an answer is no answer: nobody may take it for one.
    if (reason == FinishReason::kCancelled) return fail(api_error(ErrorCode::kCancelled, "the request was cancelled before its end"));
    if (reason != FinishReason::kStop && reason != FinishReason::kLength)
      return fail(api_error(ErrorCode::kInternal, "a choice ended for no reason"));
    Choice& choice = choices_[choice_of(job, number)];
    if (!call_.score_only) choice.text += tail;
    if (!call_.stream && !call_.score_only && !hold(tail.size())) return;
    log_.choice_done(call_.id, choice.count, choice.first_token, choice.last_token);
    choice.finish = reason == FinishReason::kStop && !call_.score_only ? "stop" : "length";
    if (!stop.empty()) choice.stop_reason = stop;
    else if (stop_token >= 0) choice.stop_reason = stop_token;
    choice.something = true;
  }

  // ---- what is held ----

  // False: the gateway would hold too much, and this request has ended.
  bool hold(std::size_t bytes) {
    if (over_ || share_.take(bytes)) return !over_;
    fail({503,
          "the answers that are being gathered hold all the memory that they may: try again, or ask for a stream, for fewer choices or "
          "fewer logprobs",
          "", "overloaded"});
    return false;
  }

  // What every choice begins with, as far as it is known by now: the prompt itself.
  void begin_prompt(std::size_t job) {
    Prompt& prompt = prompts_[job];
    const std::vector<TokenId>& ids = call_.jobs[job].prompt_ids;
    if (call_.return_token_ids)
      for (const TokenId id : ids) append_element(prompt.ids_text, std::string_view(std::to_string(id)));
    if (!hold(call_.n * given_bytes(job)) || !call_.echo || !call_.logprobs) return;
    prompt.ids = ids;
    for (std::uint32_t number = 0; number < call_.n; ++number) choices_[choice_of(job, number)].logprobs.stand_behind(ids);
    tell_echo(prompt, nullptr);  // of the first token nothing is known
  }

  // What of a prompt is given back with each of its choices.
  std::size_t given_bytes(std::size_t job) const {
    return (call_.echo ? call_.prompts[job].size() : 0) + prompts_[job].ids_text.size() + prompts_[job].logprobs.bytes();
  }

  // A choice's first chunk is there. When all choices have theirs, the rest is the connection's.
  void begun(std::size_t job) {
    Prompt& prompt = prompts_[job];
    if (++prompt.begun < call_.n) return;
    share_.give(call_.n * given_bytes(job));
    prompt.logprobs.take();
    prompt.ids_text.clear();
  }

  void add_to_echo(std::size_t job, const std::vector<ClientToken>& known) {
    if (!call_.echo || !call_.logprobs) return;
    for (const ClientToken& token : known)
      if (!over_) tell_echo(prompts_[job], &token);
  }

  // Counted once for each choice that will begin with it.
  void tell_echo(Prompt& prompt, const ClientToken* known) {
    if (prompt.told == prompt.ids.size()) return;
    const std::size_t before = prompt.logprobs.bytes();
    prompt.logprobs.add(prompt.ids[prompt.told++], known);
    hold(call_.n * (prompt.logprobs.bytes() - before));
  }

  // ---- bodies ----

  ObjectText head(const char* object) const {
    ObjectText text;
    text.add("id", call_.id).add("object", object).add("created", call_.created).add("model", call_.model);
    text.add("system_fingerprint", model_.fingerprint);
    return text;
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
    return !call_.echo || !call_.logprobs || prompts_[job].told == prompts_[job].ids.size();
  }

  // Puts the echo before a choice's text. True: nothing of this choice was sent before.
  bool open_choice(std::size_t job, std::uint32_t number) {
    Choice& choice = choices_[choice_of(job, number)];
    if (std::exchange(choice.begun, true)) return false;
    if (call_.echo) choice.text.insert(0, call_.prompts[job]);
    return true;
  }

  // Takes the tokens of what is sent now. `first`: nothing of this choice was sent before.
  void add_tokens(ObjectText& object, std::size_t job, Choice& choice, bool first) {
    object.add_text("logprobs", choice.logprobs.take(first ? &prompts_[job].logprobs : nullptr));
    if (call_.return_token_ids) object.add_text("token_ids", list_of(std::exchange(choice.ids, {})));
    choice.fresh = false;
  }

  static void add_end(ObjectText& object, const Choice& choice) {
    if (choice.finish == nullptr) object.add("finish_reason", nullptr);
    else object.add("finish_reason", choice.finish).add("stop_reason", choice.stop_reason);
  }

  std::string whole_choice(std::size_t job, std::uint32_t number) {
    const bool first = open_choice(job, number);
    Choice& choice = choices_[choice_of(job, number)];
    ObjectText object;
    object.add("index", choice_of(job, number));
    const std::string text = quoted_json(std::exchange(choice.text, {}));
    if (call_.kind == CallKind::kChat)
      object.add_text("message", ObjectText().add("role", "assistant").add_text("content", text).add("refusal", nullptr).take());
    else object.add_text("text", text);
    add_tokens(object, job, choice, first);
    add_end(object, choice);
    if (call_.return_token_ids && call_.kind == CallKind::kCompletion) object.add_text("prompt_token_ids", prompt_ids(job));
    return object.take();
  }

  std::string prompt_ids(std::size_t job) const { return list_of(prompts_[job].ids_text); }

  void respond_whole() {
    ObjectText body = head(call_.kind == CallKind::kChat ? "chat.completion" : "text_completion");
    for (Prompt& prompt : prompts_)
      while (call_.echo && call_.logprobs && !over_ && prompt.told < prompt.ids.size()) tell_echo(prompt, nullptr);
    if (over_) return;
    std::string& choices = body.begin("choices") += '[';
    for (std::size_t index = 0; index < choices_.size(); ++index) {
      if (index > 0) choices += ',';
      choices += whole_choice(index / call_.n, static_cast<std::uint32_t>(index % call_.n));
    }
    choices += ']';
    body.add("usage", usage());
    if (call_.return_token_ids && call_.kind == CallKind::kChat) body.add_text("prompt_token_ids", prompt_ids(0));
    exchange_->respond({200, "application/json", std::move(headers_), body.take()});
  }

  // ---- streams ----

  void start_stream() {
    if (std::exchange(streaming_, true)) return;
    std::vector<HttpHeader> headers = std::move(headers_);
    headers.push_back({"Cache-Control", "no-cache"});
    headers.push_back({"X-Accel-Buffering", "no"});
    exchange_->start_stream({200, "text/event-stream", std::move(headers), {}});
  }

  void write(const std::string& bytes, std::size_t echoed = 0) {
    if (over_) return;
    last_write_ = http_.now();
    if (!exchange_->write(bytes, echoed)) abandon();
  }

  // `choices`: the inside of their list.
  void send(std::string_view choices, const json::value& usage) {
    ObjectText chunk = head(call_.kind == CallKind::kChat ? "chat.completion.chunk" : "text_completion");
    chunk.add_text("choices", list_of(choices));
    if (call_.include_usage) chunk.add("usage", usage);
    batch_.append("data: ").append(chunk.take()).append("\n\n");
  }

  // What one turn has of all choices is one write: several echoes of a long prompt are not to look like a slow reader.
  void flush() {
    const std::string bytes = std::exchange(batch_, {});
    if (!bytes.empty()) write(bytes, std::exchange(echoed_, 0));
  }

  void send_choice(std::string_view choice) { send(choice, call_.continuous_usage ? json::value(usage()) : json::value(nullptr)); }

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

  ObjectText delta(std::size_t job, std::uint32_t number, json::object content) const {
    ObjectText object;
    object.add("index", choice_of(job, number)).add("delta", std::move(content));
    return object;
  }

  void send_chat_chunks(std::size_t job, std::uint32_t number) {
    Choice& choice = choices_[choice_of(job, number)];
    if (open_choice(job, number)) {
      ObjectText first = delta(job, number, {{"role", "assistant"}, {"content", ""}});
      first.add("logprobs", nullptr).add("finish_reason", nullptr);
      if (call_.return_token_ids) first.add_text("prompt_token_ids", prompt_ids(job));
      const std::size_t before = batch_.size();
      send_choice(first.take());
      if (call_.return_token_ids) echoed_ += batch_.size() - before;
      begun(job);
    }
    // Tokens without text are a chunk where something else is told of them.
    if (!choice.text.empty() || (choice.fresh && (call_.logprobs || call_.return_token_ids))) {
      ObjectText object = delta(job, number, {{"content", std::exchange(choice.text, {})}});
      add_tokens(object, job, choice, false);
      object.add("finish_reason", nullptr);
      send_choice(object.take());
    }
    if (choice.finish == nullptr) return;
    ObjectText last = delta(job, number, {});
    last.add("logprobs", nullptr);
    add_end(last, choice);
    send_choice(last.take());
  }

  void send_completion_chunk(std::size_t job, std::uint32_t number) {
    const bool first = open_choice(job, number);
    Choice& choice = choices_[choice_of(job, number)];
    ObjectText object;
    object.add("index", choice_of(job, number)).add_text("text", quoted_json(std::exchange(choice.text, {})));
    add_tokens(object, job, choice, first);
    add_end(object, choice);
    if (first && call_.return_token_ids) object.add_text("prompt_token_ids", prompt_ids(job));
    const std::size_t before = batch_.size();
    send_choice(object.take());
    if (!first) return;
    if (call_.echo || call_.return_token_ids) echoed_ += batch_.size() - before;
    begun(job);
  }

  void watch_silence() {
    last_write_ = http_.now();
    look_again(kKeepAlive);
  }

  void look_again(Duration delay) {
    http_.after(delay, [self = weak_from_this()] {
      if (const auto here = self.lock()) here->guarded([&] { here->break_silence(); });
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
      if (call_.include_usage) send({}, usage());
      batch_ += "data: [DONE]\n\n";
      flush();
      if (over_) return;
      exchange_->finish();
    } else {
      respond_whole();
      if (over_) return;
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
    share_.release();
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
  ByteShare share_;
  std::vector<Prompt> prompts_;  // per job
  std::vector<Choice> choices_;
  std::vector<JobPort::Ticket> tickets_;
  std::size_t open_jobs_ = 0;
  std::uint64_t prompt_tokens_ = 0;
  std::uint64_t cached_tokens_ = 0;  // of them, in a prefix cache
  std::string batch_;  // of a stream: what this turn has to write
  std::size_t echoed_ = 0;  // bytes of it that are chunks with an echo
  Time last_write_{};
  bool streaming_ = false;
  bool over_ = false;
};

}  // namespace

void answer_call(OpenAiCall call, std::shared_ptr<HttpExchange> exchange, std::vector<HttpHeader> headers, const AnswerEnvironment& environment) {
  std::make_shared<Answer>(std::move(call), std::move(exchange), std::move(headers), environment)->begin();
}

}  // namespace baton
