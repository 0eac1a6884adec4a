// SPDX-License-Identifier: Apache-2.0
#include "server/openai_error.h"

#include <boost/json/serialize.hpp>

namespace baton {
namespace {

constexpr std::uint64_t kSoonMs = 500;

// After openapi.yaml 2.3.0 and what the API sends: one type per class of status.
const char* type_of(unsigned status) {
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

boost::json::value text_or_null(const std::string& text) {
  return text.empty() ? boost::json::value(nullptr) : boost::json::value(text);
}

}  // namespace

boost::json::object error_object(const ApiError& error) {
  return {{"message", error.message},
          {"type", type_of(error.status)},
          {"param", text_or_null(error.param)},
          {"code", text_or_null(error.code)}};
}

HttpResponse to_response(const ApiError& error) {
  HttpResponse response;
  response.status = error.status;
  if (error.status == 429 || error.status == 503) {
    const std::uint64_t ms = error.retry_after_ms == 0 ? kSoonMs : error.retry_after_ms;
    response.headers = {{"Retry-After", std::to_string((ms + 999) / 1000)}, {"retry-after-ms", std::to_string(ms)}, {"x-should-retry", "true"}};
  }
  response.body = boost::json::serialize(boost::json::object{{"error", error_object(error)}});
  return response;
}

ApiError api_error(ErrorCode code, const std::string& message, std::uint64_t retry_after_ns) {
  const std::uint64_t ms = (retry_after_ns + 999'999) / 1'000'000;
  switch (code) {
    case ErrorCode::kInvalidArgument:
    // Not 409: clients repeat that one, and it would be refused again.
    case ErrorCode::kAlreadyExists: return {400, message, "", "invalid_request_error"};
    case ErrorCode::kNotFound: return {404, message, "", "not_found"};
    case ErrorCode::kCancelled: return {400, message, "", "cancelled"};
    case ErrorCode::kResourceExhausted: return {429, message, "", "rate_limit_exceeded", ms};
    case ErrorCode::kOverloaded: return {429, message, "", "overloaded", ms};
    case ErrorCode::kDeadlineExceeded: return {504, message, "", "timeout"};
    case ErrorCode::kUnavailable:
    case ErrorCode::kWorkerLost: return {503, message, "", "unavailable", ms};
    case ErrorCode::kRetriesExhausted: return {503, message, "", "retries_exhausted", ms};
    case ErrorCode::kQuarantined: return {500, message, "", "request_quarantined"};
    // These may name files and addresses of the cluster; its logs have them.
    case ErrorCode::kIncompatible:
    case ErrorCode::kCorrupt:
    case ErrorCode::kIo:
    case ErrorCode::kInternal: break;
  }
  return {500, "the cluster failed at this request; its logs say why", "", "server_error"};
}

ApiError internal_error() { return {500, "the server failed at this request", "", "internal_error"}; }

ApiError unsupported(const std::string& param, const std::string& why) {
  return {400, "'" + param + "' cannot be honoured: " + why, param, "unsupported_parameter"};
}

ApiError bad_value(const std::string& param, const std::string& why) {
  return {400, "'" + param + "' " + why, param, "invalid_request_error"};
}

ApiError model_not_found(const std::string& name) {
  return {404, "The model `" + name + "` does not exist; GET /v1/models lists those that do.", "model", "model_not_found"};
}

}  // namespace baton
