// SPDX-License-Identifier: Apache-2.0
// JobPrinter: shows one job as its events come: text and a summary for people, or one JSON object per line. Called from
// one thread. Text of a model goes to a terminal with its control characters blanked, so that no answer can drive it.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include "protocol/messages.h"

namespace baton {

class JobPrinter {
 public:
  // The streams are borrowed; answers go to `out`, messages to `messages`.
  explicit JobPrinter(bool json, std::FILE* out = stdout, std::FILE* messages = stderr);

  void on(const ClientAccepted& accepted);
  void on(const ClientTokens& tokens);
  void on(const ClientDone& done);
  void on(const ClientError& error);

  bool failed() const { return failed_; }
  bool output_closed() const { return output_closed_; }  // nobody reads any more

 private:
  void print(std::string_view text);
  void print_text(std::string_view text);

  bool json_;
  std::FILE* out_;
  std::FILE* messages_;
  bool to_terminal_;
  bool failed_ = false;
  bool output_closed_ = false;
  bool line_open_ = false;
};

std::string_view to_string(FinishReason reason);

}  // namespace baton
