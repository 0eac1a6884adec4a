// SPDX-License-Identifier: Apache-2.0
// Structured log lines: a level, the component, an event in words and key=value fields, to standard error.
// Thread-safe. Prompts, outputs and keys never go in: ids and lengths only. Pure classes and kernels do not log.
#pragma once

#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>

namespace baton {

enum class LogLevel { kDebug, kInfo, kWarn, kError, kOff };

struct LogField {
  std::string_view key;
  std::string value;
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(v) {}
  template <class Number>
    requires std::integral<Number> || std::floating_point<Number>
  LogField(std::string_view k, Number v) : key(k), value(std::to_string(v)) {}
};

void set_log_level(LogLevel level);
void set_log_json(bool json);
void log(LogLevel level, std::string_view component, std::string_view event, std::initializer_list<LogField> fields = {});

inline void log_debug(std::string_view c, std::string_view e, std::initializer_list<LogField> f = {}) { log(LogLevel::kDebug, c, e, f); }
inline void log_info(std::string_view c, std::string_view e, std::initializer_list<LogField> f = {}) { log(LogLevel::kInfo, c, e, f); }
inline void log_warn(std::string_view c, std::string_view e, std::initializer_list<LogField> f = {}) { log(LogLevel::kWarn, c, e, f); }
inline void log_error(std::string_view c, std::string_view e, std::initializer_list<LogField> f = {}) { log(LogLevel::kError, c, e, f); }

}  // namespace baton
