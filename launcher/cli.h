// SPDX-License-Identifier: Apache-2.0
// The command line: subcommands, flags, help. Fills the options of commands.h and calls the command.
#pragma once

namespace baton {

// Returns the exit status.
int run_cli(int argc, const char* const* argv);

}  // namespace baton
