// SPDX-License-Identifier: Apache-2.0
// Announcer: what `baton up` tells the user, from the foreground or from a launcher that already left the terminal: then
// the words travel through a pipe to the command that is still waiting there. relay() is that command's side.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace baton {

class Announcer {
 public:
  // -1: straight to standard output and error. Otherwise owns the pipe's writing end.
  explicit Announcer(int pipe = -1) : pipe_(pipe) {}
  ~Announcer();
  Announcer(const Announcer&) = delete;
  Announcer& operator=(const Announcer&) = delete;

  void out(std::string_view text) { send('o', text); }  // an answer
  void err(std::string_view text) { send('e', text); }  // a message
  // What may be replaced: shown on a terminal only, below everything else, until the next text or progress.
  void progress(std::string_view text) { send('p', text); }
  // The command may return this exit status; later words go to our own outputs, which are the launcher's log
  // when detached: why a cluster gave up must be read somewhere.
  void finish(int exit_status);

 private:
  void send(char kind, std::string_view text);
  int pipe_;
};

// Prints what comes through the pipe's reading end until finish(), and returns its exit status; 1 if the writer went away
// before. `signals` is polled too: `on_signal` is called for each that arrives.
int relay_announcements(int pipe, int signals, const std::function<void()>& on_signal);

}  // namespace baton
