// SPDX-License-Identifier: Apache-2.0
// Cap'n Proto <-> plain structs: membership. See control.capnp for what the messages mean.
#include "protocol/codec.h"
#include "protocol/codec_detail.h"

namespace baton {
namespace wire {

static void put(WorkerHello::Builder b, const baton::WorkerHello& m) {
  b.setProtocolMin(m.protocol_min);
  b.setProtocolMax(m.protocol_max);
  b.setName(text_of(m.name));
  b.setPool(text_of(m.pool));
  b.setRole(static_cast<std::uint8_t>(m.role));
  b.setPid(m.pid);
  b.setControlAddress(text_of(m.control_address));
  b.setDataAddress(data_of(m.data_address));
  b.setModelHash(m.model_hash);
  b.setModelName(text_of(m.model_name));
  put(b.initGeometry(), m.geometry);
  b.setNumericsFingerprint(m.numerics_fingerprint);
  b.setVocabSize(m.vocab_size);
  b.setMaxModelLen(m.max_model_len);
  b.setBlocksTotal(m.blocks_total);
  b.setMaxNumSeqs(m.max_num_seqs);
  b.setMaxNumBatchedTokens(m.max_num_batched_tokens);
}
static void get(WorkerHello::Reader r, baton::WorkerHello& m) {
  m.protocol_min = r.getProtocolMin();
  m.protocol_max = r.getProtocolMax();
  m.name = string_of(r.getName(), 256, "name");
  m.pool = string_of(r.getPool(), 256, "pool");
  m.role = enum_of<baton::Role>(r.getRole(), 2, "role");
  m.pid = r.getPid();
  m.control_address = string_of(r.getControlAddress(), 256, "control_address");
  m.data_address = string_of(r.getDataAddress(), 65536, "data_address");
  m.model_hash = r.getModelHash();
  m.model_name = string_of(r.getModelName(), 256, "model_name");
  get(r.getGeometry(), m.geometry);
  m.numerics_fingerprint = r.getNumericsFingerprint();
  m.vocab_size = r.getVocabSize();
  m.max_model_len = r.getMaxModelLen();
  m.blocks_total = r.getBlocksTotal();
  m.max_num_seqs = r.getMaxNumSeqs();
  m.max_num_batched_tokens = r.getMaxNumBatchedTokens();
}

static void put(EdgeHello::Builder b, const baton::EdgeHello& m) {
  b.setProtocolMin(m.protocol_min);
  b.setProtocolMax(m.protocol_max);
  b.setName(text_of(m.name));
  b.setControlAddress(text_of(m.control_address));
  b.setModelHash(m.model_hash);
}
static void get(EdgeHello::Reader r, baton::EdgeHello& m) {
  m.protocol_min = r.getProtocolMin();
  m.protocol_max = r.getProtocolMax();
  m.name = string_of(r.getName(), 256, "name");
  m.control_address = string_of(r.getControlAddress(), 256, "control_address");
  m.model_hash = r.getModelHash();
}

static void put(JoinAccepted::Builder b, const baton::JoinAccepted& m) {
  b.setProtocol(m.protocol);
  b.setHeartbeatIntervalNs(m.heartbeat_interval_ns);
  b.setHeartbeatMiss(m.heartbeat_miss);
}
static void get(JoinAccepted::Reader r, baton::JoinAccepted& m) {
  m.protocol = r.getProtocol();
  m.heartbeat_interval_ns = r.getHeartbeatIntervalNs();
  m.heartbeat_miss = r.getHeartbeatMiss();
}

static void put(JoinRefused::Builder b, const baton::JoinRefused& m) {
  b.setCode(static_cast<std::uint16_t>(m.code));
  b.setMessage(text_of(m.message));
}
static void get(JoinRefused::Reader r, baton::JoinRefused& m) {
  m.code = enum_of<baton::ErrorCode>(r.getCode(), 15, "code");
  m.message = string_of(r.getMessage(), 4096, "message");
}

static void put(PeerCard::Builder b, const baton::PeerCard& m) {
  put(b.initActor(), m.actor);
  b.setName(text_of(m.name));
  b.setControlAddress(text_of(m.control_address));
  b.setDataAddress(data_of(m.data_address));
}
static void get(PeerCard::Reader r, baton::PeerCard& m) {
  get(r.getActor(), m.actor);
  m.name = string_of(r.getName(), 256, "name");
  m.control_address = string_of(r.getControlAddress(), 256, "control_address");
  m.data_address = string_of(r.getDataAddress(), 65536, "data_address");
}

static void put(PeersJoined::Builder b, const baton::PeersJoined& m) {
  put_list(b.initPeers(size_of(m.peers)), m.peers);
}
static void get(PeersJoined::Reader r, baton::PeersJoined& m) {
  get_list(r.getPeers(), m.peers, 4096, "peers");
}

static void put(PeerLeft::Builder b, const baton::PeerLeft& m) {
  put(b.initActor(), m.actor);
  b.setReason(text_of(m.reason));
}
static void get(PeerLeft::Reader r, baton::PeerLeft& m) {
  get(r.getActor(), m.actor);
  m.reason = string_of(r.getReason(), 4096, "reason");
}

static void put(HeartbeatAck::Builder, const baton::HeartbeatAck&) {}
static void get(HeartbeatAck::Reader, baton::HeartbeatAck&) {}
static void put(Alive::Builder, const baton::Alive&) {}
static void get(Alive::Reader, baton::Alive&) {}

}  // namespace wire

void encode(const WorkerHello& m, std::string& bytes) { wire::encode_as<wire::WorkerHello>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, WorkerHello& m) { return wire::decode_as<wire::WorkerHello>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const EdgeHello& m, std::string& bytes) { wire::encode_as<wire::EdgeHello>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, EdgeHello& m) { return wire::decode_as<wire::EdgeHello>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const JoinAccepted& m, std::string& bytes) { wire::encode_as<wire::JoinAccepted>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, JoinAccepted& m) { return wire::decode_as<wire::JoinAccepted>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const JoinRefused& m, std::string& bytes) { wire::encode_as<wire::JoinRefused>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, JoinRefused& m) { return wire::decode_as<wire::JoinRefused>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const PeersJoined& m, std::string& bytes) { wire::encode_as<wire::PeersJoined>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, PeersJoined& m) { return wire::decode_as<wire::PeersJoined>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const PeerLeft& m, std::string& bytes) { wire::encode_as<wire::PeerLeft>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, PeerLeft& m) { return wire::decode_as<wire::PeerLeft>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const Heartbeat& m, std::string& bytes) { wire::encode_as<wire::Heartbeat>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, Heartbeat& m) { return wire::decode_as<wire::Heartbeat>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const HeartbeatAck& m, std::string& bytes) { wire::encode_as<wire::HeartbeatAck>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
void encode(const Alive& m, std::string& bytes) { wire::encode_as<wire::Alive>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, Alive& m) { return wire::decode_as<wire::Alive>(p, m, [](auto r, auto& x) { get(r, x); }); }
Result<void> decode(const PayloadView& p, HeartbeatAck& m) { return wire::decode_as<wire::HeartbeatAck>(p, m, [](auto r, auto& x) { get(r, x); }); }

}  // namespace baton
