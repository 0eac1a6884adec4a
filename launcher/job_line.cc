// SPDX-License-Identifier: Apache-2.0
#include "launcher/job_line.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <utility>

#include "config/utf8.h"
#include "protocol/validate.h"
#include "runtime/base/json.h"

namespace baton {
namespace {

namespace json = boost::json;

Result<void> wants(std::string_view name, const char* what) { return fail(ErrorCode::kInvalidArgument, std::string(name) + " wants " + what); }

Result<void> read(std::string_view name, const json::value& value, bool& into) {
  if (!value.is_bool()) return wants(name, "true or false");
  into = value.get_bool();
  return {};
}
Result<void> read(std::string_view name, const json::value& value, float& into) {
  const double number = value.is_double() ? value.get_double() : value.is_int64() ? static_cast<double>(value.get_int64()) : std::nan("");
  if (!std::isfinite(number)) return wants(name, "a number");
  into = static_cast<float>(number);
  return {};
}
template <std::integral Number>
  requires(!std::same_as<Number, bool>)
Result<void> read(std::string_view name, const json::value& value, Number& into) {
  // A number without a sign is an int64 to the reader unless it needs the last bit.
  if (value.is_uint64() && std::in_range<Number>(value.get_uint64())) into = static_cast<Number>(value.get_uint64());
  else if (value.is_int64() && std::in_range<Number>(value.get_int64())) into = static_cast<Number>(value.get_int64());
  else return wants(name, std::is_signed_v<Number> ? "a whole number" : "a whole number, 0 or more, that is not too large");
  return {};
}
Result<void> read(std::string_view name, const json::value& value, std::string& into) {
  if (!value.is_string()) return wants(name, "a text");
  into.assign(value.get_string().begin(), value.get_string().end());
  return {};
}
// A list; or one item, where that is no list itself.
template <class Item>
Result<void> read(std::string_view name, const json::value& value, std::vector<Item>& into) {
  into.clear();
  if (!value.is_array()) return read(name, value, into.emplace_back());
  for (const json::value& each : value.get_array()) RETURN_IF_ERROR(read(name, each, into.emplace_back()));
  return {};
}

Result<void> read_bias(const json::value& value, std::vector<TokenBias>& into) {
  if (!value.is_object()) return wants("logit_bias", "an object of token ids and numbers");
  into.clear();
  for (const auto& [key, bias] : value.get_object()) {
    TokenBias& each = into.emplace_back();
    const auto parsed = std::from_chars(key.data(), key.data() + key.size(), each.token);
    if (parsed.ec != std::errc() || parsed.ptr != key.data() + key.size()) return wants("logit_bias", "token ids as its names");
    RETURN_IF_ERROR(read("logit_bias", bias, each.bias));
  }
  return {};
}

class JobLine {
 public:
  JobLine(const ClientSubmit& defaults, const ChatEncoder& chat)
      : job_(defaults), lists_(defaults.sampling.lists ? *defaults.sampling.lists : SamplingLists{}), chat_(chat) {}

  Result<ClientSubmit> from(const json::object& object) {
    for (const auto& [name, value] : object)
      if (!value.is_null()) RETURN_IF_ERROR(member(name, value));
    if (!prompted_) return fail(ErrorCode::kInvalidArgument, chat_ ? "it has neither prompt nor messages" : "it has no prompt");
    if (!job_.max_tokens_given) job_.sampling.max_tokens = std::max(job_.sampling.max_tokens, job_.sampling.min_tokens);
    if (!(lists_ == SamplingLists{})) job_.sampling.lists = std::make_shared<SamplingLists>(lists_);
    RETURN_IF_ERROR(validate(job_));
    return job_;
  }

 private:
  Result<void> member(std::string_view name, const json::value& value) {
    SamplingParams& s = job_.sampling;
    if (name == "id") return read(name, value, job_.id);
    if (name == "prompt" || name == "messages") return prompt(name, value);
    if (name == "max_tokens" || name == "max_completion_tokens") {
      job_.max_tokens_given = true;
      return read(name, value, s.max_tokens);
    }
    if (name == "seed") {
      job_.seed_given = true;
      return read(name, value, s.seed);
    }
    if (name == "temperature") return read(name, value, s.temperature);
    if (name == "top_p") return read(name, value, s.top_p);
    if (name == "top_k") return read(name, value, s.top_k);
    if (name == "min_p") return read(name, value, s.min_p);
    if (name == "min_tokens") return read(name, value, s.min_tokens);
    if (name == "ignore_eos") return read(name, value, s.ignore_eos);
    if (name == "repetition_penalty") return read(name, value, s.repetition_penalty);
    if (name == "presence_penalty") return read(name, value, s.presence_penalty);
    if (name == "frequency_penalty") return read(name, value, s.frequency_penalty);
    return other_member(name, value);
  }

  Result<void> other_member(std::string_view name, const json::value& value) {
    if (name == "stop") return read(name, value, job_.stop);
    if (name == "stop_token_ids") return read(name, value, lists_.stop_token_ids);
    if (name == "include_stop_str_in_output") return read(name, value, job_.include_stop);
    if (name == "bad_words") return read(name, value, job_.bad_words);
    if (name == "logit_bias") return read_bias(value, lists_.logit_bias);
    if (name == "cache_salt") return read(name, value, job_.cache_salt);
    if (name != "n") return fail(ErrorCode::kInvalidArgument, "there is no \"" + printable(name) + "\" in a line of jobs");
    RETURN_IF_ERROR(read(name, value, job_.n));
    return job_.n == 1 ? Result<void>() : wants(name, "1: a line has one answer");
  }

  Result<void> prompt(std::string_view name, const json::value& value) {
    if (std::exchange(prompted_, true)) return fail(ErrorCode::kInvalidArgument, "it has prompt and messages; one of them is enough");
    if (name == "prompt" && value.is_array()) {
      RETURN_IF_ERROR(read(name, value, job_.prompt_ids));
      return job_.prompt_ids.empty() ? wants(name, "a text or token ids, and is empty") : Result<void>();
    }
    if (name == "prompt") {
      RETURN_IF_ERROR(read(name, value, job_.prompt));
      return job_.prompt.empty() ? wants(name, "a text or token ids, and is empty") : Result<void>();
    }
    if (!chat_) return fail(ErrorCode::kInvalidArgument, "messages need the model's chat template: add --chat");
    auto ids = chat_(value);
    if (!ids) return tl::unexpected<Error>(ids.error());
    job_.prompt_ids = std::move(*ids);
    return {};
  }

  ClientSubmit job_;
  SamplingLists lists_;
  const ChatEncoder& chat_;
  bool prompted_ = false;
};

}  // namespace

Result<ClientSubmit> read_job_line(std::string_view line, const ClientSubmit& defaults, const ChatEncoder& chat) {
  const auto value = parse_json(line);
  if (!value) return tl::unexpected<Error>(value.error());
  if (!value->is_object()) return fail(ErrorCode::kInvalidArgument, "a line wants a JSON object, as in {\"prompt\": \"Hello\"}");
  return JobLine(defaults, chat).from(value->get_object());
}

}  // namespace baton
