// SPDX-License-Identifier: Apache-2.0
// libFuzzer's entry for the target that BATON_FUZZ_TARGET names.
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  baton::fuzz::BATON_FUZZ_TARGET({reinterpret_cast<const char*>(data), size});
  return 0;
}
