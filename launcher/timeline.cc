// SPDX-License-Identifier: Apache-2.0
#include "launcher/timeline.h"

#include <algorithm>
#include <cstdio>

#include "actors/job_timeline.h"

namespace baton {
namespace {

constexpr std::uint64_t kBarWidth = 24;

std::string line(const char* name, std::uint64_t ns, std::uint64_t total, const std::string& note) {
  char words[96];
  std::snprintf(words, sizeof words, "%-12s %10.1f ms %5.1f%%  ", name, milliseconds(ns), total == 0 ? 0.0 : static_cast<double>(ns) * 100.0 / static_cast<double>(total));
  // Rounded up: a part that took any time has a bar.
  const std::uint64_t width = total == 0 ? 0 : (ns * kBarWidth + total - 1) / total;
  std::string bar(std::min(width, kBarWidth), '#');
  if (!note.empty()) bar += (bar.empty() ? "" : "  ") + note;
  return words + bar + '\n';
}

std::string inside(const JobTimeline& t) {
  if (t.waiting_ns + t.computing_ns == 0) return {};
  char words[120];
  std::snprintf(words, sizeof words, "the worker waited %.1f ms and computed %.1f ms", milliseconds(t.waiting_ns), milliseconds(t.computing_ns));
  return words + (t.cached_tokens == 0 ? std::string() : "; " + std::to_string(t.cached_tokens) + " tokens were cached");
}

std::string about_transfer(const JobTimeline& t) {
  if (!t.apart) return "one worker: no KV moved";
  if (t.missed) return "the KV did not come; the decode worker computed the prompt itself";
  if (t.kv_ns == 0) return {};
  char words[120];
  std::snprintf(words, sizeof words, "the hand-over took %.1f ms in all%s", milliseconds(t.kv_ns), t.kv_ns > t.transfer_ns ? "; prefill hid the rest" : "");
  return words;
}

}  // namespace

double milliseconds(std::uint64_t ns) { return static_cast<double>(ns) / 1e6; }

std::string render_timeline(const JobTimeline& t) {
  const std::uint64_t total = total_ns(t);
  std::string text = line("queue", t.queue_ns, total, {});
  if (t.state != JobState::kQueued) text += line("prefill", t.prefill_ns, total, inside(t));
  if (t.state == JobState::kDecode || t.state == JobState::kDone) {
    text += line("transfer", t.transfer_ns, total, about_transfer(t));
    text += line("first step", t.first_step_ns, total, {});
    text += line("decode", t.decode_ns, total, {});
  }
  char sums[96];
  std::snprintf(sums, sizeof sums, "%-12s %10.1f ms         TTFT %.1f ms\n", t.state < JobState::kDone ? "so far" : "total", milliseconds(total), milliseconds(ttft_ns(t)));
  text += sums;
  if (t.preemptions > 0)
    text += "preempted " + std::to_string(t.preemptions) + (t.preemptions == 1 ? " time" : " times") + ": an older job needed the blocks, and its tokens were computed again\n";
  if (t.attempts.size() < 2) return text;
  for (const JobAttempt& attempt : t.attempts) {
    char when[64];
    std::snprintf(when, sizeof when, "attempt %u after %.1f ms: ", attempt.epoch, milliseconds(attempt.placed_ns));
    text += when + ("prefill on " + attempt.prefill_worker) + ", decode on " + attempt.decode_worker + '\n';
  }
  return text;
}

void add_timeline(JsonWriter& json, const JobTimeline& t) {
  json.member("queue_ms", milliseconds(t.queue_ns)).member("prefill_ms", milliseconds(t.prefill_ns));
  json.member("transfer_ms", milliseconds(t.transfer_ns)).member("first_step_ms", milliseconds(t.first_step_ns));
  json.member("decode_ms", milliseconds(t.decode_ns)).member("ttft_ms", milliseconds(ttft_ns(t))).member("total_ms", milliseconds(total_ns(t)));
  json.member("prefill_waiting_ms", milliseconds(t.waiting_ns)).member("prefill_computing_ms", milliseconds(t.computing_ns));
  json.member("kv_transfer_ms", milliseconds(t.kv_ns)).member("kv_missed", t.missed).member("two_workers", t.apart).member("preemptions", t.preemptions);
}

}  // namespace baton
