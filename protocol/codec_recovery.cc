// SPDX-License-Identifier: Apache-2.0
// Cap'n Proto <-> plain structs: recovery, and changes of a cluster that serves. See control.capnp for what the messages mean.
#include "protocol/codec.h"
#include "protocol/codec_detail.h"
#include "protocol/sampling_limits.h"

namespace baton {
namespace wire {

static void put(RoleChange::Builder b, const baton::RoleChange& m) { b.setRole(static_cast<std::uint8_t>(m.role)); }
static void get(RoleChange::Reader r, baton::RoleChange& m) { m.role = enum_of<baton::Role>(r.getRole(), 2, "role"); }

static void put(WorkerLeaving::Builder, const baton::WorkerLeaving&) {}
static void get(WorkerLeaving::Reader, baton::WorkerLeaving&) {}

static void put(ResumeQuery::Builder b, const baton::ResumeQuery& m) {
  b.setJob(m.job.value);
  b.setEpoch(m.epoch);
}
static void get(ResumeQuery::Reader r, baton::ResumeQuery& m) {
  m.job.value = r.getJob();
  m.epoch = r.getEpoch();
}

static void put(ResumePoint::Builder b, const baton::ResumePoint& m) {
  b.setJob(m.job.value);
  b.setEpoch(m.epoch);
  if (!m.tokens.empty()) put_numbers(b.initTokens(size_of(m.tokens)), m.tokens);
  b.setPromptDue(m.prompt_due);
}
static void get(ResumePoint::Reader r, baton::ResumePoint& m) {
  m.job.value = r.getJob();
  m.epoch = r.getEpoch();
  get_numbers(r.getTokens(), m.tokens, kPromptTokensMax, "tokens");
  m.prompt_due = r.getPromptDue();
}

static void put(PrefixFetched::Builder b, const baton::PrefixFetched& m) {
  b.setJob(m.job.value);
  b.setEpoch(m.epoch);
  b.setTokens(m.tokens);
  b.setReason(text_of(m.reason));
}
static void get(PrefixFetched::Reader r, baton::PrefixFetched& m) {
  m.job.value = r.getJob();
  m.epoch = r.getEpoch();
  m.tokens = r.getTokens();
  m.reason = string_of(r.getReason(), 4096, "reason");
}

static void put(ClusterCommand::Builder b, const baton::ClusterCommand& m) {
  b.setTag(m.tag);
  b.setAction(static_cast<std::uint8_t>(m.action));
  b.setWorker(text_of(m.worker));
  b.setRole(static_cast<std::uint8_t>(m.role));
  b.setPid(m.pid);
  b.setDetail(text_of(m.detail));
  b.setCrashed(m.crashed);
  b.setKey(text_of(m.key));
}
static void get(ClusterCommand::Reader r, baton::ClusterCommand& m) {
  m.tag = r.getTag();
  m.action = enum_of<baton::ClusterAction>(r.getAction(), 3, "action");
  m.worker = string_of(r.getWorker(), 256, "worker");
  m.role = enum_of<baton::Role>(r.getRole(), 2, "role");
  m.pid = r.getPid();
  m.detail = string_of(r.getDetail(), 1024, "detail");
  m.crashed = r.getCrashed();
  m.key = string_of(r.getKey(), 128, "key");
}

static void put(ClusterCommandDone::Builder b, const baton::ClusterCommandDone& m) {
  b.setTag(m.tag);
  b.setOk(m.ok);
  b.setCode(static_cast<std::uint16_t>(m.code));
  b.setMessage(text_of(m.message));
}
static void get(ClusterCommandDone::Reader r, baton::ClusterCommandDone& m) {
  m.tag = r.getTag();
  m.ok = r.getOk();
  m.code = enum_of<baton::ErrorCode>(r.getCode(), 15, "code");
  m.message = string_of(r.getMessage(), 4096, "message");
}

}  // namespace wire

void encode(const RoleChange& m, std::string& bytes) { wire::encode_as<wire::RoleChange>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, RoleChange& m) { return wire::decode_as<wire::RoleChange>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const WorkerLeaving& m, std::string& bytes) { wire::encode_as<wire::WorkerLeaving>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, WorkerLeaving& m) { return wire::decode_as<wire::WorkerLeaving>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const ResumeQuery& m, std::string& bytes) { wire::encode_as<wire::ResumeQuery>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, ResumeQuery& m) { return wire::decode_as<wire::ResumeQuery>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const ResumePoint& m, std::string& bytes) { wire::encode_as<wire::ResumePoint>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, ResumePoint& m) { return wire::decode_as<wire::ResumePoint>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const PrefixFetched& m, std::string& bytes) { wire::encode_as<wire::PrefixFetched>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, PrefixFetched& m) { return wire::decode_as<wire::PrefixFetched>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const ClusterCommand& m, std::string& bytes) { wire::encode_as<wire::ClusterCommand>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, ClusterCommand& m) { return wire::decode_as<wire::ClusterCommand>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const ClusterCommandDone& m, std::string& bytes) { wire::encode_as<wire::ClusterCommandDone>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, ClusterCommandDone& m) { return wire::decode_as<wire::ClusterCommandDone>(p, m, [](auto r, auto& x) { get(r, x); }); }

}  // namespace baton
