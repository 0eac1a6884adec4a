// SPDX-License-Identifier: Apache-2.0
#include "kernels/numerics.h"

#include <string>

namespace baton {

std::string_view to_string(Numerics numerics) { return numerics == Numerics::kReference ? "reference" : "invariant"; }

Result<Numerics> parse_numerics(std::string_view text) {
  if (text == "reference") return Numerics::kReference;
  if (text == "invariant") return Numerics::kInvariant;
  if (text == "fast")
    return fail(ErrorCode::kInvalidArgument, "numerics 'fast' is not available on the CPU engine; use 'invariant' or 'reference'");
  return fail(ErrorCode::kInvalidArgument, "unknown numerics '" + std::string(text) + "'; use 'invariant' or 'reference'");
}

}  // namespace baton
