// SPDX-License-Identifier: Apache-2.0
#include "tests/support/expected_answer.h"

#include <algorithm>
#include <memory>

#include "models/oracle_tokenizer.h"

namespace baton {
namespace {

struct Found {
  std::size_t begin = std::string::npos;
  std::size_t end = std::string::npos;
  std::string stop;
};

// The stop string whose end comes first, behind `after` bytes; of several the longest.
Found find_stop(const std::string& text, const std::vector<std::string>& stops, std::size_t after) {
  Found found;
  for (const std::string& stop : stops) {
    const std::size_t from = after + 1 > stop.size() ? after + 1 - stop.size() : 0;
    const std::size_t begin = text.find(stop, from);
    if (begin == std::string::npos) continue;
    const std::size_t end = begin + stop.size();
    if (end < found.end || (end == found.end && begin < found.begin)) found = {begin, end, stop};
  }
  return found;
}

}  // namespace

ExpectedAnswer expected_answer(const OracleOptions& model, const ClientSubmit& submit, std::uint32_t choice) {
  SamplingParams sampling = submit.sampling;
  sampling.choice = choice;
  const std::vector<TokenId> all = oracle_stream(model, submit.prompt_ids, sampling);
  const std::unique_ptr<Tokenizer> tokenizer = make_oracle_tokenizer(model.vocab_size);
  StreamDetokenizer detokenizer(*tokenizer);
  ExpectedAnswer answer;
  std::size_t unarmed = 0;  // bytes in which a stop string that ends does not count
  const auto cut = [&] {
    const Found found = find_stop(answer.text, submit.stop, unarmed);
    if (found.end == std::string::npos) return false;
    answer.text.resize(submit.include_stop ? found.end : found.begin);
    answer.reason = FinishReason::kStop;
    answer.stop = found.stop;
    return true;
  };
  for (const TokenId token : all) {
    answer.tokens.push_back(token);
    const auto& ids = sampling.stop_token_ids();
    const bool asked_to_stop = std::find(ids.begin(), ids.end(), token) != ids.end();
    if (!asked_to_stop || submit.include_stop) answer.text += detokenizer.push(token);
    if (answer.tokens.size() <= sampling.min_tokens) unarmed = answer.text.size();
    if (cut()) return answer;
    if (asked_to_stop) answer.stop_token = token;
    if (sampling.stops_at(token, {kOracleStopToken})) answer.reason = FinishReason::kStop;
  }
  answer.text += detokenizer.flush();
  if (answer.tokens.size() <= sampling.min_tokens) unarmed = answer.text.size();
  if (cut()) answer.stop_token = -1;
  return answer;
}

std::string wrong_logprobs(const OracleOptions& model, const ClientToken& token, std::uint32_t position, const std::optional<std::uint32_t>& asked) {
  if (!asked) return token.logprob == 0.0F && token.top.empty() ? "" : "log-probabilities that nobody asked for";
  const ScoredToken wanted = oracle_scores(position, token.token, *asked, model.vocab_size);
  std::vector<TokenLogprob> top;
  for (const ClientLogprob& each : token.top) top.push_back({each.token, each.logprob});
  return token.logprob == wanted.logprob && top == wanted.top ? "" : "wrong log-probabilities at position " + std::to_string(position);
}

}  // namespace baton
