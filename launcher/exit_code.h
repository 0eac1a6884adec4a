// SPDX-License-Identifier: Apache-2.0
// What the exit status of `baton` says. Part of the contract with scripts: numbers never change their meaning.
#pragma once

namespace baton {

enum ExitCode : int {
  kDone = 0,
  kFailed = 1,
  kBadUsage = 2,
  kBadConfiguration = 3,  // nothing was started
  kNotReadyInTime = 4,
  kWorkerLostForGood = 5,
  kInterrupted = 130,
};

}  // namespace baton
