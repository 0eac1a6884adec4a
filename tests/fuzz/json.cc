// SPDX-License-Identifier: Apache-2.0
// JSON from outside: parsed within its limits; what templates make of it is JSON of the same shape again.
#include "runtime/base/json.h"

#include "models/chat_value.h"
#include "runtime/base/check.h"
#include "tests/fuzz/target.h"

namespace baton::fuzz {

namespace {

std::size_t count(const boost::json::value& value) {
  std::size_t all = 1;
  if (const auto* array = value.if_array())
    for (const auto& each : *array) all += count(each);
  if (const auto* object = value.if_object())
    for (const auto& each : *object) all += 1 + count(each.value());
  return all;
}

}  // namespace

void run_json(std::string_view bytes) {
  JsonLimits limits;
  limits.bytes_max = 64u << 10;
  limits.depth_max = 32;
  const auto parsed = parse_json(bytes, limits);
  if (!parsed) return;
  CHECK(count(*parsed) <= count_json_values(bytes), "no more values than were counted before");
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
