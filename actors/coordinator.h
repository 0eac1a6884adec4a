// SPDX-License-Identifier: Apache-2.0
// Coordinator: membership, placement, and the one authority on which worker has which job under which epoch. It never
// tokenises and sends nothing per token; it receives token ids in batches, so that any job can be continued elsewhere.
//
// A job is queued, placed (StartPrefill and StartDecode in one turn), finished (a worker said so; the edge may not have all tokens
// yet) and ended: closed by its edge, cancelled, failed, or out of time. Its record stays until every worker that was given it has
// released it or died.
// When a worker dies, jobs that cannot go on without it are resumed: their edge is asked how far their streams are, and they are placed
// again under the next epoch, behind the ids that were generated. A job during which workers die without a token of it in between
// is tried alone once more, and then refused (quarantine). Attempts that are lost again without a token in between draw on a budget. A
// worker that is drained gets no new jobs, and those it has move away: their
// KV is fetched by another worker's cache while they go on, then they are resumed there.
//
// A job is admitted if the queue has room and its first token is expected in time; else it is refused at once and told when to come again.
// One whose time has passed in the queue, or would before its first token, is not placed.
//
// Runs on the control loop only. Owns the job table (at most jobs_max that wait, and what the workers have) and the member table.
// Cost: O(log jobs + log workers) per event, O(members) per join or leave.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "actors/emitted_tokens.h"
#include "actors/ended_jobs.h"
#include "actors/event_ring.h"
#include "protocol/codec.h"
#include "runtime/actor/actor.h"
#include "runtime/actor/timers.h"
#include "runtime/journal/journal.h"
#include "scheduling/move_cost.h"
#include "scheduling/placement.h"
#include "scheduling/retry_budget.h"
#include "scheduling/ttft_forecast.h"

namespace baton {

struct CoordinatorOptions {
  std::string cluster_name;
  std::uint32_t pid = 0;
  Duration heartbeat_interval = std::chrono::milliseconds(200);
  std::uint32_t heartbeat_miss = 5;
  std::uint32_t jobs_max = 4096;            // that wait for a worker
  std::uint64_t queued_tokens_max = 400000;
  Duration request_time_limit = std::chrono::minutes(10);
  Duration ttft_limit{};                    // a job that would wait longer for its first token is refused; 0: its time limit alone counts
  Duration overload_calm = std::chrono::seconds(5);  // without a refusal until an overload is over
  RetryBudgetOptions retry_budget;
  bool resume = true;            // jobs outlive their workers; false: they fail with them
  std::uint32_t deaths_max = 2;  // of workers in a row, without a token in between, until a job is refused
  Duration journal_time_limit = std::chrono::seconds(1);    // for an admission to be written
  std::string supervisor_key;    // who may say that a process has ended; empty: nobody
  Duration recovery_time = std::chrono::seconds(1);         // for workers to come back to a new life of the coordinator
  Duration edge_recovery_time = std::chrono::seconds(10);   // for edges
  Duration move_time_limit = std::chrono::seconds(10);  // for a fetch
  std::uint64_t model_hash = 0;  // 0: the first worker's becomes the cluster's
};

class Coordinator {
 public:
  // Jobs whose attempt was over, since the beginning.
  struct Retries {
    std::uint64_t again = 0;
    std::uint64_t given_up = 0;
    std::uint64_t quarantined = 0;  // of those given up
    std::uint64_t out_of_budget = 0;  // of those given up
    std::uint64_t moved = 0;        // from a worker that is being drained
    std::uint64_t fetched = 0;      // of those moved: with their KV
  };
  using Inbox = std::variant<WorkerHello, EdgeHello, Heartbeat, Alive, AdmitJob, CancelJob, JobFailed, TokenBatch, JobClosed, StatusRequest,
                             FsckRequest, FsckReport, JobEnded, TraceRequest, TraceReport, EventsRequest, ResumePoint, RelayedBatch, PrefixFetched, WorkerLeaving,
                             ClusterCommand, JobReport, EdgeReport, LinkDown>;

  // `journal` outlives it; null: nothing is kept, its jobs end with it.
  explicit Coordinator(CoordinatorOptions options, Journal* journal = nullptr) : options_(std::move(options)), journal_(journal), retry_budget_(options_.retry_budget) {}

