// SPDX-License-Identifier: Apache-2.0
// One small worker among peers that answer when they like: jobs of all three kinds together, in pools that hold few of them. So a
// half of either kind is preempted in every phase, which a cluster whose workers have one role each does not bring about.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <vector>

#include "tests/support/worker_rig.h"

namespace baton::test {
namespace {

constexpr std::uint64_t kJobs = 40;

class RandomPeers {
 public:
  explicit RandomPeers(std::uint64_t seed) : random_(seed), blocks_(8 + static_cast<std::uint32_t>(random_.below(8))), remote_pool_(rig_.info.geometry, 64) {
    const BatchLimits limits{1u << (1 + random_.below(4)), 1u << (1 + random_.below(6)), 0};
    rig_.start(blocks_, limits, random_.chance(3, 4));
    remote_ = make_oracle_engine(rig_.model, remote_pool_.bytes());
    for (std::uint64_t i = 0; i < 3; ++i) beginnings_.push_back(WorkerRig::text(64, seed * 10 + i));
  }

  void run() {
    for (int i = 0; i < 4000; ++i) act(random_.below(33));
    for (int i = 0; i < 100'000 && !at_rest(); ++i) act(random_.below(32));
    ASSERT_TRUE(at_rest()) << "somebody waits for ever";
    rig_.expect_all_back();
    for (const auto& [id, job] : jobs_) {
      if (job.cancelled) continue;
      ASSERT_EQ(job.tokens, rig_.answer(job.prompt, job.kind == Kind::kPrefill ? 1 : job.max_tokens)) << "job " << id;
    }
    count_restarts();
  }
  std::uint64_t preemptions() const { return rig_.worker->stats().num_preemptions; }
  std::uint64_t hits() const { return rig_.worker->stats().prefix_cache_hits; }
  std::uint64_t transferred = 0;
  std::uint64_t closed_early = 0;  // transfers that the worker closed
  std::uint64_t prefill_restarts = 0;

 private:
  enum class Kind : std::uint64_t { kLocal, kPrefill, kDecode };
  struct Job {
    Kind kind = Kind::kLocal;
    std::vector<TokenId> prompt;
    std::uint32_t max_tokens = 0;
    std::vector<TokenId> tokens;
    bool cancelled = false;
    bool granted = false;
    bool handed_over = false;  // a prefill half has said that everything is pushed
    std::uint32_t pushes = 0;  // of it, not yet read
  };
  struct Push {
    std::uint64_t job = 0;
    NotedPlane::Pushed asked;
    std::vector<std::byte> bytes;  // as they were when it was asked for
  };
  struct Transfer {
    Grant grant;
    std::vector<Place> places;
    bool closing = false;
  };

  bool at_rest() const { return jobs_.size() == kJobs && rig_.worker->idle() && pushes_.empty() && transfers_.empty(); }

  void act(std::uint64_t what) {
    if (what < 24) rig_.step();
    else if (what < 27) start_job();
    else if (what < 28) grant();
    else if (what < 30) finish_push();
    else if (what < 31) move_transfer();
    else if (what < 32) acknowledge();
    else if (random_.chance(1, 16)) cancel();
    observe();
  }

  template <class Map>
  auto any(Map& map) {
    return std::next(map.begin(), static_cast<std::ptrdiff_t>(random_.below(map.size())));
  }

  void start_job() {
    if (jobs_.size() == kJobs) return;
    const std::uint64_t id = jobs_.size() + 1;
    Job& job = jobs_[id];
    job.kind = static_cast<Kind>(random_.below(3));
    job.prompt = beginnings_[random_.below(beginnings_.size())];
    job.prompt.resize(1 + random_.below(64));
    job.prompt.push_back(static_cast<TokenId>(random_.below(4)));
    job.max_tokens = 2 + static_cast<std::uint32_t>(random_.below(blocks_ * 16 - job.prompt.size() - 2));
    if (job.kind == Kind::kPrefill && random_.chance(1, 2)) grant_to(id, job);
    if (job.kind == Kind::kDecode) rig_.decode(id, job.prompt, job.max_tokens);
    else rig_.prefill(id, job.prompt, job.max_tokens, job.kind == Kind::kPrefill ? rig_.peer : ActorRef{});
  }

  void grant_to(std::uint64_t id, Job& job) {
    job.granted = true;
    const std::uint32_t blocks = rig_.info.geometry.blocks_for(job.prompt.size());
    const auto first = static_cast<std::uint32_t>(random_.below(blocks));
    rig_.out.set_sender(rig_.peer);
    rig_.worker->on(rig_.grant_for(id, first, blocks - first), rig_.out);
  }
  void grant() {
    if (jobs_.empty()) return;
    const auto job = any(jobs_);
    if (job->second.kind == Kind::kPrefill && !job->second.granted) grant_to(job->first, job->second);
  }

  std::vector<std::byte> bytes_of(const NotedPlane::Pushed& push) {
    std::vector<std::byte> bytes;
    for (const Piece& piece : push.pieces) {
      const auto part = rig_.pool->bytes().subspan(piece.source_offset, piece.bytes);
      bytes.insert(bytes.end(), part.begin(), part.end());
    }
    return bytes;
  }
  void finish_push() {
    if (pushes_.empty()) return;
    const auto push = any(pushes_);
    const bool whole = bytes_of(push->second.asked) == push->second.bytes;
    ASSERT_TRUE(whole) << "what was being pushed has been overwritten";
    --jobs_.at(push->second.job).pushes;
    const PushDone done{push->first, push->second.asked.transfer, true, {}};
    pushes_.erase(push);
    rig_.worker->on_data_plane(done, rig_.out);
  }
  void acknowledge() {
    if (jobs_.empty()) return;
    const auto job = any(jobs_);
    if (!job->second.handed_over || job->second.pushes > 0) return;
    rig_.out.set_sender(rig_.peer);
    rig_.worker->on(TransferResult{TransferId{job->first, 1}, JobId{job->first}, 1, true, {}}, rig_.out);
  }

  // A prefill worker elsewhere has the prompt's KV; it comes over, is lost, or is late for a transfer that is being closed.
  void move_transfer() {
    if (transfers_.empty()) return;
    const Transfer transfer = any(transfers_)->second;
    transfers_.erase(transfer.grant.transfer);
    const PeerKey from{rig_.peer.node, rig_.peer.incarnation};
    if (transfer.closing || random_.chance(1, 6)) {
      for (const Place& place : transfer.places) std::memset(rig_.pool->bytes().data() + place.offset, 0xee, place.bytes);
      rig_.worker->on_data_plane(TransferClosed{transfer.grant.transfer, "closed"}, rig_.out);
      return;
    }
    const Job& job = jobs_.at(transfer.grant.job.value);
    const KvGeometry& geometry = rig_.info.geometry;
    SequencePlan plan;
    plan.tokens = job.prompt;
    for (BlockId block = 0; block < geometry.blocks_for(job.prompt.size()); ++block) plan.blocks.push_back(block);
    plan.digest_begin = transfer.grant.first_block;
    plan.digest_end = static_cast<std::uint32_t>(plan.blocks.size());
    const auto digests = remote_->step(BatchPlan{0, {plan}}).sequences.front().digests;
    KvHandoff handoff{transfer.grant.transfer, transfer.grant.job, 1, transfer.grant.first_block, {}, true, rig_.answer(job.prompt, 1).front()};
    for (std::uint32_t i = 0; i < transfer.places.size(); ++i) {
      const std::uint32_t block = transfer.grant.first_block + i;
      std::memcpy(rig_.pool->bytes().data() + transfer.places[i].offset, remote_pool_.bytes().data() + block * geometry.block_bytes(), geometry.block_bytes());
      const auto tokens = static_cast<std::uint32_t>(std::min<std::size_t>(geometry.block_tokens, job.prompt.size() - block * geometry.block_tokens));
      handoff.handles.push_back({rig_.peer.node, rig_.peer.incarnation, geometry.group, block, 0, tokens, digests[i]});
    }
    rig_.worker->on_data_plane(PieceArrived{transfer.grant.transfer, from, 0, digests}, rig_.out);
    rig_.worker->on_data_plane(TransferClosed{transfer.grant.transfer, "complete"}, rig_.out);
    rig_.out.set_sender(rig_.peer);
    rig_.worker->on(handoff, rig_.out);
    ++transferred;
  }

  void cancel() {
    if (jobs_.empty()) return;
    const auto job = any(jobs_);
    job->second.cancelled = true;
    rig_.out.set_sender(rig_.coordinator);
    rig_.worker->on(CancelJob{JobId{job->first}, 1}, rig_.out);
  }

  // What the worker has said and asked for since the last time.
  void observe() {
    ASSERT_TRUE(rig_.out.messages<JobFailed>().empty());
    for (const TokenBatch& batch : rig_.out.messages_to<TokenBatch>(rig_.edge))
      for (const TokenItem& item : batch.tokens) {
        std::vector<TokenId>& tokens = jobs_.at(item.job.value).tokens;
        ASSERT_LE(item.index, tokens.size());
        if (item.index == tokens.size()) tokens.push_back(item.token);
        ASSERT_EQ(tokens[item.index], item.token) << "job " << item.job.value << " at " << item.index;
      }
    for (const KvHandoff& handoff : rig_.out.messages_to<KvHandoff>(rig_.peer))
      if (handoff.last) jobs_.at(handoff.job.value).handed_over = true;
    for (NotedPlane::Pushed& push : std::exchange(rig_.plane.pushed, {})) {
      const std::uint64_t id = push.transfer.high;
      ++jobs_.at(id).pushes;
      std::vector<std::byte> bytes = bytes_of(push);
      const std::uint64_t ticket = push.ticket;
      pushes_.emplace(ticket, Push{id, std::move(push), std::move(bytes)});
    }
    std::map<TransferId, std::vector<Place>> opened;
    for (NotedPlane::Opened& each : std::exchange(rig_.plane.opened, {})) opened[each.transfer] = std::move(each.places);
    for (const Grant& grant : rig_.out.messages_to<Grant>(rig_.peer)) transfers_[grant.transfer] = {grant, opened.at(grant.transfer)};
    for (const TransferId& transfer : std::exchange(rig_.plane.closed, {})) {
      transfers_.at(transfer).closing = true;
      ++closed_early;
    }
    rig_.out.clear();
  }

  // Sequences are numbered like jobs. A share that begins before the last one's means that the sequence was preempted.
  void count_restarts() {
    std::map<std::uint64_t, std::uint32_t> reached;
    for (const BatchPlan& plan : rig_.engine->plans)
      for (const SequencePlan& share : plan.sequences) {
        if (reached[share.sequence] > share.first_position && jobs_.at(share.sequence).kind == Kind::kPrefill) ++prefill_restarts;
        reached[share.sequence] = share.first_position + static_cast<std::uint32_t>(share.tokens.size());
      }
  }

  Random random_;
  WorkerRig rig_;
  const std::uint32_t blocks_;
  EnginePool remote_pool_;
  std::unique_ptr<Engine> remote_;
  std::vector<std::vector<TokenId>> beginnings_;
  std::map<std::uint64_t, Job> jobs_;
  std::map<std::uint64_t, Push> pushes_;
  std::map<TransferId, Transfer> transfers_;
};

TEST(WorkerRandom, AmongSlowPeersEveryJobEndsWithItsTokens) {
  std::uint64_t preemptions = 0, hits = 0, transferred = 0, closed_early = 0, prefill_restarts = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomPeers peers(seed);
    peers.run();
    if (::testing::Test::HasFailure()) return;
    preemptions += peers.preemptions();
    hits += peers.hits();
    transferred += peers.transferred;
    closed_early += peers.closed_early;
    prefill_restarts += peers.prefill_restarts;
  }
  EXPECT_GT(preemptions, 500u);
  EXPECT_GT(prefill_restarts, 40u);
  EXPECT_GT(closed_early, 40u);
  EXPECT_GT(transferred, 500u);
  EXPECT_GT(hits, 10'000u);
}

}  // namespace
}  // namespace baton::test
