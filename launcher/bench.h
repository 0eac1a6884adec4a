// SPDX-License-Identifier: Apache-2.0
// What the commands of `baton bench` share: which model, and how figures are shown to people and to programs.
#pragma once

#include <string>
#include <string_view>

#include "benchmarks/measure.h"
#include "launcher/json_writer.h"
#include "runtime/base/result.h"

namespace baton {

// The .gguf file that `model` means; empty: that of `baton model fetch smollm2`.
Result<std::string> bench_model(const std::string& model);

// Where tools/get_llama_cpp.sh puts peers, seen from a program in build/PRESET/bin, if the tool of that name is there; else "".
std::string standard_peer(const std::string& tool);

std::string decimals(double value, int digits);
// "469.0 (455.0-471.2)"; "-" if there was nothing to measure.
std::string show_spread(const Spread& spread, int digits);
// {"median","min","max"}, or null if there was nothing to measure.
void write_spread(JsonWriter& json, std::string_view name, const Spread& spread);

}  // namespace baton
