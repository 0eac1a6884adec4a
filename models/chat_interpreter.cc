// SPDX-License-Identifier: Apache-2.0
// Statements; expressions are in chat_expressions.cc.
#include "models/chat_interpreter.h"

#include <algorithm>

namespace baton::chat {
namespace {

constexpr std::size_t kNodeDepthMax = 512;

// Puts a value back when the scope of the C++ block ends, also by a Fault.
template <class T>
class Restore {
 public:
  explicit Restore(T& place) : place_(place), before_(place) {}
  ~Restore() { place_ = std::move(before_); }
  Restore(const Restore&) = delete;

 private:
  T& place_;
  T before_;
};

std::shared_ptr<Scope> inside(const std::shared_ptr<Scope>& parent) {
  auto made = std::make_shared<Scope>();
  made->parent = parent;
  return made;
}

}  // namespace

Interpreter::~Interpreter() {
  // One by one, while all of them are still held: a chain of them is never taken down by recursion.
  for (const auto& made : namespaces_) made->entries.clear();
  for (const auto& scope : captured_) scope->variables.clear();
}

Interpreter::Deeper::Deeper(Interpreter& interpreter) : interpreter_(interpreter) {
  if (interpreter.depth_ >= kNodeDepthMax) exhausted("more than " + std::to_string(kNodeDepthMax) + " parts within each other");
  ++interpreter.depth_;
}

void Interpreter::set_variable(std::string_view name, const Value& value) {
  const auto found = std::find(template_.names.begin(), template_.names.end(), name);
  if (found != template_.names.end()) set_in_scope(*global_, static_cast<NameId>(found - template_.names.begin()), value);
}

std::string Interpreter::run() {
  scope_ = inside(global_);
  std::string out;
  run_block(template_.body, out);
  return out;
}

void Interpreter::set_in_scope(Scope& scope, NameId name, const Value& value) {
  meter_.charge(1 + scope.variables.size() / 32);
  for (auto& [known, place] : scope.variables) {
    if (known != name) continue;
    place = value;
    return;
  }
  scope.variables.emplace_back(name, value);
}

void Interpreter::write(std::string_view text, std::string& out) {
  if (out.size() + text.size() > meter_.limits().output_max) meter_.text(out.size() + text.size());
  meter_.charge_bytes(text.size());
  out += text;
}

Interpreter::Flow Interpreter::run_block(const Block& block, std::string& out) {
  const Deeper deeper(*this);
  for (const auto& statement : block) {
    const Flow flow = run_statement(*statement, out);
    if (flow != Flow::kOn) return flow;
  }
  return Flow::kOn;
}

std::string Interpreter::run_into_text(const Block& block) {
  const Restore<std::shared_ptr<Scope>> restore(scope_);
  scope_ = inside(scope_);
  std::string out;
  run_block(block, out);
  return out;
}

Interpreter::Flow Interpreter::run_statement(const Statement& statement, std::string& out) {
  meter_.charge(1);
  line_ = statement.line;
  switch (statement.type) {
    case Statement::Type::kText: write(statement.text, out); return Flow::kOn;
    case Statement::Type::kPrint:
      for (const auto& expression : statement.expressions) {
        const Value value = evaluate(*expression);
        if (value.is_string()) write(value.text(), out);
        else write(text_of(value), out);
      }
      return Flow::kOn;
    case Statement::Type::kFor: return run_for(statement, out);
    case Statement::Type::kIf: return run_if(statement, out);
    case Statement::Type::kSet: assign(statement.targets[0], evaluate(*statement.expressions[0])); return Flow::kOn;
    case Statement::Type::kSetBlock: run_set_block(statement); return Flow::kOn;
    case Statement::Type::kMacro:
      set_in_scope(*scope_, statement.name, define_macro(statement.text, statement.signature, statement.body));
      return Flow::kOn;
    case Statement::Type::kCall: run_call_block(statement, out); return Flow::kOn;
    case Statement::Type::kFilterBlock: {
      const Value text = make_text(run_into_text(statement.body));
      write(text_of(run_filters(*statement.expressions[0], text)), out);
      return Flow::kOn;
    }
    case Statement::Type::kWith: run_with(statement, out); return Flow::kOn;
    case Statement::Type::kScope: {
      const Restore<std::shared_ptr<Scope>> restore(scope_);
      scope_ = inside(scope_);
      return run_block(statement.body, out);
    }
    case Statement::Type::kBreak: return Flow::kBreak;
    case Statement::Type::kContinue: return Flow::kContinue;
  }
  return Flow::kOn;
}

Interpreter::Flow Interpreter::run_if(const Statement& statement, std::string& out) {
  for (std::size_t i = 0; i < statement.branches.size(); ++i) {
    if (truth(evaluate(*statement.expressions[i]))) return run_block(statement.branches[i], out);
  }
  return run_block(statement.otherwise, out);
}

// The items that pass the loop's own condition, which sees the target but not `loop`.
std::vector<Value> Interpreter::filtered(const Statement& statement, std::vector<Value> items) {
  if (!statement.expressions[1]) return items;
  std::vector<Value> kept;
  const std::shared_ptr<Scope> around = scope_;
  const Restore<std::shared_ptr<Scope>> restore(scope_);
  for (Value& item : items) {
    scope_ = inside(around);
    assign(statement.targets[0], item);
    if (truth(evaluate(*statement.expressions[1]))) kept.push_back(std::move(item));
  }
  return kept;
}

Interpreter::Flow Interpreter::run_for(const Statement& statement, std::string& out) {
  return run_loop(statement, evaluate(*statement.expressions[0]), out, 0);
}

Interpreter::Flow Interpreter::run_loop(const Statement& statement, const Value& over, std::string& out, std::int64_t nesting) {
  const Deeper deeper(*this);
  auto loop = std::make_shared<LoopObject>();
  loop->items = filtered(statement, walk(over, meter_));
  loop->nesting = nesting;
  for (const Value& item : loop->items) loop->depth = std::max(loop->depth, item.depth() + 1);
  changed_.erase(loop.get());  // of a loop that was there before
  const std::shared_ptr<Scope> around = scope_;
  const Restore<std::shared_ptr<Scope>> restore(scope_);
  if (statement.recursive) {
    loop->recursive = &statement;
    loop->scope = around;
  }
  if (loop->items.empty()) {
    scope_ = inside(around);
    return run_block(statement.otherwise, out);
  }
  const auto name = std::find(template_.names.begin(), template_.names.end(), "loop");
  const NameId loop_id = static_cast<NameId>(name - template_.names.begin());
  const Value loop_value = Value::object(Kind::kLoop, loop);
  scope_ = inside(around);
  for (; loop->index < loop->items.size(); ++loop->index) {
    meter_.charge(1);
    if (scope_.use_count() == 1) scope_->variables.clear();
    else scope_ = inside(around);  // a macro holds the last round's
    set_in_scope(*scope_, loop_id, loop_value);
    assign(statement.targets[0], loop->items[loop->index]);
    if (run_block(statement.body, out) == Flow::kBreak) break;
  }
  return Flow::kOn;
}

bool Interpreter::loop_changed(const LoopObject& loop, const std::vector<Value>& values) {
  meter_.charge(4 + values.size());
  const auto [found, first] = changed_.try_emplace(&loop, values);
  if (first) return true;
  bool changed = found->second.size() != values.size();
  for (std::size_t i = 0; !changed && i < values.size(); ++i) changed = !equal(found->second[i], values[i], meter_);
  found->second = values;
  return changed;
}

Value Interpreter::call_loop(LoopObject& loop, const Passed& passed) {
  if (loop.recursive == nullptr) refuse("loop(…) needs {% for … recursive %}");
  if (passed.positional.size() != 1 || !passed.keywords.empty()) refuse("loop(…) takes one argument");
  const Restore<std::shared_ptr<Scope>> restore(scope_);
  scope_ = loop.scope;
  std::string out;
  run_loop(*loop.recursive, passed.positional[0], out, loop.nesting + 1);
  return make_text(std::move(out));
}

void Interpreter::run_set_block(const Statement& statement) {
  Value text = make_text(run_into_text(statement.body));
  if (statement.expressions[0]) text = run_filters(*statement.expressions[0], text);
  assign(statement.targets[0], text);
}

void Interpreter::run_with(const Statement& statement, std::string& out) {
  std::vector<Value> values;
  for (const auto& expression : statement.expressions) values.push_back(evaluate(*expression));
  const Restore<std::shared_ptr<Scope>> restore(scope_);
  scope_ = inside(scope_);
  for (std::size_t i = 0; i < values.size(); ++i) assign(statement.targets[i], values[i]);
  run_block(statement.body, out);
}

Value Interpreter::define_macro(const std::string& name, const Signature& signature, const Block& body) {
  auto macro = std::make_shared<MacroObject>();
  macro->name = name;
  macro->signature = &signature;
  macro->body = &body;
  macro->scope = scope_;
  meter_.charge(8);
  if (captured_.empty() || captured_.back() != scope_) captured_.push_back(scope_);
  return Value::object(Kind::kMacro, std::move(macro));
}

void Interpreter::run_call_block(const Statement& statement, std::string& out) {
  const Expression& call_expression = *statement.expressions[0];
  const Value callee = evaluate(*call_expression.parts[0]);
  Passed passed = evaluate_arguments(call_expression.arguments);
  passed.keywords.emplace_back("caller", define_macro("caller", statement.signature, statement.body));
  write(text_of(call(callee, std::move(passed))), out);
}

void Interpreter::assign(const Target& target, const Value& value) {
  if (target.is_tuple) {
    const std::vector<Value> items = walk(value, meter_);
    if (items.size() != target.parts.size()) {
      refuse("cannot take " + std::to_string(items.size()) + " values apart into " + std::to_string(target.parts.size()) +
             " names");
    }
    for (std::size_t i = 0; i < items.size(); ++i) assign(target.parts[i], items[i]);
    return;
  }
  if (target.attribute.empty()) return set_in_scope(*scope_, target.name, value);
  const Value space = evaluate_name(target.name);
  if (!space.is(Kind::kNamespace))
    refuse("only a namespace's attributes can be set, and " + template_.names[target.name] + " is none");
  space.as<DictObject>().set(Value::string(target.attribute), value, meter_);
}

Value Interpreter::call_macro(const MacroObject& macro, Passed passed) {
  if (macro_depth_ >= meter_.limits().depth_max)
    exhausted("more than " + std::to_string(macro_depth_) + " macro calls within each other");
  const Deeper deeper(*this);
  const Restore<std::size_t> macro_depth(macro_depth_);
  ++macro_depth_;
  const Restore<std::uint32_t> line(line_);
  const Restore<std::shared_ptr<Scope>> restore(scope_);
  scope_ = inside(macro.scope);
  const Signature& signature = *macro.signature;
  const auto named = [this](std::string_view name) {
    return static_cast<NameId>(std::find(template_.names.begin(), template_.names.end(), name) - template_.names.begin());
  };
  const std::size_t first_default = signature.names.size() - signature.defaults.size();
  for (std::size_t i = 0; i < signature.names.size(); ++i) {
    const std::string& name = template_.names[signature.names[i]];
    const auto keyword =
        std::find_if(passed.keywords.begin(), passed.keywords.end(), [&](const auto& entry) { return entry.first == name; });
    Value value = Value::undefined("parameter '" + name + "' was not given");
    if (i < passed.positional.size()) {
      value = passed.positional[i];
    } else if (keyword != passed.keywords.end()) {
      value = keyword->second;
      passed.keywords.erase(keyword);
    } else if (i >= first_default) {
      value = evaluate(*signature.defaults[i - first_default]);
    }
    set_in_scope(*scope_, signature.names[i], value);
  }
  if (signature.uses_caller) {
    const auto caller =
        std::find_if(passed.keywords.begin(), passed.keywords.end(), [](const auto& entry) { return entry.first == "caller"; });
    set_in_scope(*scope_, named("caller"),
                 caller == passed.keywords.end() ? Value::undefined("no caller defined") : caller->second);
    if (caller != passed.keywords.end()) passed.keywords.erase(caller);
  }
  if (signature.uses_kwargs) {
    std::vector<Entry> rest;
    for (auto& [name, value] : passed.keywords) rest.emplace_back(Value::string(name), value);
    set_in_scope(*scope_, named("kwargs"), Value::dict(std::move(rest)));
  } else if (!passed.keywords.empty()) {
    refuse("macro '" + macro.name + "' takes no keyword argument '" + passed.keywords[0].first + "'");
  }
  const std::size_t taken = std::min(passed.positional.size(), signature.names.size());
  if (signature.uses_varargs) {
    set_in_scope(
        *scope_, named("varargs"),
        make_list({passed.positional.begin() + static_cast<std::ptrdiff_t>(taken), passed.positional.end()}, Kind::kTuple));
  } else if (passed.positional.size() > taken) {
    refuse("macro '" + macro.name + "' takes not more than " + std::to_string(taken) + " arguments");
  }
  std::string out;
  run_block(*macro.body, out);
  return make_text(std::move(out));
}

}  // namespace baton::chat
