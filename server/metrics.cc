// SPDX-License-Identifier: Apache-2.0
#include "server/metrics.h"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cmath>

namespace baton {
namespace {

bool is_metric_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && letter(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

// Of a label's value (in quotes) or a help text (not in quotes).
std::string escaped(std::string_view text, bool quotes) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') out += "\\n";
    else if (c == '\\' || (quotes && c == '"')) out.append({'\\', c});
    else out += c;
  }
  return out;
}

// What stands between the braces.
std::string rendered(const MetricLabels& labels) {
  std::string out;
  for (const auto& [name, value] : labels) {
    assert(is_metric_name(name));
    if (!out.empty()) out += ',';
    out += name + "=\"" + escaped(value, true) + '"';
  }
  return out;
}

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return {text, end};
}

void write_sample(std::string& out, const std::string& name, const std::string& labels, const std::string& value) {
  out += name;
  if (!labels.empty()) out += '{' + labels + '}';
  out += ' ' + value + '\n';
}

}  // namespace

Metrics::Family& Metrics::family(std::string_view name, std::string_view help, Kind kind) {
  const auto it = families_.find(name);
  if (it != families_.end()) {
    assert(it->second.kind == kind);
    return it->second;
  }
  assert(is_metric_name(name) && !help.empty());
  Family& fresh = families_[std::string(name)];
  fresh.kind = kind;
  fresh.help = help;
  return fresh;
}

void Metrics::count(std::string_view name, std::string_view help, const MetricLabels& labels, double more) {
  family(name, help, Kind::kCounter).series[rendered(labels)].value += more;
}

void Metrics::set(std::string_view name, std::string_view help, const MetricLabels& labels, double value) {
  family(name, help, Kind::kGauge).series[rendered(labels)].value = value;
}

void Metrics::set_counter(std::string_view name, std::string_view help, const MetricLabels& labels, double value) {
  family(name, help, Kind::kCounter).series[rendered(labels)].value = value;
}

void Metrics::observe(std::string_view name, std::string_view help, const MetricLabels& labels, const std::vector<double>& bounds,
                      double value, std::uint64_t times) {
  if (times == 0) return;
  Family& histogram = family(name, help, Kind::kHistogram);
  if (histogram.bounds.empty()) histogram.bounds = bounds;
  Series& series = histogram.series[rendered(labels)];
  series.buckets.resize(histogram.bounds.size() + 1);
  const auto bucket = std::lower_bound(histogram.bounds.begin(), histogram.bounds.end(), value) - histogram.bounds.begin();
  series.buckets[static_cast<std::size_t>(bucket)] += times;
  series.observations += times;
  series.value += value * static_cast<double>(times);
}

void Metrics::clear(std::string_view name) {
  const auto it = families_.find(name);
  if (it != families_.end()) it->second.series.clear();
}

void Metrics::write_histogram(std::string& out, const std::string& name, const Family& family) {
  for (const auto& [labels, series] : family.series) {
    const std::string before = labels.empty() ? std::string() : labels + ',';
    std::uint64_t so_far = 0;
    for (std::size_t i = 0; i < series.buckets.size(); ++i) {
      so_far += series.buckets[i];
      const std::string bound = i < family.bounds.size() ? number(family.bounds[i]) : "+Inf";
      write_sample(out, name + "_bucket", before + "le=\"" + bound + '"', std::to_string(so_far));
    }
    write_sample(out, name + "_sum", labels, number(series.value));
    write_sample(out, name + "_count", labels, std::to_string(series.observations));
  }
}

std::string Metrics::text(std::string_view prefix) const {
  static constexpr const char* kKinds[] = {"counter", "gauge", "histogram"};
  std::string out;
  for (const auto& [stem, family] : families_) {
    if (family.series.empty()) continue;
    const std::string name = std::string(prefix) + stem;
    out += "# HELP " + name + ' ' + escaped(family.help, false) + "\n# TYPE " + name + ' ' +
           kKinds[static_cast<std::size_t>(family.kind)] + '\n';
    if (family.kind == Kind::kHistogram) write_histogram(out, name, family);
    else
      for (const auto& [labels, series] : family.series) write_sample(out, name, labels, number(series.value));
  }
  return out;
}

}  // namespace baton
