// SPDX-License-Identifier: Apache-2.0
#include "launcher/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include "runtime/base/check.h"

namespace baton {

SignalFile::SignalFile() {
  sigset_t wanted;
  sigemptyset(&wanted);
  for (const int each : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) sigaddset(&wanted, each);
  CHECK(pthread_sigmask(SIG_BLOCK, &wanted, &before_) == 0);
  file_ = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
  CHECK(file_ >= 0, "signalfd");
}

SignalFile::~SignalFile() {
  close(file_);
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

int SignalFile::take() {
  signalfd_siginfo info;
  return read(file_, &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
}

}  // namespace baton
