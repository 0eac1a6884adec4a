// SPDX-License-Identifier: Apache-2.0
// The expressions of Interpreter, see chat_interpreter.h.
#include <algorithm>
#include <array>

#include "models/chat_interpreter.h"
#include "models/chat_text.h"

namespace baton::chat {

Value Interpreter::make_text(std::string text, bool markup) {
  meter_.text(text.size());
  return Value::string(std::move(text), markup);
}

Value Interpreter::make_list(std::vector<Value> items, Kind kind) {
  meter_.items(items.size());
  return Value::list(std::move(items), kind);
}

Value Interpreter::make_generator(std::vector<Value> items) { return make_list(std::move(items), Kind::kGenerator); }

Value Interpreter::evaluate(const Expression& expression) {
  const Deeper deeper(*this);
  meter_.charge(1);
  switch (expression.type) {
    case Expression::Type::kConstant: return expression.constant;
    case Expression::Type::kName: return evaluate_name(expression.name);
    case Expression::Type::kTuple:
    case Expression::Type::kList: {
      std::vector<Value> items;
      for (const auto& part : expression.parts) items.push_back(evaluate(*part));
      return make_list(std::move(items), expression.type == Expression::Type::kList ? Kind::kList : Kind::kTuple);
    }
    case Expression::Type::kDict: return evaluate_dict(expression);
    case Expression::Type::kNot: return Value::of(!truth(evaluate(*expression.parts[0])));
    case Expression::Type::kNegative:
    case Expression::Type::kPositive: return evaluate_sign(expression);
    case Expression::Type::kArithmetic: return evaluate_arithmetic(expression);
    case Expression::Type::kConcatenate: return evaluate_concatenation(expression);
    case Expression::Type::kAnd:
    case Expression::Type::kOr: return evaluate_logic(expression);
    case Expression::Type::kCompare: return evaluate_compare(expression);
    case Expression::Type::kConditional:
      if (truth(evaluate(*expression.parts[0]))) return evaluate(*expression.parts[1]);
      if (expression.parts[2]) return evaluate(*expression.parts[2]);
      return Value::undefined("the inline if was false and has no else");
    case Expression::Type::kAttribute: return attribute_of(evaluate(*expression.parts[0]), expression.text);
    case Expression::Type::kItem: {
      const Value of = evaluate(*expression.parts[0]);
      return item_of(of, evaluate(*expression.parts[1]));
    }
    case Expression::Type::kSlice: return evaluate_slice(expression);
    case Expression::Type::kCall: {
      const Value callee = evaluate(*expression.parts[0]);
      Passed passed = evaluate_arguments(expression.arguments);
      return call(callee, std::move(passed));
    }
    case Expression::Type::kFilter: return run_filters(expression, Value());
    case Expression::Type::kTest: {
      const Value of = evaluate(*expression.parts[0]);
      return Value::of(apply_test(expression.text, of, evaluate_arguments(expression.arguments)));
    }
  }
  return Value::none();
}

Value Interpreter::run_filters(const Expression& expression, const Value& block_text) {
  Value of = block_text;
  if (expression.parts[0] && expression.parts[0]->type == Expression::Type::kFilter) {
    const Deeper deeper(*this);
    of = run_filters(*expression.parts[0], block_text);
  } else if (expression.parts[0]) {
    of = evaluate(*expression.parts[0]);
  }
  meter_.charge(1);
  return apply_filter(expression.text, of, evaluate_arguments(expression.arguments));
}

Value Interpreter::evaluate_name(NameId name) {
  for (const Scope* scope = scope_.get(); scope != nullptr; scope = scope->parent.get()) {
    meter_.charge(scope->variables.size() / 64);
    for (const auto& [known, value] : scope->variables) {
      if (known == name) return value;
    }
  }
  const std::string& text = template_.names[name];
  if (!is_builtin(text)) return Value::undefined("'" + text + "' is undefined");
  auto builtin = std::make_shared<BuiltinObject>();
  builtin->name = text;
  return Value::object(Kind::kBuiltin, std::move(builtin));
}

Value Interpreter::evaluate_dict(const Expression& expression) {
  DictObject made;
  for (std::size_t i = 0; i + 1 < expression.parts.size(); i += 2) {
    const Value key = evaluate(*expression.parts[i]);
    made.set(key, evaluate(*expression.parts[i + 1]), meter_);
  }
  meter_.items(2 * made.entries.size());
  return Value::dict(std::move(made.entries));
}

Value Interpreter::evaluate_sign(const Expression& expression) {
  const Value value = evaluate(*expression.parts[0]);
  if (value.is(Kind::kUndefined)) refuse(value.text());
  if (!value.is_number()) refuse("a " + std::string(type_name(value)) + " has no sign");
  if (expression.type == Expression::Type::kPositive) return value.is(Kind::kBool) ? Value::of(value.integer()) : value;
  if (value.is(Kind::kFloat)) return Value::of(-value.real());
  return arithmetic(Operator::kSubtract, Value::of(std::int64_t{0}), value);
}

Value Interpreter::evaluate_arithmetic(const Expression& expression) {
  Value left = evaluate(*expression.parts[0]);
  for (std::size_t i = 0; i < expression.operators.size(); ++i) {
    const Value right = evaluate(*expression.parts[i + 1]);
    left = arithmetic(expression.operators[i], left, right);
  }
  return left;
}

Value Interpreter::evaluate_concatenation(const Expression& expression) {
  std::string out;
  for (const auto& part : expression.parts) {
    const Value value = evaluate(*part);
    write(value.is_string() ? std::string_view(value.text()) : std::string_view(text_of(value)), out);
  }
  return Value::string(std::move(out));
}

Value Interpreter::evaluate_logic(const Expression& expression) {
  const bool stops_at = expression.type == Expression::Type::kOr;
  Value value;
  for (const auto& part : expression.parts) {
    value = evaluate(*part);
    if (truth(value) == stops_at) break;
  }
  return value;
}

Value Interpreter::evaluate_compare(const Expression& expression) {
  Value left = evaluate(*expression.parts[0]);
  for (std::size_t i = 0; i < expression.operators.size(); ++i) {
    Value right = evaluate(*expression.parts[i + 1]);
    if (!compare(expression.operators[i], left, right)) return Value::of(false);
    left = std::move(right);
  }
  return Value::of(true);
}

bool Interpreter::compare(Operator operation, const Value& left, const Value& right) {
  switch (operation) {
    case Operator::kEqual: return equal(left, right, meter_);
    case Operator::kUnequal: return !equal(left, right, meter_);
    case Operator::kLess: return less(left, right, meter_);
    case Operator::kGreater: return less(right, left, meter_);
    case Operator::kLessEqual: return less(left, right, meter_) || equal(left, right, meter_);
    case Operator::kGreaterEqual: return less(right, left, meter_) || equal(left, right, meter_);
    case Operator::kIn: return contains(right, left);
    case Operator::kNotIn: return !contains(right, left);
    default: return false;
  }
}

bool Interpreter::contains(const Value& container, const Value& item) {
  if (container.is_string()) {
    if (!item.is_string()) refuse("'in' of a text wants a text, not a " + std::string(type_name(item)));
    meter_.charge_bytes(container.text().size() + item.text().size());
    return find_text(container.text(), item.text()) != std::string_view::npos;
  }
  if (container.is(Kind::kDict)) return container.as<DictObject>().find(item, meter_) != nullptr;
  if (container.is(Kind::kUndefined)) return false;
  for (const Value& candidate : walk(container, meter_)) {
    if (equal(candidate, item, meter_)) return true;
  }
  return false;
}

Value Interpreter::evaluate_slice(const Expression& expression) {
  std::array<Value, 4> parts;
  for (std::size_t i = 0; i < 4; ++i) parts[i] = expression.parts[i] ? evaluate(*expression.parts[i]) : Value::none();
  const Value& of = parts[0];
  if (of.is(Kind::kUndefined)) refuse(of.text());
  if (of.is_string()) {
    meter_.charge_bytes(of.text().size() * 8);
    const std::vector<std::size_t> offsets = code_point_offsets(of.text());
    const SliceBounds bounds = slice_bounds(static_cast<std::int64_t>(offsets.size()) - 1, parts[1], parts[2], parts[3]);
    std::string out;
    for (std::int64_t i = 0; i < bounds.count; ++i) {
      const std::size_t at = static_cast<std::size_t>(bounds.start + i * bounds.step);
      out.append(of.text(), offsets[at], offsets[at + 1] - offsets[at]);
    }
    return make_text(std::move(out), of.markup());
  }
  if (!of.is(Kind::kList) && !of.is(Kind::kTuple) && !of.is(Kind::kRange))
    refuse("a " + std::string(type_name(of)) + " has no slices");
  const SliceBounds bounds = slice_bounds(static_cast<std::int64_t>(of.items().size()), parts[1], parts[2], parts[3]);
  std::vector<Value> items;
  for (std::int64_t i = 0; i < bounds.count; ++i)
    items.push_back(of.items()[static_cast<std::size_t>(bounds.start + i * bounds.step)]);
  const Value made = make_list(std::move(items), of.kind());
  if (of.is(Kind::kRange)) {
    const auto& numbers = made.items();
    const std::int64_t stride = numbers.size() < 2 ? 1 : numbers[1].integer() - numbers[0].integer();
    made.as<ListObject>().stop = numbers.empty() ? 0 : numbers.back().integer() + stride;
  }
  return made;
}

Passed Interpreter::evaluate_arguments(const Arguments& arguments) {
  Passed passed;
  for (const auto& part : arguments.positional) passed.positional.push_back(evaluate(*part));
  for (const auto& [name, part] : arguments.keywords) passed.keywords.emplace_back(name, evaluate(*part));
  if (arguments.star) {
    for (Value& item : walk(evaluate(*arguments.star), meter_)) passed.positional.push_back(std::move(item));
  }
  if (arguments.double_star) {
    const Value rest = evaluate(*arguments.double_star);
    if (!rest.is(Kind::kDict)) refuse("what follows ** must be a dict");
    meter_.items(rest.entries().size());
    for (const auto& [key, value] : rest.entries()) {
      if (!key.is_string()) refuse("names of arguments must be texts");
      passed.keywords.emplace_back(key.text(), value);
    }
  }
  return passed;
}

Value Interpreter::call(const Value& callee, Passed passed) {
  const Deeper deeper(*this);
  meter_.charge(1);
  switch (callee.kind()) {
    case Kind::kMacro: return call_macro(callee.as<MacroObject>(), std::move(passed));
    case Kind::kBuiltin: return call_builtin(*this, callee.as<BuiltinObject>().name, passed);
    case Kind::kMethod: {
      const Value self = callee.as<MethodObject>().self;
      return call_method(*this, self, callee.as<MethodObject>().name, passed);
    }
    case Kind::kLoop: return call_loop(callee.as<LoopObject>(), passed);
    case Kind::kJoiner: {
      JoinerObject& joiner = callee.as<JoinerObject>();
      return make_text(std::exchange(joiner.used, true) ? joiner.separator : std::string());
    }
    case Kind::kUndefined: refuse(callee.text());
    default: refuse("a " + std::string(type_name(callee)) + " cannot be called");
  }
}

// ---- attributes and items --------------------------------------------------------------------------------------------

Value Interpreter::loop_attribute(const Value& value, const std::string& name, bool& found) {
  const LoopObject& loop = value.as<LoopObject>();
  const auto index = static_cast<std::int64_t>(loop.index), length = static_cast<std::int64_t>(loop.items.size());
  found = true;
  if (name == "index") return Value::of(index + 1);
  if (name == "index0") return Value::of(index);
  if (name == "revindex") return Value::of(length - index);
  if (name == "revindex0") return Value::of(length - index - 1);
  if (name == "first") return Value::of(index == 0);
  if (name == "last") return Value::of(index + 1 == length);
  if (name == "length") return Value::of(length);
  if (name == "depth") return Value::of(loop.nesting + 1);
  if (name == "depth0") return Value::of(loop.nesting);
  if (name == "previtem") return index > 0 ? loop.items[loop.index - 1] : Value::undefined("there is no previous item");
  if (name == "nextitem") return index + 1 < length ? loop.items[loop.index + 1] : Value::undefined("there is no next item");
  found = false;
  return Value();
}

Value Interpreter::method_of(const Value& value, const std::string& name, bool& found) {
  found = has_method(value, name);
  if (!found) return Value();
  auto method = std::make_shared<MethodObject>();
  method->self = value;
  method->name = name;
  method->depth = value.depth() + 1;
  return Value::object(Kind::kMethod, std::move(method));
}

Value Interpreter::attribute_of(const Value& value, const std::string& name) {
  meter_.charge(1);
  if (value.is(Kind::kUndefined)) refuse(value.text());
  bool found = false;
  if (value.is(Kind::kLoop)) {
    Value attribute = loop_attribute(value, name, found);
    if (found) return attribute;
  }
  if (value.is(Kind::kCycler) && name == "current") {
    const CyclerObject& cycler = value.as<CyclerObject>();
    return cycler.items[cycler.at];
  }
  if (value.is(Kind::kMacro) && name == "name") return Value::string(value.as<MacroObject>().name);
  Value method = method_of(value, name, found);
  if (found) return method;
  if (value.is(Kind::kDict) || value.is(Kind::kNamespace)) {
    if (const Value* entry = value.as<DictObject>().find(name, meter_)) return *entry;
  }
  return Value::undefined("a " + std::string(type_name(value)) + " has no attribute '" + name + "'");
}

Value Interpreter::item_of(const Value& value, const Value& key) {
  meter_.charge(1);
  if (value.is(Kind::kUndefined)) refuse(value.text());
  if (value.is(Kind::kDict) && hashable(key)) {
    if (const Value* entry = value.as<DictObject>().find(key, meter_)) return *entry;
  } else if ((value.is_string() || value.is(Kind::kList) || value.is(Kind::kTuple) || value.is(Kind::kRange)) &&
             key.is_integral()) {
    const auto size = static_cast<std::int64_t>(length_of(value, meter_));
    const std::int64_t at = key.integer() < 0 ? key.integer() + size : key.integer();
    if (at >= 0 && at < size) {
      if (!value.is_string()) return value.items()[static_cast<std::size_t>(at)];
      std::size_t offset = 0;
      for (std::int64_t i = 0; i < at; ++i) offset += code_point_bytes(value.text(), offset);
      return Value::string(value.text().substr(offset, code_point_bytes(value.text(), offset)), value.markup());
    }
  }
  if (key.is_string() && !value.is(Kind::kDict)) return attribute_of(value, key.text());
  if (key.is_string()) {
    bool found = false;
    Value method = method_of(value, key.text(), found);
    if (found) return method;
  }
  return Value::undefined("a " + std::string(type_name(value)) + " has no item " + to_repr(key, meter_));
}

}  // namespace baton::chat
