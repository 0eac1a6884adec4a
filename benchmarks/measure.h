// SPDX-License-Identifier: Apache-2.0
// What every measurement here needs: times of a piece of work, and several samples of one thing as median, least and most.
// Pure apart from reading clocks; any thread.
#pragma once

#include <functional>
#include <vector>

namespace baton {

// Seconds of wall time, and of CPU time of all threads of this process: on a machine shared with others only the second
// can be repeated.
struct Seconds {
  double wall = 0;
  double cpu = 0;
};

Seconds seconds_of(const std::function<void()>& work);

// 0 samples: all zero.
struct Spread {
  double median = 0;  // of an even number: the mean of the middle two
  double min = 0;
  double max = 0;
};

Spread spread_of(std::vector<double> samples);

// The smallest sample that is at least as large as `share` (0..1) of all; 0 if there is none.
double percentile(std::vector<double> samples, double share);

// a[i] / b[i], pair by pair: what both sides suffered at the same time cancels out. As many as the shorter one has.
std::vector<double> ratios(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace baton
