// SPDX-License-Identifier: Apache-2.0
// JSON from outside: parsed within its limits; what templates make of it is JSON of the same shape again.
#include "runtime/base/json.h"

#include "models/chat_value.h"
#include "runtime/base/check.h"
#include "tests/fuzz/target.h"

namespace baton::fuzz {

void run_json(std::string_view bytes) {
  JsonLimits limits;
  limits.bytes_max = 64u << 10;
  limits.depth_max = 32;
  const auto parsed = parse_json(bytes, limits);
  if (!parsed) return;
  (void)json_member(*parsed, "a");
  chat::ChatMeter meter{ChatTemplateLimits{}};
  std::string first;
  try {
    first = chat::to_json(chat::from_json(*parsed, meter), {}, meter);
  } catch (const chat::Fault& fault) {
    CHECK(!fault.message.empty());
    return;
  }
  const auto again = parse_json(first);
  CHECK(again.has_value(), "what a template writes can be read");
  // The library reads a number of many digits to within a unit of the last place, so shapes are compared, not digits.
  CHECK(again->kind() == parsed->kind(), "of the same kind");
}

}  // namespace baton::fuzz
