// SPDX-License-Identifier: Apache-2.0
// What became of a stream that lived through faults, told from what its client got and what the model must give; and how
// long it stood still when a fault happened. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/load_client.h"

namespace baton::test {

// kLost: it ended early, with an error or never, or a position is missing. kDoubled: a position or an end came twice. kChanged: another
// token, log-probability, count or reason than the model gives.
enum class StreamFate : std::uint8_t { kIdentical, kLost, kDoubled, kChanged };

struct StreamVerdict {
  StreamFate fate = StreamFate::kIdentical;
  std::string why;  // empty if identical
};

StreamVerdict judge_stream(const OracleOptions& model, const JobRecord& record);
// The same against the answer that a cluster without faults gave to that job: the real model.
StreamVerdict judge_stream(const JobRecord& undisturbed, const JobRecord& record);

// The usual time between two tokens: the median. Zero if there are fewer than three tokens.
Duration usual_interval(const std::vector<Time>& arrived);
// How much longer than usual the client waited for the first token that was not on its way when the fault happened: the longest interval
// that had not ended by then and began at most `in_flight` later. Nothing if the stream had not begun, or no token came after it.
std::optional<Duration> gap_across(const JobRecord& record, Time fault, Duration in_flight = std::chrono::milliseconds(100));

std::optional<Duration> gap_across(const std::vector<Time>& arrived, Time fault, Duration in_flight = std::chrono::milliseconds(100));

// Of values in any order; zero if there are none. percent: 50, 99, 100 (the largest).
Duration percentile(std::vector<Duration> values, unsigned percent);
double milliseconds_of(Duration duration);

}  // namespace baton::test
