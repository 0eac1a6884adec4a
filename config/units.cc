// SPDX-License-Identifier: Apache-2.0
#include "config/units.h"

#include <array>
#include <cstdio>
#include <limits>
#include <span>

namespace baton {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr std::array kByteUnits = {
    Unit{"B", 1},           Unit{"KiB", 1ull << 10},    Unit{"MiB", 1ull << 20},       Unit{"GiB", 1ull << 30},      Unit{"TiB", 1ull << 40},
    Unit{"KB", 1'000ull},   Unit{"MB", 1'000'000ull},   Unit{"GB", 1'000'000'000ull},  Unit{"TB", 1'000'000'000'000ull},
};
constexpr std::array kTimeUnits = {
    Unit{"us", 1'000ull}, Unit{"ms", 1'000'000ull}, Unit{"s", 1'000'000'000ull}, Unit{"m", 60'000'000'000ull}, Unit{"h", 3'600'000'000'000ull},
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool same_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if ((a[i] | 0x20) != (b[i] | 0x20)) return false;
  return true;
}

Error wrong_unit(std::string_view number, std::string_view unit, std::span<const Unit> units, std::string_view example) {
  std::string message;
  for (const Unit& known : units)
    if (same_ignoring_case(unit, known.name))
      return {ErrorCode::kInvalidArgument, "did you mean \"" + std::string(number) + std::string(known.name) + "\"?"};
  message = unit.empty() ? "a unit is missing, as in " : "no such unit; write it as in ";
  return {ErrorCode::kInvalidArgument, message + std::string(example)};
}

// number[.fraction]unit -> number x factor, rounded down. At most 2^63 - 1, so that it fits a Duration, too.
Result<std::uint64_t> parse_quantity(std::string_view text, std::span<const Unit> units, std::string_view example) {
  if (text == "0") return 0;
  std::size_t end = 0;
  while (end < text.size() && is_digit(text[end])) ++end;
  const std::string_view whole = text.substr(0, end);
  std::string_view fraction;
  if (end > 0 && end + 1 < text.size() && text[end] == '.' && is_digit(text[end + 1])) {
    const std::size_t start = ++end;
    while (end < text.size() && is_digit(text[end])) ++end;
    fraction = text.substr(start, end - start);
  }
  if (whole.empty()) return fail(ErrorCode::kInvalidArgument, "write a number and a unit, as in " + std::string(example));
  const std::string_view unit = text.substr(end);
  const Unit* found = nullptr;
  for (const Unit& known : units)
    if (known.name == unit) found = &known;
  if (found == nullptr) return tl::unexpected<Error>(wrong_unit(text.substr(0, end), unit, units, example));
  if (whole.size() > 18 || fraction.size() > 9) return fail(ErrorCode::kInvalidArgument, "too many digits");
  unsigned __int128 value = 0;
  for (const char c : whole) value = value * 10 + static_cast<unsigned>(c - '0');
  value *= found->factor;
  std::uint64_t part = found->factor;
  for (const char c : fraction) {
    value += static_cast<unsigned __int128>(part) * static_cast<unsigned>(c - '0') / 10;
    part /= 10;
  }
  if (value > static_cast<unsigned __int128>(std::numeric_limits<std::int64_t>::max()))
    return fail(ErrorCode::kInvalidArgument, "too large");
  return static_cast<std::uint64_t>(value);
}

std::string with_two_digits(double value, std::string_view unit) {
  char text[48];
  std::snprintf(text, sizeof text, "%.2f", value);
  std::string trimmed(text);
  while (trimmed.back() == '0') trimmed.pop_back();
  if (trimmed.back() == '.') trimmed.pop_back();
  return trimmed + std::string(unit);
}

}  // namespace

Result<std::uint64_t> parse_bytes(std::string_view text) { return parse_quantity(text, kByteUnits, "512MiB"); }

Result<Duration> parse_duration(std::string_view text) {
  const auto parsed = parse_quantity(text, kTimeUnits, "200ms, 30s or 10m");
  if (!parsed) return tl::unexpected<Error>(parsed.error());
  return Duration{static_cast<std::int64_t>(*parsed)};
}

Result<std::uint64_t> parse_unsigned(std::string_view text) {
  if (text.empty() || text.size() > 20) return fail(ErrorCode::kInvalidArgument, "not a whole number");
  unsigned __int128 value = 0;
  for (const char c : text) {
    if (!is_digit(c)) return fail(ErrorCode::kInvalidArgument, "not a whole number");
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  if (value > std::numeric_limits<std::uint64_t>::max()) return fail(ErrorCode::kInvalidArgument, "too large");
  return static_cast<std::uint64_t>(value);
}

std::string format_bytes(std::uint64_t bytes) {
  if (bytes == 0) return "0";
  std::size_t unit = 0;
  while (unit < 4 && bytes >= kByteUnits[unit + 1].factor) ++unit;
  return with_two_digits(static_cast<double>(bytes) / static_cast<double>(kByteUnits[unit].factor), kByteUnits[unit].name);
}

std::string format_duration(Duration duration) {
  const auto count = static_cast<std::uint64_t>(duration.count());
  if (duration.count() <= 0) return "0";
  std::size_t unit = 0;
  while (unit + 1 < kTimeUnits.size() && count >= kTimeUnits[unit + 1].factor) ++unit;
  return with_two_digits(static_cast<double>(count) / static_cast<double>(kTimeUnits[unit].factor), kTimeUnits[unit].name);
}

}  // namespace baton
