// SPDX-License-Identifier: Apache-2.0
#include "tests/support/golden_data.h"

#include <cstdlib>
#include <filesystem>

#include "tests/support/json_lines.h"

namespace baton::test {
namespace {

// From this file's own path, as the compiler was given it: tests/support/golden_data.cc.
std::vector<Json> read_fixture(const std::string& name) {
  const std::filesystem::path tests = std::filesystem::path(__FILE__).parent_path().parent_path();
  return read_json_lines((tests / "golden" / "data" / name).string());
}

}  // namespace

std::optional<std::string> golden_model_path() {
  std::string path;
  if (const char* named = std::getenv("BATON_TEST_MODEL")) {
    path = named;
  } else if (const char* home = std::getenv("HOME")) {
    path = std::string(home) + "/.cache/baton/models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf";
  }
  std::error_code ignored;
  if (path.empty() || !std::filesystem::is_regular_file(path, ignored)) return std::nullopt;
  return path;
}

std::string golden_model_missing() {
  return "SmolLM2-135M-Instruct.Q4_1.gguf is not in the cache: fetch the model smollm2, or set BATON_TEST_MODEL to the file";
}

std::vector<GoldenLogitsPrompt> load_golden_logits() {
  std::vector<GoldenLogitsPrompt> out;
  for (const Json& line : read_fixture("logits.jsonl")) {
    GoldenLogitsPrompt prompt{line.at("name").text, line.at("tokens").ints(), {}};
    for (const Json& at : line.at("positions").items) {
      prompt.positions.push_back({static_cast<std::uint32_t>(at.at("position").number),
                                  static_cast<float>(at.at("max_abs").number), at.at("ids").ints(), at.at("values").floats()});
    }
    out.push_back(std::move(prompt));
  }
  return out;
}

std::vector<GoldenGreedy> load_golden_greedy() {
  std::vector<GoldenGreedy> out;
  for (const Json& line : read_fixture("greedy.jsonl")) {
    GoldenGreedy prompt;
    prompt.chat = line.at("kind").text == "chat";
    prompt.text = line.at("text").text;
    if (const Json* messages = line.find("messages")) {
      for (const Json& message : messages->items) {
        prompt.messages.emplace_back(message.at("role").text, message.at("content").text);
      }
    }
    prompt.prompt_ids = line.at("prompt_ids").ints();
    prompt.ids = line.at("ids").ints();
    prompt.logprobs = line.at("logprobs").floats();
    prompt.gaps = line.at("gaps").floats();
    out.push_back(std::move(prompt));
  }
  return out;
}

std::vector<GoldenText> load_golden_tokenizer() {
  std::vector<GoldenText> out;
  for (const Json& line : read_fixture("tokenizer.jsonl")) {
    const Json* special = line.find("special_ids");
    out.push_back({line.at("text").text, line.at("ids").ints(), (special ? *special : line.at("ids")).ints()});
  }
  return out;
}

std::vector<GoldenPieces> load_golden_pretokenizer() {
  std::vector<GoldenPieces> out;
  for (const Json& line : read_fixture("pretokenizer.jsonl")) {
    GoldenPieces pieces{line.at("text").text, {}};
    for (const auto& [name, value] : line.fields) {
      if (name != "text") pieces.lengths.emplace_back(name, value.ints());
    }
    out.push_back(std::move(pieces));
  }
  return out;
}

}  // namespace baton::test
