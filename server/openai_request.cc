// SPDX-License-Identifier: Apache-2.0
#include "server/openai_request.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <cstring>
#include <limits>
#include <utility>

#include "models/unicode.h"
#include "protocol/sampling_limits.h"
#include "protocol/validate.h"
#include "runtime/base/json.h"
#include "server/openai_parts.h"

namespace baton {
namespace {

namespace json = boost::json;

constexpr std::int64_t kChoicesPerCall = 16;
constexpr std::size_t kPromptsPerCall = 32;
constexpr std::int64_t kCompletionTokens = 16;  // OpenAI's default
constexpr std::size_t kRequestIdBytes = 64;
constexpr std::size_t kBytesPerToken = 512;     // no known token is longer
constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();

class Reader {
 public:
  Reader(CallKind kind, const json::object& body, const OpenAiModel& model) : model_(model), fields_(body), vocab_size_(model.tokenizer->vocab_size()) {
    call_.kind = kind;
  }

  tl::expected<OpenAiCall, ApiError> read(const std::string& id_suffix, std::int64_t now) {
    call_.created = now;
    call_.model = read_model(fields_, model_);
    read_id(id_suffix);
    read_stream();
    read_counts();
    if (chat()) read_chat_logprobs();
    else read_completion_logprobs();
    read_sampling(fields_, model_, job_);
    refuse_unsupported(fields_, call_.kind);
    call_.return_token_ids = fields_.flag("return_token_ids", false);
    call_.tokens_as_ids = fields_.flag("return_tokens_as_token_ids", false);
    read_truncation();
    if (chat()) read_conversation(now);
    else read_prompts();
    if (!fields_.error()) make_jobs();
    if (fields_.error()) return tl::unexpected(*fields_.error());
    for (std::string& name : fields_.unknown()) call_.ignored.push_back(std::move(name));
    return std::move(call_);
  }

 private:
  bool chat() const { return call_.kind == CallKind::kChat; }
  void refuse(ApiError error) { fields_.refuse(std::move(error)); }

  void read_id(const std::string& id_suffix) {
    const std::string wanted = fields_.text("request_id", kRequestIdBytes).value_or("");
    if (const auto good = validate_label("request_id", wanted); !good) refuse(bad_value("request_id", "is no name: " + good.error().message));
    call_.id = id_prefix(call_.kind) + (wanted.empty() ? id_suffix : wanted);
  }

  void read_stream() {
    call_.stream = fields_.flag("stream", false);
    const json::value* const options = fields_.get("stream_options");
    if (options == nullptr) return;
    if (!call_.stream) return refuse(bad_value("stream_options", "needs \"stream\": true"));
    if (!options->is_object()) return refuse(bad_value("stream_options", "must be an object, not " + shown(*options)));
    JsonFields inner(options->as_object());
    call_.include_usage = inner.flag("include_usage", false);
    call_.continuous_usage = inner.flag("continuous_usage_stats", false);
    if (inner.flag("include_obfuscation", false)) refuse(unsupported("stream_options", "include_obfuscation would pad the chunks; they are as long as what they carry"));
    for (const std::string& name : inner.unknown()) call_.ignored.push_back("stream_options." + name);
    if (inner.error()) refuse(bad_value("stream_options", "has a member that is wrong: " + inner.error()->message));
  }

  void read_counts() {
    call_.n = static_cast<std::uint32_t>(fields_.integer("n", 1, kChoicesPerCall).value_or(1));
    const auto best_of = fields_.integer("best_of", 1, kChoicesPerCall);
    if (best_of && *best_of != call_.n) refuse(unsupported("best_of", "all n answers are given"));
    if (!chat()) call_.echo = fields_.flag("echo", false);
    read_max_tokens();
  }

  // Both names for both kinds: some load generators send the newer one to completions, too.
  void read_max_tokens() {
    const std::int64_t least = call_.echo ? 0 : 1;
    max_tokens_ = fields_.integer("max_completion_tokens", least, kInt32Max);
    const auto older = fields_.integer("max_tokens", least, kInt32Max);
    if (older && max_tokens_ && *older != *max_tokens_) refuse(bad_value("max_tokens", "and max_completion_tokens are both there, and not equal"));
    if (older) max_tokens_ = older;
    if (chat()) return;
    if (!max_tokens_) max_tokens_ = kCompletionTokens;
    call_.score_only = max_tokens_ == 0;
    if (call_.score_only) max_tokens_ = 1;
  }

  void read_chat_logprobs() {
    call_.logprobs = fields_.flag("logprobs", false);
    const auto top = fields_.integer("top_logprobs", 0, kLogprobsMax);
    if (top && *top > 0 && !call_.logprobs) refuse(bad_value("top_logprobs", "needs \"logprobs\": true"));
    call_.top_logprobs = static_cast<std::uint32_t>(top.value_or(0));
    if (call_.logprobs) job_.sampling.logprobs = call_.top_logprobs;
  }

