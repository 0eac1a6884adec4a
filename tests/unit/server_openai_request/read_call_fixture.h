// SPDX-License-Identifier: Apache-2.0
// Reads bodies as calls, for the tests of one parameter each: what they say stands beside a prompt or a message that is good.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/support/openai_model.h"

namespace baton::test {

inline constexpr CallKind kKinds[] = {CallKind::kCompletion, CallKind::kChat};

class ReadCall : public testing::Test {
 protected:
  // `members`: what follows in the object, as "\"n\": 2".
  static std::string body(CallKind kind, const std::string& members) {
    return (kind == CallKind::kChat ? R"({"messages":[{"role":"user","content":"hi"}])" : R"({"prompt":"hi")") +
           (members.empty() ? "" : "," + members) + "}";
  }
  tl::expected<OpenAiCall, ApiError> read(CallKind kind, const std::string& whole) const {
    return read_call(kind, whole, served_.model, "7", 1'700'000'000);
  }
  OpenAiCall good(CallKind kind, const std::string& members) const { return take(read(kind, body(kind, members)), members); }
  ApiError bad(CallKind kind, const std::string& members) const { return refusal(read(kind, body(kind, members)), members); }

  static OpenAiCall take(const tl::expected<OpenAiCall, ApiError>& call, const std::string& what) {
    EXPECT_TRUE(call.has_value()) << what << ": " << (call ? "" : call.error().message);
    if (call) return *call;
    OpenAiCall none;
    none.jobs.emplace_back();  // tests look at it
    return none;
  }
  static ApiError refusal(const tl::expected<OpenAiCall, ApiError>& call, const std::string& what) {
    EXPECT_FALSE(call.has_value()) << what;
    return call ? ApiError{0, "", "", ""} : call.error();
  }

  ServedModel served_ = make_served_model();
};

inline std::string quoted(const std::string& name) { return '"' + name + '"'; }
inline std::string member(const std::string& name, const std::string& value) { return quoted(name) + ":" + value; }

}  // namespace baton::test
