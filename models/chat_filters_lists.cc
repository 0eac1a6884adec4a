// SPDX-License-Identifier: Apache-2.0
// Jinja's filters of lists, see chat_filters.h.
#include <algorithm>
#include <functional>

#include "models/chat_filters.h"
#include "models/chat_text.h"

namespace baton::chat {
namespace {

// attribute="a.b.0": the parts are names and indices.
class AttributeGetter {
 public:
  AttributeGetter(Interpreter& interpreter, const Value& attribute) : interpreter_(interpreter) {
    if (attribute.is_integral()) {
      parts_.push_back(attribute);
    } else if (attribute.is_string()) {
      for (const std::string_view part : split_text(attribute.text(), ".", -1, false)) {
        const bool digits = !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
        const auto index = digits ? integer_in(part, 10) : std::nullopt;
        parts_.push_back(index ? Value::of(*index) : Value::string(std::string(part)));
      }
      interpreter.meter().items(parts_.size());
    } else if (!attribute.is(Kind::kNone)) {
      refuse("an attribute must be a name or a number");
    }
  }
  Value operator()(const Value& item) const {
    Value value = item;
    for (const Value& part : parts_) value = interpreter_.item_of(value, part);
    return value;
  }

 private:
  Interpreter& interpreter_;
  std::vector<Value> parts_;
};

Value ignore_case(const Value& value, ChatMeter& meter) {
  if (!value.is_string()) return value;
  meter.charge_bytes(8 * value.text().size());
  return Value::string(lower(value.text()));
}

std::vector<Value> keys_of(FilterCall& call, const std::vector<Value>& items, const Value* attribute, bool case_sensitive) {
  const AttributeGetter get(call.interpreter, attribute != nullptr ? *attribute : Value::none());
  std::vector<Value> keys;
  for (const Value& item : items) {
    const Value key = get(item);
    keys.push_back(case_sensitive ? key : ignore_case(key, call.meter));
  }
  return keys;
}

Value filter_list(FilterCall& call) {
  const Bound nothing(call.name, call.passed, {});
  return call.interpreter.make_list(walk(call.value, call.meter));
}

Value filter_first(FilterCall& call) {
  const Bound nothing(call.name, call.passed, {});
  if (call.value.is(Kind::kGenerator)) {
    // Takes one item off it, as Python's next() does.
    ListObject& generator = call.value.as<ListObject>();
    if (generator.spent || generator.items.empty()) return Value::undefined("the list is empty, so it has no first item");
    Value first = generator.items.front();
    call.meter.charge(1 + generator.items.size() / 16);
    generator.items.erase(generator.items.begin());
    return first;
  }
  const std::vector<Value> items = walk(call.value, call.meter);
  return items.empty() ? Value::undefined("the list is empty, so it has no first item") : items.front();
}

Value filter_last(FilterCall& call) {
  const Bound nothing(call.name, call.passed, {});
  if (call.value.is(Kind::kGenerator)) refuse("a generator has no last item: add |list");
  const std::vector<Value> items = walk(call.value, call.meter);
  return items.empty() ? Value::undefined("the list is empty, so it has no last item") : items.back();
}

Value filter_join(FilterCall& call) {
  const Bound bound(call.name, call.passed, {"d", "attribute"});
  const std::string between = bound.get(0) != nullptr ? call.interpreter.text_of(*bound.get(0)) : "";
  std::vector<Value> items = walk(call.value, call.meter);
  if (bound.get(1) != nullptr) items = keys_of(call, items, bound.get(1), true);
  std::string out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string text = call.interpreter.text_of(items[i]);
    call.meter.charge_bytes(text.size() + between.size());
    if (out.size() + text.size() + between.size() > call.meter.limits().output_max)
      call.meter.text(out.size() + text.size() + between.size());
    if (i > 0) out += between;
    out += text;
  }
  return Value::string(std::move(out));
}

Value filter_items(FilterCall& call) {
  const Bound nothing(call.name, call.passed, {});
  if (call.value.is(Kind::kUndefined)) return call.interpreter.make_generator({});
  if (!call.value.is(Kind::kDict)) refuse("items wants a dict, not a " + std::string(type_name(call.value)));
  std::vector<Value> items;
  call.meter.items(2 * call.value.entries().size());
  for (const auto& [key, value] : call.value.entries()) items.push_back(Value::list({key, value}, Kind::kTuple));
  return call.interpreter.make_generator(std::move(items));
}

Value filter_dictsort(FilterCall& call) {
  const Bound bound(call.name, call.passed, {"case_sensitive", "by", "reverse"});
  const std::string by = bound.text(1, "key");
  if (by != "key" && by != "value") refuse("dictsort sorts by 'key' or 'value'");
  if (call.value.is(Kind::kUndefined)) refuse(call.value.text());
  if (!call.value.is(Kind::kDict)) refuse("dictsort wants a dict, not a " + std::string(type_name(call.value)));
  std::vector<Value> items, keys;
  call.meter.items(2 * call.value.entries().size());
  for (const auto& [key, value] : call.value.entries()) {
    items.push_back(Value::list({key, value}, Kind::kTuple));
    keys.push_back(by == "key" ? key : value);
  }
  return Value::list(sorted(std::move(items), call.meter, bound.truth(2, false), bound.truth(0, false), &keys));
}

Value filter_sort(FilterCall& call) {
  const Bound bound(call.name, call.passed, {"reverse", "case_sensitive", "attribute"});
  std::vector<Value> items = walk(call.value, call.meter);
  std::vector<Value> keys;
  if (bound.get(2) != nullptr && bound.get(2)->is_string()) {
    // Several attributes, between commas, are one key after the other.
    std::vector<std::vector<Value>> columns;
    for (const std::string_view part : split_text(bound.get(2)->text(), ",", -1, false)) {
      const Value attribute = Value::string(std::string(part));
      columns.push_back(keys_of(call, items, &attribute, bound.truth(1, false)));
      call.meter.items(items.size());
    }
    for (std::size_t i = 0; i < items.size(); ++i) {
      std::vector<Value> key;
      for (auto& column : columns) key.push_back(column[i]);
      keys.push_back(Value::list(std::move(key)));
    }
  } else {
    keys = keys_of(call, items, bound.get(2), bound.truth(1, false));
  }
  return call.interpreter.make_list(sorted(std::move(items), call.meter, bound.truth(0, false), true, &keys));
}

Value filter_unique(FilterCall& call) {
  const Bound bound(call.name, call.passed, {"case_sensitive", "attribute"});
  const std::vector<Value> items = walk(call.value, call.meter);
  const std::vector<Value> keys = keys_of(call, items, bound.get(1), bound.truth(0, false));
  std::vector<Value> kept, seen;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!hashable(keys[i])) refuse("unique of a " + std::string(type_name(keys[i])));
    if (std::any_of(seen.begin(), seen.end(), [&](const Value& other) { return equal(other, keys[i], call.meter); })) continue;
    seen.push_back(keys[i]);
    kept.push_back(items[i]);
  }
  return call.interpreter.make_generator(std::move(kept));
}

