// SPDX-License-Identifier: Apache-2.0
// HttpStreams: very many streamed completions at once from a gateway at 127.0.0.1, by one thread of its own: what came of each, and when.
// Used from one thread; streams are read once finish() has returned.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "protocol/messages.h"
#include "runtime/base/time.h"

namespace baton::test {

struct HttpStream {
  std::vector<TokenId> prompt;
  SamplingParams sampling;
  int status = 0;               // 0: no answer
  Duration retry_after{};       // of a refusal; 0: it did not say
  std::vector<TokenId> tokens;
  std::vector<Time> arrived;    // of each token
  std::string finish_reason;
  bool done = false;            // "data: [DONE]" came
  std::string trouble;          // an error event, or how the connection ended before that
};

class HttpStreams {
 public:
  // Opens all connections and sends all requests; prompt, temperature, seed, max_tokens and ignore_eos are asked for.
  HttpStreams(std::uint16_t port, std::vector<HttpStream> streams);
  ~HttpStreams();
  HttpStreams(const HttpStreams&) = delete;
  HttpStreams& operator=(const HttpStreams&) = delete;

  std::size_t begun() const { return begun_; }  // have a token
  std::size_t ended() const { return ended_; }
  // Waits for all, at most so long; what has no end then has `trouble`.
  std::vector<HttpStream> finish(Duration limit);

 private:
  struct Connection {
    int socket = -1;
    std::string input;
    bool in_body = false;
  };
  void read_all();
  void read_one(std::size_t index);
  void take_event(HttpStream& stream, std::string_view event, Time now);
  void end(std::size_t index, const std::string& trouble);

  std::vector<HttpStream> streams_;
  std::vector<Connection> connections_;
  std::atomic<std::size_t> begun_{0};
  std::atomic<std::size_t> ended_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace baton::test
