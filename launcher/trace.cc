// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "actors/job_timeline.h"
#include "launcher/commands.h"
#include "launcher/exit_code.h"
#include "launcher/find_cluster.h"
#include "launcher/job_printer.h"
#include "launcher/json_writer.h"
#include "launcher/timeline.h"

namespace baton {
namespace {

constexpr Duration kAnswerLimit = std::chrono::seconds(5);

const char* name_of(JobState state) {
  switch (state) {
    case JobState::kQueued: return "queued";
    case JobState::kPrefill: return "prefill";
    case JobState::kDecode: return "decode";
    case JobState::kDone: return "done";
    case JobState::kFailed: return "failed";
  }
  return "?";
}

std::string trace_json(const std::string& id, const JobTimeline& t) {
  JsonWriter json;
  json.begin_object().member("id", id).member("state", name_of(t.state)).key("finish_reason");
  if (t.state >= JobState::kDone) json.value(to_string(t.reason));
  else json.null();
  if (!t.error.empty()) json.member("error", t.error);
  json.key("usage").begin_object().member("prompt_tokens", t.prompt_tokens).member("cached_tokens", t.cached_tokens);
  json.member("completion_tokens", t.completion_tokens).end_object().key("timings").begin_object();
  add_timeline(json, t);
  json.end_object().key("attempts").begin_array();
  for (const JobAttempt& attempt : t.attempts) {
    json.begin_object().member("attempt", attempt.epoch).member("placed_ms", milliseconds(attempt.placed_ns));
    json.member("prefill_worker", attempt.prefill_worker).member("decode_worker", attempt.decode_worker).end_object();
  }
  json.end_array().end_object();
  return json.take();
}

std::string trace_text(const std::string& id, const JobTimeline& t) {
  std::string text = id + ": " + name_of(t.state);
  if (t.state == JobState::kDone) text += " (" + std::string(to_string(t.reason)) + ')';
  text += ", " + std::to_string(t.prompt_tokens) + " prompt + " + std::to_string(t.completion_tokens) + " generated tokens";
  if (!t.attempts.empty()) text += "; prefill on " + t.attempts.back().prefill_worker + ", decode on " + t.attempts.back().decode_worker;
  if (!t.error.empty()) text += "\n" + harmless(t.error);
  return text + '\n' + render_timeline(t);
}

}  // namespace

int run_trace(const TraceOptions& options) {
  auto cluster = connect_cluster(options.cluster);
  if (!cluster) return complain("trace", cluster.error());
  const auto report = cluster->client->trace(options.id, kAnswerLimit);
  if (!report) return complain("trace", report.error());
  if (!report->found) {
    std::fprintf(stderr, "baton trace: nobody knows a job \"%s\": its id may be wrong, or it ended long ago (the last 4096 are kept)\n", harmless(options.id).c_str());
    return kFailed;
  }
  if (options.json) std::printf("%s\n", trace_json(options.id, report->timeline).c_str());
  else std::printf("%s", trace_text(options.id, report->timeline).c_str());
  return kDone;
}

}  // namespace baton