  void on(const WorkerHello&, Outbox&);
  void on(const EdgeHello&, Outbox&);
  void on(const Heartbeat&, Outbox&);
  void on(const LinkDown&, Outbox&);
  void on(const AdmitJob&, Outbox&);
  void on(const CancelJob&, Outbox&);
  void on(const JobFailed&, Outbox&);
  void on(const TokenBatch&, Outbox&);
  void on(const JobClosed&, Outbox&);
  void on(const StatusRequest&, Outbox&);
  void on(const FsckRequest&, Outbox&);
  void on(const FsckReport&, Outbox&);
  void on(const JobEnded&, Outbox&);
  void on(const TraceRequest&, Outbox&);
  void on(const TraceReport&, Outbox&);
  void on(const EventsRequest&, Outbox&);
  void on(const ResumePoint&, Outbox&);
  void on(const RelayedBatch&, Outbox&);
  void on(const Alive&, Outbox&) {}
  void on(const PrefixFetched&, Outbox&);
  void on(const WorkerLeaving&, Outbox&);
  void on(const ClusterCommand&, Outbox&);
  void on(const JobReport&, Outbox&);
  void on(const EdgeReport&, Outbox&);
  void tick(Outbox& out);

  // What the journal had when this life began. Before the first turn.
  void recover(const JournalRecords& records, Time now);
  // It begins; an event and nothing else.
  void start(Time now);
  // From now on no job is admitted; those that are in go on.
  void drain(Time now);
  std::size_t jobs() const { return jobs_.size(); }
  std::size_t workers() const { return workers_.size(); }
  const Retries& retries() const { return retries_; }
  AdmissionStatus admission() const;
  // What is inconsistent between the tables; empty when all is well.
  std::vector<std::string> check_integrity() const;

 private:
  // kResuming: its edge has been asked how far its stream is. kRecovering: see Recovery.
  enum class Phase : std::uint8_t { kQueued, kPlaced, kResuming, kRecovering, kFinished, kEnded };
  // Of a job from the journal, until it is known where it goes on.
  struct Recovery {
    bool edge_here = false;
    bool adopted = false;   // by another life of its edge
    Epoch edge_epoch = 0;   // what it accepts
    std::optional<std::pair<NodeId, Epoch>> whole;            // who decodes it
    std::optional<std::pair<NodeId, Epoch>> prefill, decode;  // who has a half: one alone waits for a word that is lost
    bool finished = false;  // by somebody who could not say so
  };
  struct Job {
    std::uint64_t order = 0;  // of admission; a job placed again keeps its turn
    ActorRef edge;
    std::vector<TokenId> prompt;
    SamplingParams sampling;
    std::string cache_salt;
    std::string client;  // its edge's own
    std::uint64_t time_limit_ns = 0;
    Time deadline{};
    bool acknowledged = false;
    std::optional<Recovery> recovery;
    Phase phase = Phase::kQueued;
    Epoch epoch = 0;
    std::uint32_t deaths = 0;      // of workers it was on, in a row, without a token in between
    std::uint32_t losses = 0;      // of attempts, whatever the cause, in a row, without a token in between
    bool on_probation = false;     // placed where no other suspect is
    std::uint32_t known = 0;       // tokens when it was placed
    NodeId moved_to;               // has its KV and takes it over; none: placed like any other
    JobId fetch;                   // its KV is under way there
    NodeId prefill;
    NodeId decode;  // equal to prefill: no transfer
    std::uint64_t computing = 0;  // tokens at the prefill worker that the forecast counts; 0: its first token is here, or does not come
    std::map<std::pair<NodeId, Epoch>, std::uint64_t> holders;  // -> tokens it is charged for; gone once released
    EmittedTokens emitted;                                      // attempts must agree on every position's token
    JobFinish finish;                                           // from kFinished on
  };
  struct Asker {
    ActorRef edge;
    std::uint64_t tag = 0;
    bool operator==(const Asker&) const = default;
  };
  // A fetch that prepares a job's move.
  struct Move {
    JobId job;
    Epoch epoch = 0;
    NodeId from;
    NodeId to;
  };
  struct Member {
    ActorRef actor;
    WorkerHello hello;
    WorkerState state = WorkerState::kReady;
    Heartbeat last;
    std::map<std::string, LinkTraffic> traffic;  // by peer
    std::set<JobId> jobs;  // those it holds
    Time beat_at{};        // of `last`
    std::vector<Asker> drainers;      // who wait until it holds nothing
    std::uint32_t moves = 0;          // of its jobs, under way
    bool leaving = false;             // its process ends: no undrain keeps it
  };
  struct Edge {
    ActorRef actor;
    PeerCard card;
    std::set<JobId> jobs;
  };
  struct Fsck {
    ActorRef asker;
    FsckReport report;
    std::set<NodeId> missing;
  };
  // Somebody asked for a job that edges are being asked for.
  struct Trace {
    ActorRef asker;
    std::uint64_t tag = 0;
    std::set<NodeId> missing;
  };
  // A job that is not admitted.
  struct Refusal {
    std::uint64_t AdmissionStatus::*counter;
    ErrorCode code;
    std::string message;
    Duration retry_after{};
  };
  // Jobs are being refused, or expire in the queue.
  struct Overload {
    Time since;
    AdmissionStatus before;  // the counters then
  };
  enum class Deadline : std::uint8_t { kJob, kWorker, kFsck, kDelivery, kTrace, kMove, kRecovery, kJournal, kPulse, kOverload };
  using TimerKey = std::pair<Deadline, std::uint64_t>;

