// SPDX-License-Identifier: Apache-2.0
// A worker goes on where another one was: behind ids that were generated elsewhere, with KV from another cache, and without a
// coordinator.
#include <gtest/gtest.h>

#include <utility>

#include "tests/support/worker_rig.h"

namespace baton::test {
namespace {

struct WorkerRecovery : ::testing::Test, WorkerRig {
  void prefill_behind(std::uint64_t job, const std::vector<TokenId>& prompt, std::uint32_t max_tokens, std::vector<TokenId> emitted) {
    out.set_sender(coordinator);
    worker->on(StartPrefill{JobId{job}, 2, edge, {}, prompt, sampling(max_tokens), {}, std::move(emitted)}, out);
  }
  std::vector<TokenItem> sent() const {
    std::vector<TokenItem> items;
    for (const TokenBatch& batch : out.messages_to<TokenBatch>(edge)) items.insert(items.end(), batch.tokens.begin(), batch.tokens.end());
    return items;
  }
};

TEST_F(WorkerRecovery, AnAttemptGoesOnBehindWhatWasGenerated) {
  start(64);
  const std::vector<TokenId> prompt = text(20, 1);
  const std::vector<TokenId> whole = answer(prompt, 30);
  prefill_behind(7, prompt, 30, {whole.begin(), whole.begin() + 11});
  run();
  const std::vector<TokenItem> items = sent();
  ASSERT_EQ(items.size(), 19u) << "nothing that the edge has is sent again";
  for (std::size_t i = 0; i < items.size(); ++i) {
    EXPECT_EQ(items[i].index, 11 + i);
    EXPECT_EQ(items[i].token, whole[11 + i]);
  }
  ASSERT_FALSE(out.messages_to<TokenBatch>(edge).back().finished.empty());
  EXPECT_EQ(out.messages_to<TokenBatch>(edge).back().finished.front().tokens, 30u);
  expect_all_back();
}

TEST_F(WorkerRecovery, AnAttemptAtAFinishedAnswerSaysSo) {
  start(64);
  const std::vector<TokenId> prompt = text(20, 1);
  prefill_behind(7, prompt, 5, answer(prompt, 5));
  run();
  EXPECT_TRUE(sent().empty());
  ASSERT_EQ(out.messages_to<TokenBatch>(edge).size(), 1u);
  EXPECT_EQ(out.messages_to<TokenBatch>(edge).front().finished.front().reason, FinishReason::kLength);
  expect_all_back();
}

TEST_F(WorkerRecovery, ASourceSendsTheWholeBlocksThatItHasCached) {
  start(64);
  const std::vector<TokenId> prompt = text(70, 2);
  prefill(1, prompt, 3);
  run();
  out.clear();
  std::vector<TokenId> more = prompt;
  const std::vector<TokenId> beyond = text(40, 3);
  more.insert(more.end(), beyond.begin(), beyond.end());  // which nobody here has computed
  out.set_sender(coordinator);
  worker->on(StartPrefill{JobId{9}, 1, {}, peer, more, {}, {}, {}, true}, out);
  out.set_sender(peer);
  const std::uint32_t block = info.geometry.block_tokens;
  worker->on(grant_for(9, 0, static_cast<std::uint32_t>(more.size()) / block), out);
  const auto handoffs = out.messages_to<KvHandoff>(peer);
  ASSERT_EQ(handoffs.size(), 1u);
  EXPECT_TRUE(handoffs.front().last);
  EXPECT_EQ(handoffs.front().handles.size(), prompt.size() / block) << "less than was granted";
  ASSERT_EQ(plane.pushed.size(), 1u);
  worker->on_data_plane(PushDone{plane.pushed.front().ticket, plane.pushed.front().transfer, true, {}}, out);
  out.set_sender(peer);
  worker->on(TransferResult{TransferId{9, 1}, JobId{9}, 1, true, {}}, out);
  EXPECT_FALSE(step()) << "nothing is computed for it";
  expect_all_back();
}

TEST_F(WorkerRecovery, ADestinationKeepsWhatIsVerifiedUpToTheFirstBlockThatIsNot) {
  start(64);
  const std::vector<TokenId> prompt = text(64, 4);
  const std::uint32_t block = info.geometry.block_tokens;
  const std::uint32_t blocks = static_cast<std::uint32_t>(prompt.size()) / block;
  out.set_sender(coordinator);
  worker->on(StartDecode{JobId{9}, 1, {}, peer, prompt, {}, {}, {}, true}, out);
  ASSERT_EQ(plane.opened.size(), 1u);
  const TransferId transfer = plane.opened.front().transfer;
  EXPECT_EQ(plane.opened.front().places.size(), blocks);
  PieceArrived piece{};
  piece.transfer = transfer;
  piece.from = {peer.node, peer.incarnation};
  KvHandoff handoff{transfer, JobId{9}, 1, 0, {}, true, 0, 0.0F, {}};
  for (std::uint32_t i = 0; i < blocks; ++i) {
    piece.digests.push_back(1000 + i);
    handoff.handles.push_back({peer.node, peer.incarnation, info.geometry.group, i, 0, block, i + 1 == blocks ? 5 : 1000 + i});
  }
  worker->on_data_plane(piece, out);
  worker->on_data_plane(TransferClosed{transfer, {}}, out);
  EXPECT_TRUE(out.messages<PrefixFetched>().empty()) << "before it is known what was sent";
  out.set_sender(peer);
  worker->on(handoff, out);
  const auto fetched = out.messages_to<PrefixFetched>(coordinator);
  ASSERT_EQ(fetched.size(), 1u);
  EXPECT_EQ(fetched.front().tokens, (blocks - 1) * block);
  EXPECT_FALSE(fetched.front().reason.empty());
  expect_all_back();
  EXPECT_EQ(worker->account().cached, blocks - 1);
}

TEST_F(WorkerRecovery, AFailedPushIsToldToThePeer) {
  start(64);
  const std::vector<TokenId> prompt = text(40, 5);
  prefill(1, prompt, 10, peer);
  out.set_sender(peer);
  worker->on(grant_for(1, 0, info.geometry.blocks_for(40)), out);
  run();
  ASSERT_FALSE(plane.pushed.empty());
  for (const auto& push : plane.pushed) worker->on_data_plane(PushDone{push.ticket, push.transfer, false, "no way there"}, out);
  const auto results = out.messages_to<TransferResult>(peer);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_FALSE(results.front().ok);
  expect_all_back();
}

TEST_F(WorkerRecovery, WithoutACoordinatorItGoesOnAndTellsTheNextOne) {
  start(64);
  const std::vector<TokenId> longer = text(20, 6), shorter = text(21, 7);
  prefill(1, longer, 40);
  prefill(2, shorter, 4);
  step();
  out.set_sender(ActorRef{});
  worker->on(LinkDown{coordinator.node, coordinator.incarnation, "replaced by a new life"}, out);
  for (int i = 0; i < 6; ++i) step();
  EXPECT_EQ(stream(2).size(), 4u) << "edges get their tokens";
  out.clear();
  const ActorRef next{coordinator.node, Incarnation{101}, 0, 0};
  out.set_sender(next);
  worker->on(JoinAccepted{1, 200'000'000, 5}, out);
  const auto reports = out.messages_to<JobReport>(next);
  ASSERT_EQ(reports.size(), 1u);
  ASSERT_EQ(reports.front().jobs.size(), 2u);
  const HeldJob& running = reports.front().jobs[0];
  EXPECT_EQ(running.job, JobId{1});
  EXPECT_FALSE(running.finished);
  const std::vector<TokenId> whole = answer(longer, 40);
  EXPECT_EQ(running.tokens, std::vector<TokenId>(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(running.tokens.size())));
  const HeldJob& ended = reports.front().jobs[1];
  EXPECT_TRUE(ended.finished);
  EXPECT_EQ(ended.tokens, answer(shorter, 4));
  EXPECT_EQ(ended.finish.tokens, 4u);
  out.set_sender(next);
  worker->on(CancelJob{JobId{1}, 1}, out);
  run();
  expect_all_back();
}

}  // namespace
}  // namespace baton::test
