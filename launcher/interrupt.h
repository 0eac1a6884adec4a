// SPDX-License-Identifier: Apache-2.0
// Ctrl-C for commands that go on until somebody ends them. One flag per process; any thread may ask.
#pragma once

namespace baton {

// From now on SIGINT and SIGTERM only set the flag, and a closed output is an error of the write and no signal.
void catch_interrupts();
bool interrupted();
void forget_interrupt();

}  // namespace baton
