// SPDX-License-Identifier: Apache-2.0
// ApiError: a refusal, also one of the HTTP layer's own, as OpenAI's API words it: {"error":{"message","type","param","code"}}, all four there, code a string or
// null. 429 and 503 come with Retry-After, retry-after-ms and x-should-retry: true. Messages say what is wrong, never where on this
// machine. Pure; any thread.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>

#include "runtime/base/result.h"
#include "server/http_exchange.h"

namespace baton {

struct ApiError {
  unsigned status = 400;
  std::string message;
  std::string param;                           // "": null
  std::string code = "invalid_request_error";  // "": null
  std::uint64_t retry_after_ms = 0;            // of 429 and 503; 0: soon
};

// As the member of a stream, or of a body.
boost::json::object error_object(const ApiError& error);
HttpResponse to_response(const ApiError& error);
// What the cluster said of a job.
ApiError api_error(ErrorCode code, const std::string& message, std::uint64_t retry_after_ns = 0);
ApiError internal_error();                                               // 500: a fault of this process; its log says which
ApiError unsupported(const std::string& param, const std::string& why);  // 400 unsupported_parameter
ApiError bad_value(const std::string& param, const std::string& why);    // 400
ApiError model_not_found(const std::string& name);                       // 404

}  // namespace baton
