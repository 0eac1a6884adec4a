// SPDX-License-Identifier: Apache-2.0
#include "kernels/numerics.h"

#include <string>

namespace baton {

std::string_view to_string(Numerics numerics) {
  switch (numerics) {
    case Numerics::kReference: return "reference";
    case Numerics::kInvariant: return "invariant";
    case Numerics::kFast: return "fast";
  }
  return "?";
}

Result<Numerics> parse_numerics(std::string_view text) {
  for (const Numerics numerics : {Numerics::kReference, Numerics::kInvariant, Numerics::kFast})
    if (text == to_string(numerics)) return numerics;
  return fail(ErrorCode::kInvalidArgument, "unknown numerics '" + std::string(text) + "'; use 'invariant', 'fast' or 'reference'");
}

}  // namespace baton
