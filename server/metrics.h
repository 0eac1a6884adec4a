// SPDX-License-Identifier: Apache-2.0
// Metrics: counters, gauges and histograms in Prometheus's text format (version 0.0.4), names checked, labels escaped. One thread
// only. Bounded by what is registered: label values come from the topology and from workers, never from requests.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace baton {

// In the order they are written: {{"model", "m"}, {"worker", "decode-0"}}.
using MetricLabels = std::vector<std::pair<std::string, std::string>>;

class Metrics {
 public:
  // The name is without a prefix; "_total" is the caller's for counters. The first use of a name sets its help and kind.
  void count(std::string_view name, std::string_view help, const MetricLabels& labels, double more = 1);
  void set(std::string_view name, std::string_view help, const MetricLabels& labels, double value);
  // For counters that are counted elsewhere: the value as it stands there.
  void set_counter(std::string_view name, std::string_view help, const MetricLabels& labels, double value);
  // `bounds` (ascending, without +Inf) count at the first use. The value was seen `times` times.
  void observe(std::string_view name, std::string_view help, const MetricLabels& labels, const std::vector<double>& bounds, double value,
               std::uint64_t times = 1);
  // Forgets what was set() and set_counter() under `name` (workers that are gone).
  void clear(std::string_view name);
  // Every name begins with `prefix` ("baton_", "vllm:").
  std::string text(std::string_view prefix) const;

 private:
  enum class Kind : std::uint8_t { kCounter, kGauge, kHistogram };
  struct Series {
    double value = 0;
    std::vector<std::uint64_t> buckets;  // histograms: per bound, and +Inf
    std::uint64_t observations = 0;
  };
  struct Family {
    Kind kind = Kind::kGauge;
    std::string help;
    std::vector<double> bounds;
    std::map<std::string, Series> series;  // by rendered labels
  };
  Family& family(std::string_view name, std::string_view help, Kind kind);
  static void write_histogram(std::string& out, const std::string& name, const Family& family);

  std::map<std::string, Family, std::less<>> families_;
};

}  // namespace baton
