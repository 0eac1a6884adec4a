// SPDX-License-Identifier: Apache-2.0
#include "server/json_fields.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <cstdio>
#include <utility>

#include "server/http_text.h"

namespace baton {
namespace {

namespace json = boost::json;

constexpr std::size_t kShownBytes = 40;
constexpr std::size_t kUnknownMax = 32;
constexpr std::size_t kUnknownBytes = 64;
constexpr double kExactMax = 9007199254740992.0;  // 2^53: above it a double has no fraction to speak of

std::string show_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

}  // namespace

std::string shown(const json::value& value) {
  if (value.is_array()) return "an array";
  if (value.is_object()) return "an object";
  if (value.is_string() && value.as_string().size() > kShownBytes) return "a string of " + std::to_string(value.as_string().size()) + " bytes";
  return json::serialize(value);
}

std::optional<std::int64_t> integer_of(const json::value& value) {
  if (value.is_int64()) return value.as_int64();
  if (!value.is_double() || std::abs(value.as_double()) > kExactMax || value.as_double() != std::floor(value.as_double())) return std::nullopt;
  return static_cast<std::int64_t>(value.as_double());
}

bool asks_nothing(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null: return true;
    case json::kind::bool_: return !value.as_bool();
    case json::kind::int64: return value.as_int64() == 0;
    case json::kind::uint64: return value.as_uint64() == 0;
    case json::kind::double_: return value.as_double() == 0;
    case json::kind::string: return value.as_string().empty();
    case json::kind::array: return value.as_array().empty();
    case json::kind::object: return value.as_object().empty();
  }
  return false;
}

const json::value* JsonFields::get(std::string_view name) {
  const auto it = object_.find(name);
  if (it == object_.end()) return nullptr;
  known_.insert(it->key());
  return error_ || it->value().is_null() ? nullptr : &it->value();
}

std::optional<bool> JsonFields::flag(std::string_view name) {
  const json::value* const value = get(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_bool()) return value->as_bool();
  refuse(bad_value(std::string(name), "must be true or false, not " + shown(*value)));
  return std::nullopt;
}

std::optional<std::int64_t> JsonFields::integer(std::string_view name, std::int64_t least, std::int64_t most) {
  const json::value* const value = get(name);
  if (value == nullptr) return std::nullopt;
  const auto number = integer_of(*value);
  if (number && *number >= least && *number <= most) return number;
  refuse(bad_value(std::string(name), "must be an integer from " + std::to_string(least) + " to " + std::to_string(most) + ", not " + shown(*value)));
  return std::nullopt;
}

std::optional<double> JsonFields::number(std::string_view name, double least, double most, bool above) {
  const json::value* const value = get(name);
  if (value == nullptr) return std::nullopt;
  const double number = value->is_number() ? value->to_number<double>() : std::nan("");
  if (std::isfinite(number) && number <= most && (above ? number > least : number >= least)) return number;
  refuse(bad_value(std::string(name), std::string("must be a number ") + (above ? "above " : "from ") + show_number(least) + (above ? ", at most " : " to ") +
                                          show_number(most) + ", not " + shown(*value)));
  return std::nullopt;
}

std::optional<std::string> JsonFields::text(std::string_view name, std::size_t bytes_max) {
  const json::value* const value = get(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_string() && value->as_string().size() <= bytes_max) return std::string(value->as_string());
  refuse(bad_value(std::string(name), "must be a string of at most " + std::to_string(bytes_max) + " bytes, not " + shown(*value)));
  return std::nullopt;
}

std::vector<std::string> JsonFields::texts(std::string_view name, std::size_t most) {
  const json::value* const value = get(name);
  if (value == nullptr) return {};
  if (value->is_string()) return {std::string(value->as_string())};
  const auto is_text = [](const json::value& each) { return each.is_string(); };
  if (!value->is_array() || value->as_array().size() > most || !std::all_of(value->as_array().begin(), value->as_array().end(), is_text)) {
    refuse(bad_value(std::string(name), "must be a string or a list of at most " + std::to_string(most) + " strings"));
    return {};
  }
  std::vector<std::string> texts;
  for (const json::value& each : value->as_array()) texts.emplace_back(each.as_string());
  return texts;
}

std::vector<TokenId> JsonFields::ids(std::string_view name, std::size_t most, std::uint32_t vocab_size) {
  const json::value* const value = get(name);
  if (value == nullptr) return {};
  const std::string wanted = "must be a list of at most " + std::to_string(most) + " token ids from 0 to " + std::to_string(vocab_size - 1);
  std::vector<TokenId> ids;
  if (!value->is_array() || value->as_array().size() > most) refuse(bad_value(std::string(name), wanted));
  else
    for (const json::value& each : value->as_array()) {
      const auto id = integer_of(each);
      if (!id || *id < 0 || *id >= vocab_size) {
        refuse(bad_value(std::string(name), wanted + "; " + shown(each) + " is none"));
        break;
      }
      ids.push_back(static_cast<TokenId>(*id));
    }
  return error_ ? std::vector<TokenId>() : ids;
}

void JsonFields::refuse(ApiError error) {
  if (!error_) error_ = std::move(error);
}

std::vector<std::string> JsonFields::unknown() const {
  std::vector<std::string> names;
  for (const auto& member : object_) {
    if (names.size() == kUnknownMax) break;
    if (known_.contains(member.key())) continue;
    const std::string name(member.key().substr(0, kUnknownBytes));
    if (is_http_token(name)) names.push_back(name);
  }
  return names;
}

}  // namespace baton
