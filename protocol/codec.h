// SPDX-License-Identifier: Apache-2.0
// encode: message -> bytes of a flat Cap'n Proto message (control.capnp). decode: the reverse, refusing whatever breaks a bound;
// the message is then unspecified. Found by argument-dependent lookup from Outbox::send and ActorCell. Pure, any thread.
#pragma once

#include "protocol/messages.h"
#include "runtime/actor/outbox.h"

namespace baton {

Payload encode(const WorkerHello& message);
Result<void> decode(const Payload& payload, WorkerHello& message);
Payload encode(const EdgeHello& message);
Result<void> decode(const Payload& payload, EdgeHello& message);
Payload encode(const JoinAccepted& message);
Result<void> decode(const Payload& payload, JoinAccepted& message);
Payload encode(const JoinRefused& message);
Result<void> decode(const Payload& payload, JoinRefused& message);
Payload encode(const PeersJoined& message);
Result<void> decode(const Payload& payload, PeersJoined& message);
Payload encode(const PeerLeft& message);
Result<void> decode(const Payload& payload, PeerLeft& message);
Payload encode(const Heartbeat& message);
Result<void> decode(const Payload& payload, Heartbeat& message);
Payload encode(const HeartbeatAck& message);
Result<void> decode(const Payload& payload, HeartbeatAck& message);
Payload encode(const AdmitJob& message);
Result<void> decode(const Payload& payload, AdmitJob& message);
Payload encode(const JobAdmitted& message);
Result<void> decode(const Payload& payload, JobAdmitted& message);
Payload encode(const JobPlaced& message);
Result<void> decode(const Payload& payload, JobPlaced& message);
Payload encode(const JobFailed& message);
Result<void> decode(const Payload& payload, JobFailed& message);
Payload encode(const CancelJob& message);
Result<void> decode(const Payload& payload, CancelJob& message);
Payload encode(const StartPrefill& message);
Result<void> decode(const Payload& payload, StartPrefill& message);
Payload encode(const StartDecode& message);
Result<void> decode(const Payload& payload, StartDecode& message);
Payload encode(const TokenBatch& message);
Result<void> decode(const Payload& payload, TokenBatch& message);
Payload encode(const JobClosed& message);
Result<void> decode(const Payload& payload, JobClosed& message);
Payload encode(const Grant& message);
Result<void> decode(const Payload& payload, Grant& message);
Payload encode(const KvHandoff& message);
Result<void> decode(const Payload& payload, KvHandoff& message);
Payload encode(const TransferResult& message);
Result<void> decode(const Payload& payload, TransferResult& message);
Payload encode(const ClientSubmit& message);
Result<void> decode(const Payload& payload, ClientSubmit& message);
Payload encode(const ClientAccepted& message);
Result<void> decode(const Payload& payload, ClientAccepted& message);
Payload encode(const ClientTokens& message);
Result<void> decode(const Payload& payload, ClientTokens& message);
Payload encode(const ClientDone& message);
Result<void> decode(const Payload& payload, ClientDone& message);
Payload encode(const ClientError& message);
Result<void> decode(const Payload& payload, ClientError& message);
Payload encode(const ClientCancel& message);
Result<void> decode(const Payload& payload, ClientCancel& message);
Payload encode(const ClientCancelled& message);
Result<void> decode(const Payload& payload, ClientCancelled& message);
Payload encode(const StatusRequest& message);
Result<void> decode(const Payload& payload, StatusRequest& message);
Payload encode(const StatusReport& message);
Result<void> decode(const Payload& payload, StatusReport& message);
Payload encode(const FsckRequest& message);
Result<void> decode(const Payload& payload, FsckRequest& message);
Payload encode(const FsckReport& message);
Result<void> decode(const Payload& payload, FsckReport& message);
Payload encode(const ClientChoiceDone& message);
Result<void> decode(const Payload& payload, ClientChoiceDone& message);

}  // namespace baton
