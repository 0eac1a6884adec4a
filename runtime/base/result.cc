// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/result.h"

namespace baton {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument: return "invalid_argument";
    case ErrorCode::kNotFound: return "not_found";
    case ErrorCode::kAlreadyExists: return "already_exists";
    case ErrorCode::kResourceExhausted: return "resource_exhausted";
    case ErrorCode::kDeadlineExceeded: return "deadline_exceeded";
    case ErrorCode::kCancelled: return "cancelled";
    case ErrorCode::kUnavailable: return "unavailable";
    case ErrorCode::kIncompatible: return "incompatible";
    case ErrorCode::kCorrupt: return "corrupt";
    case ErrorCode::kIo: return "io";
    case ErrorCode::kInternal: return "internal";
    case ErrorCode::kWorkerLost: return "worker_lost";
    case ErrorCode::kQuarantined: return "request_quarantined";
    case ErrorCode::kOverloaded: return "overloaded";
    case ErrorCode::kRetriesExhausted: return "retries_exhausted";
  }
  return "unknown";
}

}  // namespace baton
