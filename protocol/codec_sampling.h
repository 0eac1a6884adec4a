// SPDX-License-Identifier: Apache-2.0
// Shared by the codec_*.cc files of jobs and clients: SamplingParams, whose bounds are those of sampling_limits.h. See codec_detail.h.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>

#include "protocol/codec_detail.h"
#include "protocol/sampling_limits.h"

namespace baton::wire {

inline void put(TokenBias::Builder b, const baton::TokenBias& m) {
  b.setToken(m.token);
  b.setBias(m.bias);
}
inline void get(TokenBias::Reader r, baton::TokenBias& m) {
  m.token = r.getToken();
  m.bias = r.getBias();
}

// A client that asks for too much gets words (validate), not a dropped link; only what is far beyond does not decode.
inline constexpr std::size_t kSlack = 4;

inline void put_lists(SamplingParams::Builder b, const SamplingLists& m) {
  if (!m.logit_bias.empty()) put_list(b.initLogitBias(size_of(m.logit_bias)), m.logit_bias);
  if (!m.stop_token_ids.empty()) put_numbers(b.initStopTokenIds(size_of(m.stop_token_ids)), m.stop_token_ids);
  if (m.bad_words.empty()) return;
  auto words = b.initBadWords(size_of(m.bad_words));
  for (unsigned i = 0; i < words.size(); ++i) put_numbers(words.init(i, size_of(m.bad_words[i])), m.bad_words[i]);
}
// Each list is asked for once: every time counts against the traversal limit.
inline std::shared_ptr<const SamplingLists> get_lists(SamplingParams::Reader r) {
  auto lists = std::make_shared<SamplingLists>();
  get_list(r.getLogitBias(), lists->logit_bias, kSlack * kLogitBiasMax, "logit_bias");
  get_numbers(r.getStopTokenIds(), lists->stop_token_ids, kSlack * kStopTokenIdsMax, "stop_token_ids");
  const auto words = r.getBadWords();
  check_length(words, kBadWordSequencesMax, "bad_words");
  for (const auto word : words) get_numbers(word, lists->bad_words.emplace_back(), kBadWordTokensMax, "bad_words");
  if (lists->logit_bias.empty() && lists->stop_token_ids.empty() && lists->bad_words.empty()) return nullptr;
  return lists;
}

// 0: absent; else one more than the number, as far as a byte goes.
inline std::uint8_t wire_count(const std::optional<std::uint32_t>& count) {
  return static_cast<std::uint8_t>(count ? std::min(*count, 254u) + 1 : 0);
}
inline std::optional<std::uint32_t> count_of(std::uint8_t wire) { return wire == 0 ? std::nullopt : std::optional(wire - 1u); }

inline void put(SamplingParams::Builder b, const baton::SamplingParams& m) {
  b.setTemperature(m.temperature);
  b.setTopK(m.top_k);
  b.setTopP(m.top_p);
  b.setMinP(m.min_p);
  b.setSeed(m.seed);
  b.setMaxTokens(m.max_tokens);
  b.setIgnoreEos(m.ignore_eos);
  b.setRepetitionPenalty(m.repetition_penalty);
  b.setPresencePenalty(m.presence_penalty);
  b.setFrequencyPenalty(m.frequency_penalty);
  b.setMinTokens(m.min_tokens);
  b.setChoice(m.choice);
  b.setLogprobs(wire_count(m.logprobs));
  b.setPromptLogprobs(wire_count(m.prompt_logprobs));
  if (m.lists) put_lists(b, *m.lists);
}
inline void get(SamplingParams::Reader r, baton::SamplingParams& m) {
  m.temperature = r.getTemperature();
  m.top_k = r.getTopK();
  m.top_p = r.getTopP();
  m.min_p = r.getMinP();
  m.seed = r.getSeed();
  m.max_tokens = r.getMaxTokens();
  m.ignore_eos = r.getIgnoreEos();
  m.repetition_penalty = r.getRepetitionPenalty();
  m.presence_penalty = r.getPresencePenalty();
  m.frequency_penalty = r.getFrequencyPenalty();
  m.min_tokens = r.getMinTokens();
  m.choice = r.getChoice();
  m.logprobs = count_of(r.getLogprobs());
  m.prompt_logprobs = count_of(r.getPromptLogprobs());
  m.lists = get_lists(r);
}

// The likeliest tokens beside one; not even an empty list where there are none, as mostly.
template <class Builder, class Each>
void put_top(Builder b, const std::vector<Each>& top) {
  if (!top.empty()) put_list(b.initTop(size_of(top)), top);
}

}  // namespace baton::wire
