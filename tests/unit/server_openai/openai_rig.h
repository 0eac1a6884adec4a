// SPDX-License-Identifier: Apache-2.0
// OpenAiRig: what answers and the service need of the rest, held by a test: an HTTP thread that it turns, a cluster whose events
// it makes, and exchanges that keep what was answered. The model is the oracle's: byte b is token b + 1.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "models/oracle_tokenizer.h"
#include "runtime/base/json.h"
#include "server/http_thread.h"
#include "server/job_port.h"
#include "server/openai_answer.h"
#include "server/request_log.h"

namespace baton::test {

namespace json = boost::json;

class HandTurnedThread final : public HttpThread {
 public:
  void post(std::function<void()> turn) override {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(turn));
  }
  void after(Duration delay, std::function<void()> turn) override { due_.emplace(now_ + delay, std::move(turn)); }
  Time now() const override { return now_; }
  // Runs what was posted; false if there was nothing.
  bool turn() {
    std::vector<std::function<void()>> turns;
    {
      const std::lock_guard lock(mutex_);
      turns.swap(posted_);
    }
    for (const auto& each : turns) each();
    return !turns.empty();
  }
  void pass(Duration time) {
    const Time until = now_ + time;
    while (!due_.empty() && due_.begin()->first <= until) {
      now_ = due_.begin()->first;
      const auto each = std::move(due_.begin()->second);
      due_.erase(due_.begin());
      each();
    }
    now_ = until;
  }

 private:
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;
  std::multimap<Time, std::function<void()>> due_;
  Time now_ = Time{} + std::chrono::seconds(1000);
};

// What an exchange was told.
struct Told {
  HttpResponse head;
  std::string body;
  bool responded = false, streaming = false, finished = false;
  std::size_t writes = 0, echoed = 0;
  bool reads = true;  // false: write() says that nobody does
  int throws = 0;     // so many calls of write() and respond() find no memory
  std::function<void()> gone;
};

class KeptExchange final : public HttpExchange {
 public:
  explicit KeptExchange(std::shared_ptr<Told> told) : told_(std::move(told)) {}
  void respond(HttpResponse response) override {
    throw_if_asked();
    EXPECT_FALSE(told_->responded || told_->streaming);
    told_->responded = true;
    told_->body = response.body;
    told_->head = std::move(response);
  }
  void start_stream(HttpResponse head) override {
    EXPECT_FALSE(told_->responded || std::exchange(told_->streaming, true));
    told_->head = std::move(head);
  }
  bool write(std::string_view bytes, std::size_t echoed) override {
    throw_if_asked();
    EXPECT_TRUE(told_->streaming && !told_->finished);
    told_->body += bytes;
    ++told_->writes;
    told_->echoed += echoed;
    return told_->reads;
  }
  void finish() override { EXPECT_FALSE(std::exchange(told_->finished, true)); }
  void on_gone(std::function<void()> gone) override { told_->gone = std::move(gone); }

 private:
  void throw_if_asked() const {
    if (told_->throws > 0 && told_->throws-- > 0) throw std::bad_alloc();
  }

  std::shared_ptr<Told> told_;
};

class HeldJobs final : public JobPort {
 public:
  Ticket submit(ClientSubmit job, Sink sink) override {
    if (refuses) throw std::bad_alloc();
    submitted.push_back(std::move(job));
    sinks.push_back(std::move(sink));
    return sinks.size();
  }
  void cancel(Ticket ticket) override {
    if (std::exchange(sinks[ticket - 1], nullptr)) cancelled.push_back(ticket);
  }
  void status(bool, std::function<void(std::optional<StatusReport>)> answer) override { answer(report); }
  // To the sink of the job with that number; nothing if it was cancelled.
  void say(std::size_t job, const std::vector<Event>& events) {
    const Sink sink = sinks[job];
    const bool last = std::holds_alternative<ClientDone>(events.back()) || std::holds_alternative<ClientError>(events.back());
    if (last) sinks[job] = nullptr;
    if (sink) sink(events);
  }

  bool refuses = false;  // submit() finds no memory
  std::vector<ClientSubmit> submitted;
  std::vector<Sink> sinks;
  std::vector<Ticket> cancelled;
  std::optional<StatusReport> report = StatusReport{};
};

inline std::vector<TokenId> oracle_ids(const std::string& text) {
  std::vector<TokenId> ids;
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c) + 1);
  return ids;
}

// Tokens of that text, one per byte, from position `first` on.
inline ClientTokens tokens_of(const std::string& text, std::uint32_t choice = 0, std::uint32_t first = 0) {
  ClientTokens tokens;
  tokens.choice = choice;
  for (const char c : text) {
    ClientToken token;
    token.index = first++;
    token.token = static_cast<unsigned char>(c) + 1;
    token.text = c;
    token.logprob = -0.5F;
    token.top = {{token.token, -0.5F, {}}, {static_cast<unsigned char>('z') + 1, -2.0F, {}}};
    tokens.tokens.push_back(std::move(token));
  }
  return tokens;
}

// The oracle's, but encode() fails at texts with "poison" in them, and waits at those with "wait" until `go`.
class MoodyTokenizer final : public Tokenizer {
 public:
  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options) const override {
    if (text.find("poison") != std::string_view::npos) throw std::bad_alloc();
    if (text.find("wait") != std::string_view::npos) go.wait(false);
    return oracle_->encode(text, options);
  }
  std::string token_bytes(TokenId id, bool render_special) const override {
    if (id == kPoison) throw std::runtime_error("on purpose");
    return oracle_->token_bytes(id, render_special);
  }
  std::uint32_t vocab_size() const override { return oracle_->vocab_size(); }
  TokenId bos() const override { return oracle_->bos(); }
  TokenId eos() const override { return oracle_->eos(); }

  static constexpr TokenId kPoison = 300;
  std::atomic<bool> go{false};

 private:
  std::unique_ptr<Tokenizer> oracle_ = make_oracle_tokenizer(512);
};

// The data of each event of a stream, comments left out.
inline std::vector<std::string> stream_data(const std::string& body) {
  std::vector<std::string> data;
  std::size_t at = 0;
  while (at < body.size()) {
    const std::size_t end = body.find("\n\n", at);
    EXPECT_NE(end, std::string::npos) << "an event that does not end";
    if (end == std::string::npos) break;
    const std::string event = body.substr(at, end - at);
    if (event.starts_with("data: ")) data.push_back(event.substr(6));
    else EXPECT_TRUE(event.starts_with(":")) << event;
    at = end + 2;
  }
  return data;
}

inline std::vector<json::object> stream_chunks(const std::string& body) {
  std::vector<json::object> chunks;
  for (const std::string& data : stream_data(body))
    if (data != "[DONE]") chunks.push_back(json::parse(data).as_object());
  return chunks;
}

}  // namespace baton::test
