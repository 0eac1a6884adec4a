// SPDX-License-Identifier: Apache-2.0
// Requests that two readers could frame differently, or that break HTTP in another way: what each must be answered with. Behind
// many of them a second request hides, for /smuggled, which nobody must ever see.
#pragma once

#include <string>
#include <vector>

namespace baton::test {

struct SmugglingCase {
  const char* name;
  std::string bytes;
  int status;  // of the one answer; 200: the request is good
};

const std::vector<SmugglingCase>& smuggling_cases();

}  // namespace baton::test
