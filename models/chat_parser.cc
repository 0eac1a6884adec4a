// SPDX-License-Identifier: Apache-2.0
// Expressions; statements are in chat_parser_statements.cc.
#include "models/chat_parser.h"

#include <algorithm>

#include "models/chat_text.h"

namespace baton::chat {
namespace {

constexpr std::size_t kChainMax = 64;

std::string describe(const Token& token) {
  switch (token.type) {
    case TokenType::kEnd: return "the end of the template";
    case TokenType::kText: return "text";
    case TokenType::kBlockBegin: return "{%";
    case TokenType::kBlockEnd: return "%}";
    case TokenType::kVariableBegin: return "{{";
    case TokenType::kVariableEnd: return "}}";
    case TokenType::kString: return "a string";
    case TokenType::kInteger:
    case TokenType::kFloat: return "a number";
    default: return "\"" + token.text + "\"";
  }
}

}  // namespace

Parser::Nesting::Nesting(Parser& parser) : parser_(parser) {
  if (++parser.depth_ <= parser.limits_.depth_max) return;
  --parser.depth_;  // the destructor will not run
  throw Fault{ErrorCode::kResourceExhausted,
              "more than " + std::to_string(parser.limits_.depth_max) + " parts within each other", parser.current().line};
}

void Parser::fail_here(std::string what) const { throw Fault{ErrorCode::kInvalidArgument, std::move(what), current().line}; }

bool Parser::skip_operator(std::string_view text) {
  if (!current().is(text)) return false;
  take();
  return true;
}

bool Parser::skip_name(std::string_view name) {
  if (!current().is_name(name)) return false;
  take();
  return true;
}

void Parser::expect_operator(std::string_view text) {
  if (!skip_operator(text)) fail_here("expected \"" + std::string(text) + "\", found " + describe(current()));
}

std::string Parser::expect_name() {
  if (current().type != TokenType::kName) fail_here("expected a name, found " + describe(current()));
  return take().text;
}

void Parser::expect_block_end() {
  if (current().type != TokenType::kBlockEnd) fail_here("expected %}, found " + describe(current()));
  take();
}

NameId Parser::name_id(const std::string& name) {
  const auto [found, added] = name_ids_.try_emplace(name, static_cast<NameId>(template_.names.size()));
  if (added) template_.names.push_back(name);
  return found->second;
}

ExpressionPtr Parser::make(Expression::Type type, std::uint32_t line) const {
  auto made = std::make_unique<Expression>();
  made->type = type;
  made->line = line;
  return made;
}

void Parser::count_chain(std::size_t& length) const {
  if (++length > kChainMax)
    throw Fault{ErrorCode::kResourceExhausted, "a chain of more than " + std::to_string(kChainMax) + " parts", current().line};
}

ExpressionPtr Parser::parse_expression(bool with_conditional) {
  const Nesting nesting(*this);
  return with_conditional ? parse_conditional() : parse_or();
}

ExpressionPtr Parser::parse_conditional() {
  ExpressionPtr value = parse_or();
  std::size_t chain = 0;
  while (current().is_name("if")) {
    count_chain(chain);
    ExpressionPtr made = make(Expression::Type::kConditional, take().line);
    made->parts.push_back(parse_or());
    made->parts.push_back(std::move(value));
    if (skip_name("else")) {
      const Nesting nesting(*this);
      made->parts.push_back(parse_conditional());
    } else {
      made->parts.push_back(nullptr);
    }
    value = std::move(made);
  }
  return value;
}

ExpressionPtr Parser::parse_or() {
  ExpressionPtr first = parse_and();
  if (!current().is_name("or")) return first;
  ExpressionPtr made = make(Expression::Type::kOr, current().line);
  made->parts.push_back(std::move(first));
  while (skip_name("or")) made->parts.push_back(parse_and());
  return made;
}

ExpressionPtr Parser::parse_and() {
  ExpressionPtr first = parse_not();
  if (!current().is_name("and")) return first;
  ExpressionPtr made = make(Expression::Type::kAnd, current().line);
  made->parts.push_back(std::move(first));
  while (skip_name("and")) made->parts.push_back(parse_not());
  return made;
}

ExpressionPtr Parser::parse_not() {
  if (!current().is_name("not")) return parse_compare();
  const Nesting nesting(*this);
  ExpressionPtr made = make(Expression::Type::kNot, take().line);
  made->parts.push_back(parse_not());
  return made;
}

ExpressionPtr Parser::parse_compare() {
  ExpressionPtr first = parse_sum();
  ExpressionPtr made;
  static constexpr std::pair<std::string_view, Operator> kOperators[] = {
      {"==", Operator::kEqual},     {"!=", Operator::kUnequal}, {"<", Operator::kLess},
      {"<=", Operator::kLessEqual}, {">", Operator::kGreater},  {">=", Operator::kGreaterEqual}};
  while (true) {
    const std::uint32_t line = current().line;
    Operator found = Operator::kIn;
    const auto* known = std::find_if(std::begin(kOperators), std::end(kOperators),
                                     [&](const auto& entry) { return current().is(entry.first); });
    if (known != std::end(kOperators)) {
      found = known->second;
    } else if (current().is_name("not") && ahead().is_name("in")) {
      found = Operator::kNotIn;
      take();
    } else if (!current().is_name("in")) {
      break;
    }
    take();
    if (!made) {
      made = make(Expression::Type::kCompare, line);
      made->parts.push_back(std::move(first));
    }
    made->operators.push_back(found);
    made->parts.push_back(parse_sum());
  }
  return made ? std::move(made) : std::move(first);
}

ExpressionPtr Parser::parse_sum() {
  ExpressionPtr first = parse_concatenation();
  if (!current().is("+") && !current().is("-")) return first;
  ExpressionPtr made = make(Expression::Type::kArithmetic, current().line);
  made->parts.push_back(std::move(first));
  while (current().is("+") || current().is("-")) {
    made->operators.push_back(take().text == "+" ? Operator::kAdd : Operator::kSubtract);
    made->parts.push_back(parse_concatenation());
  }
  return made;
}

ExpressionPtr Parser::parse_concatenation() {
  ExpressionPtr first = parse_product();
  if (!current().is("~")) return first;
  ExpressionPtr made = make(Expression::Type::kConcatenate, current().line);
  made->parts.push_back(std::move(first));
  while (skip_operator("~")) made->parts.push_back(parse_product());
  return made;
}

ExpressionPtr Parser::parse_product() {
  ExpressionPtr first = parse_power();
  ExpressionPtr made;
  while (current().is("*") || current().is("/") || current().is("//") || current().is("%")) {
    if (!made) {
      made = make(Expression::Type::kArithmetic, current().line);
      made->parts.push_back(std::move(first));
    }
    const std::string text = take().text;
    made->operators.push_back(text == "*"    ? Operator::kMultiply
                              : text == "/"  ? Operator::kDivide
                              : text == "//" ? Operator::kFloorDivide
                                             : Operator::kModulo);
    made->parts.push_back(parse_power());
  }
  return made ? std::move(made) : std::move(first);
}

ExpressionPtr Parser::parse_power() {
  ExpressionPtr first = parse_unary();
  if (!current().is("**")) return first;
  ExpressionPtr made = make(Expression::Type::kArithmetic, current().line);
  made->parts.push_back(std::move(first));
  while (skip_operator("**")) {
    made->operators.push_back(Operator::kPower);
    made->parts.push_back(parse_unary());
  }
  return made;
}

ExpressionPtr Parser::parse_unary(bool with_filter) {
  ExpressionPtr value;
  if (current().is("-") || current().is("+")) {
    const Nesting nesting(*this);
    const Token sign = take();
    value = make(sign.text == "-" ? Expression::Type::kNegative : Expression::Type::kPositive, sign.line);
    value->parts.push_back(parse_unary(false));
  } else {
    value = parse_primary();
  }
  value = parse_postfix(std::move(value));
  return with_filter ? parse_filters_and_tests(std::move(value)) : std::move(value);
}

ExpressionPtr Parser::parse_name() {
  const Token token = take();
  ExpressionPtr made = make(Expression::Type::kConstant, token.line);
  if (token.text == "true" || token.text == "True") {
    made->constant = Value::of(true);
  } else if (token.text == "false" || token.text == "False") {
    made->constant = Value::of(false);
  } else if (token.text == "none" || token.text == "None") {
    made->constant = Value::none();
  } else {
    made->type = Expression::Type::kName;
    made->name = name_id(token.text);
    for (Signature* macro : macros_) {
      macro->uses_varargs = macro->uses_varargs || token.text == "varargs";
      macro->uses_kwargs = macro->uses_kwargs || token.text == "kwargs";
      macro->uses_caller = macro->uses_caller || token.text == "caller";
    }
  }
  return made;
}

ExpressionPtr Parser::parse_primary() {
  const std::uint32_t line = current().line;
  switch (current().type) {
    case TokenType::kName: return parse_name();
    case TokenType::kString: {
      std::string text = take().text;
      while (current().type == TokenType::kString) text += take().text;
      ExpressionPtr made = make(Expression::Type::kConstant, line);
      made->constant = Value::string(std::move(text));
      return made;
    }
    case TokenType::kInteger:
    case TokenType::kFloat: {
      const Token token = take();
      ExpressionPtr made = make(Expression::Type::kConstant, line);
      made->constant = token.type == TokenType::kInteger ? Value::of(token.integer) : Value::of(token.real);
      return made;
    }
    default: break;
  }
  if (skip_operator("(")) {
    ExpressionPtr made = parse_tuple(true, true);
    expect_operator(")");
    return made;
  }
  if (current().is("[")) return parse_list();
  if (current().is("{")) return parse_dict();
  fail_here("unexpected " + describe(current()));
}

bool Parser::at_tuple_end(std::string_view end_name) const {
  return current().type == TokenType::kVariableEnd || current().type == TokenType::kBlockEnd || current().is(")") ||
         (!end_name.empty() && current().is_name(end_name));
}

ExpressionPtr Parser::parse_tuple(bool with_conditional, bool parentheses, std::string_view end_name) {
  ExpressionPtr made = make(Expression::Type::kTuple, current().line);
  bool is_tuple = false;
  while (true) {
    if (!made->parts.empty()) expect_operator(",");
    if (at_tuple_end(end_name)) break;
    made->parts.push_back(parse_expression(with_conditional));
    if (!current().is(",")) break;
    is_tuple = true;
  }
  if (is_tuple) return made;
  if (!made->parts.empty()) return std::move(made->parts[0]);
  if (!parentheses) fail_here("expected an expression, found " + describe(current()));
  return made;
}

ExpressionPtr Parser::parse_list() {
  ExpressionPtr made = make(Expression::Type::kList, take().line);
  while (!current().is("]")) {
    if (!made->parts.empty()) expect_operator(",");
    if (current().is("]")) break;
    made->parts.push_back(parse_expression());
  }
  take();
  return made;
}

ExpressionPtr Parser::parse_dict() {
  ExpressionPtr made = make(Expression::Type::kDict, take().line);
  while (!current().is("}")) {
    if (!made->parts.empty()) expect_operator(",");
    if (current().is("}")) break;
    made->parts.push_back(parse_expression());
    expect_operator(":");
    made->parts.push_back(parse_expression());
  }
  take();
  return made;
}

ExpressionPtr Parser::parse_postfix(ExpressionPtr of) {
  std::size_t chain = 0;
  while (true) {
    if (current().is(".") || current().is("[")) of = parse_subscript(std::move(of));
    else if (current().is("(")) of = parse_call(std::move(of));
    else return of;
    count_chain(chain);
  }
}

ExpressionPtr Parser::parse_filters_and_tests(ExpressionPtr of) {
  std::size_t chain = 0;
  while (true) {
    if (current().is("|")) of = parse_filter(std::move(of), false);
    else if (current().is_name("is")) of = parse_test(std::move(of));
    else if (current().is("(")) of = parse_call(std::move(of));
    else return of;
    count_chain(chain);
  }
}

ExpressionPtr Parser::parse_subscript(ExpressionPtr of) {
  const Token mark = take();
  if (mark.text == "[") return parse_bracket(std::move(of), mark.line);
  if (current().type == TokenType::kName) {
    ExpressionPtr made = make(Expression::Type::kAttribute, mark.line);
    made->parts.push_back(std::move(of));
    made->text = take().text;
    return made;
  }
  if (current().type != TokenType::kInteger)
    fail_here("expected a name or number behind the dot, found " + describe(current()));
  ExpressionPtr made = make(Expression::Type::kItem, mark.line);
  made->parts.push_back(std::move(of));
  made->parts.push_back(parse_primary());
  return made;
}

ExpressionPtr Parser::parse_bracket(ExpressionPtr of, std::uint32_t line) {
  ExpressionPtr start;
  if (!current().is(":")) {
    start = parse_expression();
    if (skip_operator("]")) {
      ExpressionPtr made = make(Expression::Type::kItem, line);
      made->parts.push_back(std::move(of));
      made->parts.push_back(std::move(start));
      return made;
    }
  }
  ExpressionPtr made = make(Expression::Type::kSlice, line);
  made->parts.push_back(std::move(of));
  made->parts.push_back(std::move(start));
  expect_operator(":");
  made->parts.push_back(current().is(":") || current().is("]") ? nullptr : parse_expression());
  made->parts.push_back(skip_operator(":") && !current().is("]") ? parse_expression() : nullptr);
  expect_operator("]");
  return made;
}

void Parser::parse_argument(Arguments& arguments) {
  if (skip_operator("*")) {
    if (arguments.star || arguments.double_star) fail_here("more than one *argument");
    arguments.star = parse_expression();
  } else if (skip_operator("**")) {
    if (arguments.double_star) fail_here("more than one **argument");
    arguments.double_star = parse_expression();
  } else if (current().type == TokenType::kName && ahead().is("=")) {
    if (arguments.double_star) fail_here("an argument behind **");
    std::string name = take().text;
    take();
    arguments.keywords.emplace_back(std::move(name), parse_expression());
  } else {
    if (arguments.star || arguments.double_star || !arguments.keywords.empty())
      fail_here("an argument without a name behind named ones");
    arguments.positional.push_back(parse_expression());
  }
}

Arguments Parser::parse_arguments() {
  expect_operator("(");
  Arguments arguments;
  bool first = true;
  while (!current().is(")")) {
    if (!first) {
      expect_operator(",");
      if (current().is(")")) break;
    }
    first = false;
    parse_argument(arguments);
  }
  take();
  return arguments;
}

ExpressionPtr Parser::parse_call(ExpressionPtr of) {
  ExpressionPtr made = make(Expression::Type::kCall, current().line);
  made->parts.push_back(std::move(of));
  made->arguments = parse_arguments();
  return made;
}

ExpressionPtr Parser::parse_filter(ExpressionPtr of, bool inline_start) {
  if (!inline_start) take();
  ExpressionPtr made = make(Expression::Type::kFilter, current().line);
  made->parts.push_back(std::move(of));
  made->text = expect_name();
  while (skip_operator(".")) made->text += "." + expect_name();
  if (current().is("(")) made->arguments = parse_arguments();
  return made;
}

ExpressionPtr Parser::parse_test(ExpressionPtr of) {
  ExpressionPtr made = make(Expression::Type::kTest, take().line);
  made->parts.push_back(std::move(of));
  const bool negated = skip_name("not");
  made->text = expect_name();
  while (skip_operator(".")) made->text += "." + expect_name();
  const TokenType type = current().type;
  if (current().is("(")) {
    made->arguments = parse_arguments();
  } else if (type == TokenType::kString || type == TokenType::kInteger || type == TokenType::kFloat || current().is("[") ||
             current().is("{") ||
             (type == TokenType::kName && !current().is_name("else") && !current().is_name("or") &&
              !current().is_name("and"))) {
    if (current().is_name("is")) fail_here("\"is\" cannot be chained");
    const Nesting nesting(*this);
    made->arguments.positional.push_back(parse_postfix(parse_primary()));
  }
  if (!negated) return made;
  ExpressionPtr inverse = make(Expression::Type::kNot, made->line);
  inverse->parts.push_back(std::move(made));
  return inverse;
}

}  // namespace baton::chat
