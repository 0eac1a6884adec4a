// SPDX-License-Identifier: Apache-2.0
// Every message survives encode and decode unchanged, and no mutation of its bytes does anything but fail or decode.
#include "protocol/codec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "tests/unit/protocol/random_messages.h"
namespace baton {
namespace {

using AllMessages = std::tuple<WorkerHello, EdgeHello, JoinAccepted, JoinRefused, PeersJoined, PeerLeft, Heartbeat, HeartbeatAck, Alive, AdmitJob, JobAdmitted, JobPlaced, JobFailed, CancelJob, StartPrefill, StartDecode, TokenBatch, JobClosed, Grant, KvHandoff, TransferResult, ClientSubmit, ClientAccepted, ClientTokens, ClientDone, ClientError, ClientCancel, ClientCancelled, StatusRequest, StatusReport, FsckRequest, FsckReport, ClientChoiceDone, JobEnded, TraceRequest, TraceReport, EventsRequest, EventsReport, ClientAttach, RelayedBatch, JobReport, EdgeReport, AdoptJob, JobRecord, RoleChange, WorkerLeaving, ResumeQuery, ResumePoint, PrefixFetched, ClusterCommand, ClusterCommandDone>;

template <class M>
void round_trip(Random& random) {
  for (int i = 0; i < 20; ++i) {
    M message;
    fill(message, random);
    const Payload payload = encode(message);
    EXPECT_EQ(payload.kind, M::kKind);
    M decoded;
    const auto result = decode(payload, decoded);
    ASSERT_TRUE(result) << M::kKind << ": " << result.error().message;
    // Encoding is a function of the content, so equal bytes mean equal messages.
    EXPECT_EQ(encode(decoded).bytes, payload.bytes) << M::kKind;
  }
}

template <class M>
void mutate(Random& random) {
  for (int i = 0; i < 150; ++i) {
    M message;
    fill(message, random);
    Payload payload = encode(message);
    const std::uint64_t flips = 1 + random.below(4);
    for (std::uint64_t f = 0; f < flips; ++f)
      payload.bytes[random.below(payload.bytes.size())] = static_cast<char>(random.next());
    if (random.chance(1, 3)) payload.bytes.resize(random.below(payload.bytes.size() + 1));
    M decoded;
    if (decode(payload, decoded)) { EXPECT_LE(encode(decoded).bytes.size(), std::size_t{1} << 20); }
  }
}

TEST(Codec, EveryMessageSurvivesTheRoundTrip) {
  Random random(1);
  std::apply([&](auto... m) { (round_trip<decltype(m)>(random), ...); }, AllMessages{});
}

TEST(Codec, MutatedBytesNeverDoHarm) {
  Random random(2);
  std::apply([&](auto... m) { (mutate<decltype(m)>(random), ...); }, AllMessages{});
}

TEST(Codec, KindsAreUnique) {
  std::vector<std::uint16_t> kinds;
  std::apply([&](auto... m) { (kinds.push_back(decltype(m)::kKind), ...); }, AllMessages{});
  std::sort(kinds.begin(), kinds.end());
  EXPECT_EQ(std::adjacent_find(kinds.begin(), kinds.end()), kinds.end());
}

TEST(Codec, RefusesTheWrongKindAndTextsBeyondTheirBound) {
  ClientCancel message;
  message.id = std::string(257, 'x');
  Payload payload = encode(message);
  ClientCancel decoded;
  const auto too_long = decode(payload, decoded);
  ASSERT_FALSE(too_long);
  EXPECT_NE(too_long.error().message.find("id is longer than 256 bytes"), std::string::npos);
  StatusRequest other;
  EXPECT_FALSE(decode(payload, other));
}

TEST(Codec, RefusesDurationsAndTimelinesBeyondTheirBounds) {
  TraceReport report;
  report.timeline.queue_ns = (std::uint64_t{1} << 60) + 1;
  TraceReport decoded;
  EXPECT_FALSE(decode(encode(report), decoded));
  report.timeline.queue_ns = 0;
  report.timeline.attempts.resize(17);
  EXPECT_FALSE(decode(encode(report), decoded));
  report.timeline.attempts.resize(16);
  report.timeline.error = std::string(2049, 'x');
  EXPECT_FALSE(decode(encode(report), decoded));
  report.timeline.error.pop_back();
  EXPECT_TRUE(decode(encode(report), decoded));
  TokenBatch batch;
  batch.timings.push_back({JobId{1}, 1, 2, 0, 0, 0, 0, false});
  TokenBatch other;
  EXPECT_FALSE(decode(encode(batch), other));
}

TEST(Codec, AParameterThatIsAbsentIsOff) {
  AdmitJob message;
  message.sampling.temperature = 0.5F;
  AdmitJob decoded;
  ASSERT_TRUE(decode(encode(message), decoded));
  EXPECT_TRUE(decoded.sampling.lists == nullptr);
  EXPECT_EQ(decoded.sampling.repetition_penalty, 1.0F);
  EXPECT_FALSE(decoded.sampling.logprobs);
  EXPECT_FALSE(decoded.sampling.prompt_logprobs);
  ClientSubmit submit;
  submit.n = 0;
  ClientSubmit received;
  ASSERT_TRUE(decode(encode(submit), received));
  EXPECT_EQ(received.n, 1u);
}

TEST(Codec, KeepsTheSamplingLists) {
  AdmitJob message;
  message.sampling.logprobs = 0;
  message.sampling.prompt_logprobs = 20;
  message.sampling.lists = std::make_shared<SamplingLists>(SamplingLists{{{7, -100.0F}, {8, 0.5F}}, {3, 4}, {{1}, {2, 3, 4}}});
  AdmitJob decoded;
  ASSERT_TRUE(decode(encode(message), decoded));
  ASSERT_TRUE(decoded.sampling.lists != nullptr);
  EXPECT_EQ(*decoded.sampling.lists, *message.sampling.lists);
  EXPECT_EQ(decoded.sampling.logprobs, 0u);
  EXPECT_EQ(decoded.sampling.prompt_logprobs, 20u);
}

TEST(Codec, RefusesSamplingListsFarBeyondTheirBounds) {
  const auto refusal = [](const SamplingLists& lists) {
    AdmitJob message;
    message.sampling.lists = std::make_shared<SamplingLists>(lists);
    AdmitJob decoded;
    const auto result = decode(encode(message), decoded);
    return result ? std::string() : result.error().message;
  };
  EXPECT_EQ(refusal({std::vector<TokenBias>(1024), std::vector<TokenId>(128), std::vector<std::vector<TokenId>>(128, std::vector<TokenId>(257))}), "");
  EXPECT_NE(refusal({{}, std::vector<TokenId>(513), {}}).find("stop_token_ids has more than"), std::string::npos);
  EXPECT_NE(refusal({std::vector<TokenBias>(4097), {}, {}}).find("logit_bias has more than"), std::string::npos);
  EXPECT_NE(refusal({{}, {}, std::vector<std::vector<TokenId>>(129, {1})}).find("bad_words has more than"), std::string::npos);
  EXPECT_NE(refusal({{}, {}, {std::vector<TokenId>(258)}}).find("bad_words has more than"), std::string::npos);
}

TEST(Codec, RefusesEnumerationsThatDoNotExist) {
  JobFailed message;
  message.code = static_cast<ErrorCode>(99);
  JobFailed decoded;
  EXPECT_FALSE(decode(encode(message), decoded));
  message.code = static_cast<ErrorCode>(0);
  EXPECT_FALSE(decode(encode(message), decoded));
}

// A far list pointer with a huge element count of zero-size elements must not cost memory or time.
TEST(Codec, AnEmptyPayloadAndAListBombAreRefused) {
  TokenBatch decoded;
  EXPECT_FALSE(decode(Payload{TokenBatch::kKind, std::string(7, '\0')}, decoded));
  TokenBatch batch;
  batch.tokens.resize(3);
  Payload payload = encode(batch);
  for (std::size_t at = 8; at + 8 <= payload.bytes.size(); at += 8) {
    Payload bomb = payload;
    for (std::size_t i = 0; i < 8; ++i) bomb.bytes[at + i] = static_cast<char>(i == 0 ? 1 : 0xff);
    if (decode(bomb, decoded)) { EXPECT_LE(decoded.tokens.size(), 65536u); }
  }
}

}  // namespace
}  // namespace baton
