// SPDX-License-Identifier: Apache-2.0
// A topology file: whatever the text, it is a topology or at least one diagnostic, and reading it again says the same.
#include "config/load_topology.h"
#include "runtime/base/check.h"
#include "tests/fuzz/target.h"

namespace baton::fuzz {

void run_yaml(std::string_view bytes) {
  LoadOptions options;
  options.check_files = false;
  options.base_folder = "/nowhere";
  options.environment = {{"HOME", "/nowhere"}};
  const LoadResult first = parse_topology(bytes, "fuzz.yaml", options);
  if (!first) {
    CHECK(!first.error().empty(), "a refusal says why");
    return;
  }
  const LoadResult again = parse_topology(first->text, "fuzz.yaml", options);
  CHECK(again.has_value(), "what was read can be read again");
  CHECK(again->origins.size() == first->origins.size(), "and says the same");
}

}  // namespace baton::fuzz
