// SPDX-License-Identifier: Apache-2.0
// Timelines: the parts add up whatever was seen and said, and mean what they are called. And what is counted of traffic.
#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <string>

#include "actors/ended_jobs.h"
#include "actors/job_timeline.h"
#include "actors/traffic_counters.h"
#include "runtime/base/random.h"
#include "tests/support/worker_rig.h"

namespace baton {
namespace {

using std::chrono::milliseconds;

Time at(int ms) { return Time{} + milliseconds(ms); }
constexpr std::uint64_t kMs = 1'000'000;

TokenTiming said(std::uint64_t waiting_ms, std::uint64_t computing_ms, std::uint64_t transfer_ms = 0) {
  return {JobId{1}, 1, 0, waiting_ms * kMs, computing_ms * kMs, transfer_ms * kMs, 16, false};
}

// Submitted at 100, placed at 110, tokens at 150 and 175, asked at 300.
JobMarks pair() { return {at(100), at(110), at(150), at(175), said(5, 30), said(0, 10, 40)}; }

TEST(Timeline, APairsTimeGoesWhereItWent) {
  const JobTimeline t = job_timeline(pair(), true, at(300));
  EXPECT_EQ(t.queue_ns, 10 * kMs);
  EXPECT_EQ(t.prefill_ns, 40 * kMs);
  EXPECT_EQ(t.waiting_ns, 5 * kMs);
  EXPECT_EQ(t.computing_ns, 30 * kMs);
  EXPECT_EQ(t.cached_tokens, 16u);
  EXPECT_EQ(t.transfer_ns, 15 * kMs) << "of the 25 ms between the tokens all that the decode worker did not compute";
  EXPECT_EQ(t.first_step_ns, 10 * kMs);
  EXPECT_EQ(t.kv_ns, 40 * kMs);
  EXPECT_EQ(t.decode_ns, 125 * kMs);
  EXPECT_EQ(ttft_ns(t), 50 * kMs);
  EXPECT_EQ(total_ns(t), 200 * kMs);
}

TEST(Timeline, OneWorkerHasNoTransfer) {
  const JobTimeline t = job_timeline(pair(), false, at(300));
  EXPECT_FALSE(t.apart);
  EXPECT_EQ(t.transfer_ns, 0u);
  EXPECT_EQ(t.kv_ns, 0u);
  EXPECT_EQ(t.first_step_ns, 25 * kMs);
  EXPECT_EQ(total_ns(t), 200 * kMs);
}

TEST(Timeline, WhatTheDecodeWorkerDidNotSayIsDecode) {
  JobMarks marks = pair();
  marks.decode.reset();
  const JobTimeline t = job_timeline(marks, true, at(300));
  EXPECT_EQ(t.transfer_ns + t.first_step_ns, 0u);
  EXPECT_EQ(t.decode_ns, 150 * kMs);
}

TEST(Timeline, AJobThatGoesOnIsKnownSoFar) {
  JobMarks marks{at(100), {}, {}, {}, {}, {}};
  EXPECT_EQ(job_timeline(marks, true, at(130)).state, JobState::kQueued);
  EXPECT_EQ(job_timeline(marks, true, at(130)).queue_ns, 30 * kMs);
  marks.placed = at(110);
  EXPECT_EQ(job_timeline(marks, true, at(130)).state, JobState::kPrefill);
  EXPECT_EQ(job_timeline(marks, true, at(130)).prefill_ns, 20 * kMs);
  marks.first = at(150);
  EXPECT_EQ(job_timeline(marks, true, at(160)).state, JobState::kDecode);
  EXPECT_EQ(job_timeline(marks, true, at(160)).decode_ns, 10 * kMs);
}

TEST(Timeline, WorkersThatSayTooMuchAreCutToWhatWasSeen) {
  JobMarks marks = pair();
  marks.prefill = said(39, 1000);
  marks.decode = said(0, 1000);
  const JobTimeline t = job_timeline(marks, true, at(300));
  EXPECT_EQ(t.waiting_ns + t.computing_ns, t.prefill_ns);
  EXPECT_EQ(t.first_step_ns, 25 * kMs);
  EXPECT_EQ(t.transfer_ns, 0u);
}

TEST(Timeline, ThePartsAlwaysAddUp) {
  Random random(7);
  for (int i = 0; i < 20'000; ++i) {
    Time now = at(1);
    const auto later = [&]() -> Time { return now += Duration(static_cast<std::int64_t>(random.below(1'000'000))); };
    JobMarks marks;
    marks.submitted = now;
    if (random.chance(7, 8)) marks.placed = later();
    if (random.chance(7, 8)) marks.first = later();
    if (marks.first && random.chance(7, 8)) marks.second = later();
    if (marks.placed && random.chance(1, 8)) marks.placed = now + milliseconds(2);  // word of it came late
    if (random.chance(1, 2)) marks.prefill = said(random.below(3), random.below(3));
    if (random.chance(1, 2)) marks.decode = said(0, random.below(3), random.below(3));
    const Time end = std::max(later(), marks.placed.value_or(now));
    const JobTimeline t = job_timeline(marks, random.chance(1, 2), end);
    EXPECT_EQ(total_ns(t), static_cast<std::uint64_t>((end - marks.submitted).count()));
    if (marks.first) { EXPECT_EQ(ttft_ns(t), static_cast<std::uint64_t>((*marks.first - marks.submitted).count())); }
    EXPECT_LE(t.waiting_ns + t.computing_ns, t.prefill_ns);
  }
}

TEST(EndedJobs, KeepsTheLatestOfEachIdAndNoMoreThanItMay) {
  EndedJobs jobs;
  const auto ended = [](const std::string& id, std::uint32_t tokens) {
    JobEnded note;
    note.id = id;
    note.timeline.completion_tokens = tokens;
    return note;
  };
  jobs.note(ended("again", 1));
  for (std::size_t i = 0; i + 1 < EndedJobs::kMost; ++i) jobs.note(ended("job-" + std::to_string(i), 0));
  jobs.note(ended("again", 2));  // pushes out its first note, not itself
  ASSERT_NE(jobs.find("again"), nullptr);
  EXPECT_EQ(jobs.find("again")->completion_tokens, 2u);
  ASSERT_NE(jobs.find("job-0"), nullptr);
  jobs.note(ended("last", 3));
  EXPECT_EQ(jobs.find("job-0"), nullptr);
  EXPECT_LE(jobs.size(), EndedJobs::kMost);
}

struct WorkerTimings : ::testing::Test, test::WorkerRig {
  std::vector<TokenTiming> timings() const {
    std::vector<TokenTiming> found;
    for (const TokenBatch& batch : out.messages_to<TokenBatch>(edge)) found.insert(found.end(), batch.timings.begin(), batch.timings.end());
    return found;
  }
};

TEST_F(WorkerTimings, AWorkerSaysHowLongTheFirstTwoTokensTook) {
  start(64);
  prefill(1, text(8, 1), 1);
  out.advance(milliseconds(3));
  prefill(2, text(8, 2), 4);  // waits for the running step
  out.advance(milliseconds(5));
  step();
  out.advance(milliseconds(7));
  while (step()) out.advance(milliseconds(1));
  const auto said = timings();
  ASSERT_EQ(said.size(), 3u) << "one of the job of one token, two of the other";
  EXPECT_EQ(said[0].waiting_ns, 0u);
  EXPECT_EQ(said[0].computing_ns, 8 * kMs);
  EXPECT_EQ(said[1].job, JobId{2});
  EXPECT_EQ(said[1].waiting_ns, 5 * kMs);
  EXPECT_EQ(said[1].computing_ns, 7 * kMs);
  EXPECT_EQ(said[2].index, 1u);
  EXPECT_EQ(said[2].computing_ns, 1 * kMs);
  EXPECT_FALSE(said[2].missed);
}

TEST_F(WorkerTimings, ADecodeWorkerWhoseKvDidNotComeSaysSo) {
  start(64);
  decode(1, text(8, 1), 3);
  ASSERT_EQ(plane.opened.size(), 1u);
  out.advance(milliseconds(20));
  out.set_sender(coordinator);
  worker->on(PeerLeft{peer, "gone"}, out);
  worker->on_data_plane(TransferClosed{plane.opened.front().transfer, "closed"}, out);
  out.advance(milliseconds(2));
  while (step()) out.advance(milliseconds(1));
  const auto said = timings();
  ASSERT_EQ(said.size(), 2u);
  EXPECT_EQ(said[0].computing_ns, 2 * kMs);
  EXPECT_TRUE(said[1].missed);
}

TEST(TrafficCounters, CountsBusyTimeOnceAndEachLatency) {
  TrafficCounters counters;
  counters.begin(1, "d-0", 100, at(0));
  counters.begin(2, "d-0", 200, at(10));
  counters.begin(3, "d-1", 50, at(10));
  counters.end(1, true, "shm", at(20));
  counters.end(2, true, "shm", at(30));
  counters.end(3, false, "tcp", at(40));
  counters.end(9, true, "shm", at(50));  // nobody's
  counters.begin(4, "d-0", 300, at(100));
  counters.end(4, true, "tcp", at(105));
  const auto one = counters.take_changed(1);
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0].peer, "d-0");
  EXPECT_EQ(one[0].bytes, 600u);
  EXPECT_EQ(one[0].transfers, 3u);
  EXPECT_EQ(one[0].busy_ns, 35 * kMs) << "0 to 30 and 100 to 105";
  EXPECT_EQ(one[0].latency_ns, 45 * kMs);
  EXPECT_EQ(one[0].transport, "tcp");
  const auto rest = counters.take_changed(16);
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_EQ(rest[0].failures, 1u);
  EXPECT_EQ(rest[0].bytes, 0u);
  EXPECT_TRUE(counters.take_changed(16).empty());
}

TEST(TrafficCounters, EveryPeersTurnComes) {
  TrafficCounters counters;
  std::uint64_t ticket = 0;
  std::set<std::string> heard;
  for (int round = 0; round < 4; ++round) {
    for (int peer = 0; peer < 40; ++peer) {
      counters.begin(++ticket, "d-" + std::to_string(peer), 1, at(0));
      counters.end(ticket, true, "shm", at(1));
    }
    for (const LinkTraffic& link : counters.take_changed(kTrafficPerHeartbeat)) heard.insert(link.peer);
  }
  EXPECT_EQ(heard.size(), 40u) << "three heartbeats of 16 are enough for 40 peers that never rest";
}

}  // namespace
}  // namespace baton
