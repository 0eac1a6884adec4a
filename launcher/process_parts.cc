// SPDX-License-Identifier: Apache-2.0
#include "launcher/process_parts.h"

#include <chrono>
#include <utility>

#include "launcher/check_model.h"
#include "models/chat_template_factory.h"
#include "models/oracle_tokenizer.h"
#include "models/tokenizer_factory.h"
#include "runtime/base/log.h"

namespace baton {
namespace {

constexpr std::chrono::milliseconds kDrainGlance{20};

// The test model's: one line per message.
constexpr const char* kOracleTemplate =
    "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}";

// Without it the model still completes text.
std::shared_ptr<const ChatTemplate> or_none(Result<std::shared_ptr<const ChatTemplate>> chat_template) {
  if (chat_template) return std::move(*chat_template);
  log_warn("model", "its chat template cannot be used", {{"reason", chat_template.error().message}});
  return nullptr;
}

}  // namespace

void set_logging(const Topology& topology) {
  const std::string& level = topology.observability.log_level;
  set_log_level(level == "debug"   ? LogLevel::kDebug
                : level == "warn"  ? LogLevel::kWarn
                : level == "error" ? LogLevel::kError
                                   : LogLevel::kInfo);
  set_log_json(topology.observability.log_json);
}

OracleOptions oracle_options(const Topology& topology) {
  const OracleSection& section = *topology.model.oracle;
  OracleOptions options;
  options.block_tokens = topology.kv_cache.block_size;
  if (topology.model.max_model_len != 0) options.max_model_len = topology.model.max_model_len;
  options.layers = section.layers;
  options.kv_heads = section.kv_heads;
  options.head_dim = section.head_dim;
  options.vocab_size = section.vocab_size;
  options.step_time = section.step_time;
  options.token_time = section.token_time;
  if (section.crash_on) options.crash_on = static_cast<TokenId>(*section.crash_on);
  return options;
}

int failed(const char* component, const Error& error) {
  log_error(component, error.message, {{"code", to_string(error.code)}});
  return error.code == ErrorCode::kIncompatible || error.code == ErrorCode::kInvalidArgument ? 3 : 1;
}

void Drain::finish() {
  over_ = true;
  if (thread_.joinable()) thread_.join();
}

void Drain::signalled(RealLoop& loop) {
  if (thread_.joinable()) {
    over_ = true;
    loop.stop();
    return;
  }
  log_info(component_, "draining");
  begin_();
  thread_ = std::thread([this, &loop] {
    const Time deadline = real_now() + limit_;
    while (!over_ && real_now() < deadline) {
      loop.executor().post(0, [this](Outbox&) { over_ = over_ || done_(); });
      std::this_thread::sleep_for(kDrainGlance);
    }
    loop.stop();
  });
}

Result<EdgeModel> load_edge_model(const Topology& topology) {
  if (topology.model.oracle) {
    const OracleOptions options = oracle_options(topology);
    return EdgeModel{make_oracle_tokenizer(options.vocab_size), options.max_model_len, or_none(ChatTemplate::parse(kOracleTemplate, "", ""))};
  }
  const auto file = open_model(topology);
  if (!file) return tl::unexpected(file.error());
  auto tokenizer = make_tokenizer(**file);
  if (!tokenizer) return tl::unexpected(tokenizer.error());
  const std::uint64_t wanted = topology.model.max_model_len;
  auto chat_template = or_none(chat_template_of(**file, **tokenizer));
  return EdgeModel{std::move(*tokenizer), static_cast<std::uint32_t>(wanted != 0 ? wanted : context_length(**file)), std::move(chat_template)};
}

}  // namespace baton
