// SPDX-License-Identifier: Apache-2.0
#include "launcher/job_printer.h"

#include <unistd.h>

#include "config/units.h"
#include "launcher/json_writer.h"
#include "launcher/timeline.h"
#include "runtime/base/result.h"

namespace baton {
namespace {

// Of decoding: the first token's time is TTFT's. 0 if there was nothing to measure.
double tokens_per_second(const ClientDone& done) {
  if (done.completion_tokens < 2 || done.total_ns <= done.ttft_ns) return 0.0;
  return static_cast<double>(done.completion_tokens - 1) * 1e9 / static_cast<double>(done.total_ns - done.ttft_ns);
}

void add_token(JsonWriter& json, const ClientToken& token, bool logprobs) {
  json.member("index", token.index).member("id", token.token).member("text", token.text);
  if (!logprobs) return;
  json.member("logprob", static_cast<double>(token.logprob)).key("top_logprobs").begin_array();
  for (const ClientLogprob& each : token.top)
    json.begin_object().member("id", each.token).member("text", each.text).member("logprob", static_cast<double>(each.logprob)).end_object();
  json.end_array();
}

// Which stop string or id it was; nothing of an end-of-sequence token.
void add_stop(JsonWriter& json, const std::string& stop, TokenId stop_token) {
  if (!stop.empty()) json.member("stop", stop);
  if (stop_token >= 0) json.member("stop_token_id", stop_token);
}

}  // namespace

std::string harmless(std::string_view text) {
  std::string clean(text);
  for (char& c : clean)
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f) c = ' ';
  return clean;
}

std::string_view to_string(FinishReason reason) {
  switch (reason) {
    case FinishReason::kNone: return "none";
    case FinishReason::kStop: return "stop";
    case FinishReason::kLength: return "length";
    case FinishReason::kCancelled: return "cancelled";
    case FinishReason::kError: return "error";
  }
  return "none";
}

JobPrinter::JobPrinter(bool json, const ClientSubmit& job, std::FILE* out, std::FILE* messages)
    : json_(json), several_(job.n > 1), logprobs_(job.sampling.logprobs.has_value()), draws_(job.sampling.temperature > 0), out_(out), messages_(messages), to_terminal_(isatty(fileno(out)) != 0) {}

void JobPrinter::print(std::string_view text) {
  if (text.empty() || output_closed_) return;
  const bool written = std::fwrite(text.data(), 1, text.size(), out_) == text.size() && std::fflush(out_) == 0;
  output_closed_ = !written;
}

void JobPrinter::print_text(std::string_view text) {
  if (text.empty()) return;
  line_open_ = text.back() != '\n';
  if (to_terminal_) print(harmless(text));
  else print(text);
}

void JobPrinter::on(const ClientAccepted& accepted) {
  seed_ = accepted.seed;
  if (!json_) return;
  JsonWriter json;
  json.begin_object().member("event", "accepted").member("id", accepted.id);
  if (draws_) json.member("seed", accepted.seed);
  json.end_object();
  print(json.take() + '\n');
}

void JobPrinter::on(const ClientTokens& tokens) {
  if (json_ && !tokens.prompt.empty()) {
    JsonWriter json;
    json.begin_object().member("event", "prompt_logprobs").key("tokens").begin_array();
    for (const ClientToken& token : tokens.prompt) {
      json.begin_object();
      add_token(json, token, true);
      json.end_object();
    }
    json.end_array().end_object();
    print(json.take() + '\n');
  }
  for (const ClientToken& token : tokens.tokens) {
    if (!json_) {
      if (several_) texts_[tokens.choice] += token.text;
      else print_text(token.text);
      continue;
    }
    JsonWriter json;
    json.begin_object().member("event", "token");
    if (several_) json.member("choice", tokens.choice);
    add_token(json, token, logprobs_);
    json.end_object();
    print(json.take() + '\n');
  }
}

