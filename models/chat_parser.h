// SPDX-License-Identifier: Apache-2.0
// Tokens to the tree of chat_ast.h, by Jinja 2's grammar. What a chat template cannot have here (include, import, extends) is
// refused by name. One Parser per source, on one thread. Throws Fault with the line.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "models/chat_ast.h"
#include "models/chat_lexer.h"

namespace baton::chat {

class Parser {
 public:
  Parser(std::vector<Token> tokens, const ChatTemplateLimits& limits) : tokens_(std::move(tokens)), limits_(limits) {}
  Template run();

 private:
  // ---- tokens
  const Token& current() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  Token take() { return at_ + 1 < tokens_.size() ? std::move(tokens_[at_++]) : tokens_[at_]; }
  bool skip_operator(std::string_view text);
  bool skip_name(std::string_view name);
  void expect_operator(std::string_view text);
  std::string expect_name();
  void expect_block_end();
  [[noreturn]] void fail_here(std::string what) const;
  NameId name_id(const std::string& name);

  // Counts what is inside what, for as long as it lives.
  class Nesting {
   public:
    explicit Nesting(Parser& parser);
    ~Nesting() { --parser_.depth_; }
    Nesting(const Nesting&) = delete;

   private:
    Parser& parser_;
  };

  // ---- statements (chat_parser_statements.cc)
  Block statements(std::vector<std::string_view> ends);  // up to {% one of them, which is left to be read
  std::unique_ptr<Statement> statement();
  std::unique_ptr<Statement> make(Statement::Type type) const;
  std::unique_ptr<Statement> parse_for();
  std::unique_ptr<Statement> parse_if();
  std::unique_ptr<Statement> parse_set();
  std::unique_ptr<Statement> parse_macro();
  std::unique_ptr<Statement> parse_call_block();
  std::unique_ptr<Statement> parse_filter_block();
  std::unique_ptr<Statement> parse_with();
  std::unique_ptr<Statement> parse_scope(std::string_view end);
  Block body_until(std::string_view end);
  void parse_signature(Signature& signature);
  Target parse_target(bool with_namespace, bool for_loop);
  Target parse_one_target(bool with_namespace);

  // ---- expressions
  ExpressionPtr make(Expression::Type type, std::uint32_t line) const;
  ExpressionPtr parse_expression(bool with_conditional = true);
  ExpressionPtr parse_conditional();
  ExpressionPtr parse_or();
  ExpressionPtr parse_and();
  ExpressionPtr parse_not();
  ExpressionPtr parse_compare();
  ExpressionPtr parse_sum();
  ExpressionPtr parse_concatenation();
  ExpressionPtr parse_product();
  ExpressionPtr parse_power();
  ExpressionPtr parse_unary(bool with_filter = true);
  ExpressionPtr parse_primary();
  ExpressionPtr parse_name();
  ExpressionPtr parse_tuple(bool with_conditional = true, bool parentheses = false, std::string_view end_name = "");
  ExpressionPtr parse_list();
  ExpressionPtr parse_dict();
  ExpressionPtr parse_postfix(ExpressionPtr of);
  ExpressionPtr parse_filters_and_tests(ExpressionPtr of);
  ExpressionPtr parse_subscript(ExpressionPtr of);
  ExpressionPtr parse_bracket(ExpressionPtr of, std::uint32_t line);
  ExpressionPtr parse_call(ExpressionPtr of);
  Arguments parse_arguments();
  void parse_argument(Arguments& arguments);
  ExpressionPtr parse_filter(ExpressionPtr of, bool inline_start);
  ExpressionPtr parse_test(ExpressionPtr of);
  bool at_tuple_end(std::string_view end_name) const;
  // Chains (a.b.c, x|f|g) make the tree as deep as they are long.
  void count_chain(std::size_t& length) const;

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  ChatTemplateLimits limits_;
  std::size_t depth_ = 0;
  std::size_t loops_ = 0;
  std::map<std::string, NameId> name_ids_;
  Template template_;
  std::vector<Signature*> macros_;  // that are being parsed, outermost first
};

}  // namespace baton::chat
