// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <boost/json/array.hpp>
#include <charconv>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "protocol/sampling_limits.h"
#include "protocol/validate.h"
#include "server/openai_parts.h"

namespace baton {
namespace {

namespace json = boost::json;

constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();

// OpenAI's form: an object of token ids, as strings, to biases.
std::vector<TokenBias> read_logit_bias(JsonFields& fields, std::uint32_t vocab_size) {
  const json::value* const value = fields.get("logit_bias");
  if (value == nullptr) return {};
  const auto refuse = [&fields](const std::string& why) {
    fields.refuse(bad_value("logit_bias", why));
    return std::vector<TokenBias>();
  };
  if (!value->is_object()) return refuse("must be an object of token ids to biases, not " + shown(*value));
  if (value->as_object().size() > kLogitBiasMax) return refuse("has more than " + std::to_string(kLogitBiasMax) + " tokens");
  std::vector<TokenBias> biases;
  for (const auto& [key, bias] : value->as_object()) {
    TokenId id = -1;
    const auto end = std::from_chars(key.data(), key.data() + key.size(), id);
    if (end.ec != std::errc() || end.ptr != key.data() + key.size() || id < 0 || static_cast<std::uint32_t>(id) >= vocab_size)
      return refuse("has " + shown(json::value(key)) + ", which is no token id from 0 to " + std::to_string(vocab_size - 1));
    const double number = bias.is_number() ? bias.to_number<double>() : 1000;
    if (!(number >= -100 && number <= 100)) return refuse("of token " + std::to_string(id) + " must be a number from -100 to 100, not " + shown(bias));
    const auto same = [id](const TokenBias& each) { return each.token == id; };  // "7" and "007"
    if (std::any_of(biases.begin(), biases.end(), same)) return refuse("has token " + std::to_string(id) + " twice");
    biases.push_back({id, static_cast<float>(number)});
  }
  return biases;
}

// Texts that the cluster would refuse (empty ones, long ones) are refused here, by name.
void read_texts(JsonFields& fields, const char* name, std::size_t most, std::vector<std::string> ClientSubmit::*member, ClientSubmit& job) {
  ClientSubmit alone;
  alone.*member = fields.texts(name, most);
  if (const auto good = validate(alone); !good) fields.refuse({400, good.error().message, name, "invalid_request_error"});
  job.*member = std::move(alone.*member);
}

void read_lists(JsonFields& fields, const OpenAiModel& model, ClientSubmit& job) {
  const std::uint32_t vocab_size = model.tokenizer->vocab_size();
  auto lists = std::make_shared<SamplingLists>();
  lists->logit_bias = read_logit_bias(fields, vocab_size);
  lists->stop_token_ids = fields.ids("stop_token_ids", kStopTokenIdsMax, vocab_size);
  if (!lists->logit_bias.empty() || !lists->stop_token_ids.empty()) job.sampling.lists = std::move(lists);
  read_texts(fields, "stop", kStopStringsMax, &ClientSubmit::stop, job);
  read_texts(fields, "bad_words", kBadWordsMax, &ClientSubmit::bad_words, job);
}

void read_penalties(JsonFields& fields, SamplingParams& sampling) {
  sampling.repetition_penalty = static_cast<float>(fields.number("repetition_penalty", 0, 100, true).value_or(1));
  sampling.presence_penalty = static_cast<float>(fields.number("presence_penalty", -2, 2).value_or(0));
  sampling.frequency_penalty = static_cast<float>(fields.number("frequency_penalty", -2, 2).value_or(0));
}

}  // namespace

void read_sampling(JsonFields& fields, const OpenAiModel& model, ClientSubmit& job) {
  SamplingParams& sampling = job.sampling;
  sampling.temperature = static_cast<float>(fields.number("temperature", 0, 2).value_or(1));
  sampling.top_p = static_cast<float>(fields.number("top_p", 0, 1, true).value_or(1));
  // vLLM's -1 is off, too. A top_p that is no more than float's smallest step above 0 would become 0.
  sampling.top_p = std::max(sampling.top_p, std::numeric_limits<float>::min());
  sampling.top_k = static_cast<std::uint32_t>(std::max<std::int64_t>(0, fields.integer("top_k", -1, kInt32Max).value_or(0)));
  sampling.min_p = static_cast<float>(fields.number("min_p", 0, 1).value_or(0));
  read_penalties(fields, sampling);
  sampling.repetition_penalty = std::max(sampling.repetition_penalty, std::numeric_limits<float>::min());
  sampling.min_tokens = static_cast<std::uint32_t>(fields.integer("min_tokens", 0, kInt32Max).value_or(0));
  sampling.ignore_eos = fields.flag("ignore_eos", false);
  const auto seed = fields.integer("seed", std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max());
  job.seed_given = seed.has_value();
  sampling.seed = static_cast<std::uint64_t>(seed.value_or(0));
  job.include_stop = fields.flag("include_stop_str_in_output", false);
  job.cache_salt = fields.text("cache_salt", kLabelBytesMax).value_or("");
  if (const auto good = validate_label("cache_salt", job.cache_salt); !good) fields.refuse({400, good.error().message, "cache_salt", "invalid_request_error"});
  read_lists(fields, model, job);
}

}  // namespace baton
