// SPDX-License-Identifier: Apache-2.0
#include "protocol/validate.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>
#include <string>

#include "config/utf8.h"
#include "protocol/sampling_limits.h"

namespace baton {
namespace {

Result<void> refuse(const std::string& message) { return fail(ErrorCode::kInvalidArgument, message); }

Result<void> within(const char* name, float value, bool ok, const char* range) {
  if (std::isfinite(value) && ok) return {};
  char number[32];
  std::snprintf(number, sizeof number, "%g", static_cast<double>(value));
  return refuse(std::string(name) + " is " + number + "; it must be " + range);
}

Result<void> at_most(const char* name, std::size_t value, std::size_t most, const char* what) {
  if (value <= most) return {};
  return refuse(std::string(name) + " has " + std::to_string(value) + what + "; the limit is " + std::to_string(most));
}

Result<void> count_within(const char* name, const std::optional<std::uint32_t>& count) {
  if (!count || *count <= kLogprobsMax) return {};
  return refuse(std::string(name) + " is " + std::to_string(*count) + "; it must be between 0 and " + std::to_string(kLogprobsMax));
}

Result<void> validate_penalties(const SamplingParams& s) {
  const auto penalty = [](const char* name, float value) { return within(name, value, value >= -2 && value <= 2, "between -2 and 2"); };
  RETURN_IF_ERROR(within("repetition_penalty", s.repetition_penalty, s.repetition_penalty > 0 && s.repetition_penalty <= 100, "above 0 and at most 100"));
  RETURN_IF_ERROR(penalty("presence_penalty", s.presence_penalty));
  return penalty("frequency_penalty", s.frequency_penalty);
}

Result<void> validate_lists(const SamplingParams& s) {
  RETURN_IF_ERROR(at_most("logit_bias", s.logit_bias().size(), kLogitBiasMax, " tokens"));
  std::set<TokenId> biased;
  for (const TokenBias& each : s.logit_bias()) {
    const std::string name = "logit_bias of token " + std::to_string(each.token);
    RETURN_IF_ERROR(within(name.c_str(), each.bias, each.bias >= -100 && each.bias <= 100, "between -100 and 100"));
    if (!biased.insert(each.token).second) return refuse(name + " is given twice");
  }
  RETURN_IF_ERROR(at_most("stop_token_ids", s.stop_token_ids().size(), kStopTokenIdsMax, " ids"));
  RETURN_IF_ERROR(at_most("bad_words", s.bad_words().size(), kBadWordSequencesMax, " sequences of tokens"));
  for (const auto& word : s.bad_words()) {
    if (word.empty()) return refuse("bad_words has an empty sequence of tokens");
    RETURN_IF_ERROR(at_most("bad_words", word.size(), kBadWordTokensMax, " tokens in one sequence"));
  }
  return {};
}

// A text that must be there, be bounded and be UTF-8: generated text is, so nothing else could ever be found in it.
Result<void> validate_text(const char* name, const std::string& text, std::size_t bytes_max) {
  if (text.empty()) return refuse(std::string(name) + " has an empty text");
  if (find_invalid_utf8(text) != std::string::npos) return refuse(std::string(name) + " has a text that is not UTF-8");
  return at_most(name, text.size(), bytes_max, " bytes in one text");
}

}  // namespace

Result<void> validate(const SamplingParams& s) {
  RETURN_IF_ERROR(within("temperature", s.temperature, s.temperature >= 0 && s.temperature <= 100, "between 0 and 100"));
  RETURN_IF_ERROR(within("top_p", s.top_p, s.top_p > 0 && s.top_p <= 1, "above 0 and at most 1"));
  RETURN_IF_ERROR(within("min_p", s.min_p, s.min_p >= 0 && s.min_p <= 1, "between 0 and 1"));
  RETURN_IF_ERROR(validate_penalties(s));
  if (s.max_tokens == 0) return refuse("max_tokens is 0; it must be at least 1");
  if (s.min_tokens > s.max_tokens)
    return refuse("min_tokens is " + std::to_string(s.min_tokens) + "; it must be at most max_tokens, which is " + std::to_string(s.max_tokens));
  if (s.choice >= kChoicesMax) return refuse("choice is " + std::to_string(s.choice) + "; it must be below " + std::to_string(kChoicesMax));
  RETURN_IF_ERROR(count_within("logprobs", s.logprobs));
  RETURN_IF_ERROR(count_within("prompt_logprobs", s.prompt_logprobs));
  return validate_lists(s);
}

Result<void> validate_ids(const SamplingParams& s, std::uint32_t vocab_size) {
  const auto known = [vocab_size](const char* name, TokenId id) -> Result<void> {
    if (id >= 0 && static_cast<std::uint32_t>(id) < vocab_size) return {};
    return refuse(std::string(name) + " names token " + std::to_string(id) + ", outside the vocabulary of " + std::to_string(vocab_size));
  };
  for (const TokenBias& each : s.logit_bias()) RETURN_IF_ERROR(known("logit_bias", each.token));
  for (const TokenId id : s.stop_token_ids()) RETURN_IF_ERROR(known("stop_token_ids", id));
  for (const auto& word : s.bad_words())
    for (const TokenId id : word) RETURN_IF_ERROR(known("bad_words", id));
  return {};
}

Result<void> validate_label(const std::string& name, const std::string& text) {
  if (text.size() > kLabelBytesMax)
    return refuse(name + " has " + std::to_string(text.size()) + " characters; the limit is " + std::to_string(kLabelBytesMax));
  const auto bad = std::find_if(text.begin(), text.end(), [](char c) { return c <= 0x20 || c >= 0x7f; });
  if (bad == text.end()) return {};
  return refuse(name + " takes printable ASCII characters without spaces; its character " + std::to_string(bad - text.begin() + 1) + " is none");
}

Result<void> validate(const ClientSubmit& submit) {
  RETURN_IF_ERROR(validate_label("id", submit.id));
  RETURN_IF_ERROR(validate_label("cache_salt", submit.cache_salt));
  if (submit.n < 1 || submit.n > kChoicesMax)
    return refuse("n is " + std::to_string(submit.n) + "; it must be between 1 and " + std::to_string(kChoicesMax));
  RETURN_IF_ERROR(at_most("stop", submit.stop.size(), kStopStringsMax, " texts"));
  for (const std::string& text : submit.stop) RETURN_IF_ERROR(validate_text("stop", text, kStopStringBytesMax));
  RETURN_IF_ERROR(at_most("bad_words", submit.bad_words.size(), kBadWordsMax, " texts"));
  for (const std::string& text : submit.bad_words) RETURN_IF_ERROR(validate_text("bad_words", text, kBadWordBytesMax));
  if (!submit.sampling.bad_words().empty()) return refuse("bad_words are given as texts; the edge makes tokens of them");
  return validate(submit.sampling);
}

}  // namespace baton
