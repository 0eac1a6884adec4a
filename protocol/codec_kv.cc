// SPDX-License-Identifier: Apache-2.0
// Cap'n Proto <-> plain structs: kv. See control.capnp for what the messages mean.
#include "protocol/codec.h"
#include "protocol/codec_detail.h"
#include "protocol/sampling_limits.h"

namespace baton {
namespace wire {

static void put(KvHandle::Builder b, const baton::KvHandle& m) {
  b.setWorker(m.worker.value);
  b.setIncarnation(m.incarnation.value);
  b.setGroup(m.group);
  b.setBlock(m.block);
  b.setGeneration(m.generation);
  b.setTokens(m.tokens);
  b.setDigest(m.digest);
}
static void get(KvHandle::Reader r, baton::KvHandle& m) {
  m.worker.value = r.getWorker();
  m.incarnation.value = r.getIncarnation();
  m.group = r.getGroup();
  m.block = r.getBlock();
  m.generation = r.getGeneration();
  m.tokens = r.getTokens();
  m.digest = r.getDigest();
}

static void put(Grant::Builder b, const baton::Grant& m) {
  put(b.initTransfer(), m.transfer);
  b.setJob(m.job.value);
  b.setEpoch(m.epoch);
  b.setGroup(m.group);
  put_numbers(b.initBlocks(size_of(m.blocks)), m.blocks);
  b.setTimeLimitNs(m.time_limit_ns);
  b.setFirstBlock(m.first_block);
}
static void get(Grant::Reader r, baton::Grant& m) {
  get(r.getTransfer(), m.transfer);
  m.job.value = r.getJob();
  m.epoch = r.getEpoch();
  m.group = r.getGroup();
  get_numbers(r.getBlocks(), m.blocks, 1048576, "blocks");
  m.time_limit_ns = r.getTimeLimitNs();
  m.first_block = r.getFirstBlock();
}

static void put(KvHandoff::Builder b, const baton::KvHandoff& m) {
  put(b.initTransfer(), m.transfer);
  b.setJob(m.job.value);
  b.setEpoch(m.epoch);
  b.setFirstBlock(m.first_block);
  put_list(b.initHandles(size_of(m.handles)), m.handles);
  b.setLast(m.last);
  b.setFirstToken(m.first_token);
  b.setFirstLogprob(m.first_logprob);
  if (!m.first_top.empty()) put_list(b.initFirstTop(size_of(m.first_top)), m.first_top);
}
static void get(KvHandoff::Reader r, baton::KvHandoff& m) {
  get(r.getTransfer(), m.transfer);
  m.job.value = r.getJob();
  m.epoch = r.getEpoch();
  m.first_block = r.getFirstBlock();
  get_list(r.getHandles(), m.handles, 1048576, "handles");
  m.last = r.getLast();
  m.first_token = r.getFirstToken();
  m.first_logprob = r.getFirstLogprob();
  get_list(r.getFirstTop(), m.first_top, kLogprobsMax, "first_top");
}

static void put(TransferResult::Builder b, const baton::TransferResult& m) {
  put(b.initTransfer(), m.transfer);
  b.setJob(m.job.value);
  b.setEpoch(m.epoch);
  b.setOk(m.ok);
  b.setReason(text_of(m.reason));
}
static void get(TransferResult::Reader r, baton::TransferResult& m) {
  get(r.getTransfer(), m.transfer);
  m.job.value = r.getJob();
  m.epoch = r.getEpoch();
  m.ok = r.getOk();
  m.reason = string_of(r.getReason(), 4096, "reason");
}

}  // namespace wire

void encode(const Grant& m, std::string& bytes) { wire::encode_as<wire::Grant>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, Grant& m) { return wire::decode_as<wire::Grant>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const KvHandoff& m, std::string& bytes) { wire::encode_as<wire::KvHandoff>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, KvHandoff& m) { return wire::decode_as<wire::KvHandoff>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const TransferResult& m, std::string& bytes) { wire::encode_as<wire::TransferResult>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, TransferResult& m) { return wire::decode_as<wire::TransferResult>(p, m, [](auto r, auto& x) { get(r, x); }); }

}  // namespace baton
