// SPDX-License-Identifier: Apache-2.0
// Shared by the codec_*.cc files only: a job's timeline, which several messages carry.
#pragma once

#include "protocol/codec_detail.h"

namespace baton::wire {

inline constexpr std::size_t kAttemptsMax = 16;
inline constexpr std::size_t kTimelineErrorBytesMax = 2048;

inline void put(JobAttempt::Builder b, const baton::JobAttempt& m) {
  b.setEpoch(m.epoch);
  b.setPlacedNs(m.placed_ns);
  b.setPrefillWorker(text_of(m.prefill_worker));
  b.setDecodeWorker(text_of(m.decode_worker));
}
inline void get(JobAttempt::Reader r, baton::JobAttempt& m) {
  m.epoch = r.getEpoch();
  m.placed_ns = duration_of(r.getPlacedNs(), "placed_ns");
  m.prefill_worker = string_of(r.getPrefillWorker(), 256, "prefill_worker");
  m.decode_worker = string_of(r.getDecodeWorker(), 256, "decode_worker");
}

inline void put(JobTimeline::Builder b, const baton::JobTimeline& m) {
  b.setState(static_cast<std::uint8_t>(m.state));
  b.setReason(static_cast<std::uint8_t>(m.reason));
  b.setError(text_of(m.error));
  b.setPromptTokens(m.prompt_tokens);
  b.setCachedTokens(m.cached_tokens);
  b.setCompletionTokens(m.completion_tokens);
  b.setQueueNs(m.queue_ns);
  b.setPrefillNs(m.prefill_ns);
  b.setTransferNs(m.transfer_ns);
  b.setFirstStepNs(m.first_step_ns);
  b.setDecodeNs(m.decode_ns);
  b.setWaitingNs(m.waiting_ns);
  b.setComputingNs(m.computing_ns);
  b.setKvNs(m.kv_ns);
  b.setApart(m.apart);
  b.setMissed(m.missed);
  if (!m.attempts.empty()) put_list(b.initAttempts(size_of(m.attempts)), m.attempts);
  b.setPreemptions(m.preemptions);
}
inline void get(JobTimeline::Reader r, baton::JobTimeline& m) {
  m.state = enum_of<baton::JobState>(r.getState(), 4, "state");
  m.reason = enum_of<baton::FinishReason>(r.getReason(), 4, "reason");
  m.error = string_of(r.getError(), kTimelineErrorBytesMax, "error");
  m.prompt_tokens = r.getPromptTokens();
  m.cached_tokens = r.getCachedTokens();
  m.completion_tokens = r.getCompletionTokens();
  m.queue_ns = duration_of(r.getQueueNs(), "queue_ns");
  m.prefill_ns = duration_of(r.getPrefillNs(), "prefill_ns");
  m.transfer_ns = duration_of(r.getTransferNs(), "transfer_ns");
  m.first_step_ns = duration_of(r.getFirstStepNs(), "first_step_ns");
  m.decode_ns = duration_of(r.getDecodeNs(), "decode_ns");
  m.waiting_ns = duration_of(r.getWaitingNs(), "waiting_ns");
  m.computing_ns = duration_of(r.getComputingNs(), "computing_ns");
  m.kv_ns = duration_of(r.getKvNs(), "kv_ns");
  m.apart = r.getApart();
  m.missed = r.getMissed();
  get_list(r.getAttempts(), m.attempts, kAttemptsMax, "attempts");
  m.preemptions = r.getPreemptions();
}

}  // namespace baton::wire