  void read_completion_logprobs() {
    const auto top = fields_.integer("logprobs", 0, kLogprobsMax);
    call_.logprobs = top.has_value();
    call_.top_logprobs = static_cast<std::uint32_t>(top.value_or(0));
    if (!call_.logprobs) return;
    job_.sampling.logprobs = call_.top_logprobs;
    if (call_.echo) job_.sampling.prompt_logprobs = call_.top_logprobs;
  }

  // vLLM's: the last (or, cut on the right, the first) so many tokens of a prompt; -1: as many as fit.
  void read_truncation() {
    const auto most = fields_.integer("truncate_prompt_tokens", -1, kInt32Max);
    const std::string side = fields_.text("truncation_side", 16).value_or("left");
    if (side != "left" && side != "right") return refuse(bad_value("truncation_side", "must be \"left\" or \"right\""));
    keep_first_ = side == "right";
    if (!most) return;
    if (*most == 0) return refuse(bad_value("truncate_prompt_tokens", "must be at least 1, or -1 for what fits"));
    const std::int64_t room = model_.max_model_len - std::min<std::int64_t>(max_tokens_.value_or(1), model_.max_model_len - 1);
    truncate_ = static_cast<std::size_t>(*most == -1 ? room : *most);
  }

  // ---- prompts ----

  const char* prompt_name() const { return chat() ? "messages" : "prompt"; }

  void read_conversation(std::int64_t now) {
    const bool special = fields_.flag("add_special_tokens", false);
    const auto text = read_messages(fields_, model_, now);
    if (text) add_text(*text, {.add_special = special, .parse_special = true});
  }

  void read_prompts() {
    const EncodeOptions options{.add_special = fields_.flag("add_special_tokens", true), .parse_special = true};
    const json::value* const prompt = fields_.get("prompt");
    if (prompt == nullptr) return refuse(bad_value("prompt", "must be a string, a list of strings, a list of token ids, or a list of those"));
    if (prompt->is_string()) return add_text(prompt->as_string(), options);
    if (!prompt->is_array() || prompt->as_array().empty()) return refuse(bad_value("prompt", "must be a string or a list that is not empty, not " + shown(*prompt)));
    const json::array& list = prompt->as_array();
    if (list.front().is_number()) return add_ids(list);
    if (list.size() > kPromptsPerCall)
      return refuse(bad_value("prompt", "has " + std::to_string(list.size()) + " prompts; a request carries at most " + std::to_string(kPromptsPerCall)));
    for (const json::value& each : list) {
      if (fields_.error()) return;
      if (each.is_string()) add_text(each.as_string(), options);
      else if (each.is_array()) add_ids(each.as_array());
      else refuse(bad_value("prompt", "has an item that is neither a string nor a list of token ids: " + shown(each)));
    }
  }

  void add_text(std::string_view text, const EncodeOptions& options) {
    if (text.size() / kBytesPerToken > model_.max_model_len && truncate_ == 0) return refuse(too_long(0));
    add_prompt(model_.tokenizer->encode(text, options), text);
  }

  void add_ids(const json::array& list) {
    if (list.size() > (truncate_ != 0 ? kPromptTokensMax : model_.max_model_len)) return refuse(too_long(list.size()));
    std::vector<TokenId> ids;
    ids.reserve(list.size());
    for (const json::value& each : list) {
      const auto id = integer_of(each);
      if (!id || *id < 0 || *id >= vocab_size_)
        return refuse(bad_value("prompt", "must have token ids from 0 to " + std::to_string(vocab_size_ - 1) + ", not " + shown(each)));
      ids.push_back(static_cast<TokenId>(*id));
    }
    add_prompt(std::move(ids), std::nullopt);
  }

  // `text`: as it was given; nullopt for ids.
  void add_prompt(std::vector<TokenId> ids, std::optional<std::string_view> text) {
    if (truncate_ != 0 && ids.size() > truncate_) {
      if (keep_first_) ids.resize(truncate_);
      else ids.erase(ids.begin(), ids.end() - static_cast<std::ptrdiff_t>(truncate_));
      text.reset();
    }
    if (ids.empty()) return refuse(bad_value(prompt_name(), "is empty"));
    const std::uint64_t wanted = static_cast<std::uint64_t>(max_tokens_.value_or(1));
    if (ids.size() + wanted > model_.max_model_len) return refuse(too_long(ids.size()));
    if (call_.echo) call_.prompts.push_back(text ? std::string(*text) : text_of(ids));
    prompts_.push_back(std::move(ids));
  }

  std::string text_of(const std::vector<TokenId>& ids) const {
    std::string bytes;
    for (const TokenId id : ids) bytes += model_.tokenizer->token_bytes(id, false);
    return replace_invalid_utf8(bytes);
  }

