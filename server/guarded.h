// SPDX-License-Identifier: Apache-2.0
// run_guarded(): runs what one request, or one client, may spoil for itself but not for the others: memory that is not there, a
// library that throws. A broken invariant of ours is still a CHECK. Any thread.
#pragma once

#include <exception>
#include <utility>

namespace baton {

// Logs an error of component "http": `what` failed, and why. Never throws.
void log_failure(const char* what, const char* why) noexcept;

// Runs `turn`. False: it threw, which is logged. No exception leaves it. `what`: what the turn is, for the log.
template <class Turn>
bool run_guarded(const char* what, Turn&& turn) noexcept {
  try {
    std::forward<Turn>(turn)();
    return true;
  } catch (const std::exception& error) {
    log_failure(what, error.what());
  } catch (...) {
    log_failure(what, "it threw what is no std::exception");
  }
  return false;
}

}  // namespace baton
