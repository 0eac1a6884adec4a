// SPDX-License-Identifier: Apache-2.0
#include "config/memory.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <string>

namespace baton {

std::uint64_t available_in(std::string_view meminfo) {
  constexpr std::string_view kName = "MemAvailable:";
  const std::size_t at = meminfo.find(kName);
  if (at == std::string_view::npos) return 0;
  std::string_view rest = meminfo.substr(at + kName.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  std::uint64_t kibibytes = 0;
  const auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), kibibytes);
  return parsed.ec == std::errc{} && kibibytes < (std::uint64_t{1} << 50) ? kibibytes << 10 : 0;
}

std::uint64_t available_memory() {
  std::ifstream meminfo("/proc/meminfo");
  return available_in(std::string(std::istreambuf_iterator<char>(meminfo), {}));
}

}  // namespace baton