  // In OpenAI's words, which clients look for numbers in. `prompt_tokens` 0: too many to be worth counting.
  ApiError too_long(std::size_t prompt_tokens) const {
    const std::string noun = prompt_name();
    std::string message = "This model's maximum context length is " + std::to_string(model_.max_model_len) + " tokens. However, ";
    if (prompt_tokens == 0 || !max_tokens_) {
      message += "your " + noun + " resulted in " + (prompt_tokens == 0 ? "more than " + std::to_string(model_.max_model_len) : std::to_string(prompt_tokens)) +
                 " tokens. Please reduce the length of the " + noun + ".";
    } else {
      message += "you requested " + std::to_string(prompt_tokens + static_cast<std::size_t>(*max_tokens_)) + " tokens (" + std::to_string(prompt_tokens) + " in the " + noun +
                 ", " + std::to_string(*max_tokens_) + " in the completion). Please reduce the length of the " + noun + " or completion.";
    }
    return {400, message, noun, "context_length_exceeded"};
  }

  void make_jobs() {
    job_.n = call_.n;
    for (std::vector<TokenId>& ids : prompts_) {
      ClientSubmit job = job_;
      job.sampling.max_tokens = static_cast<std::uint32_t>(max_tokens_.value_or(static_cast<std::int64_t>(model_.max_model_len - ids.size())));
      job.prompt_ids = std::move(ids);
      if (job.sampling.min_tokens > job.sampling.max_tokens)
        return refuse(bad_value("min_tokens", "is above the tokens that the answer may have, " + std::to_string(job.sampling.max_tokens)));
      // What neither of us has looked at before: empty stop strings and the like.
      if (const auto good = validate(job); !good) return refuse({400, good.error().message, "", "invalid_request_error"});
      call_.jobs.push_back(std::move(job));
    }
  }

  const OpenAiModel& model_;
  JsonFields fields_;
  const std::uint32_t vocab_size_;
  OpenAiCall call_;
  ClientSubmit job_;  // what all prompts have in common
  std::optional<std::int64_t> max_tokens_;
  std::size_t truncate_ = 0;
  bool keep_first_ = false;
  std::vector<std::vector<TokenId>> prompts_;
};

}  // namespace

tl::expected<json::object, ApiError> read_body(std::string_view body) {
  auto parsed = parse_json(body);
  if (!parsed) return tl::unexpected(ApiError{400, "the body is " + parsed.error().message, "", "invalid_request_error"});
  if (!parsed->is_object()) return tl::unexpected(ApiError{400, "the body must be a JSON object, not " + shown(*parsed), "", "invalid_request_error"});
  return std::move(parsed->as_object());
}

std::string read_model(JsonFields& fields, const OpenAiModel& model) {
  std::string name = fields.text("model", 1024).value_or("");
  if (name.empty()) return model.names.front();  // as vLLM does: there is one
  if (std::find(model.names.begin(), model.names.end(), name) == model.names.end()) fields.refuse(model_not_found(name));
  return name;
}

const char* id_prefix(CallKind kind) { return kind == CallKind::kChat ? "chatcmpl-" : "cmpl-"; }

std::string peek_request_id(std::string_view body) {
  constexpr std::string_view kName = "\"request_id\"";
  constexpr const char* kBlanks = " \t\r\n";
  if (memmem(body.data(), body.size(), kName.data(), kName.size()) == nullptr) return {};
  std::string found;
  int depth = 0;
  for (std::size_t at = 0; at < body.size(); ++at) {
    const char c = body[at];
    if (c == '{' || c == '[') ++depth;
    else if (c == '}' || c == ']') --depth;
    if (c != '"') continue;
    const std::size_t end = end_of_json_string(body, at);
    const std::string_view name = body.substr(at, end + 1 - at);
    at = end;
    const std::size_t colon = depth == 1 ? body.find_first_not_of(kBlanks, end + 1) : body.size();
    if (colon >= body.size() || body[colon] != ':') continue;
    if (name.find('\\') != std::string_view::npos) return {};  // it may be this one
    if (name != kName) continue;
    found.clear();  // of several the last one counts
    const std::size_t quote = body.find_first_not_of(kBlanks, colon + 1);
    if (quote >= body.size() || body[quote] != '"') continue;
    const std::string_view text = body.substr(quote + 1, end_of_json_string(body, quote) - quote - 1);
    if (text.size() <= kRequestIdBytes && text.find('\\') == std::string_view::npos) found = std::string(text);
    at = quote + text.size() + 1;
  }
  return found;
}

tl::expected<OpenAiCall, ApiError> read_call(CallKind kind, std::string_view body, const OpenAiModel& model, const std::string& id_suffix, std::int64_t now) {
  const auto object = read_body(body);
  if (!object) return tl::unexpected(object.error());
  return Reader(kind, *object, model).read(id_suffix, now);
}

}  // namespace baton
