// SPDX-License-Identifier: Apache-2.0
// Worker: a pool member. Joins the coordinator, runs prefill and decode sequences in continuous batches on its engine, sends
// tokens to the edges and the coordinator, and hands KV over or takes it in. Role prefill, decode and both are the same
// object: the role decides what the coordinator sends it.
//
// Runs on the control loop only. Owns the sequences and the block accounts; borrows the engine port, the data plane and the
// process control.
//
// First come, first blocks. Sequences are admitted strictly in order of arrival and take blocks as they grow. One that finds none
// free or cached takes them from the youngest sequence that has some and is younger than itself: that one is preempted, goes
// back to waiting with its turn and computes its tokens again later. One that finds none younger keeps what it has and waits. So
// at any time every admitted sequence is older than every waiting one, save those that need nothing more (ending, or handed over
// and waiting for the result), and those end by themselves within a time limit.
// Why nothing waits for ever: the coordinator dispatches both halves of a job in one turn, so all workers know jobs in one order.
// Of the jobs that have not ended take the first. On each worker that has it, it is the oldest sequence: it is admitted, since
// nothing younger stays before it, and it can take the blocks of everything younger, also of decode halves that hold them for
// KV not yet sent (their transfer is closed first) and of prefill halves that hold them for a grant not yet given. Both its halves
// therefore get what they need of their workers, and wait for nothing but each other and a transfer with a time limit. It fits:
// add() refuses what is larger than the pool. Then the next job is the first. A sequence is preempted only for an older one, and
// there are finitely many of those.
// Bounded: sequences by the coordinator's dispatch limit, tombstones and early grants by constants below.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "actors/process_control.h"
#include "actors/sequence.h"
#include "actors/traffic_counters.h"
#include "engine/engine.h"
#include "engine/engine_port.h"
#include "kvstore/block_cache.h"
#include "protocol/codec.h"
#include "runtime/actor/actor.h"
#include "runtime/actor/timers.h"
#include "runtime/link/data_plane.h"
#include "scheduling/batching.h"

namespace baton {

struct WorkerOptions {
  std::string name;
  std::string pool;
  Role role = Role::kBoth;
  std::uint32_t pid = 0;
  std::string control_address;
  std::string coordinator_address;
  NodeId coordinator_node;
  std::uint32_t blocks_total = 0;
  bool prefix_caching = true;
  std::uint64_t prefix_hash_mask = ~std::uint64_t{0};  // fewer bits make prefixes collide: for simulation
  BatchLimits limits;
  Duration grant_time_limit = std::chrono::minutes(10);     // a grant may wait that long for its prefill's turn
  Duration transfer_time_limit = std::chrono::seconds(10);  // from one sign of a hand-over to the next
  Duration coordinator_lease = std::chrono::seconds(30);    // how long it goes on with its jobs while no coordinator is there
};

// Slots of the blocks that sequences hold, and how many of them hold K and V or are being written by the running step.
struct SlotCounts {
  std::uint64_t held = 0;
  std::uint64_t used = 0;
};

class Worker {
 public:
  using Inbox = std::variant<JoinAccepted, JoinRefused, PeersJoined, PeerLeft, HeartbeatAck, StartPrefill, StartDecode, CancelJob,
                             Grant, KvHandoff, TransferResult, FsckRequest, RoleChange, LinkDown>;

  Worker(WorkerOptions options, const EngineInfo& engine_info, EnginePort& engine, DataPlane& plane, ProcessControl& process);

  void start(Outbox& out);  // first turn: says hello
  void tick(Outbox& out);

  void on(const JoinAccepted&, Outbox&);
  void on(const JoinRefused&, Outbox&);
  void on(const PeersJoined&, Outbox&);
  void on(const PeerLeft&, Outbox&);
  void on(const HeartbeatAck&, Outbox&);
  void on(const LinkDown&, Outbox&);
  void on(const StartPrefill&, Outbox&);
  void on(const StartDecode&, Outbox&);
  void on(const CancelJob&, Outbox&);
  void on(const Grant&, Outbox&);
  void on(const KvHandoff&, Outbox&);
  void on(const TransferResult&, Outbox&);
  void on(const FsckRequest&, Outbox&);
  void on(const RoleChange&, Outbox&);

