// SPDX-License-Identifier: Apache-2.0
// `baton chat`: a conversation in the terminal, or over pipes: a line in, an answer out.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>

#include "launcher/chat_prompt.h"
#include "launcher/commands.h"
#include "launcher/exit_code.h"
#include "launcher/find_cluster.h"
#include "launcher/interrupt.h"
#include "launcher/job_printer.h"
#include "launcher/submit.h"

namespace baton {
namespace {

namespace json = boost::json;

// A line without its end; false at the end of input. Ctrl-C while waiting empties the line and asks anew.
bool read_line(bool terminal, std::string& line) {
  for (;;) {
    if (terminal) std::fprintf(stderr, "> ");
    line.clear();
    int c = 0;
    while ((c = std::getc(stdin)) != EOF && c != '\n') line += static_cast<char>(c);
    if (c == '\n' || !line.empty()) return true;
    if (std::ferror(stdin) == 0 || errno != EINTR) return false;
    std::clearerr(stdin);
    forget_interrupt();
    std::fprintf(stderr, "\n(Ctrl-D leaves)\n");
  }
}

class Chat {
 public:
  Chat(JobsClient& client, const ChatPrompt& prompt, const ClientSubmit& defaults) : client_(client), prompt_(prompt), defaults_(defaults) {}

  void instruct(const std::string& system) { say("system", system); }

  // False: the conversation cannot go on.
  bool answer(const std::string& line) {
    say("user", line);
    auto ids = prompt_.ids(history_);
    if (!ids) return failed(ids.error());
    ClientSubmit job = defaults_;
    job.prompt_ids = std::move(*ids);
    JobPrinter printer(false, job);
    printer.in_chat();
    std::string text;
    forget_interrupt();
    const Result<void> ended = client_.submit(
        job,
        [&](const JobsClient::Event& event) {
          std::visit([&](const auto& each) { printer.on(each); }, event);
          if (const auto* tokens = std::get_if<ClientTokens>(&event))
            for (const ClientToken& token : tokens->tokens) text += token.text;
          if (const auto* done = std::get_if<ClientDone>(&event)) text += done->tail;
        },
        [&] { return interrupted() || printer.output_closed(); });
    forget_interrupt();
    if (!ended) return failed(ended.error());
    if (printer.output_closed()) return false;
    if (printer.failed()) {
      history_.pop_back();  // as if it had not been asked: what is too long now is too long later
      any_failed_ = true;
    } else {
      say("assistant", text);
    }
    return true;
  }
  bool any_failed() const { return any_failed_; }

 private:
  void say(const char* role, const std::string& content) { history_.push_back(json::object{{"role", role}, {"content", content}}); }
  bool failed(const Error& error) {
    complain("chat", error);
    any_failed_ = true;
    return false;
  }

  JobsClient& client_;
  const ChatPrompt& prompt_;
  const ClientSubmit& defaults_;
  json::array history_;
  bool any_failed_ = false;
};

}  // namespace

int run_chat(const ChatOptions& options) {
  SubmitOptions sampling;
  sampling.max_tokens = options.max_tokens;
  sampling.temperature = options.temperature;
  sampling.top_p = options.top_p;
  sampling.seed = options.seed;
  const auto defaults = job_without_prompt(sampling);
  if (!defaults) {
    complain("chat", defaults.error());
    return kBadUsage;
  }
  auto cluster = connect_cluster(options.cluster);
  if (!cluster) return complain("chat", cluster.error());
  const auto prompt = chat_prompt_of(cluster->entry);
  if (!prompt) return complain("chat", prompt.error());
  const bool terminal = isatty(STDIN_FILENO) != 0;
  if (terminal) std::fprintf(stderr, "%s. Ctrl-C ends an answer, Ctrl-D the chat.\n", cluster->entry.name.c_str());
  catch_interrupts();
  Chat chat(*cluster->client, *prompt, *defaults);
  if (!options.system.empty()) chat.instruct(options.system);
  for (std::string line; read_line(terminal, line);)
    if (line.find_first_not_of(" \t\r") != std::string::npos && !chat.answer(line)) break;
  if (terminal) std::fprintf(stderr, "\n");
  return chat.any_failed() ? kFailed : kDone;
}

}  // namespace baton
