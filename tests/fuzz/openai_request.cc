// SPDX-License-Identifier: Apache-2.0
// The body of a completion (first byte even) or a chat completion: it becomes jobs that the cluster takes, within the limits of one
// call, or a refusal in OpenAI's shape.
#include <ctime>

#include "models/oracle_tokenizer.h"
#include "protocol/validate.h"
#include "runtime/base/check.h"
#include "runtime/base/json.h"
#include "server/openai_request.h"
#include "tests/fuzz/target.h"

namespace baton::fuzz {
namespace {

OpenAiModel make_model() {
  static const auto tokenizer = make_oracle_tokenizer(512);
  OpenAiModel model;
  model.names = {"m", "default"};
  model.max_model_len = 256;
  model.tokenizer = tokenizer.get();
  ChatTemplateLimits limits;
  limits.steps_max = 20'000;
  auto chat_template = ChatTemplate::parse(
      "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% if m.tool_calls %}{{ m.tool_calls | tojson }}{% endif %}\n{% endfor %}"
      "{% if add_generation_prompt %}<assistant>{% endif %}{{ extra }}",
      "", "", limits);
  CHECK(chat_template.has_value());
  model.chat_template = *chat_template;
  return model;
}

void check(const OpenAiCall& call, const OpenAiModel& model) {
  CHECK(!call.jobs.empty() && call.jobs.size() <= 32 && call.n >= 1 && call.n <= 16, "within the limits of one call");
  CHECK(!call.echo || call.prompts.size() == call.jobs.size(), "what is echoed");
  for (const ClientSubmit& job : call.jobs) {
    CHECK(job.n == call.n && !job.prompt_ids.empty(), "a job per prompt");
    for (const TokenId id : job.prompt_ids) CHECK(id >= 0 && static_cast<std::uint32_t>(id) < model.tokenizer->vocab_size(), "of ids that there are");
    CHECK(job.prompt_ids.size() + job.sampling.max_tokens <= model.max_model_len, "that fits the context");
    CHECK(validate(job).has_value() && validate_ids(job.sampling, model.tokenizer->vocab_size()).has_value(), "and that the cluster takes");
  }
  for (const std::string& name : call.ignored)
    for (const char c : name) CHECK(c > 0x20 && c < 0x7f, "names that a header can carry");
}

}  // namespace

void run_openai_request(std::string_view bytes) {
  static const OpenAiModel model = make_model();
  if (bytes.empty()) return;
  const CallKind kind = bytes.front() % 2 == 0 ? CallKind::kCompletion : CallKind::kChat;
  const auto call = read_call(kind, bytes.substr(1), model, "0", 17);
  const std::string named = peek_request_id(bytes.substr(1));
  CHECK(!call || named.empty() || call->id == id_prefix(kind) + named, "named as it was before it was read");
  if (call) return check(*call, model);
  CHECK(call.error().status == 400 || call.error().status == 404, "the client's fault");
  CHECK(!call.error().message.empty(), "in words");
  const auto sent = parse_json(to_response(call.error()).body);
  CHECK(sent.has_value(), "that are JSON");
  const boost::json::value* const error = json_member(*sent, "error");
  CHECK(error != nullptr && error->is_object() && error->get_object().size() == 4, "of four members");
}

}  // namespace baton::fuzz