Value filter_reverse(FilterCall& call) {
  const Bound nothing(call.name, call.passed, {});
  std::vector<Value> items = walk(call.value, call.meter);
  std::reverse(items.begin(), items.end());
  if (!call.value.is_string()) return call.interpreter.make_generator(std::move(items));
  std::string out;
  for (const Value& item : items) out += item.text();
  return call.interpreter.make_text(std::move(out));
}

Value filter_sum(FilterCall& call) {
  const Bound bound(call.name, call.passed, {"attribute", "start"});
  const std::vector<Value> items = keys_of(call, walk(call.value, call.meter), bound.get(0), true);
  Value total = bound.get(1) != nullptr ? *bound.get(1) : Value::of(std::int64_t{0});
  if (total.is_string()) refuse("sum of texts: use join");
  for (const Value& item : items) total = call.interpreter.arithmetic(Operator::kAdd, total, item);
  return total;
}

Value filter_min_max(FilterCall& call) {
  const Bound bound(call.name, call.passed, {"case_sensitive", "attribute"});
  const std::vector<Value> items = walk(call.value, call.meter);
  if (items.empty()) return Value::undefined("the list is empty, so it has no " + call.name);
  const std::vector<Value> keys = keys_of(call, items, bound.get(1), bound.truth(0, false));
  std::size_t best = 0;
  for (std::size_t i = 1; i < items.size(); ++i) {
    if (call.name == "min" ? less(keys[i], keys[best], call.meter) : less(keys[best], keys[i], call.meter)) best = i;
  }
  return items[best];
}

