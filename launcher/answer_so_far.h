// SPDX-License-Identifier: Apache-2.0
// AnswerSoFar: what a client of the jobs socket has of an answer, so that an answer that is sent again, by a cluster that had lost the
// job, goes on where it stopped: nothing comes twice, and what comes again must be what came before. Any thread, one at a time. Holds an
// id per token.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "protocol/messages.h"
#include "runtime/base/result.h"

namespace baton {

class AnswerSoFar {
 public:
  // `first`: the position from which on the answer is wanted.
  explicit AnswerSoFar(std::uint32_t first = 0) : first_(first) {}
  // The first acceptance is news; a later one of another seed is kCorrupt.
  Result<bool> take(const ClientAccepted& accepted);
  // Leaves in `fresh` what is new, which may be nothing. kCorrupt: another token than before at a position, or a gap.
  Result<void> take(ClientTokens& fresh);
  // False: it came before.
  bool take(const ClientChoiceDone& done);

  const std::optional<ClientAccepted>& accepted() const { return accepted_; }
  // Of the only choice; where to attach from.
  std::uint32_t next() const;

 private:
  struct Choice {
    std::vector<TokenId> tokens;
    bool done = false;
  };
  std::optional<ClientAccepted> accepted_;
  const std::uint32_t first_;
  std::uint32_t prompt_next_ = 0;  // position in the prompt
  std::map<std::uint32_t, Choice> choices_;
};

}  // namespace baton
