// SPDX-License-Identifier: Apache-2.0
// Requests that two readers could frame differently, or that break HTTP in another way: what each must be answered with. Behind
// many of them a second request hides, for /smuggled, which nobody must ever see.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/random.h"

namespace baton::test {

struct SmugglingCase {
  const char* name;
  std::string bytes;
  int status;  // of the one answer; 200: the request is good
};

const std::vector<SmugglingCase>& smuggling_cases();
// One of them with up to five bytes put in, changed or taken out.
std::string mutated_case(Random& random);
// Sends one to 127.0.0.1 and breaks the connection, or ends its half: then what comes back is nothing or an answer, and an end.
::testing::AssertionResult survives_mutated_case(std::uint16_t port, Random& random);

}  // namespace baton::test
