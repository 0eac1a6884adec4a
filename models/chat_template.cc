// SPDX-License-Identifier: Apache-2.0
#include "models/chat_template.h"

#include <boost/json/value.hpp>
#include <exception>

#include "models/chat_interpreter.h"
#include "models/chat_parser.h"

namespace baton {
namespace {

Error in_line(const chat::Fault& fault, std::uint32_t running) {
  const std::uint32_t line = fault.line != 0 ? fault.line : running;
  return {fault.code, "chat template, line " + std::to_string(line) + ": " + fault.message};
}

class ParsedTemplate : public ChatTemplate {
 public:
  ParsedTemplate(std::string source, std::string bos, std::string eos, const ChatTemplateLimits& limits)
      : source_(std::move(source)),
        bos_(std::move(bos)),
        eos_(std::move(eos)),
        limits_(limits),
        template_(chat::Parser(chat::tokenize(source_), limits).run()) {}

  Result<std::string> render(const ChatInput& input) const override {
    chat::Interpreter interpreter(template_, limits_, input.now);
    try {
      prepare(interpreter, input);
      return interpreter.run();
    } catch (const chat::Fault& fault) {
      return tl::unexpected<Error>(in_line(fault, interpreter.line()));
    } catch (const std::exception& error) {
      return fail(ErrorCode::kInternal, std::string("chat template: ") + error.what());
    }
  }

  const std::string& source() const override { return source_; }

 private:
  void prepare(chat::Interpreter& interpreter, const ChatInput& input) const {
    chat::ChatMeter& meter = interpreter.meter();
    interpreter.set_variable("documents", chat::Value::none());
    for (const auto& member : input.variables) interpreter.set_variable(member.key(), chat::from_json(member.value(), meter));
    interpreter.set_variable("messages", chat::from_json(input.messages, meter));
    interpreter.set_variable("tools", chat::from_json(input.tools, meter));
    interpreter.set_variable("add_generation_prompt", chat::Value::of(input.add_generation_prompt));
    interpreter.set_variable("bos_token", chat::Value::string(bos_));
    interpreter.set_variable("eos_token", chat::Value::string(eos_));
  }

  const std::string source_, bos_, eos_;
  const ChatTemplateLimits limits_;
  const chat::Template template_;
};

}  // namespace

Result<std::shared_ptr<const ChatTemplate>> ChatTemplate::parse(std::string source, std::string bos_token,
                                                                std::string eos_token, const ChatTemplateLimits& limits) {
  if (source.size() > limits.source_max) {
    return fail(ErrorCode::kResourceExhausted,
                "chat template: " + std::to_string(source.size()) + " bytes, at most " + std::to_string(limits.source_max));
  }
  try {
    return std::make_shared<const ParsedTemplate>(std::move(source), std::move(bos_token), std::move(eos_token), limits);
  } catch (const chat::Fault& fault) {
    return tl::unexpected<Error>(in_line(fault, 1));
  } catch (const std::exception& error) {
    return fail(ErrorCode::kInternal, std::string("chat template: ") + error.what());
  }
}

}  // namespace baton
