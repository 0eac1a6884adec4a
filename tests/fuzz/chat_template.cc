// SPDX-License-Identifier: Apache-2.0
// A chat template: whatever its source, it renders, or says why not, within its limits, and the same twice.
#include "models/chat_template.h"

#include "runtime/base/check.h"
#include "runtime/base/json.h"
#include "tests/fuzz/target.h"

namespace baton::fuzz {
namespace {

ChatInput make_input() {
  ChatInput input;
  input.messages = parse_json(R"([{"role":"system","content":"Be brief."},{"role":"user","content":"Grüße 世界 12"},
    {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":{"a":1,"b":[1.5,true]}}}]},
    {"role":"tool","content":"{}"}])")
                       .value();
  input.tools =
      parse_json(R"([{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}])").value();
  return input;
}

}  // namespace

void run_chat_template(std::string_view bytes) {
  static const ChatInput input = make_input();
  ChatTemplateLimits limits;
  limits.steps_max = 5'000;
  limits.output_max = 64u << 10;
  const auto parsed = ChatTemplate::parse(std::string(bytes), "<s>", "</s>", limits);
  if (!parsed) {
    CHECK(parsed.error().message.starts_with("chat template"), "a refusal says of what");
    return;
  }
  const Result<std::string> first = (*parsed)->render(input), again = (*parsed)->render(input);
  CHECK(first.has_value() == again.has_value(), "twice the same");
  if (!first) {
    CHECK(first.error().message == again.error().message);
    CHECK(first.error().code == ErrorCode::kInvalidArgument || first.error().code == ErrorCode::kResourceExhausted);
    return;
  }
  CHECK(*first == *again && first->size() <= limits.output_max, "a bounded text, twice the same");
}

}  // namespace baton::fuzz
