// SPDX-License-Identifier: Apache-2.0
// Cap'n Proto <-> plain structs: what a cluster tells of itself and its jobs. See control.capnp for what the messages mean.
#include "protocol/codec.h"
#include "protocol/codec_timeline.h"

namespace baton {
namespace wire {

static void put(JobEnded::Builder b, const baton::JobEnded& m) {
  b.setId(text_of(m.id));
  put(b.initTimeline(), m.timeline);
}
static void get(JobEnded::Reader r, baton::JobEnded& m) {
  m.id = string_of(r.getId(), 256, "id");
  get(r.getTimeline(), m.timeline);
}

static void put(TraceRequest::Builder b, const baton::TraceRequest& m) {
  b.setTag(m.tag);
  b.setId(text_of(m.id));
}
static void get(TraceRequest::Reader r, baton::TraceRequest& m) {
  m.tag = r.getTag();
  m.id = string_of(r.getId(), 256, "id");
}

static void put(TraceReport::Builder b, const baton::TraceReport& m) {
  b.setTag(m.tag);
  b.setFound(m.found);
  put(b.initTimeline(), m.timeline);
}
static void get(TraceReport::Reader r, baton::TraceReport& m) {
  m.tag = r.getTag();
  m.found = r.getFound();
  get(r.getTimeline(), m.timeline);
}

static void put(ClusterEvent::Builder b, const baton::ClusterEvent& m) {
  b.setSeq(m.seq);
  b.setKind(static_cast<std::uint8_t>(m.kind));
  b.setAgeNs(m.age_ns);
  b.setSubject(text_of(m.subject));
  b.setDetail(text_of(m.detail));
}
static void get(ClusterEvent::Reader r, baton::ClusterEvent& m) {
  m.seq = r.getSeq();
  m.kind = enum_of<baton::EventKind>(r.getKind(), 14, "kind");
  m.age_ns = duration_of(r.getAgeNs(), "age_ns");
  m.subject = string_of(r.getSubject(), 256, "subject");
  m.detail = string_of(r.getDetail(), 4096, "detail");
}

static void put(EventsRequest::Builder b, const baton::EventsRequest& m) {
  b.setTag(m.tag);
  b.setAfter(m.after);
}
static void get(EventsRequest::Reader r, baton::EventsRequest& m) {
  m.tag = r.getTag();
  m.after = r.getAfter();
}

static void put(EventsReport::Builder b, const baton::EventsReport& m) {
  b.setTag(m.tag);
  b.setLife(m.life);
  b.setLast(m.last);
  b.setMissed(m.missed);
  if (!m.events.empty()) put_list(b.initEvents(size_of(m.events)), m.events);
}
static void get(EventsReport::Reader r, baton::EventsReport& m) {
  m.tag = r.getTag();
  m.life = r.getLife();
  m.last = r.getLast();
  m.missed = r.getMissed();
  get_list(r.getEvents(), m.events, 256, "events");
}

static void put(ClientAttach::Builder b, const baton::ClientAttach& m) {
  b.setTag(m.tag);
  b.setId(text_of(m.id));
  b.setFrom(m.from);
}
static void get(ClientAttach::Reader r, baton::ClientAttach& m) {
  m.tag = r.getTag();
  m.id = string_of(r.getId(), 256, "id");
  m.from = r.getFrom();
}

}  // namespace wire

void encode(const JobEnded& m, std::string& bytes) { wire::encode_as<wire::JobEnded>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, JobEnded& m) { return wire::decode_as<wire::JobEnded>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const TraceRequest& m, std::string& bytes) { wire::encode_as<wire::TraceRequest>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, TraceRequest& m) { return wire::decode_as<wire::TraceRequest>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const TraceReport& m, std::string& bytes) { wire::encode_as<wire::TraceReport>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, TraceReport& m) { return wire::decode_as<wire::TraceReport>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const EventsRequest& m, std::string& bytes) { wire::encode_as<wire::EventsRequest>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, EventsRequest& m) { return wire::decode_as<wire::EventsRequest>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const EventsReport& m, std::string& bytes) { wire::encode_as<wire::EventsReport>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, EventsReport& m) { return wire::decode_as<wire::EventsReport>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const ClientAttach& m, std::string& bytes) { wire::encode_as<wire::ClientAttach>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, ClientAttach& m) { return wire::decode_as<wire::ClientAttach>(p, m, [](auto r, auto& x) { get(r, x); }); }

}  // namespace baton
