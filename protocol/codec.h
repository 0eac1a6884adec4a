// SPDX-License-Identifier: Apache-2.0
// encode: message -> bytes of a flat Cap'n Proto message (control.capnp), in place of what `bytes` held. decode: the reverse, refusing whatever breaks a bound;
// the message is then unspecified. Found by argument-dependent lookup from Outbox::send and ActorCell. Pure, any thread.
#pragma once

#include <string>

#include "protocol/messages.h"
#include "runtime/actor/outbox.h"

namespace baton {

void encode(const WorkerHello& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, WorkerHello& message);
void encode(const EdgeHello& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, EdgeHello& message);
void encode(const JoinAccepted& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, JoinAccepted& message);
void encode(const JoinRefused& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, JoinRefused& message);
void encode(const PeersJoined& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, PeersJoined& message);
void encode(const PeerLeft& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, PeerLeft& message);
void encode(const Heartbeat& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, Heartbeat& message);
void encode(const HeartbeatAck& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, HeartbeatAck& message);
void encode(const Alive& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, Alive& message);
void encode(const AdmitJob& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, AdmitJob& message);
void encode(const JobAdmitted& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, JobAdmitted& message);
void encode(const JobPlaced& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, JobPlaced& message);
void encode(const JobFailed& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, JobFailed& message);
void encode(const CancelJob& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, CancelJob& message);
void encode(const StartPrefill& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, StartPrefill& message);
void encode(const StartDecode& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, StartDecode& message);
void encode(const TokenBatch& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, TokenBatch& message);
void encode(const JobClosed& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, JobClosed& message);
void encode(const Grant& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, Grant& message);
void encode(const KvHandoff& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, KvHandoff& message);
void encode(const TransferResult& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, TransferResult& message);
void encode(const ClientSubmit& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, ClientSubmit& message);
void encode(const ClientAccepted& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, ClientAccepted& message);
void encode(const ClientTokens& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, ClientTokens& message);
void encode(const ClientDone& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, ClientDone& message);
void encode(const ClientError& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, ClientError& message);
void encode(const ClientCancel& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, ClientCancel& message);
void encode(const ClientCancelled& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, ClientCancelled& message);
void encode(const StatusRequest& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, StatusRequest& message);
void encode(const StatusReport& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, StatusReport& message);
void encode(const FsckRequest& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, FsckRequest& message);
void encode(const FsckReport& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, FsckReport& message);
void encode(const ClientChoiceDone& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, ClientChoiceDone& message);

// The same with the kind, in memory of its own.
template <class Message>
  requires requires(const Message& message, std::string& bytes) { encode(message, bytes); }
Payload encode(const Message& message) {
  Payload payload{Message::kKind, {}};
  encode(message, payload.bytes);
  return payload;
}
void encode(const JobEnded& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, JobEnded& message);
void encode(const TraceRequest& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, TraceRequest& message);
void encode(const TraceReport& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, TraceReport& message);
void encode(const EventsRequest& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, EventsRequest& message);
void encode(const EventsReport& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, EventsReport& message);
void encode(const ClientAttach& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, ClientAttach& message);
void encode(const JobReport& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, JobReport& message);
void encode(const EdgeReport& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, EdgeReport& message);
void encode(const AdoptJob& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, AdoptJob& message);
void encode(const JobRecord& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, JobRecord& message);
void encode(const RelayedBatch& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, RelayedBatch& message);
void encode(const RoleChange& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, RoleChange& message);
void encode(const WorkerLeaving& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, WorkerLeaving& message);
void encode(const ResumeQuery& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, ResumeQuery& message);
void encode(const ResumePoint& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, ResumePoint& message);
void encode(const PrefixFetched& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, PrefixFetched& message);
void encode(const ClusterCommand& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, ClusterCommand& message);
void encode(const ClusterCommandDone& message, std::string& bytes);
Result<void> decode(const PayloadView& payload, ClusterCommandDone& message);

}  // namespace baton
