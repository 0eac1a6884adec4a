// SPDX-License-Identifier: Apache-2.0
// CHECK: a broken invariant of our own is a bug; it is logged with file and line and the process aborts.
// Never compiled out. Expected failures (bad input, a peer that is gone) are values: see result.h.
#pragma once

#include <string_view>

namespace baton {

[[noreturn]] void check_failed(const char* file, int line, const char* condition, std::string_view detail);

}  // namespace baton

#define CHECK(condition, ...)                                                                        \
  do {                                                                                               \
    if (!(condition)) [[unlikely]]                                                                   \
      ::baton::check_failed(__FILE__, __LINE__, #condition, ::std::string_view{__VA_ARGS__});        \
  } while (false)
