// SPDX-License-Identifier: Apache-2.0
// Answers one OpenAiCall over its exchange: submits its jobs, gathers or streams what comes, and writes OpenAI's bodies, to the
// letter: server-sent events, `usage: null` on all chunks but the last where usage was asked for, [DONE]. When the client goes,
// the jobs are cancelled; when a job fails, the others are. What it gathers counts in an account that all answers share: the request
// that would pass its limit is refused with 503. Keeps itself alive until its last event. HTTP thread only.
#pragma once

#include <memory>

#include "server/byte_account.h"
#include "server/http_exchange.h"
#include "server/http_thread.h"
#include "server/job_port.h"
#include "server/openai_request.h"
#include "server/request_log.h"

namespace baton {

// Borrowed by every answer; outlives them.
struct AnswerEnvironment {
  JobPort& jobs;
  HttpThread& http;
  const OpenAiModel& model;
  RequestLog& log;
  std::shared_ptr<ByteAccount> gathered;  // whole answers until they are handed over, and echoes until their stream has them
};

// `headers`: further ones of the response (X-Request-Id, X-Ignored-Params).
void answer_call(OpenAiCall call, std::shared_ptr<HttpExchange> exchange, std::vector<HttpHeader> headers, const AnswerEnvironment& environment);

}  // namespace baton
