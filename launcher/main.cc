// SPDX-License-Identifier: Apache-2.0
#include "launcher/cli.h"

int main(int argc, char** argv) { return baton::run_cli(argc, argv); }
