// SPDX-License-Identifier: Apache-2.0
// JsonFields: the members of a request's body, read one by one with their types and ranges. null counts as absent. The first thing
// that is wrong is kept, and everything after it is read as if it were absent; so a reader needs no check behind each member. Members
// that nobody asked for are told at the end. Borrows the object; one thread.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/sampling_params.h"
#include "server/openai_error.h"

namespace baton {

class JsonFields {
 public:
  explicit JsonFields(const boost::json::object& object) : object_(object) {}

  // nullptr: absent, null, or something before it was wrong.
  const boost::json::value* get(std::string_view name);
  std::optional<bool> flag(std::string_view name);
  bool flag(std::string_view name, bool otherwise) { return flag(name).value_or(otherwise); }
  // Numbers without a fraction count as integers (3.0), as they do for pydantic; strings and booleans do not.
  std::optional<std::int64_t> integer(std::string_view name, std::int64_t least, std::int64_t most);
  // `above`: `least` itself is too small.
  std::optional<double> number(std::string_view name, double least, double most, bool above = false);
  std::optional<std::string> text(std::string_view name, std::size_t bytes_max);
  // One text or a list of them.
  std::vector<std::string> texts(std::string_view name, std::size_t most);
  // Token ids below `vocab_size`.
  std::vector<TokenId> ids(std::string_view name, std::size_t most, std::uint32_t vocab_size);

  void refuse(ApiError error);
  const std::optional<ApiError>& error() const { return error_; }
  // Names nobody asked for; at most 32, cut to 64 characters that a header may carry.
  std::vector<std::string> unknown() const;

 private:
  const boost::json::object& object_;
  std::set<std::string_view> known_;
  std::optional<ApiError> error_;
};

// A value for a message: short ones as they are.
std::string shown(const boost::json::value& value);
// The whole number that a value is.
std::optional<std::int64_t> integer_of(const boost::json::value& value);
// false, 0, "", [] and {}: what asks for nothing.
bool asks_nothing(const boost::json::value& value);

}  // namespace baton