void JobPrinter::on(const ClientChoiceDone& done) {
  if (json_) {
    JsonWriter json;
    json.begin_object().member("event", "choice_done").member("choice", done.choice).member("finish_reason", to_string(done.reason));
    add_stop(json, done.stop, done.stop_token);
    if (!done.tail.empty()) json.member("tail", done.tail);
    json.member("completion_tokens", done.completion_tokens).end_object();
    print(json.take() + '\n');
    return;
  }
  print("[choice " + std::to_string(done.choice) + ", " + std::string(to_string(done.reason)) + "]\n");
  print_text(texts_[done.choice] + done.tail);
  if (line_open_) print("\n");
  line_open_ = false;
  texts_.erase(done.choice);
}

void JobPrinter::print_done_line(const ClientDone& done) {
  JsonWriter json;
  json.begin_object().member("event", "done").member("finish_reason", to_string(done.reason));
  add_stop(json, done.stop, done.stop_token);
  if (!done.tail.empty()) json.member("tail", done.tail);  // text that no token event carried
  json.key("usage").begin_object().member("prompt_tokens", done.prompt_tokens).member("completion_tokens", done.completion_tokens);
  json.member("total_tokens", done.prompt_tokens + done.completion_tokens).end_object();
  json.key("timings").begin_object();
  add_timeline(json, done.timeline);
  json.member("tokens_per_second", tokens_per_second(done)).end_object();
  json.member("prefill_worker", done.prefill_worker).member("decode_worker", done.decode_worker);
  json.key("kv_bytes_moved");
  if (done.kv_bytes_known) json.value(done.kv_bytes_moved);
  else json.null();
  json.member("transport", done.transport).end_object();
  print(json.take() + '\n');
}

void JobPrinter::on(const ClientDone& done) {
  if (json_) return print_done_line(done);
  print_text(done.tail);
  if (line_open_) print("\n");
  char rate[40] = "";
  if (const double measured = tokens_per_second(done); measured > 0) std::snprintf(rate, sizeof rate, ", %.1f tokens/s", measured);
  if (chat_) {
    std::fprintf(messages_, "[TTFT %.1f ms%s, %u of %u prompt tokens cached]\n", milliseconds(done.ttft_ns), rate, done.timeline.cached_tokens, done.prompt_tokens);
    return;
  }
  char numbers[200];
  std::snprintf(numbers, sizeof numbers, "TTFT %.1f ms%s, %u prompt + %u generated token%s (%s)%s", milliseconds(done.ttft_ns), rate, done.prompt_tokens,
                done.completion_tokens, done.completion_tokens == 1 ? "" : "s", std::string(to_string(done.reason)).c_str(),
                draws_ ? (", seed " + std::to_string(seed_)).c_str() : "");
  std::string moved = done.kv_bytes_known ? ", no KV moved" : "";
  if (done.kv_bytes_moved > 0) moved = ", " + format_bytes(done.kv_bytes_moved) + " of KV moved over " + (done.transport.empty() ? "?" : done.transport);
  std::fprintf(messages_, "\n[%s; prefill on %s, decode on %s%s]\n", numbers, done.prefill_worker.empty() ? "-" : done.prefill_worker.c_str(),
               done.decode_worker.empty() ? "-" : done.decode_worker.c_str(), moved.c_str());
  if (timeline_) std::fprintf(messages_, "%s", render_timeline(done.timeline).c_str());
}

void JobPrinter::on(const ClientError& error) {
  failed_ = true;
  if (json_) {
    JsonWriter json;
    json.begin_object().member("event", "error").member("code", to_string(error.code)).member("message", error.message);
    if (error.retry_after_ns > 0) json.member("retry_after_ms", (error.retry_after_ns + 999'999) / 1'000'000);
    json.end_object();
    print(json.take() + '\n');
    return;
  }
  if (line_open_) print("\n");
  std::fprintf(messages_, "baton %s: %s (%s)\n", chat_ ? "chat" : "submit", harmless(error.message).c_str(), std::string(to_string(error.code)).c_str());
}

}  // namespace baton
