// SPDX-License-Identifier: Apache-2.0
#include "launcher/interrupt.h"

#include <signal.h>

namespace baton {
namespace {

volatile sig_atomic_t seen = 0;
void on_interrupt(int) { seen = 1; }

}  // namespace

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

bool interrupted() { return seen != 0; }
void forget_interrupt() { seen = 0; }

}  // namespace baton