  // coordinator.cc: members
  Result<void> compatible(const WorkerHello& hello) const;
  JoinAccepted join_accepted() const;
  void welcome(const PeerCard& card, const ActorRef& actor, Outbox& out);
  void broadcast_left(const ActorRef& actor, const std::string& reason, Outbox& out);
  // What is known of its end. kSilent: a frozen or unreachable worker is no evidence against its jobs.
  enum class Loss : std::uint8_t { kSilent, kDied };
  void lose_worker(NodeId node, Loss loss, const std::string& reason, Outbox& out);
  void lose_edge(NodeId node, const std::string& reason, Outbox& out);
  void note_retries(const Retries& before, const std::string& subject, Outbox& out);
  bool from_member(const Outbox& out) const;
  void arm(Outbox& out);

  // coordinator_questions.cc: what users ask
  void answer_fsck(std::uint64_t id, Outbox& out);
  bool from_edge(const Outbox& out) const;
  void answer_trace(std::uint64_t id, TraceReport report, Outbox& out);

  // coordinator_admission.cc: who gets in, and who has waited for too long
  Result<void> admissible(const AdmitJob& job) const;
  std::optional<Refusal> crowded_out(const AdmitJob& job) const;
  void refuse(JobId id, const Refusal& refusal, Outbox& out);
  bool too_late(const Job& job, NodeId prefill, Time now) const;
  void expire(JobId id, Job& job, Outbox& out);
  void note_overload(const std::string& what, Outbox& out);
  void end_overload(Outbox& out);
  void stop_computing(Job& job, bool computed, Time now);
  void follow_worker(NodeId node);

  // coordinator_jobs.cc: jobs
  void dispatch(Outbox& out);
  std::uint64_t dispatch(std::map<std::uint64_t, JobId>& queue, Outbox& out);
  void place(JobId id, Job& job, const LeastLoaded::Choice& choice, Outbox& out);
  std::optional<LeastLoaded::Choice> choose(const Job& job) const;
  std::map<std::uint64_t, JobId>& queue_of(const Job& job) { return job.deaths > 0 ? suspects_ : queue_; }
  void enqueue(JobId id, Job& job);
  void withdraw(JobId id, const Job& job, Outbox& out);
  void fail_job(JobId id, Job& job, ErrorCode code, const std::string& message, Outbox& out);
  void end(JobId id, Job& job, Outbox& out);
  void released(const JobRelease& release, NodeId worker, Time now);
  void take_token(const TokenItem& item, Outbox& out);
  void take_finish(const JobFinish& finish, NodeId worker, Outbox& out);
  void deliver_again(JobId id, Job& job, const std::string& reason, Outbox& out);
  void watch_delivery(JobId id, Outbox& out);
  void forget_if_released(JobId id);
  void take_batch(const TokenBatch& batch, NodeId worker, Outbox& out);