Value filter_batch(FilterCall& call) {
  const Bound bound(call.name, call.passed, {"linecount", "fill_with"});
  const std::int64_t size = whole_number(bound.need(0), "a batch's size");
  if (size < 1) refuse("a batch has at least one item");
  const Value* fill = bound.get(1) != nullptr && !bound.get(1)->is(Kind::kNone) ? bound.get(1) : nullptr;
  std::vector<Value> batches, batch;
  const auto finish = [&] { batches.push_back(call.interpreter.make_list(std::move(batch))), batch.clear(); };
  for (Value& item : walk(call.value, call.meter)) {
    if (static_cast<std::int64_t>(batch.size()) == size) finish();
    batch.push_back(std::move(item));
  }
  if (!batch.empty()) {
    if (fill != nullptr) {
      call.meter.items(static_cast<std::uint64_t>(size));
      batch.resize(static_cast<std::size_t>(size), *fill);
    }
    finish();
  }
  return call.interpreter.make_generator(std::move(batches));
}

Value filter_slice(FilterCall& call) {
  const Bound bound(call.name, call.passed, {"slices", "fill_with"});
  const std::int64_t slices = whole_number(bound.need(0), "the number of slices");
  if (slices < 1) refuse("there is at least one slice");
  const Value* fill = bound.get(1) != nullptr && !bound.get(1)->is(Kind::kNone) ? bound.get(1) : nullptr;
  const std::vector<Value> items = walk(call.value, call.meter);
  call.meter.items(static_cast<std::uint64_t>(slices));
  const std::size_t count = static_cast<std::size_t>(slices), each = items.size() / count, longer = items.size() % count;
  std::vector<Value> made;
  for (std::size_t i = 0, at = 0; i < count; ++i) {
    const std::size_t size = each + (i < longer ? 1 : 0);
    std::vector<Value> part(items.begin() + static_cast<std::ptrdiff_t>(at),
                            items.begin() + static_cast<std::ptrdiff_t>(at + size));
    at += size;
    if (fill != nullptr && i >= longer) part.push_back(*fill);
    made.push_back(call.interpreter.make_list(std::move(part)));
  }
  return call.interpreter.make_generator(std::move(made));
}

Value filter_map(FilterCall& call) {
  if (!truth(call.value)) return call.interpreter.make_generator({});  // none has no items either
  std::vector<Value> items = walk(call.value, call.meter);
  std::vector<Value> made;
  if (call.passed.positional.empty()) {
    const Bound bound(call.name, call.passed, {"attribute", "default"});
    const AttributeGetter get(call.interpreter, bound.need(0));
    for (const Value& item : items) {
      const Value value = get(item);
      made.push_back(value.is(Kind::kUndefined) && bound.get(1) != nullptr ? *bound.get(1) : value);
    }
    return call.interpreter.make_generator(std::move(made));
  }
  if (!call.passed.positional[0].is_string()) refuse("map wants a filter's name");
  Passed rest = call.passed;
  rest.positional.erase(rest.positional.begin());
  for (const Value& item : items) {
    call.meter.charge(1 + rest.positional.size() + rest.keywords.size());
    made.push_back(call.interpreter.apply_filter(call.passed.positional[0].text(), item, rest));
  }
  return call.interpreter.make_generator(std::move(made));
}