  // The process was asked to end: asks the coordinator to move its jobs away. It may end once may_end(): it is idle, and the
  // coordinator, if it still answers, knows that nothing more may come.
  void leave(Outbox& out);
  bool may_end(Time now) const { return idle() && (leave_acks_ == 0 || now >= leave_limit_); }
  void on_data_plane(const DataPlaneEvent& event, Outbox& out);

  // The block accounts with every complaint of check_integrity(); empty `problems` when all is well.
  FsckAccount account() const;
  bool idle() const { return sequences_.empty() && !step_running_; }
  const BlockCache& blocks() const { return blocks_; }
  const Heartbeat& stats() const { return stats_; }
  SlotCounts slots() const;

 private:
  using JobKey = std::pair<JobId, Epoch>;
  struct Batches {
    std::map<ActorRef, TokenBatch> to_edges;
    TokenBatch to_coordinator;
  };

  // worker.cc: membership and liveness
  void say_hello(Outbox& out);
  void heartbeat(Outbox& out);
  void arm(Outbox& out);
  void lose_peer(NodeId node, Incarnation life, Outbox& out);
  bool cut_off(const PeerKey& peer);
  void lose_coordinator(Outbox& out);
  bool from_coordinator(const Outbox& out) const;
  void end_fetches(Outbox& out);
  void report_jobs(Outbox& out);

  // worker_steps.cc: continuous batching and the life of a sequence
  Sequence* find(JobId job, Epoch epoch);
  void add(Sequence sequence, Outbox& out);
  std::optional<FinishReason> ended_by(const Sequence& sequence) const;
  void maybe_step(Outbox& out);
  BatchPlan plan_step(Outbox& out);
  SequencePlan plan_share(Sequence& sequence, std::uint32_t tokens);
  void step_done(const StepResult& result, Outbox& out);
  void take_result(Sequence& sequence, const SequenceResult& result, std::uint32_t computed, Outbox& out);
  void emit(const Sequence& sequence, const ScoredToken& drawn);
  void emit_timing(Sequence& sequence, Time now);
  void emit_prompt(const Sequence& sequence, const std::vector<ScoredToken>& scored, Outbox& out);
  void finish(Sequence& sequence, FinishReason reason);
  void fail_job(Sequence& sequence, ErrorCode code, const std::string& message, Outbox& out);
  void end(Sequence& sequence, Outbox& out);
  void settle(Sequence& sequence, Outbox& out);
  void bury(JobId job, Epoch epoch);
  bool buried(JobId job, Epoch epoch) const;
  void flush(Outbox& out);
  void send_to_edge(const ActorRef& edge, TokenBatch batch, Outbox& out);

  // worker_blocks.cc: admission, growth, preemption, and the prefix cache
  void admit_waiting(Outbox& out);
  bool admit(Sequence& sequence, Outbox& out);
  std::uint32_t blocks_spoken_for() const;
  bool may_reuse(const Sequence& sequence) const;
  std::vector<BlockId> cached_prefix(const Sequence& sequence) const;
  void take_prefix(Sequence& sequence, const std::vector<BlockId>& found, Outbox& out);
  void know_digests(Sequence& sequence);
  void extend_prefix(Sequence& sequence, Outbox& out);
  void publish(Sequence& sequence);
  void take_blocks(Sequence& sequence, std::uint32_t count);
  std::uint32_t grow(Sequence& sequence, std::uint32_t tokens, Outbox& out);
  void make_room(const Sequence& needy, Outbox& out);
  void preempt(Sequence& sequence, Outbox& out);
  void step_back(Sequence& sequence, Outbox& out);
  void let_go(Sequence& sequence, Outbox& out);

  // worker_fetch.cc: KV from cache to cache
  void begin_fetch(Sequence& sequence, Outbox& out);
  void check_fetch(Sequence& sequence, Outbox& out);
  void end_fetch(Sequence& sequence, const std::string& why, Outbox& out);