  // coordinator_resume.cc: what becomes of a job whose worker is gone
  static void blame(Job& job);
  void end_probation(Job& job);
  bool may_be_tried_again(Job& job, Time now);
  void lose_attempt(JobId id, Job& job, const std::string& reason, Outbox& out);
  void spare(JobId id, Job& job, const std::string& reason, Outbox& out);
  void resume(JobId id, Job& job, Outbox& out);
  void send_missing(JobId id, const Job& job, std::uint32_t from, Outbox& out);

  // coordinator_recovery.cc: a life after another's
  enum RecordKind : std::uint8_t { kLifeRecord = 0, kJobRecord = 1, kRoleRecord = 2 };
  static constexpr std::uint64_t kWorkersBack = 0, kEdgesBack = 1;
  Epoch next_epoch(const Job& job) const { return std::max(job.epoch, first_epoch_) + 1; }
  Duration time_limit(std::uint64_t asked_ns) const;
  void acknowledge(JobId id, bool ok, Outbox& out);
  void journal_job(JobId id, const Job& job, std::function<void(bool, Outbox&)> durable);
  void claim_jobs(const ActorRef& edge, Outbox& out);
  void end_recovered(JobId id, Outbox& out);
  void take_held(const HeldJob& held, Member& member, Outbox& out);
  void hold(const HeldJob& held, Job& job, Member& member);
  static void forget_place(Recovery& recovery, NodeId node);
  void settle(JobId id, Job& job, Outbox& out);
  void end_recovery(std::uint64_t whose, Outbox& out);
  void resume_unclaimed(JobId id, Outbox& out);

  // coordinator_moves.cc: drains, roles, moves
  Result<NodeId> find_worker(const std::string& name) const;
  Result<void> can_do_without(NodeId node, std::optional<Role> becomes) const;
  void start_drain(NodeId node, const std::string& why, Outbox& out);
  void end_drain(NodeId node, Outbox& out);
  void change_role(NodeId node, Role role, Outbox& out);
  void move_jobs(NodeId node, Outbox& out);
  bool move_job(JobId id, Job& job, NodeId from, Outbox& out);
  MoveCost cost_of_move(const Job& job, const Member& from) const;
  void drop_move(Job& job, Outbox& out);
  void end_move(JobId fetch, bool fetched, Outbox& out);
  void note_drained(NodeId node, Outbox& out);

  const CoordinatorOptions options_;
  Journal* const journal_;
  Epoch first_epoch_ = 0;  // of this life: attempts of earlier ones have lower epochs
  bool workers_are_back_ = false;
  bool journal_works_ = true;
  std::map<NodeId, Member> workers_;
  std::map<NodeId, Edge> edges_;
  std::map<JobId, Job> jobs_;
  std::map<std::uint64_t, JobId> queue_;     // by order of admission
  std::map<std::uint64_t, JobId> suspects_;  // the same of jobs that workers may have died of: one at a time on a worker
  std::set<NodeId> probation_;               // workers with a suspect
  std::map<JobId, Move> moves_;              // by the fetch's own id
  std::map<std::string, Role> roles_;        // of workers that were given another one, by name
  std::uint64_t queued_tokens_ = 0;
  std::uint64_t prefill_speed_ = 0;  // tokens a second of a worker; the best of late, slowly forgotten
  LeastLoaded placement_;
  TtftForecast forecast_;
  AdmissionStatus admission_;  // its counters
  std::optional<Overload> overload_;
  RetryBudget retry_budget_;
  bool out_of_retries_ = false;  // since the last attempt that was lost
  Timers<TimerKey> timers_;
  std::map<std::uint64_t, Fsck> fscks_;
  std::map<std::uint64_t, Trace> traces_;
  EndedJobs ended_;
  EventRing events_;
  Retries retries_;
  bool draining_ = false;
  std::uint64_t next_order_ = 1;
  std::uint64_t next_fsck_ = 1;
  std::uint64_t next_trace_ = 1;
  WorkerHello model_;  // of the first worker; what later ones must match. vocab_size 0: none yet
};

}  // namespace baton