// select, reject, selectattr, rejectattr.
Value filter_select(FilterCall& call) {
  if (!truth(call.value)) return call.interpreter.make_generator({});
  const bool by_attribute = call.name.ends_with("attr"), keeps = call.name.starts_with("select");
  Passed rest = call.passed;
  const auto shift = [&rest] {
    Value first = rest.positional.front();
    rest.positional.erase(rest.positional.begin());
    return first;
  };
  if (by_attribute && rest.positional.empty()) refuse(call.name + " lacks the attribute's name");
  const AttributeGetter get(call.interpreter, by_attribute ? shift() : Value::none());
  const Value test = rest.positional.empty() ? Value::none() : shift();
  if (!test.is(Kind::kNone) && !test.is_string()) refuse(call.name + " wants a test's name");
  std::vector<Value> kept;
  for (Value& item : walk(call.value, call.meter)) {
    call.meter.charge(1 + rest.positional.size());
    const Value subject = get(item);
    const bool passes = test.is_string() ? call.interpreter.apply_test(test.text(), subject, rest) : truth(subject);
    if (passes == keeps) kept.push_back(std::move(item));
  }
  return call.interpreter.make_generator(std::move(kept));
}

Value filter_groupby(FilterCall& call) {
  const Bound bound(call.name, call.passed, {"attribute", "default", "case_sensitive"});
  std::vector<Value> items = walk(call.value, call.meter);
  const AttributeGetter get(call.interpreter, bound.need(0));
  const bool case_sensitive = bound.truth(2, false);
  std::vector<Value> pairs, keys;  // pairs of key as it is and item
  for (const Value& item : items) {
    Value key = get(item);
    if (key.is(Kind::kUndefined) && bound.get(1) != nullptr) key = *bound.get(1);
    keys.push_back(case_sensitive ? key : ignore_case(key, call.meter));
    pairs.push_back(Value::list({key, item}, Kind::kTuple));
  }
  pairs = sorted(std::move(pairs), call.meter, false, true, &keys);
  std::vector<Value> groups, group;
  Value group_key, compared;
  const auto finish = [&] {
    if (!group.empty()) groups.push_back(Value::list({group_key, call.interpreter.make_list(std::move(group))}, Kind::kTuple));
    group.clear();
  };
  for (const Value& pair : pairs) {
    const Value key = case_sensitive ? pair.items()[0] : ignore_case(pair.items()[0], call.meter);
    if (group.empty() || !equal(key, compared, call.meter)) {
      finish();
      group_key = pair.items()[0];
      compared = key;
    }
    group.push_back(pair.items()[1]);
  }
  finish();
  return call.interpreter.make_list(std::move(groups));
}

constexpr NamedFilter kFilters[] = {
    {"batch", filter_batch},       {"dictsort", filter_dictsort}, {"first", filter_first},   {"groupby", filter_groupby},
    {"items", filter_items},       {"join", filter_join},         {"last", filter_last},     {"list", filter_list},
    {"map", filter_map},           {"max", filter_min_max},       {"min", filter_min_max},   {"reject", filter_select},
    {"rejectattr", filter_select}, {"reverse", filter_reverse},   {"select", filter_select}, {"selectattr", filter_select},
    {"slice", filter_slice},       {"sort", filter_sort},         {"sum", filter_sum},       {"unique", filter_unique},
};

}  // namespace

const NamedFilter* find_list_filter(std::string_view name) {
  for (const NamedFilter& filter : kFilters) {
    if (filter.name == name) return &filter;
  }
  return nullptr;
}

std::vector<Value> sorted(std::vector<Value> items, ChatMeter& meter, bool reverse, bool case_sensitive,
                          const std::vector<Value>* given_keys) {
  std::vector<std::pair<Value, Value>> order;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Value& key = given_keys != nullptr ? (*given_keys)[i] : items[i];
    order.emplace_back(case_sensitive ? key : ignore_case(key, meter), items[i]);
  }
  // A merge sort of the library's asks for a consistent order; floats that are no numbers have none, but cannot harm it.
  std::stable_sort(order.begin(), order.end(), [&](const auto& a, const auto& b) {
    return reverse ? less(b.first, a.first, meter) : less(a.first, b.first, meter);
  });
  for (std::size_t i = 0; i < items.size(); ++i) items[i] = order[i].second;
  return items;
}

}  // namespace baton::chat
