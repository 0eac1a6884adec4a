// SPDX-License-Identifier: Apache-2.0
// Blocks as a worker hands them out: prefixes found again, growth, preemption.
#include <gtest/gtest.h>

#include <vector>

#include "tests/support/worker_rig.h"

namespace baton::test {
namespace {

struct WorkerBlocksTest : ::testing::Test, WorkerRig {};

TEST_F(WorkerBlocksTest, AKnownPrefixIsNotComputedAgain) {
  start(16);
  const auto first = text(40, 1);
  auto second = first;
  second.push_back(7);
  prefill(1, first, 3);
  run();
  prefill(2, second, 3);
  run();
  EXPECT_EQ(shares(2).front().first_position, 32u);
  EXPECT_EQ(stream(1), answer(first, 3));
  EXPECT_EQ(stream(2), answer(second, 3));
  EXPECT_EQ(worker->stats().prefix_cache_queries, 81u);
  EXPECT_EQ(worker->stats().prefix_cache_hits, 32u);
  expect_all_back();
  EXPECT_EQ(worker->account().cached, 2u);
}

TEST_F(WorkerBlocksTest, TheLastTokenOfAPromptIsAlwaysComputed) {
  start(16);
  const auto prompt = text(32, 1);
  prefill(1, prompt, 2);
  run();
  prefill(2, prompt, 2);
  run();
  EXPECT_EQ(shares(2).front().first_position, 16u);
  EXPECT_EQ(stream(2), answer(prompt, 2));
}

TEST_F(WorkerBlocksTest, TheNextTurnFindsTheAnswerToo) {
  start(16);
  auto prompt = text(20, 1);
  prefill(1, prompt, 30);
  run();
  const auto generated = answer(prompt, 30);
  prompt.insert(prompt.end(), generated.begin(), generated.end());
  prompt.push_back(3);
  prefill(2, prompt, 4);
  run();
  EXPECT_EQ(shares(2).front().first_position, 48u) << "49 positions were computed: three blocks";
  EXPECT_EQ(stream(2), answer(prompt, 4));
}

TEST_F(WorkerBlocksTest, AnotherSaltFindsNothing) {
  start(32);
  const auto prompt = text(40, 1);
  prefill(1, prompt, 2, {}, "tenant-a");
  run();
  prefill(2, prompt, 2, {}, "tenant-b");
  run();
  prefill(3, prompt, 2);
  run();
  prefill(4, prompt, 2, {}, "tenant-a");
  run();
  EXPECT_EQ(shares(2).front().first_position, 0u);
  EXPECT_EQ(shares(3).front().first_position, 0u);
  EXPECT_EQ(shares(4).front().first_position, 32u);
  EXPECT_EQ(worker->account().cached, 6u) << "three times the same, for three who may not know of each other";
}

TEST_F(WorkerBlocksTest, WithoutACacheNothingIsKept) {
  start(16, {}, false);
  const auto prompt = text(40, 1);
  prefill(1, prompt, 2);
  run();
  prefill(2, prompt, 2);
  run();
  EXPECT_EQ(shares(2).front().first_position, 0u);
  EXPECT_EQ(worker->account().free, 16u);
  EXPECT_EQ(worker->stats().prefix_cache_queries, 0u);
}

TEST_F(WorkerBlocksTest, TwoThatComputeTheSameShareWhatOneHasFinished) {
  start(16, {8, 32, 0});
  const auto prompt = text(150, 1);
  prefill(1, prompt, 2);
  prefill(2, prompt, 2);
  run();
  EXPECT_EQ(stream(1), answer(prompt, 2));
  EXPECT_EQ(stream(2), answer(prompt, 2));
  std::size_t computed = 0;
  for (const BatchPlan& plan : engine->plans)
    for (const SequencePlan& share : plan.sequences) computed += share.tokens.size();
  EXPECT_LT(computed, 250u) << "of 300 and two decodes";
  expect_all_back();
}

TEST_F(WorkerBlocksTest, TheYoungestStepsBackAndGoesOnWithTheSameTokens) {
  start(8);
  const auto first = text(16, 1);
  const auto second = text(16, 2);
  prefill(1, first, 100);
  prefill(2, second, 100);
  run();
  EXPECT_EQ(stream(1), answer(first, 100));
  EXPECT_EQ(stream(2), answer(second, 100));
  EXPECT_GE(worker->stats().num_preemptions, 1u);
  for (const SequencePlan& share : shares(1)) EXPECT_LE(share.tokens.size(), 16u) << "the oldest computes nothing twice";
  for (const TokenBatch& batch : out.messages_to<TokenBatch>(edge))
    for (const JobFinish& finish : batch.finished) EXPECT_EQ(finish.preemptions, finish.job == JobId{2} ? worker->stats().num_preemptions : 0u);
  expect_all_back();
}

TEST_F(WorkerBlocksTest, ANewcomerLeavesRoomForThoseThatGrow) {
  start(4);
  prefill(1, text(16, 1), 40);
  step();
  prefill(2, text(20, 2), 2);
  step();
  step();
  EXPECT_TRUE(shares(2).empty()) << "two blocks are free, but the first needs one of them next";
  run();
  EXPECT_EQ(stream(2), answer(text(20, 2), 2));
  EXPECT_EQ(worker->stats().num_preemptions, 0u);
}

TEST_F(WorkerBlocksTest, WhatCanNeverFitIsRefused) {
  start(4);
  prefill(1, text(50, 1), 20);
  ASSERT_EQ(out.messages_to<JobFailed>(coordinator).size(), 1u);
  EXPECT_EQ(out.messages_to<JobFailed>(coordinator).front().code, ErrorCode::kInvalidArgument);
  expect_all_back();
}

TEST_F(WorkerBlocksTest, ADecodeHalfAsksOnlyForWhatItDoesNotHave) {
  start(16);
  const auto known = text(40, 1);
  prefill(1, known, 2);
  run();
  auto prompt = known;
  prompt.resize(60, 9);
  decode(2, prompt, 3);
  const auto grants = out.messages_to<Grant>(peer);
  ASSERT_EQ(grants.size(), 1u);
  EXPECT_EQ(grants.front().first_block, 2u);
  EXPECT_EQ(grants.front().blocks.size(), 2u);
  ASSERT_EQ(plane.opened.size(), 1u);
  EXPECT_EQ(plane.opened.front().places.size(), 2u);

  // The bytes arrive, as a prefill worker would have computed them.
  std::vector<SequencePlan> remote(1);
  remote.front().tokens = prompt;
  remote.front().blocks = {shares(1).front().blocks[0], shares(1).front().blocks[1], grants.front().blocks[0], grants.front().blocks[1]};
  remote.front().digest_begin = 2;
  remote.front().digest_end = 4;
  const auto digests = oracle->step(BatchPlan{0, remote}).sequences.front().digests;
  const TransferId transfer = grants.front().transfer;
  KvHandoff handoff{transfer, JobId{2}, 1, 2, {}, true, answer(prompt, 1).front()};
  for (std::uint32_t i = 0; i < 2; ++i)
    handoff.handles.push_back({peer.node, peer.incarnation, info.geometry.group, i, 0, i == 0 ? 16u : 12u, digests[i]});
  worker->on_data_plane(PieceArrived{transfer, {peer.node, peer.incarnation}, 0, digests}, out);
  worker->on_data_plane(TransferClosed{transfer, "complete"}, out);
  out.set_sender(peer);
  worker->on(handoff, out);
  ASSERT_EQ(out.messages_to<TransferResult>(peer).size(), 1u);
  EXPECT_TRUE(out.messages_to<TransferResult>(peer).front().ok);
  run();
  EXPECT_EQ(shares(2).front().first_position, 60u) << "nothing of the prompt is computed here";
  EXPECT_EQ(stream(2), answer(prompt, 3));
  prefill(3, prompt, 2);
  run();
  EXPECT_EQ(shares(3).front().first_position, 48u) << "what came over is found again";
  expect_all_back();
}

TEST_F(WorkerBlocksTest, APrefillHalfPushesWhatItFindsWithTheDigestsKept) {
  start(16);
  const auto prompt = text(40, 1);
  prefill(1, prompt, 5, peer);
  run();
  out.set_sender(peer);
  worker->on(grant_for(1, 0, 3), out);
  ASSERT_EQ(plane.pushed.size(), 1u);
  worker->on_data_plane(PushDone{plane.pushed.front().ticket, TransferId{1, 1}, true, {}}, out);
  out.set_sender(peer);
  worker->on(TransferResult{TransferId{1, 1}, JobId{1}, 1, true, {}}, out);
  const auto original = out.messages_to<KvHandoff>(peer).front().handles;
  expect_all_back();

  out.set_sender(peer);
  worker->on(grant_for(2, 1, 2), out);  // decode has the first block
  prefill(2, prompt, 5, peer);
  ASSERT_EQ(plane.pushed.size(), 2u) << "before a step has run";
  const auto handoffs = out.messages_to<KvHandoff>(peer);
  EXPECT_EQ(handoffs.back().first_block, 1u);
  ASSERT_EQ(handoffs.back().handles.size(), 1u);
  EXPECT_EQ(handoffs.back().handles.front().digest, original[1].digest);
  run();
  EXPECT_EQ(shares(2).front().first_position, 32u);
  EXPECT_EQ(shares(2).front().digest_begin, 2u) << "only the last block's is computed";
  EXPECT_EQ(out.messages_to<KvHandoff>(peer).back().handles.front().digest, original[2].digest);
}

TEST_F(WorkerBlocksTest, ADecodeHalfThatWaitsForKvGivesItsBlocksToAnOlderJob) {
  start(6);
  const auto older = text(16, 1);
  const auto prompt = text(40, 2);
  prefill(1, older, 64);
  decode(2, prompt, 5);
  ASSERT_EQ(plane.opened.size(), 1u);
  for (int i = 0; i < 60 && plane.closed.empty(); ++i) step();
  ASSERT_EQ(plane.closed.size(), 1u);
  EXPECT_EQ(worker->blocks().counts().quarantined, 3u) << "they may still be written";
  EXPECT_FALSE(step()) << "the older one waits for them";
  worker->on_data_plane(TransferClosed{plane.opened.front().transfer, "closed"}, out);
  ASSERT_EQ(out.messages_to<TransferResult>(peer).size(), 1u);
  EXPECT_FALSE(out.messages_to<TransferResult>(peer).front().ok);
  run();
  EXPECT_EQ(plane.opened.size(), 1u) << "it computes its prompt itself";
  EXPECT_EQ(stream(1), answer(older, 64));
  EXPECT_EQ(stream(2), answer(prompt, 5));
  expect_all_back();
}

TEST_F(WorkerBlocksTest, APrefillHalfThatWaitsForAGrantGivesItsBlocksToAnOlderJob) {
  start(6, {}, false);
  const auto older = text(16, 1);
  const auto prompt = text(40, 2);
  prefill(1, older, 64);
  prefill(2, prompt, 5, peer);
  for (int i = 0; i < 60 && worker->stats().num_preemptions == 0; ++i) step();
  ASSERT_EQ(worker->stats().num_preemptions, 1u);
  EXPECT_EQ(worker->blocks().counts().leased, 0u);
  out.set_sender(peer);
  worker->on(grant_for(2, 0, 3), out);
  EXPECT_TRUE(plane.pushed.empty()) << "there is nothing to push";
  run();
  EXPECT_EQ(stream(1), answer(older, 64));
  ASSERT_EQ(plane.pushed.size(), 1u);
  EXPECT_EQ(stream(2), answer(prompt, 1));
  worker->on_data_plane(PushDone{plane.pushed.front().ticket, TransferId{2, 1}, true, {}}, out);
  out.set_sender(peer);
  worker->on(TransferResult{TransferId{2, 1}, JobId{2}, 1, true, {}}, out);
  expect_all_back();
}

TEST_F(WorkerBlocksTest, BlocksThatAreBeingPushedAreNotGivenAwayBeforeTheyHaveBeenRead) {
  start(6, {8, 2, 2}, false);  // a prompt is computed hardly faster than the older job decodes
  const auto older = text(16, 1);
  const auto prompt = text(40, 2);
  prefill(1, older, 64);
  out.set_sender(peer);
  worker->on(grant_for(2, 0, 3), out);
  prefill(2, prompt, 5, peer);
  for (int i = 0; i < 100 && worker->stats().num_preemptions == 0; ++i) step();
  ASSERT_EQ(worker->stats().num_preemptions, 1u);
  ASSERT_EQ(plane.pushed.size(), 2u) << "two blocks, while the third was still to be computed";
  EXPECT_FALSE(step()) << "the older one waits until they have been read";
  const auto source = static_cast<BlockId>(plane.pushed.front().pieces.front().source_offset / info.geometry.block_bytes());
  EXPECT_EQ(worker->blocks().state(source), BlockState::kHeld);
  EXPECT_EQ(worker->blocks().generation(source), 0u);
  worker->on_data_plane(PushDone{plane.pushed[0].ticket, TransferId{2, 1}, true, {}}, out);
  EXPECT_FALSE(step());
  worker->on_data_plane(PushDone{plane.pushed[1].ticket, TransferId{2, 1}, true, {}}, out);
  EXPECT_EQ(worker->blocks().generation(source), 1u);
  run();
  EXPECT_EQ(stream(1), answer(older, 64));
  EXPECT_EQ(stream(2), answer(prompt, 1));
  ASSERT_EQ(plane.pushed.size(), 3u);
  const auto handoffs = out.messages_to<KvHandoff>(peer);
  EXPECT_EQ(handoffs.back().first_block, 2u) << "what was pushed is not pushed again";
  EXPECT_TRUE(handoffs.back().last);
}

TEST_F(WorkerBlocksTest, NobodyPassesAJobThatIsStillSteppingBack) {
  start(6, {8, 2, 2}, false);
  const auto prompt = text(40, 2);
  const auto younger = text(60, 3);
  prefill(1, text(16, 1), 64);
  out.set_sender(peer);
  worker->on(grant_for(2, 0, 3), out);
  prefill(2, prompt, 5, peer);
  prefill(3, younger, 5, peer);
  for (int i = 0; i < 100 && worker->stats().num_preemptions == 0; ++i) step();
  ASSERT_EQ(worker->stats().num_preemptions, 1u);
  out.set_sender(coordinator);
  worker->on(CancelJob{JobId{1}, 1}, out);
  run();
  EXPECT_TRUE(shares(3).empty()) << "it would keep its blocks for a grant that may wait for the second job";
  ASSERT_EQ(plane.pushed.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) worker->on_data_plane(PushDone{plane.pushed[i].ticket, TransferId{2, 1}, true, {}}, out);
  run();
  EXPECT_EQ(stream(2), answer(prompt, 1));
  for (std::size_t i = 2; i < plane.pushed.size(); ++i) worker->on_data_plane(PushDone{plane.pushed[i].ticket, TransferId{2, 1}, true, {}}, out);
  out.set_sender(peer);
  worker->on(TransferResult{TransferId{2, 1}, JobId{2}, 1, true, {}}, out);
  run();
  EXPECT_EQ(stream(3), answer(younger, 1));
}

// Chunk by chunk, as a long prompt is computed. A limit on the whole would make long prompts be computed twice.
TEST_F(WorkerBlocksTest, AHandOverMayTakeLongAsLongAsItGoesOn) {
  start(8);
  const auto prompt = text(100, 1);
  decode(1, prompt, 2);
  ASSERT_EQ(plane.opened.size(), 1u);
  const TransferId transfer = plane.opened.front().transfer;
  for (std::uint32_t block = 0; block < 7; ++block) {
    worker->on_data_plane(PieceArrived{transfer, {peer.node, peer.incarnation}, block, {block}}, out);
    out.advance(std::chrono::seconds(8));
    worker->on(HeartbeatAck{}, out);
    worker->tick(out);
    ASSERT_TRUE(plane.closed.empty()) << "after block " << block;
  }
  const auto wait = [&](int seconds) {
    out.advance(std::chrono::seconds(seconds));
    out.set_sender(coordinator);
    worker->on(HeartbeatAck{}, out);
    worker->tick(out);
  };
  wait(3);
  ASSERT_EQ(out.messages_to<Grant>(peer).size(), 2u) << "nothing has come for more than ten seconds: it asks";
  out.set_sender(peer);
  worker->on(KvHandoff{transfer, JobId{1}, 1, 7, {}}, out);
  wait(11);
  EXPECT_EQ(out.messages_to<Grant>(peer).size(), 3u);
  EXPECT_TRUE(plane.closed.empty()) << "it was told that the rest will come";
  wait(11);
  EXPECT_EQ(plane.closed.size(), 1u) << "nobody has answered";
}

TEST_F(WorkerBlocksTest, APrefillHalfThatIsAskedSaysThatTheRestWillCome) {
  start(16, {8, 16, 0});
  const auto prompt = text(100, 1);
  prefill(1, prompt, 5, peer);
  out.set_sender(peer);
  worker->on(grant_for(1, 0, 7), out);
  EXPECT_TRUE(out.messages_to<KvHandoff>(peer).empty());
  worker->on(grant_for(1, 0, 7), out);
  ASSERT_EQ(out.messages_to<KvHandoff>(peer).size(), 1u);
  EXPECT_TRUE(out.messages_to<KvHandoff>(peer).front().handles.empty());
  EXPECT_FALSE(out.messages_to<KvHandoff>(peer).front().last);
  run();
  const std::size_t said = out.messages_to<KvHandoff>(peer).size();
  EXPECT_TRUE(out.messages_to<KvHandoff>(peer).back().last);
  out.set_sender(peer);
  worker->on(grant_for(1, 0, 7), out);
  EXPECT_EQ(out.messages_to<KvHandoff>(peer).size(), said) << "everything has been said";
}

TEST_F(WorkerBlocksTest, OneThatFindsNoBlockDoesNotUseUpTheStep) {
  start(5, {8, 1, 0}, false);
  const auto older = text(40, 1);
  const auto younger = text(16, 2);
  decode(1, older, 2);
  prefill(2, younger, 30);
  run();
  ASSERT_EQ(stream(2).size(), 17u) << "its third block is the older one's";
  worker->on_data_plane(TransferClosed{plane.opened.front().transfer, "lost"}, out);
  run();
  EXPECT_EQ(stream(1), answer(older, 2));
  EXPECT_EQ(stream(2), answer(younger, 30));
  expect_all_back();
}

}  // namespace
}  // namespace baton::test
