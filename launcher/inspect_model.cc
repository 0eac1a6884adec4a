// SPDX-License-Identifier: Apache-2.0
#include "launcher/inspect_model.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "config/units.h"
#include "config/utf8.h"
#include "launcher/commands.h"
#include "launcher/exit_code.h"
#include "launcher/find_cluster.h"
#include "launcher/json_writer.h"
#include "launcher/table.h"
#include "models/gguf_contents.h"
#include "models/model_path.h"
#include "models/registry.h"
#include "models/tokenizer_factory.h"

namespace baton {
namespace {

std::uint64_t elements_of(const GgufTensor& tensor) {
  std::uint64_t elements = 1;
  for (const std::uint64_t each : tensor.shape) elements *= each;
  return elements;
}

std::uint64_t bytes_of(const GgufTensor& tensor) {
  return tensor.view.data == nullptr ? 0 : tensor.view.rows * tensor.view.row_bytes();
}

void read_shape(const GgufFile& file, ModelFacts& facts) {
  const auto number = [&](const char* key) { return file.get_uint(facts.architecture + '.' + key).value_or(0); };
  facts.layers = number("block_count");
  facts.width = number("embedding_length");
  facts.feed_forward = number("feed_forward_length");
  facts.heads = number("attention.head_count");
  facts.kv_heads = number("attention.head_count_kv");
  if (facts.kv_heads == 0) facts.kv_heads = facts.heads;
  facts.head_dim = number("attention.key_length");
  if (facts.head_dim == 0 && facts.heads != 0) facts.head_dim = facts.width / facts.heads;
  facts.context = number("context_length");
}

void read_tokenizer(const GgufFile& file, ModelFacts& facts) {
  facts.tokenizer = file.get_string("tokenizer.ggml.model").value_or("");
  if (const auto split = file.get_string("tokenizer.ggml.pre"); split && !facts.tokenizer.empty())
    facts.tokenizer += ", " + *split;
  for (const char* name : {"bos", "eos", "eot", "eom", "unknown", "padding"})
    if (const auto id = file.get_uint("tokenizer.ggml." + std::string(name) + "_token_id"))
      facts.special_tokens.emplace_back(name, *id);
  facts.chat_template_bytes = file.get_string("tokenizer.chat_template").value_or("").size();
  if (facts.vocabulary == 0)
    facts.vocabulary = file.get_strings("tokenizer.ggml.tokens").value_or(std::vector<std::string>{}).size();
}

std::string why_not(const GgufFile& file) {
  if (const auto model = examine_model(file); !model) return model.error().message;
  if (const auto tokenizer = make_tokenizer(file); !tokenizer) return tokenizer.error().message;
  return "";
}

std::string shape_text(const GgufTensor& tensor) {
  std::string text;
  for (const std::uint64_t each : tensor.shape) text += (text.empty() ? "" : " x ") + std::to_string(each);
  return text;
}

void print_json(const ModelFacts& facts, const GgufFile& file, bool tensors) {
  JsonWriter json;
  json.begin_object().member("path", facts.path).member("name", facts.name).member("architecture", facts.architecture);
  json.member("supported", facts.why_not.empty()).member("why_not", facts.why_not);
  json.member("file_bytes", facts.file_bytes).member("weight_bytes", facts.weight_bytes).member("parameters", facts.parameters);
  json.member("layers", facts.layers)
      .member("width", facts.width)
      .member("feed_forward", facts.feed_forward)
      .member("heads", facts.heads);
  json.member("kv_heads", facts.kv_heads)
      .member("head_dim", facts.head_dim)
      .member("context", facts.context)
      .member("vocabulary", facts.vocabulary);
  json.member("kv_bytes_per_token", facts.kv_bytes_per_token())
      .member("tokenizer", facts.tokenizer)
      .member("chat_template_bytes", facts.chat_template_bytes);
  json.key("special_tokens").begin_object();
  for (const auto& [name, id] : facts.special_tokens) json.member(name, id);
  json.end_object().key("types").begin_array();
  for (const ModelFacts::Type& each : facts.types)
    json.begin_object()
        .member("type", each.name)
        .member("tensors", each.tensors)
        .member("elements", each.elements)
        .member("bytes", each.bytes)
        .end_object();
  json.end_array();
  if (tensors) {
    json.key("tensors").begin_array();
    for (const GgufTensor& each : file.tensors()) {
      json.begin_object().member("name", each.name).member("type", ggml_type_name(each.ggml_type)).key("shape").begin_array();
      for (const std::uint64_t side : each.shape) json.value(side);
      json.end_array().member("bytes", bytes_of(each)).end_object();
    }
    json.end_array();
  }
  json.end_object();
  std::printf("%s\n", json.take().c_str());
}

std::string rounded_count(std::uint64_t count) {
  char text[32];
  if (count >= 1'000'000'000) std::snprintf(text, sizeof text, "%.2f billion", static_cast<double>(count) / 1e9);
  else if (count >= 1'000'000) std::snprintf(text, sizeof text, "%.1f million", static_cast<double>(count) / 1e6);
  else std::snprintf(text, sizeof text, "%llu", static_cast<unsigned long long>(count));
  return text;
}

void print_text(const ModelFacts& facts, const GgufFile& file, bool tensors) {
  const auto line = [](const char* name, const std::string& value) {
    std::printf("%-14s %s\n", name, printable(value).c_str());
  };
  const auto number = [](std::uint64_t value) { return value == 0 ? std::string("not given") : std::to_string(value); };
  line("file", facts.path);
  line("model", facts.name.empty() ? "(no name)" : facts.name);
  line("supported", facts.why_not.empty() ? "yes" : "no: " + facts.why_not);
  line("architecture", facts.architecture.empty() ? "not given" : facts.architecture);
  line("parameters", rounded_count(facts.parameters) + ", " + format_bytes(facts.file_bytes));
  line("layers", number(facts.layers) + ", width " + number(facts.width) + ", feed-forward " + number(facts.feed_forward));
  line("attention", number(facts.heads) + " heads, " + number(facts.kv_heads) + " KV heads of " + number(facts.head_dim));
  line("context", number(facts.context) + " tokens");
  line("KV",
       facts.kv_bytes_per_token() == 0 ? "not known" : format_bytes(facts.kv_bytes_per_token()) + " per token as float16");
  line("vocabulary", number(facts.vocabulary) + " tokens");
  line("tokenizer", facts.tokenizer.empty() ? "none" : facts.tokenizer);
  std::string special;
  for (const auto& [name, id] : facts.special_tokens)
    special += (special.empty() ? "" : ", ") + name + ' ' + std::to_string(id);
  line("special tokens", special.empty() ? "none" : special);
  line("chat template",
       facts.chat_template_bytes == 0 ? "none" : "yes, " + std::to_string(facts.chat_template_bytes) + " bytes");
  std::vector<std::vector<std::string>> rows = {{"TYPE", "TENSORS", "PARAMETERS", "BYTES"}};
  for (const ModelFacts::Type& each : facts.types)
    rows.push_back({each.name, std::to_string(each.tensors), std::to_string(each.elements),
                    each.bytes == 0 ? "unknown" : format_bytes(each.bytes)});
  std::printf("\n%s", render_table(rows).c_str());
  if (!tensors) return;
  rows = {{"TENSOR", "TYPE", "SHAPE", "BYTES"}};
  for (const GgufTensor& each : file.tensors())
    rows.push_back({printable(each.name), ggml_type_name(each.ggml_type), shape_text(each),
                    bytes_of(each) == 0 ? "unknown" : format_bytes(bytes_of(each))});
  std::printf("\n%s", render_table(rows).c_str());
}

}  // namespace

ModelFacts inspect_model(const GgufFile& file) {
  ModelFacts facts;
  facts.path = file.path();
  facts.file_bytes = file.file_bytes();
  facts.name = file.get_string("general.name").value_or("");
  facts.architecture = file.get_string("general.architecture").value_or("");
  read_shape(file, facts);
  std::map<std::string, ModelFacts::Type> types;
  for (const GgufTensor& tensor : file.tensors()) {
    ModelFacts::Type& type = types[ggml_type_name(tensor.ggml_type)];
    type.name = ggml_type_name(tensor.ggml_type);
    ++type.tensors;
    type.elements += elements_of(tensor);
    type.bytes += bytes_of(tensor);
    facts.parameters += elements_of(tensor);
    facts.weight_bytes += bytes_of(tensor);
    if (tensor.name == "token_embd.weight" && tensor.shape.size() == 2) facts.vocabulary = tensor.shape[1];
  }
  for (auto& [name, type] : types) facts.types.push_back(type);
  std::stable_sort(facts.types.begin(), facts.types.end(), [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
  read_tokenizer(file, facts);
  facts.why_not = why_not(file);
  return facts;
}

int run_model_inspect(const ModelInspectOptions& options) {
  const auto path = resolve_model_path(options.path);
  if (!path) return complain("model inspect", path.error());
  const auto file = GgufFile::open(*path);
  if (!file) return complain("model inspect", file.error());
  const ModelFacts facts = inspect_model(**file);
  if (options.json) print_json(facts, **file, options.tensors);
  else print_text(facts, **file, options.tensors);
  return kDone;
}

}  // namespace baton
