// SPDX-License-Identifier: Apache-2.0
// Edge: the actor that faces clients. Turns text into ids and ids into text, puts token positions in order (the first comes
// from the prefill worker, the rest from decode: two connections), drops repeats and insists that they are equal. A token that
// differs from the one already delivered at its position ends the stream with an error; it is never withdrawn or replaced.
//
// Runs on its own loop only. Owns the streams, at most streams_max; borrows the tokenizer (immutable).
// Cost per token: O(log streams).
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

#include "actors/process_control.h"
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
};

class Edge {
 public:
  using Inbox = std::variant<JoinAccepted, JoinRefused, PeersJoined, PeerLeft, JobAdmitted, JobPlaced, JobFailed, TokenBatch,
                             ClientSubmit, ClientCancel, StatusRequest, StatusReport, FsckRequest, FsckReport, LinkDown>;

  Edge(EdgeOptions options, const Tokenizer& tokenizer, ProcessControl& process);

  void start(Outbox& out);  // first turn: says hello to the coordinator
  void tick(Outbox&) {}

  void on(const JoinAccepted&, Outbox&);
  void on(const JoinRefused&, Outbox&);
  void on(const PeersJoined&, Outbox&);
  void on(const PeerLeft&, Outbox&);
  void on(const JobAdmitted&, Outbox&);
  void on(const JobPlaced&, Outbox&);
  void on(const JobFailed&, Outbox&);
  void on(const TokenBatch&, Outbox&);
  void on(const ClientSubmit&, Outbox&);
  void on(const ClientCancel&, Outbox&);
  void on(const StatusRequest&, Outbox&);
  void on(const StatusReport&, Outbox&);
  void on(const FsckRequest&, Outbox&);
  void on(const FsckReport&, Outbox&);
  void on(const LinkDown&, Outbox&);

  std::size_t streams() const { return streams_.size(); }

 private:
  struct Stream {
    ActorRef client;
    std::uint64_t tag = 0;
    std::string id;
    std::uint32_t prompt_tokens = 0;
    bool admitted = false;  // the client has been told; nothing is delivered before
    Epoch epoch = 0;
    std::vector<TokenId> delivered;
    std::map<std::uint32_t, TokenId> early;  // positions beyond the next
    std::optional<JobFinish> finish;
    std::optional<StreamDetokenizer> text;
    std::string prefill_worker;
    std::string decode_worker;
    Time submitted{};
    Time placed{};
    Time first_token{};
  };
  struct Question {
    ActorRef asker;
    std::uint64_t tag = 0;
  };

  void say_hello(Outbox& out);
  Result<std::vector<TokenId>> prompt_of(ClientSubmit& submit) const;
  Result<void> acceptable(const ClientSubmit& submit) const;
  void refuse(const ClientSubmit& submit, const Error& error, Outbox& out);
  void hear(const ActorRef& sender, const TokenBatch& batch, Outbox& out);
  void take_batch(const TokenBatch& batch, Outbox& out);
  bool raise_epoch(Stream& stream, Epoch epoch);
  bool take(JobId job, Stream& stream, const TokenItem& item, Outbox& out);
  void deliver(Stream& stream, ClientTokens& tokens, Time now);
  void finish_if_complete(JobId job, Outbox& out);
  void complete(JobId job, FinishReason reason, Outbox& out);
  void fail_stream(JobId job, ErrorCode code, const std::string& message, Outbox& out);
  void cancel_job(JobId job, Outbox& out);
  void forget(JobId job);
  void lose_client(NodeId node, Incarnation life, Outbox& out);

  const EdgeOptions options_;
  const Tokenizer& tokenizer_;
  ProcessControl& process_;
  ActorRef coordinator_;
  bool joined_ = false;
  std::map<JobId, Stream> streams_;
  std::map<std::string, JobId> by_id_;
  std::map<std::pair<NodeId, Incarnation>, std::set<JobId>> by_client_;
  std::map<std::uint64_t, Question> questions_;
  std::uint64_t next_question_ = 1;
  std::map<NodeId, ActorRef> members_;                     // who may bring tokens, besides the coordinator
  std::deque<std::pair<ActorRef, TokenBatch>> strangers_;  // batches of those the coordinator has not introduced yet
};

}  // namespace baton
