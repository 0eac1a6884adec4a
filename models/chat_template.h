// SPDX-License-Identifier: Apache-2.0
// ChatTemplate: a model's Jinja chat template, run by an interpreter of ours that can neither read files nor run code and stops at
// its limits. The language is Jinja 2 as transformers uses it (trim_blocks, lstrip_blocks, loop controls, tojson without HTML
// escapes, raise_exception, strftime_now). Immutable; any thread.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <ctime>
#include <memory>
#include <string>

#include "runtime/base/result.h"

namespace baton {

struct ChatTemplateLimits {
  std::uint64_t steps_max = 1'000'000;        // nodes evaluated and characters or items handled in bulk
  std::size_t output_max = 4u << 20;          // bytes, of the text and of any value on the way
  std::size_t depth_max = 64;                 // of expressions, blocks and macro calls within each other
  std::size_t source_max = 1u << 20;          // bytes
};

struct ChatInput {
  boost::json::value messages;                // array of {"role", "content", …}
  boost::json::value tools = nullptr;         // array, or null
  boost::json::object variables;              // chat_template_kwargs; may not replace the names below
  bool add_generation_prompt = true;
  std::time_t now = 0;                        // UTC seconds, for strftime_now
};

class ChatTemplate {
 public:
  // kInvalidArgument: "chat template, line N: what". bos and eos are the texts of those tokens ("" if the model has none).
  static Result<std::shared_ptr<const ChatTemplate>> parse(std::string source, std::string bos_token, std::string eos_token,
                                                           const ChatTemplateLimits& limits = {});
  virtual ~ChatTemplate() = default;
  // The prompt's text. kInvalidArgument: the template refused the conversation (its raise_exception's words) or does not fit it;
  // kResourceExhausted: a limit.
  virtual Result<std::string> render(const ChatInput& input) const = 0;
  virtual const std::string& source() const = 0;
};

}  // namespace baton
