// SPDX-License-Identifier: Apache-2.0
// The statements of Parser, see chat_parser.h.
#include <algorithm>

#include "models/chat_parser.h"

namespace baton::chat {

Template Parser::run() {
  template_.body = statements({});
  return std::move(template_);
}

std::unique_ptr<Statement> Parser::make(Statement::Type type) const {
  auto made = std::make_unique<Statement>();
  made->type = type;
  made->line = current().line;
  return made;
}

Block Parser::statements(std::vector<std::string_view> ends) {
  const Nesting nesting(*this);
  Block block;
  while (current().type != TokenType::kEnd) {
    if (current().type == TokenType::kText) {
      auto made = make(Statement::Type::kText);
      made->text = take().text;
      block.push_back(std::move(made));
    } else if (current().type == TokenType::kVariableBegin) {
      auto made = make(Statement::Type::kPrint);
      take();
      made->expressions.push_back(parse_tuple());
      if (current().type != TokenType::kVariableEnd) fail_here("expected }}, found something else");
      take();
      block.push_back(std::move(made));
    } else {
      take();  // {%
      if (std::any_of(ends.begin(), ends.end(), [this](std::string_view end) { return current().is_name(end); })) return block;
      block.push_back(statement());
      expect_block_end();
    }
  }
  if (!ends.empty()) fail_here("the template ends where {% " + std::string(ends.back()) + " %} is expected");
  return block;
}

Block Parser::body_until(std::string_view end) {
  skip_operator(":");
  expect_block_end();
  Block body = statements({end});
  take();
  return body;
}

std::unique_ptr<Statement> Parser::statement() {
  if (current().type != TokenType::kName) fail_here("expected a tag's name behind {%");
  const std::string name = current().text;
  if (name == "for") return parse_for();
  if (name == "if") return parse_if();
  if (name == "set") return parse_set();
  if (name == "macro") return parse_macro();
  if (name == "call") return parse_call_block();
  if (name == "filter") return parse_filter_block();
  if (name == "with") return parse_with();
  if (name == "generation") return parse_scope("endgeneration");
  if (name == "print") {
    auto made = make(Statement::Type::kPrint);
    take();
    while (current().type != TokenType::kBlockEnd) {
      if (!made->expressions.empty()) expect_operator(",");
      made->expressions.push_back(parse_expression());
    }
    return made;
  }
  if (name == "break" || name == "continue") {
    if (loops_ == 0) fail_here("{% " + name + " %} outside of a loop");
    auto made = make(name == "break" ? Statement::Type::kBreak : Statement::Type::kContinue);
    take();
    return made;
  }
  for (const std::string_view other : {"include", "import", "from", "extends", "block", "autoescape", "do", "trans"}) {
    if (name == other) fail_here("{% " + name + " %} is not supported in a chat template");
  }
  fail_here("unknown tag {% " + name + " %}");
}

Target Parser::parse_one_target(bool with_namespace) {
  const Nesting nesting(*this);
  if (skip_operator("(")) {
    Target made = parse_target(with_namespace, false);
    expect_operator(")");
    return made;
  }
  const std::string name = expect_name();
  for (const std::string_view fixed : {"true", "false", "none", "True", "False", "None"}) {
    if (name == fixed) fail_here("cannot assign to " + name);
  }
  Target made;
  made.name = name_id(name);
  if (with_namespace && skip_operator(".")) made.attribute = expect_name();
  return made;
}

Target Parser::parse_target(bool with_namespace, bool for_loop) {
  Target tuple;
  while (true) {
    if (!tuple.parts.empty()) {
      expect_operator(",");
      tuple.is_tuple = true;
    }
    if (tuple.is_tuple && (current().is("=") || current().is(")") || (for_loop && current().is_name("in")))) break;
    tuple.parts.push_back(parse_one_target(with_namespace));
    if (!current().is(",")) break;
  }
  if (tuple.is_tuple) return tuple;
  Target only = std::move(tuple.parts[0]);
  return only;
}

std::unique_ptr<Statement> Parser::parse_for() {
  auto made = make(Statement::Type::kFor);
  take();
  made->targets.push_back(parse_target(false, true));
  if (!skip_name("in")) fail_here("expected \"in\" of a for loop");
  made->expressions.push_back(parse_tuple(false, false, "recursive"));
  made->expressions.push_back(skip_name("if") ? parse_expression() : nullptr);
  made->recursive = skip_name("recursive");
  name_id("loop");
  skip_operator(":");
  expect_block_end();
  ++loops_;
  made->body = statements({"else", "endfor"});
  --loops_;
  if (skip_name("else")) {
    made->otherwise = body_until("endfor");
  } else {
    take();
  }
  return made;
}

std::unique_ptr<Statement> Parser::parse_if() {
  auto made = make(Statement::Type::kIf);
  take();
  while (true) {
    made->expressions.push_back(parse_tuple(false));
    skip_operator(":");
    expect_block_end();
    made->branches.push_back(statements({"elif", "else", "endif"}));
    if (skip_name("elif")) continue;
    if (skip_name("else")) made->otherwise = body_until("endif");
    else take();
    return made;
  }
}

std::unique_ptr<Statement> Parser::parse_set() {
  auto made = make(Statement::Type::kSet);
  take();
  made->targets.push_back(parse_target(true, false));
  if (skip_operator("=")) {
    made->expressions.push_back(parse_tuple());
    return made;
  }
  made->type = Statement::Type::kSetBlock;
  ExpressionPtr filters;
  std::size_t chain = 0;
  while (current().is("|")) {
    filters = parse_filter(std::move(filters), false);
    count_chain(chain);
  }
  made->expressions.push_back(std::move(filters));
  made->body = body_until("endset");
  return made;
}

void Parser::parse_signature(Signature& signature) {
  expect_operator("(");
  while (!current().is(")")) {
    if (!signature.names.empty()) expect_operator(",");
    signature.names.push_back(name_id(expect_name()));
    if (skip_operator("=")) signature.defaults.push_back(parse_expression());
    else if (!signature.defaults.empty()) fail_here("a parameter without a default behind one that has one");
  }
  take();
}

std::unique_ptr<Statement> Parser::parse_macro() {
  auto made = make(Statement::Type::kMacro);
  take();
  made->text = expect_name();
  made->name = name_id(made->text);
  for (const char* name : {"varargs", "kwargs", "caller"}) name_id(name);
  macros_.push_back(&made->signature);
  parse_signature(made->signature);
  const std::size_t loops = std::exchange(loops_, 0);
  made->body = body_until("endmacro");
  loops_ = loops;
  macros_.pop_back();
  return made;
}

std::unique_ptr<Statement> Parser::parse_call_block() {
  auto made = make(Statement::Type::kCall);
  take();
  macros_.push_back(&made->signature);
  if (current().is("(")) parse_signature(made->signature);
  macros_.pop_back();
  made->expressions.push_back(parse_expression());
  if (made->expressions[0]->type != Expression::Type::kCall) fail_here("{% call %} wants a call");
  macros_.push_back(&made->signature);
  const std::size_t loops = std::exchange(loops_, 0);
  made->body = body_until("endcall");
  loops_ = loops;
  macros_.pop_back();
  return made;
}

std::unique_ptr<Statement> Parser::parse_filter_block() {
  auto made = make(Statement::Type::kFilterBlock);
  take();
  ExpressionPtr filters = parse_filter(nullptr, true);
  std::size_t chain = 0;
  while (current().is("|")) {
    filters = parse_filter(std::move(filters), false);
    count_chain(chain);
  }
  made->expressions.push_back(std::move(filters));
  made->body = body_until("endfilter");
  return made;
}

std::unique_ptr<Statement> Parser::parse_with() {
  auto made = make(Statement::Type::kWith);
  take();
  while (current().type != TokenType::kBlockEnd) {
    if (!made->targets.empty()) expect_operator(",");
    made->targets.push_back(parse_one_target(false));
    expect_operator("=");
    made->expressions.push_back(parse_expression());
  }
  made->body = body_until("endwith");
  return made;
}

std::unique_ptr<Statement> Parser::parse_scope(std::string_view end) {
  auto made = make(Statement::Type::kScope);
  take();
  made->body = body_until(end);
  return made;
}

}  // namespace baton::chat
