// SPDX-License-Identifier: Apache-2.0
// What a client of the test model must get for one choice of a submission: the oracle's tokens, the text they make, cut at stop
// strings by searching all of it anew after every token. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/oracle_engine.h"
#include "protocol/messages.h"

namespace baton {

struct ExpectedAnswer {
  std::vector<TokenId> tokens;
  std::string text;
  FinishReason reason = FinishReason::kLength;
  std::string stop;         // the stop string that ends it
  TokenId stop_token = -1;  // or the id
};

// `submit` has prompt ids, a seed and max_tokens.
ExpectedAnswer expected_answer(const OracleOptions& model, const ClientSubmit& submit, std::uint32_t choice);

// "" if the token carries the log-probabilities that were asked for, or none if none were. `position`: in the sequence.
std::string wrong_logprobs(const OracleOptions& model, const ClientToken& token, std::uint32_t position, const std::optional<std::uint32_t>& asked);

}  // namespace baton
