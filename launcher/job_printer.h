// SPDX-License-Identifier: Apache-2.0
// JobPrinter: shows one job as its events come: text and a summary for people, or one JSON object per line. Called from
// one thread. Text of a model goes to a terminal with its control characters blanked, so that no answer can drive it. Of several
// choices people see each as a whole, in the order in which they end; one line of JSON says which choice it is of.
#pragma once

#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <string_view>

#include "protocol/messages.h"

namespace baton {

class JobPrinter {
 public:
  // `job`: what was submitted. The streams are borrowed; answers go to `out`, messages to `messages`.
  JobPrinter(bool json, const ClientSubmit& job, std::FILE* out = stdout, std::FILE* messages = stderr);
  // People see where its time went, too.
  void show_timeline() { timeline_ = true; }
  // The summary is a chat's: time to the first token, tokens per second, cached tokens.
  void in_chat() { chat_ = true; }

  void on(const ClientAccepted& accepted);
  void on(const ClientTokens& tokens);
  void on(const ClientChoiceDone& done);
  void on(const ClientDone& done);
  void on(const ClientError& error);

  bool failed() const { return failed_; }
  bool output_closed() const { return output_closed_; }  // nobody reads any more

 private:
  void print(std::string_view text);
  void print_text(std::string_view text);
  void print_done_line(const ClientDone& done);

  bool json_;
  bool timeline_ = false;
  bool chat_ = false;
  bool several_;  // choices
  bool logprobs_;
  bool draws_;  // by a seed
  std::uint64_t seed_ = 0;
  std::map<std::uint32_t, std::string> texts_;  // of choices that have not ended, for people
  std::FILE* out_;
  std::FILE* messages_;
  bool to_terminal_;
  bool failed_ = false;
  bool output_closed_ = false;
  bool line_open_ = false;
};

std::string_view to_string(FinishReason reason);
// For a terminal: line feeds and tabs stay; other control characters become spaces.
std::string harmless(std::string_view text);

}  // namespace baton