  // worker_kv.cc: both halves of a hand-over
  void open_transfer(Sequence& sequence, Outbox& out);
  void send_grant(const Sequence& sequence, Outbox& out);
  void hand_over(Sequence& sequence, Outbox& out);
  void push_blocks(Sequence& sequence, std::uint32_t count, Outbox& out);
  void give_up_push(Sequence& sequence, Outbox& out);
  void close_incoming(Sequence& sequence);
  void check_incoming(Sequence& sequence, Outbox& out);
  bool is_as_sent(const Sequence& sequence, std::uint32_t block) const;
  void adopt(Sequence& sequence, Outbox& out);
  void take_in(Sequence& sequence, std::uint32_t blocks);
  void forgo_transfer(Sequence& sequence, const std::string& why, Outbox& out);
  void recompute(Sequence& sequence, const std::string& why, Outbox& out);
  void watch_incoming(Sequence& sequence, Outbox& out);
  void on_event(const PieceArrived&, Outbox&);
  void on_event(const TransferClosed&, Outbox&);
  void on_event(const PushDone&, Outbox&);
  void on_event(const PeerFailed&, Outbox&);
  void redial();
  void transfer_overdue(std::uint64_t sequence, Outbox& out);

  static constexpr std::size_t kTombstonesMax = 1u << 16;
  static constexpr std::size_t kEarlyGrantsMax = 1u << 14;
  static constexpr std::size_t kCutPeersMax = 4096;
  static constexpr std::size_t kUnreportedMax = 4096;
  static constexpr std::size_t kReasonBytesMax = 1024;
  static constexpr std::size_t kPromptItemsPerMessage = 1024;  // each with up to 20 likeliest tokens
  static constexpr Duration kHelloInterval = std::chrono::seconds(1);

  const WorkerOptions options_;
  const EngineInfo info_;
  EnginePort& engine_;
  DataPlane& plane_;
  ProcessControl& process_;

  ActorRef coordinator_;
  ActorRef former_;  // while orphaned: who was
  Role role_;
  bool joined_ = false;
  std::optional<Time> orphaned_at_;    // a coordinator that had given it jobs is gone; they go on
  std::deque<HeldJob> unreported_;     // ended since then; at most kUnreportedMax
  Duration heartbeat_interval_{};
  std::uint32_t heartbeat_miss_ = 0;
  Time next_heartbeat_ = kNever;  // the next hello, until it is answered
  Time last_heard_{};
  std::uint32_t beats_unanswered_ = 0;
  bool leaving_ = false;
  std::uint32_t leave_acks_ = 0;  // until all that was said before leave() has been heard
  Time leave_limit_{};
  Heartbeat stats_;
  TrafficCounters traffic_;
  std::map<NodeId, PeerCard> peers_;
  bool has_data_peers_ = false;  // other workers, now or before
  std::set<PeerKey> redial_;  // whose data connection broke since the last heartbeat

  BlockCache blocks_;
  std::map<std::uint64_t, Sequence> sequences_;  // by id: in order of arrival
  std::map<JobId, std::uint64_t> by_job_;
  std::map<TransferId, std::uint64_t> by_transfer_;  // open() of ours not yet closed
  std::map<std::uint64_t, std::pair<std::uint64_t, PeerKey>> by_ticket_;  // -> sequence, and whom it is pushed to
  struct EarlyGrant {
    Grant grant;
    ActorRef from;
    Time at{};
  };
  std::map<JobKey, EarlyGrant> early_grants_;
  std::map<JobId, Epoch> tombstones_;
  std::deque<JobId> tombstone_order_;
  Timers<std::uint64_t> overdue_;  // sequence id
  std::uint64_t next_sequence_ = 1;
  std::uint64_t next_ticket_ = 1;
  std::uint64_t next_step_ = 1;
  bool step_running_ = false;
  std::map<std::uint64_t, std::uint32_t> in_step_;  // sequence id -> tokens in the running step
  Batches batches_;
  std::set<PeerKey> cut_off_;  // whom this life cannot reach any more; at most kCutPeersMax
};

}  // namespace baton
