// SPDX-License-Identifier: Apache-2.0
// A message of the control protocol: two bytes of kind, then its Cap'n Proto bytes. What decodes encodes to something that
// decodes to the same; a submission is validated besides, as the edge does.
#include <array>

#include "protocol/codec.h"
#include "protocol/validate.h"
#include "runtime/base/check.h"
#include "tests/fuzz/target.h"

namespace baton::fuzz {
namespace {

template <class Message>
void try_message(const Payload& payload) {
  Message message;
  if (!decode(payload, message)) return;
  const Payload first = encode(message);
  Message copy;
  CHECK(decode(first, copy).has_value(), "what we encode decodes");
  CHECK(encode(copy).bytes == first.bytes, "and is the same");
  if constexpr (std::is_same_v<Message, ClientSubmit>) {
    (void)validate(message);
    (void)validate(message.sampling);
    (void)validate_ids(message.sampling, 1000);
  }
}

template <class... Messages>
void try_kinds(const Payload& payload) {
  ((payload.kind == Messages::kKind ? try_message<Messages>(payload) : void()), ...);
}

}  // namespace

void run_wire(std::string_view bytes) {
  if (bytes.size() < 2) return;
  Payload payload;
  payload.kind = static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[0]) | static_cast<unsigned char>(bytes[1]) << 8);
  payload.bytes = bytes.substr(2);
  try_kinds<WorkerHello, EdgeHello, JoinAccepted, JoinRefused, PeersJoined, PeerLeft, Heartbeat, HeartbeatAck, Alive, AdmitJob,
            JobAdmitted, JobPlaced, JobFailed, CancelJob, StartPrefill, StartDecode, TokenBatch, JobClosed, Grant, KvHandoff,
            TransferResult, ClientSubmit, ClientAccepted, ClientTokens, ClientDone, ClientError, ClientCancel, ClientCancelled,
            StatusRequest, StatusReport, FsckRequest, FsckReport, ClientChoiceDone, JobEnded, TraceRequest, TraceReport, EventsRequest, EventsReport,
            ClientAttach, RelayedBatch, JobReport, EdgeReport, AdoptJob, JobRecord, RoleChange, WorkerLeaving, ResumeQuery, ResumePoint, PrefixFetched, ClusterCommand, ClusterCommandDone>(payload);
}

}  // namespace baton::fuzz
