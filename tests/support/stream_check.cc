// SPDX-License-Identifier: Apache-2.0
#include "tests/support/stream_check.h"

#include <algorithm>

namespace baton::test {
namespace {

bool same_scores(const ScoredToken& wanted, const ClientToken& got) {
  if (got.logprob != wanted.logprob || got.top.size() != wanted.top.size()) return false;
  for (std::size_t i = 0; i < wanted.top.size(); ++i)
    if (got.top[i].token != wanted.top[i].token || got.top[i].logprob != wanted.top[i].logprob) return false;
  return true;
}

// "" if every log-probability that was asked for is there and is the model's.
std::string wrong_scores(const OracleOptions& model, const JobRecord& record) {
  const SamplingParams& sampling = record.submit.sampling;
  const auto prompt = static_cast<std::uint32_t>(record.submit.prompt_ids.size());
  for (std::uint32_t i = 0; sampling.logprobs && i < record.tokens.size(); ++i)
    if (!same_scores(oracle_scores(prompt + i, record.tokens[i].token, *sampling.logprobs, model.vocab_size), record.tokens[i]))
      return "another log-probability at " + std::to_string(i);
  if (!sampling.prompt_logprobs) return {};
  std::vector<bool> seen(prompt, false);  // the first token has none
  for (const ClientToken& token : record.prompt) {
    if (token.index >= prompt || seen[token.index]) return "the prompt's position " + std::to_string(token.index) + " came twice";
    seen[token.index] = true;
    if (token.token != record.submit.prompt_ids[token.index]) return "another prompt token at " + std::to_string(token.index);
    if (token.index > 0 && !same_scores(oracle_scores(token.index, token.token, *sampling.prompt_logprobs, model.vocab_size), token))
      return "another log-probability of the prompt at " + std::to_string(token.index);
  }
  const auto count = static_cast<std::size_t>(std::count(seen.begin() + 1, seen.end(), true));
  return count == prompt - 1 ? "" : std::to_string(count) + " log-probabilities of a prompt of " + std::to_string(prompt);
}

// Positions, ids and the end.
StreamVerdict judge_tokens(const std::vector<TokenId>& wanted, const JobRecord& record) {
  const std::string name = record.submit.id + ": ";
  if (record.submit.prompt_ids.empty()) return {StreamFate::kDoubled, "events for a tag that was never given out"};
  if (record.terminals > 1 || record.after_the_end > 0) return {StreamFate::kDoubled, name + "something came after its end"};
  for (std::uint32_t i = 0; i < record.tokens.size(); ++i) {
    const ClientToken& token = record.tokens[i];
    if (token.index < i) return {StreamFate::kDoubled, name + "position " + std::to_string(token.index) + " again"};
    if (token.index > i) return {StreamFate::kLost, name + "no position " + std::to_string(i)};
    if (i >= wanted.size() || token.token != wanted[i]) return {StreamFate::kChanged, name + "another token at " + std::to_string(i)};
  }
  if (record.error) return {StreamFate::kLost, name + record.error->message};
  if (record.timed_out) return {StreamFate::kLost, name + "no end"};
  if (!record.lost.empty()) return {StreamFate::kLost, name + record.lost};
  const bool cancelled = record.cancel_sent && record.done->reason == FinishReason::kCancelled;
  if (!cancelled && record.tokens.size() < wanted.size())
    return {StreamFate::kLost, name + "it ended after " + std::to_string(record.tokens.size()) + " of " + std::to_string(wanted.size()) + " tokens"};
  return {};
}

}  // namespace

StreamVerdict judge_stream(const OracleOptions& model, const JobRecord& record) {
  SamplingParams sampling = record.submit.sampling;
  if (record.accepted) sampling.seed = record.accepted->seed;
  StreamVerdict verdict = judge_tokens(oracle_stream(model, record.submit.prompt_ids, sampling), record);
  if (verdict.fate != StreamFate::kIdentical) return verdict;
  const bool cancelled = record.cancel_sent && record.done->reason == FinishReason::kCancelled;
  if (std::string wrong = cancelled ? "" : wrong_scores(model, record); !wrong.empty()) return {StreamFate::kChanged, record.submit.id + ": " + wrong};
  std::string wrong = oracle_complaint(model, record);
  return {wrong.empty() ? StreamFate::kIdentical : StreamFate::kChanged, wrong};
}

StreamVerdict judge_stream(const JobRecord& undisturbed, const JobRecord& record) {
  std::vector<TokenId> wanted;
  for (const ClientToken& token : undisturbed.tokens) wanted.push_back(token.token);
  StreamVerdict verdict = judge_tokens(wanted, record);
  if (verdict.fate != StreamFate::kIdentical) return verdict;
  const auto changed = [&](const char* what) { return StreamVerdict{StreamFate::kChanged, record.submit.id + ": " + what}; };
  if (!undisturbed.done || record.done->reason != undisturbed.done->reason) return changed("another reason to finish");
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const ClientToken &before = undisturbed.tokens[i], &now = record.tokens[i];
    if (now.text != before.text || now.logprob != before.logprob || now.top.size() != before.top.size()) return changed("another text or log-probability");
  }
  return verdict;
}

Duration usual_interval(const std::vector<Time>& arrived) {
  std::vector<Duration> intervals;
  for (std::size_t i = 1; i < arrived.size(); ++i) intervals.push_back(arrived[i] - arrived[i - 1]);
  return intervals.size() < 2 ? Duration{} : percentile(std::move(intervals), 50);
}

std::optional<Duration> gap_across(const std::vector<Time>& arrived, Time fault, Duration in_flight) {
  if (arrived.empty() || arrived.front() > fault) return std::nullopt;
  std::optional<Duration> longest;
  for (std::size_t i = 1; i < arrived.size() && arrived[i - 1] <= fault + in_flight; ++i)
    if (arrived[i] > fault) longest = std::max(longest.value_or(Duration{}), arrived[i] - arrived[i - 1]);
  if (!longest) return std::nullopt;
  return std::max(Duration{}, *longest - usual_interval(arrived));
}

std::optional<Duration> gap_across(const JobRecord& record, Time fault, Duration in_flight) { return gap_across(record.arrived, fault, in_flight); }

Duration percentile(std::vector<Duration> values, unsigned percent) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, values.size() * percent / 100)];
}

double milliseconds_of(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

}  // namespace baton::test
