// SPDX-License-Identifier: Apache-2.0
// SignalFile: the stop signals as something to poll. While it lives, SIGINT, SIGTERM, SIGHUP and SIGQUIT are blocked in the
// calling thread (and in threads it starts later) and read from fd() instead. Make it before any other thread starts.
#pragma once

#include <signal.h>

namespace baton {

class SignalFile {
 public:
  SignalFile();
  ~SignalFile();
  SignalFile(const SignalFile&) = delete;
  SignalFile& operator=(const SignalFile&) = delete;

  int fd() const { return file_; }
  int take();  // the next pending signal, or 0

 private:
  int file_;
  sigset_t before_;
};

}  // namespace baton
