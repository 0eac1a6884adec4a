// SPDX-License-Identifier: Apache-2.0
#include "tests/support/golden_data.h"

#include <cstdlib>
#include <filesystem>

#include "tests/support/json_lines.h"

namespace baton::test {
namespace {

std::vector<Json> read_fixture(const std::string& name) {
  return read_json_lines(std::string(BATON_SOURCE_DIR) + "/tests/golden/data/" + name);
}

}  // namespace

std::optional<std::string> golden_model_path() {
  std::string path;
  constexpr std::string_view kInCache = "/baton/models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf";
  if (const char* named = std::getenv("BATON_TEST_MODEL")) {
    path = named;
  } else if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && cache[0] == '/') {
    path = std::string(cache) + std::string(kInCache);
  } else if (const char* home = std::getenv("HOME")) {
    path = std::string(home) + "/.cache" + std::string(kInCache);
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
    for (const std::string& name : line.names) {
      if (name != "text") pieces.lengths.emplace_back(name, line.at(name).ints());
    }
    out.push_back(std::move(pieces));
  }
  return out;
}

std::vector<std::vector<std::int32_t>> load_golden_char_classes() {
  std::vector<std::vector<std::int32_t>> out;
  for (const Json& line : read_fixture("char_classes.jsonl")) out.push_back(line.at("ranges").ints());
  return out;
}

std::vector<GoldenUtf8> load_golden_utf8() {
  std::vector<GoldenUtf8> out;
  for (const Json& line : read_fixture("utf8_replace.jsonl")) {
    const std::string& hex = line.at("hex").text;
    GoldenUtf8 entry{{}, line.at("text").text};
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
      entry.bytes += static_cast<char>(std::strtoul(hex.substr(i, 2).c_str(), nullptr, 16));
    }
    out.push_back(std::move(entry));
  }
  return out;
}

}  // namespace baton::test
