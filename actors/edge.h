// SPDX-License-Identifier: Apache-2.0
// Edge: the actor that faces clients. Turns text into ids and ids into text, puts token positions in order (the first comes
// from the prefill worker, the rest from decode: two connections), drops repeats and insists that they are equal. A token that
// differs from the one already delivered at its position ends the stream with an error; it is never withdrawn or replaced.
// Stop strings live here: text that may be the beginning of one is held back until that is decided.
//
// A submission (Request) has n choices, each a job of the cluster and a Stream here. Its client gets one terminal: when the
// last choice has ended, or at the first error or cancellation, which ends all of them.
//
// Runs on its own loop only. Owns the requests and their streams, at most streams_max; borrows the tokenizer (immutable).
// Cost per token: O(log streams + stop strings x bytes of its text).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "actors/job_timeline.h"
#include "actors/kept_answers.h"
#include "actors/process_control.h"
#include "actors/stop_filter.h"
#include "models/tokenizer.h"
#include "protocol/codec.h"
#include "runtime/actor/actor.h"

namespace baton {

struct EdgeOptions {
  std::string name;
  std::string control_address;
  std::string coordinator_address;
  NodeId coordinator_node;
  std::uint32_t max_model_len = 0;
  std::uint32_t default_max_tokens = 256;
  std::uint32_t streams_max = 16384;
  std::uint64_t model_hash = 0;
  bool resumable = false;  // it ends with the coordinator: its jobs are adopted by its next life
  Duration coordinator_lease = std::chrono::seconds(30);  // how long streams are kept while no coordinator is there
  Duration alive_interval = std::chrono::milliseconds(250);  // how often the coordinator hears of this edge
  Duration adoption_limit = std::chrono::seconds(30);     // how long an adopted job waits for its client
};

class Edge {
 public:
  using Inbox = std::variant<JoinAccepted, JoinRefused, PeersJoined, PeerLeft, JobAdmitted, JobPlaced, JobFailed, ResumeQuery, AdoptJob, TokenBatch,
                             Alive, ClientSubmit, ClientCancel, ClientAttach, StatusRequest, StatusReport, FsckRequest, FsckReport, TraceRequest, TraceReport, EventsRequest, EventsReport, ClusterCommand, ClusterCommandDone, LinkDown>;

  Edge(EdgeOptions options, const Tokenizer& tokenizer, ProcessControl& process);

  void start(Outbox& out);  // first turn: says hello to the coordinator
  void tick(Outbox& out);

  void on(const JoinAccepted&, Outbox&);
  void on(const JoinRefused&, Outbox&);
  void on(const PeersJoined&, Outbox&);
  void on(const PeerLeft&, Outbox&);
  void on(const JobAdmitted&, Outbox&);
  void on(const JobPlaced&, Outbox&);
  void on(const JobFailed&, Outbox&);
  void on(const ResumeQuery&, Outbox&);
  void on(const AdoptJob&, Outbox&);
  void on(const TokenBatch&, Outbox&);
  void on(const ClientSubmit&, Outbox&);
  void on(const ClientCancel&, Outbox&);
  void on(const ClientAttach&, Outbox&);
  void on(const Alive&, Outbox&) {}
  void on(const StatusRequest&, Outbox&);
  void on(const StatusReport&, Outbox&);
  void on(const FsckRequest&, Outbox&);
  void on(const FsckReport&, Outbox&);
  void on(const TraceRequest&, Outbox&);
  void on(const TraceReport&, Outbox&);
  void on(const EventsRequest&, Outbox&);
  void on(const EventsReport&, Outbox&);
  void on(const ClusterCommand&, Outbox&);
  void on(const ClusterCommandDone&, Outbox&);
  void on(const LinkDown&, Outbox&);

  std::size_t streams() const { return streams_.size(); }
  std::size_t requests() const { return requests_.size(); }

 private:
  using RequestId = std::uint64_t;
  // One submission; lives as long as one of its choices does.
  struct Request {
    ActorRef client;  // invalid: a detached job's; its answer is kept
    std::uint64_t tag = 0;
    std::string id;
    std::uint32_t prompt_tokens = 0;
    SamplingParams sampling;  // of choice 0
    std::vector<std::string> stop;
    bool include_stop = false;
    std::vector<JobId> jobs;     // by choice
    std::uint32_t admitted = 0;  // choices the coordinator has taken
    bool accepted = false;       // it has taken all and the client has been told; nothing is delivered before
    std::set<std::uint32_t> open;  // choices that have not ended
    ClientDone summary;            // of the choices that have
    JobMarks marks;                   // of the choice that spoke first
    std::optional<std::uint32_t> timed;  // which that is
    std::vector<JobAttempt> attempts;
    std::uint32_t preemptions = 0;  // of choices that have ended, by the workers that ended them
  };
  struct Stream {
    Stream(RequestId of, std::uint32_t number, const StopFilter& fresh, const Tokenizer& tokenizer)
        : request(of), choice(number), text(tokenizer), stops(fresh) {}

