// SPDX-License-Identifier: Apache-2.0
// What a fuzz target is: a function that takes any bytes whatever, and CHECKs what must hold of them. libFuzzer's program of a
// target is main.cc with its name; the test unit_fuzz_replay runs every target over its corpus and its regressions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace baton::fuzz {

using Target = void (*)(std::string_view bytes);

void run_yaml(std::string_view bytes);
void run_gguf(std::string_view bytes);
void run_tokenizer(std::string_view bytes);
void run_chat_template(std::string_view bytes);
void run_wire(std::string_view bytes);
void run_frame(std::string_view bytes);
void run_journal(std::string_view bytes);
void run_json(std::string_view bytes);
void run_http(std::string_view bytes);
void run_openai_request(std::string_view bytes);

}  // namespace baton::fuzz
