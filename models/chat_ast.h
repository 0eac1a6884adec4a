// SPDX-License-Identifier: Apache-2.0
// The tree of a parsed chat template. Immutable once the parser is done; any number of renderings may read it at once. Nested
// no deeper than ChatTemplateLimits::depth_max, so that walking it needs little stack.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "models/chat_value.h"

namespace baton::chat {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;
using NameId = std::uint32_t;  // index into Template::names

struct Arguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> keywords;
  ExpressionPtr star, double_star;  // *args, **kwargs
};

enum class Operator : std::uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kEqual,
  kUnequal,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
};

struct Expression {
  enum class Type : std::uint8_t {
    kConstant,
    kName,
    kTuple,
    kList,
    kDict,  // parts: key, value, key, value, …
    kNot,
    kNegative,
    kPositive,
    kArithmetic,  // parts and operators between them, left to right
    kConcatenate,
    kAnd,
    kOr,
    kCompare,      // parts and operators between them, chained as in Python
    kConditional,  // parts: condition, then, else (or nullptr)
    kAttribute,    // parts: of what; text: name
    kItem,         // parts: of what, which
    kSlice,        // parts: of what, start, stop, step (each or nullptr)
    kCall,         // parts: what
    kFilter,       // parts: of what (nullptr: a filter block's text)
    kTest,         // parts: of what
  };
  Type type = Type::kConstant;
  std::uint32_t line = 0;
  std::vector<ExpressionPtr> parts;
  std::vector<Operator> operators;
  Value constant;
  NameId name = 0;
  std::string text;
  Arguments arguments;
};

// Where a value goes: a name, a namespace's attribute, or a tuple of targets.
struct Target {
  NameId name = 0;
  std::string attribute;      // not empty: of the namespace `name`
  std::vector<Target> parts;  // not empty, or is_tuple: a tuple
  bool is_tuple = false;
};

struct Statement;
using Block = std::vector<std::unique_ptr<Statement>>;

struct Signature {
  std::vector<NameId> names;
  std::vector<ExpressionPtr> defaults;  // of the last names
  bool uses_varargs = false, uses_kwargs = false, uses_caller = false;
};

struct Statement {
  enum class Type : std::uint8_t {
    kText,
    kPrint,
    kFor,          // target in expressions[0] if expressions[1]; body, otherwise
    kIf,           // expressions[i] -> branches[i]; otherwise
    kSet,          // target = expressions[0]
    kSetBlock,     // target = body through expressions[0] (a chain of filters, or nullptr)
    kMacro,        // name, signature, body
    kCall,         // expressions[0] (a call) with body as caller()
    kFilterBlock,  // body through expressions[0]
    kWith,         // targets = expressions; body
    kScope,        // generation and block tags: body
    kBreak,
    kContinue,
  };
  Type type = Type::kText;
  std::uint32_t line = 0;
  std::string text;
  std::vector<ExpressionPtr> expressions;
  std::vector<Block> branches;
  Block body, otherwise;
  std::vector<Target> targets;
  NameId name = 0;
  Signature signature;
  bool recursive = false;
};

struct Template {
  std::vector<std::string> names;
  Block body;
};

}  // namespace baton::chat
