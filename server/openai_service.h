// SPDX-License-Identifier: Apache-2.0
// OpenAiService: the gateway's routes. Bodies are parsed, templates rendered and prompts tokenised on a small pool of threads of its
// own (bounded queue: beyond it 503); all else is on the HTTP thread. Owns the pool, the request log and the metrics.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/api_keys.h"
#include "server/http_exchange.h"
#include "server/http_server.h"
#include "server/http_thread.h"
#include "server/job_port.h"
#include "server/openai_request.h"

namespace baton {

struct OpenAiOptions {
  OpenAiModel model;
  std::uint64_t random_key = 0;             // ids of answers are made from it
  std::vector<std::string> metrics_compat;  // "vllm": its names beside ours
  unsigned threads = 1;
  std::size_t queue_max = 1024;             // requests that wait for a thread of the pool
  std::size_t queue_bytes_max = 256u << 20; // their bodies, with those being read
  std::size_t gathered_bytes_max = 256u << 20;  // of answers that are not streamed, until they are whole; all together
  // Those whose requests share no KV with each other's; nullptr: all share it.
  std::shared_ptr<const ApiKeys> salting_keys;
  std::function<HttpCounters()> http;       // of the server, for /metrics; HTTP thread
};

class OpenAiService {
 public:
  OpenAiService(OpenAiOptions options, JobPort& jobs, HttpThread& http);
  ~OpenAiService();  // after the server has stopped
  OpenAiService(const OpenAiService&) = delete;
  OpenAiService& operator=(const OpenAiService&) = delete;

  void handle(HttpRequest request, std::shared_ptr<HttpExchange> exchange);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace baton
