// SPDX-License-Identifier: Apache-2.0
// Result<T>: an expected failure as a value. No exception crosses a folder; a file that uses a throwing
// library catches inside and returns one of these. Messages say what the user can do about it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace baton {

enum class ErrorCode : std::uint16_t {
  kInvalidArgument = 1,    // the input is wrong and will stay wrong
  kNotFound = 2,           // the named thing does not exist
  kAlreadyExists = 3,      // the name, port or id is taken
  kResourceExhausted = 4,  // a bound was reached: try later or ask for less
  kDeadlineExceeded = 5,   // time ran out
  kCancelled = 6,          // the requester asked for it to stop
  kUnavailable = 7,        // the other side is not there (now)
  kIncompatible = 8,       // versions, models or layouts do not fit together
  kCorrupt = 9,            // content failed its check
  kIo = 10,                // the operating system refused a file or a socket
  kInternal = 11,          // a fault of ours that was contained
  kWorkerLost = 12,        // a worker died with the job on it
  kQuarantined = 13,       // workers died of the job: it is not tried again
  kOverloaded = 14,        // it would be served too late: try again later
  kRetriesExhausted = 15,  // too much is being done again already
};

std::string_view to_string(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

template <class T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(ErrorCode code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}

}  // namespace baton

#define RETURN_IF_ERROR(expression)                                     \
  do {                                                                  \
    if (auto result_of_ = (expression); !result_of_) [[unlikely]]       \
      return ::tl::unexpected<::baton::Error>(std::move(result_of_).error()); \
  } while (false)
