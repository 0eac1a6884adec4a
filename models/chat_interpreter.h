// SPDX-License-Identifier: Apache-2.0
// Runs one rendering of a parsed chat template. Lives as long as the rendering, on one thread; owns its scopes and namespaces,
// and takes them apart at its end, because macros and the scopes they were defined in hold each other. Throws Fault. Bounded by
// the ChatMeter, by kMacroDepthMax calls and kNodeDepthMax nodes within each other.
#pragma once

#include <ctime>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/chat_ast.h"

namespace baton::chat {

struct Scope {
  std::shared_ptr<Scope> parent;
  std::vector<std::pair<NameId, Value>> variables;
};

// Arguments of a call, evaluated.
struct Passed {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> keywords;
};

struct MacroObject : Object {
  std::string name;
  const Signature* signature = nullptr;
  const Block* body = nullptr;
  std::shared_ptr<Scope> scope;  // in which it was defined
};

struct LoopObject : Object {
  std::vector<Value> items;
  std::size_t index = 0;
  std::int64_t nesting = 0;
  const Statement* recursive = nullptr;  // of a recursive loop: what loop(…) runs
  std::shared_ptr<Scope> scope;          // around that loop
};

struct CyclerObject : Object {
  std::vector<Value> items;
  std::size_t at = 0;
};

struct JoinerObject : Object {
  std::string separator;
  bool used = false;
};

class Interpreter {
 public:
  Interpreter(const Template& parsed, const ChatTemplateLimits& limits, std::time_t now)
      : template_(parsed), meter_(limits), now_(now), global_(std::make_shared<Scope>()) {}
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;

  ChatMeter& meter() { return meter_; }
  void set_variable(std::string_view name, const Value& value);  // no effect if the template never names it
  std::string run();
  std::uint32_t line() const { return line_; }

  // ---- what filters, tests and methods use
  Value attribute_of(const Value& value, const std::string& name);  // value.name
  Value item_of(const Value& value, const Value& key);              // value[key]
  Value apply_filter(const std::string& name, const Value& value, Passed passed);
  bool apply_test(const std::string& name, const Value& value, const Passed& passed);
  Value call(const Value& callee, Passed passed);
  Value make_text(std::string text, bool markup = false);              // charged
  Value make_list(std::vector<Value> items, Kind kind = Kind::kList);  // charged
  Value make_generator(std::vector<Value> items);
  std::string text_of(const Value& value) { return to_text(value, meter_); }
  std::time_t now() const { return now_; }
  Value arithmetic(Operator operation, const Value& left, const Value& right);
  bool contains(const Value& container, const Value& item);
  void keep(std::shared_ptr<DictObject> made) { namespaces_.push_back(std::move(made)); }
  bool loop_changed(const LoopObject& loop, const std::vector<Value>& values);  // loop.changed(…)

 private:
  enum class Flow : std::uint8_t { kOn, kBreak, kContinue };
  class Deeper {
   public:
    explicit Deeper(Interpreter& interpreter);
    ~Deeper() { --interpreter_.depth_; }
    Deeper(const Deeper&) = delete;

   private:
    Interpreter& interpreter_;
  };

  // ---- statements (chat_interpreter.cc)
  Flow run_block(const Block& block, std::string& out);
  Flow run_statement(const Statement& statement, std::string& out);
  Flow run_if(const Statement& statement, std::string& out);
  Flow run_for(const Statement& statement, std::string& out);
  Flow run_loop(const Statement& statement, const Value& over, std::string& out, std::int64_t nesting);
  std::vector<Value> filtered(const Statement& statement, std::vector<Value> items);
  void run_set_block(const Statement& statement);
  void run_with(const Statement& statement, std::string& out);
  void run_call_block(const Statement& statement, std::string& out);
  std::string run_into_text(const Block& block);
  void assign(const Target& target, const Value& value);
  void set_in_scope(Scope& scope, NameId name, const Value& value);
  void write(std::string_view text, std::string& out);
  Value define_macro(const std::string& name, const Signature& signature, const Block& body);

  // ---- expressions (chat_expressions.cc)
  Value evaluate(const Expression& expression);
  Value evaluate_name(NameId name);
  Value evaluate_dict(const Expression& expression);
  Value evaluate_arithmetic(const Expression& expression);
  Value evaluate_concatenation(const Expression& expression);
  Value evaluate_logic(const Expression& expression);
  Value evaluate_compare(const Expression& expression);
  Value evaluate_slice(const Expression& expression);
  Value evaluate_sign(const Expression& expression);
  bool compare(Operator operation, const Value& left, const Value& right);
  Passed evaluate_arguments(const Arguments& arguments);
  Value run_filters(const Expression& expression, const Value& block_text);
  Value call_macro(const MacroObject& macro, Passed passed);
  Value call_loop(LoopObject& loop, const Passed& passed);
  Value method_of(const Value& value, const std::string& name, bool& found);
  Value loop_attribute(const Value& value, const std::string& name, bool& found);

  const Template& template_;
  ChatMeter meter_;
  std::time_t now_;
  std::shared_ptr<Scope> global_;
  std::shared_ptr<Scope> scope_;                  // the innermost
  std::vector<std::shared_ptr<Scope>> captured_;  // scopes that macros hold
  std::vector<std::shared_ptr<DictObject>> namespaces_;
  // What loop.changed(…) was called with last. Not in the loop: it could hold the loop, and neither would ever go.
  std::map<const LoopObject*, std::vector<Value>> changed_;
  std::size_t depth_ = 0;
  std::size_t macro_depth_ = 0;
  std::size_t loop_nesting_ = 0;
  std::uint32_t line_ = 0;
};

// ---- parts of the environment, each in a file of its own --------------------------------------------------------------

// The arguments by name, positional ones first; refuses what does not fit. A missing one is nullptr.
class Bound {
 public:
  Bound(std::string_view function, const Passed& passed, std::initializer_list<std::string_view> names);
  const Value* get(std::size_t index) const { return values_[index]; }
  const Value& need(std::size_t index) const;
  std::int64_t integer(std::size_t index, std::int64_t otherwise) const;
  bool truth(std::size_t index, bool otherwise) const;
  std::string text(std::size_t index, std::string_view otherwise) const;

 private:
  std::string_view function_;
  std::vector<std::string_view> names_;
  std::vector<const Value*> values_;
};

bool is_builtin(std::string_view name);
Value call_builtin(Interpreter& interpreter, const std::string& name, const Passed& passed);
bool has_method(const Value& value, std::string_view name);
Value call_method(Interpreter& interpreter, const Value& self, const std::string& name, const Passed& passed);
bool has_filter(std::string_view name);
bool has_test(std::string_view name);

// "…" % values and "…".format(…).
std::string format_percent(Interpreter& interpreter, const std::string& pattern, const Value& values);
std::string format_braces(Interpreter& interpreter, const std::string& pattern, const Passed& passed);

// Python's sorted() and slices; integers out of text.
std::vector<Value> sorted(std::vector<Value> items, ChatMeter& meter, bool reverse, bool case_sensitive,
                          const std::vector<Value>* keys = nullptr);
struct SliceBounds {
  std::int64_t start = 0, step = 1, count = 0;
};
SliceBounds slice_bounds(std::int64_t size, const Value& start, const Value& stop, const Value& step);
std::optional<std::int64_t> integer_in(std::string_view text, std::int64_t base);
std::optional<double> real_in(std::string_view text);
std::int64_t whole_number(const Value& value, std::string_view what);  // refuses others

}  // namespace baton::chat
