// SPDX-License-Identifier: Apache-2.0
// Whether this build's sanitizers make the real model, or long runs, too slow: such tests run in the release preset, or do more there.
#pragma once

namespace baton::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSlowBuild = true;
#else
inline constexpr bool kSlowBuild = false;
#endif

}  // namespace baton::test
