// SPDX-License-Identifier: Apache-2.0
// Whether sampling parameters can be honoured; the message names the parameter, its value and the allowed range. Pure.
#pragma once

#include "protocol/sampling_params.h"
#include "runtime/base/result.h"

namespace baton {

Result<void> validate(const SamplingParams& sampling);

}  // namespace baton