    RequestId request;
    std::uint32_t choice;
    bool admitted = false;
    std::optional<AdmitJob> asked;  // until it is admitted: a coordinator may die with it
    Epoch epoch = 0;
    std::vector<TokenId> delivered;
    std::map<std::uint32_t, TokenItem> early;  // positions beyond the next
    std::optional<JobFinish> finish;
    StreamDetokenizer text;
    StopFilter stops;
    std::uint32_t prompt_due = 0;        // prompt positions whose log-probabilities come before any token
    std::uint32_t prompt_known = 0;      // those that have come, in order
    std::vector<TokenItem> prompt;       // and are still to be sent
    std::optional<TokenTiming> timings[2];  // of the first two tokens, from whoever was first to bring them
  };
  struct Question {
    ActorRef asker;
    std::uint64_t tag = 0;
  };

  // edge.cc: membership, clients
  void say_hello(Outbox& out);
  void report_streams(Outbox& out);
  void give_up(const std::string& why, Outbox& out);
  Stream& add_choice(RequestId id, Request& request, JobId job, std::uint32_t choice, const SamplingParams& sampling, const StopFilter& stops);
  Result<std::vector<TokenId>> prompt_of(ClientSubmit& submit) const;
  Result<void> acceptable(const ClientSubmit& submit) const;
  void refuse(const ClientSubmit& submit, const Error& error, Outbox& out);
  void open_request(ClientSubmit submit, std::vector<TokenId> prompt, Outbox& out);
  void hear(const ActorRef& sender, const TokenBatch& batch, Outbox& out);
  void lose_client(NodeId node, Incarnation life, Outbox& out);

  // edge_streams.cc: from token batches to what clients see
  void take_batch(const TokenBatch& batch, Outbox& out);
  bool raise_epoch(Stream& stream, Epoch epoch);
  bool known(const TokenItem& item) const;
  std::string note_token(Stream& stream, const TokenItem& item);
  void take_prompt(Stream& stream, const TokenItem& item);
  void advance(JobId job, Outbox& out);
  void send_prompt(Stream& stream, const Request& request, Outbox& out);
  void deliver(Stream& stream, Request& request, Outbox& out);
  ClientToken client_token(const TokenItem& item, std::string text) const;
  void end_choice(JobId job, FinishReason reason, Outbox& out);
  void finish_request(RequestId id, Outbox& out);
  void cancel_request(RequestId id, Outbox& out);
  void fail_request(RequestId id, ErrorCode code, const std::string& message, Outbox& out, std::uint64_t retry_after_ns = 0);
  void cancel_jobs(const Request& request, Outbox& out);
  void close_stream(JobId job, Outbox& out);
  void forget(RequestId id);

  // edge_detached.cc: jobs that outlive their clients
  template <class Message>
  void tell(const Request& request, const Message& message, Outbox& out);
  void keep(const std::string& id, const ClientAccepted& accepted, Outbox& out);
  void keep(const std::string& id, const ClientTokens& tokens, Outbox& out);
  void keep(const std::string& id, const ClientChoiceDone&, Outbox&);
  void keep(const std::string& id, const ClientDone& done, Outbox& out);
  void keep(const std::string& id, const ClientError& error, Outbox& out);
  void keep_end(const std::string& id, KeptAnswers::End end, Outbox& out);
  void replay(KeptAnswers::Answer& answer, Outbox& out);
  void expire_adopted(Outbox& out);

  // edge_questions.cc: what clients ask about the cluster and its jobs
  template <class Asked>
  void ask_coordinator(Asked asked, Outbox& out);
  template <class Report>
  void pass_on(Report report, Outbox& out);
  void take_timing(Stream& stream, const TokenTiming& timing);
  void mark_token(const Stream& stream, Request& request, std::uint32_t index, Time now);
  JobTimeline timeline_of(const Request& request, Time now) const;
  JobTimeline report_end(const Request& request, JobState state, FinishReason reason, const std::string& error, Outbox& out);

  const EdgeOptions options_;
  const Tokenizer& tokenizer_;
  ProcessControl& process_;
  ActorRef coordinator_;
  bool joined_ = false;
  Time alive_at_{};                       // when the coordinator hears of this edge next
  std::optional<Time> orphaned_at_;       // since no coordinator is there
  std::map<std::string, Time> adopted_;   // jobs whose client has not come yet, and until when they wait
  std::map<JobId, Stream> streams_;
  std::map<RequestId, Request> requests_;
  std::map<std::string, RequestId> by_id_;
  std::map<std::pair<NodeId, Incarnation>, std::set<RequestId>> by_client_;
  RequestId next_request_ = 1;
  KeptAnswers kept_;
  std::map<std::uint64_t, Question> questions_;
  std::uint64_t next_question_ = 1;
  std::map<NodeId, ActorRef> members_;                     // who may bring tokens, besides the coordinator
  std::deque<std::pair<ActorRef, TokenBatch>> strangers_;  // batches of those the coordinator has not introduced yet
};

}  // namespace baton
