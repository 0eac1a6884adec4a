// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/json.h"

#include <algorithm>
#include <array>
#include <boost/json/src.hpp>  // the library's one translation unit
#include <cmath>
#include <exception>
#include <string>

namespace baton {
namespace {

// The library makes 1e999 infinite and 0e999 no number at all, which nobody behind this should have to expect.
bool all_finite(const boost::json::value& value) {
  if (value.is_double()) return std::isfinite(value.get_double());
  if (value.is_array()) return std::all_of(value.get_array().begin(), value.get_array().end(), all_finite);
  if (!value.is_object()) return true;
  return std::all_of(value.get_object().begin(), value.get_object().end(), [](const auto& member) { return all_finite(member.value()); });
}

// Behind each of these stands a value, or a name.
constexpr std::array<bool, 256> kBeforeValues = [] {
  std::array<bool, 256> before{};
  for (const unsigned char c : {',', ':', '[', '{'}) before[c] = true;
  return before;
}();

}  // namespace

std::size_t end_of_json_string(std::string_view text, std::size_t at) {
  for (std::size_t quote = at; (quote = text.find('"', quote + 1)) != std::string_view::npos;) {
    std::size_t escapes = quote;
    while (escapes > at + 1 && text[escapes - 1] == '\\') --escapes;
    if ((quote - escapes) % 2 == 0) return quote;
  }
  return text.size();
}

std::size_t count_json_values(std::string_view text) {
  std::size_t values = 1;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t string = std::min(text.find('"', at), text.size());
    for (; at < string; ++at) values += kBeforeValues[static_cast<unsigned char>(text[at])] ? 1 : 0;
    if (at < text.size()) at = end_of_json_string(text, at) + 1;
  }
  return values;
}

Result<boost::json::value> parse_json(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.bytes_max)
    return fail(ErrorCode::kResourceExhausted, std::to_string(text.size()) + " bytes of JSON, at most " + std::to_string(limits.bytes_max));
  // A text of fewer bytes cannot have so many.
  if (text.size() >= limits.values_max && count_json_values(text) > limits.values_max)
    return fail(ErrorCode::kResourceExhausted, "JSON of more than " + std::to_string(limits.values_max) + " values and names");
  boost::json::parse_options options;
  options.max_depth = limits.depth_max;
  try {
    boost::json::stream_parser parser({}, options);
    boost::system::error_code problem;
    const std::size_t taken = parser.write_some(text.data(), text.size(), problem);
    if (!problem && taken < text.size()) problem = boost::json::error::extra_data;
    if (!problem) parser.finish(problem);
    if (problem == boost::json::error::too_deep)
      return fail(ErrorCode::kResourceExhausted, "JSON deeper than " + std::to_string(limits.depth_max) + " levels");
    if (problem) return fail(ErrorCode::kInvalidArgument, "not JSON: " + problem.message() + " at byte " + std::to_string(taken));
    boost::json::value parsed = parser.release();
    if (!all_finite(parsed)) return fail(ErrorCode::kInvalidArgument, "not JSON that can be used: a number past the range of floats");
    return parsed;
  } catch (const std::exception& error) {
    return fail(ErrorCode::kResourceExhausted, std::string("JSON: ") + error.what());
  }
}

const boost::json::value* json_member(const boost::json::value& value, std::string_view name) {
  const boost::json::object* object = value.if_object();
  return object == nullptr ? nullptr : object->if_contains(name);
}

}  // namespace baton
