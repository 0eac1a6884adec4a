// SPDX-License-Identifier: Apache-2.0
#include "protocol/validate.h"

#include <cmath>
#include <string>

namespace baton {
namespace {

Result<void> within(const char* name, float value, bool ok, const char* range) {
  if (std::isfinite(value) && ok) return {};
  return fail(ErrorCode::kInvalidArgument, std::string(name) + " is " + std::to_string(value) + "; it must be " + range);
}

}  // namespace

Result<void> validate(const SamplingParams& s) {
  RETURN_IF_ERROR(within("temperature", s.temperature, s.temperature >= 0 && s.temperature <= 100, "between 0 and 100"));
  RETURN_IF_ERROR(within("top_p", s.top_p, s.top_p > 0 && s.top_p <= 1, "above 0 and at most 1"));
  RETURN_IF_ERROR(within("min_p", s.min_p, s.min_p >= 0 && s.min_p <= 1, "between 0 and 1"));
  if (s.max_tokens == 0) return fail(ErrorCode::kInvalidArgument, "max_tokens is 0; it must be at least 1");
  return {};
}

}  // namespace baton
