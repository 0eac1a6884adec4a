// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>

namespace baton {
namespace {

std::atomic<bool> json_lines{false};

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>("baton", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %v");
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return *instance;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarn: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
    case LogLevel::kOff: return spdlog::level::off;
  }
  return spdlog::level::info;
}

std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarn: return "warn";
    case LogLevel::kError: return "error";
    case LogLevel::kOff: return "off";
  }
  return "info";
}

// Quotes and control characters are escaped in both formats, so that hostile text cannot forge a line.
void append_quoted(std::string& line, std::string_view text) {
  line += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      static constexpr char kDigits[] = "0123456789abcdef";
      line += "\\u00";
      line += kDigits[byte >> 4];
      line += kDigits[byte & 15];
    } else {
      line += c;
    }
  }
  line += '"';
}

bool plain(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text)
    if (static_cast<unsigned char>(c) <= 0x20 || c == '"' || c == '\\' || c == '=' || c == 0x7f) return false;
  return true;
}

}  // namespace

void set_log_level(LogLevel level) { logger().set_level(to_spdlog(level)); }
void set_log_json(bool json) { json_lines = json; }

void log(LogLevel level, std::string_view component, std::string_view event, std::initializer_list<LogField> fields) {
  const spdlog::level::level_enum severity = to_spdlog(level);
  if (!logger().should_log(severity)) return;
  const bool json = json_lines;
  std::string line(json ? "{\"level\":\"" : "");
  line.append(name_of(level));
  line.append(json ? "\",\"component\":\"" : " [").append(component).append(json ? "\",\"event\":" : "] ");
  if (json) append_quoted(line, event);
  else line.append(event);
  for (const LogField& field : fields) {
    line.append(json ? ",\"" : " ").append(field.key).append(json ? "\":" : "=");
    if (!json && plain(field.value)) line.append(field.value);
    else append_quoted(line, field.value);
  }
  if (json) line += '}';
  logger().log(severity, "{}", line);
}

}  // namespace baton
