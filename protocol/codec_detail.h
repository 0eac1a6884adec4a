// SPDX-License-Identifier: Apache-2.0
// Shared by the codec_*.cc files only: the one place that touches Cap'n Proto. Decoding treats every byte as hostile: size and
// alignment first, traversal limited to the message's own size, every text, list and enumeration bounded. Inside, a violation
// is an exception (as in Cap'n Proto itself); decode_as turns it into a value.
#pragma once

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "protocol/control.capnp.h"
#include "protocol/messages.h"
#include "runtime/actor/outbox.h"
#include "runtime/base/check.h"

namespace baton::wire {

inline constexpr std::size_t kMessageBytesMax = 8u << 20;
// Most messages fit; what does not goes on in memory that is allocated.
inline constexpr std::size_t kScratchWords = 64;

struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline capnp::Text::Reader text_of(const std::string& text) { return {text.data(), text.size()}; }
inline capnp::Data::Reader data_of(const std::string& text) {
  return {reinterpret_cast<const capnp::byte*>(text.data()), text.size()};
}
template <class Container>
unsigned size_of(const Container& container) {
  return static_cast<unsigned>(container.size());
}
template <class Reader>
std::string string_of(Reader reader, std::size_t bytes_max, const char* field) {
  if (reader.size() > bytes_max) throw Violation(std::string(field) + " is longer than " + std::to_string(bytes_max) + " bytes");
  return {reinterpret_cast<const char*>(reader.begin()), reader.size()};
}
// The names of error codes start at 1; a 0 or a value above the last is a violation where `Enum` has no such member.
template <class Enum>
Enum enum_of(std::uint64_t value, std::uint64_t last, const char* field) {
  if (value > last || (std::is_same_v<Enum, ErrorCode> && value == 0))
    throw Violation(std::string(field) + " has no value " + std::to_string(value));
  return static_cast<Enum>(value);
}
// Nanoseconds that fit a signed duration, and the sum of a few of them, too: 2^60 ns are 36 years.
inline std::uint64_t duration_of(std::uint64_t ns, const char* field) {
  if (ns > std::uint64_t{1} << 60) throw Violation(std::string(field) + " is longer than 36 years");
  return ns;
}
template <class Builder, class T>
void put_numbers(Builder list, const std::vector<T>& values) {
  for (unsigned i = 0; i < list.size(); ++i) list.set(i, values[i]);
}
template <class Reader>
void check_length(const Reader& list, std::size_t items_max, const char* field) {
  if (list.size() > items_max) throw Violation(std::string(field) + " has more than " + std::to_string(items_max) + " items");
}
template <class Reader, class T>
void get_numbers(Reader list, std::vector<T>& values, std::size_t items_max, const char* field) {
  check_length(list, items_max, field);
  values.resize(list.size());
  for (unsigned i = 0; i < list.size(); ++i) values[i] = list[i];
}
inline void put_texts(capnp::List<capnp::Text>::Builder list, const std::vector<std::string>& values) {
  for (unsigned i = 0; i < list.size(); ++i) list.set(i, text_of(values[i]));
}
inline void get_texts(capnp::List<capnp::Text>::Reader list, std::vector<std::string>& values, std::size_t items_max, const char* field) {
  check_length(list, items_max, field);
  values.clear();
  for (const auto text : list) values.push_back(string_of(text, 4096, field));
}
template <class Builder, class T>
void put_list(Builder list, const std::vector<T>& values) {
  for (unsigned i = 0; i < list.size(); ++i) put(list[i], values[i]);
}
template <class Reader, class T>
void get_list(Reader list, std::vector<T>& values, std::size_t items_max, const char* field) {
  check_length(list, items_max, field);
  values.clear();
  values.resize(list.size());
  for (unsigned i = 0; i < list.size(); ++i) get(list[i], values[i]);
}

// A struct without pointers: its message is two words (the segment table, the root's pointer) and the data.
template <class Schema>
inline constexpr bool kFlat = Schema::_capnpPrivate::pointerCount == 0;

// Memory in which this thread builds messages. Zeros between messages: the builder leaves it so.
inline kj::ArrayPtr<capnp::word> scratch() {
  thread_local capnp::word words[kScratchWords] = {};
  return kj::arrayPtr(words, kScratchWords);
}

inline void write_segments(kj::ArrayPtr<const kj::ArrayPtr<const capnp::word>> segments, std::string& bytes) {
  if (segments.size() == 1) {
    // What messageToFlatArray() makes of one segment, without an array in between.
    const std::uint32_t table[2] = {0, static_cast<std::uint32_t>(segments[0].size())};
    const auto words = segments[0].asBytes();
    bytes.assign(reinterpret_cast<const char*>(table), sizeof table);
    bytes.append(reinterpret_cast<const char*>(words.begin()), words.size());
  } else {
    const kj::Array<capnp::word> flat = capnp::messageToFlatArray(segments);
    bytes.assign(reinterpret_cast<const char*>(flat.asBytes().begin()), flat.asBytes().size());
  }
  CHECK(bytes.size() <= kMessageBytesMax, "a message outgrew the limit its fields are bounded by");
}

template <class Schema, class Message, class Put>
void encode_as(const Message& message, std::string& bytes, Put put_fields) {
  if constexpr (kFlat<Schema>) {
    // One builder per type and thread. Its words are the root's pointer and the data, which begin as zeros as in a new one.
    struct Kept {
      capnp::word words[2 + Schema::_capnpPrivate::dataWordSize] = {};
      capnp::MallocMessageBuilder builder{kj::arrayPtr(words, sizeof words / sizeof words[0])};
      typename Schema::Builder root = builder.template initRoot<Schema>();
    };
    thread_local Kept kept;
    std::memset(kept.words + 1, 0, sizeof kept.words - sizeof kept.words[0]);
    put_fields(kept.root, message);
    write_segments(kept.builder.getSegmentsForOutput(), bytes);
  } else {
    capnp::MallocMessageBuilder builder(scratch());
    put_fields(builder.initRoot<Schema>(), message);
    write_segments(builder.getSegmentsForOutput(), bytes);
  }
}

// The root of a message without pointers, if `data` is one such message exactly: nothing in it is followed, so nothing but its
// size needs a check.
inline bool is_flat(const capnp::word* data, std::size_t words) {
  if (words < 2) return false;
  std::uint32_t head[4];
  std::memcpy(head, data, sizeof head);
  const std::size_t size = (head[3] & 0xffff) + (head[3] >> 16);  // the root's words of data and of pointers
  return head[0] == 0 && head[1] == words - 1 && head[2] == 0 && size == words - 2;
}

template <class Schema, class Message, class Get>
Result<void> decode_as(const PayloadView& payload, Message& message, Get get_fields) {
  const std::size_t words = payload.bytes.size() / sizeof(capnp::word);
  if (payload.kind != Message::kKind || payload.bytes.size() % sizeof(capnp::word) != 0 || payload.bytes.size() > kMessageBytesMax)
    return fail(ErrorCode::kInvalidArgument, "not a message of kind " + std::to_string(Message::kKind));
  // Short strings live inside the object and frames come at any address, so alignment is checked, not hoped for.
  kj::Array<capnp::word> copy;
  const auto* data = reinterpret_cast<const capnp::word*>(payload.bytes.data());
  if (reinterpret_cast<std::uintptr_t>(data) % alignof(capnp::word) != 0) {
    copy = kj::heapArray<capnp::word>(words);
    std::memcpy(copy.begin(), payload.bytes.data(), payload.bytes.size());
    data = copy.begin();
  }
  capnp::ReaderOptions limits;
  limits.traversalLimitInWords = words + 64;  // each word once: a message that points at itself many times runs out
  limits.nestingLimit = 8;
  try {
    if constexpr (kFlat<Schema>) {
      if (is_flat(data, words)) {
        message = Message{};
        get_fields(capnp::readMessageUnchecked<Schema>(data + 1), message);
        return {};
      }
    }
    capnp::FlatArrayMessageReader reader(kj::arrayPtr(data, words), limits);
    message = Message{};
    get_fields(reader.getRoot<Schema>(), message);
    return {};
  } catch (const kj::Exception& error) {
    return fail(ErrorCode::kInvalidArgument, "message kind " + std::to_string(Message::kKind) + ": " + error.getDescription().cStr());
  } catch (const std::exception& error) {
    return fail(ErrorCode::kInvalidArgument, "message kind " + std::to_string(Message::kKind) + ": " + error.what());
  }
}

// ---- parts that several files share ------------------------------------------------------------------------------

inline void put(ActorRef::Builder b, const baton::ActorRef& m) {
  b.setNode(m.node.value);
  b.setIncarnation(m.incarnation.value);
  b.setSlot(m.slot);
  b.setGeneration(m.generation);
}
inline void get(ActorRef::Reader r, baton::ActorRef& m) {
  m.node.value = r.getNode();
  m.incarnation.value = r.getIncarnation();
  m.slot = r.getSlot();
  m.generation = r.getGeneration();
}

inline void put(TransferId::Builder b, const baton::TransferId& m) {
  b.setHigh(m.high);
  b.setLow(m.low);
}
inline void get(TransferId::Reader r, baton::TransferId& m) {
  m.high = r.getHigh();
  m.low = r.getLow();
}

inline void put(KvGeometry::Builder b, const baton::KvGeometry& m) {
  b.setGroup(m.group);
  b.setLayers(m.layers);
  b.setKvHeads(m.kv_heads);
  b.setHeadDim(m.head_dim);
  b.setBlockTokens(m.block_tokens);
  b.setDtype(static_cast<std::uint8_t>(m.dtype));
}
inline void get(KvGeometry::Reader r, baton::KvGeometry& m) {
  m.group = r.getGroup();
  m.layers = r.getLayers();
  m.kv_heads = r.getKvHeads();
  m.head_dim = r.getHeadDim();
  m.block_tokens = r.getBlockTokens();
  m.dtype = enum_of<baton::DType>(r.getDtype(), 3, "dtype");
}

inline void put(TokenLogprob::Builder b, const baton::TokenLogprob& m) {
  b.setToken(m.token);
  b.setLogprob(m.logprob);
}
inline void get(TokenLogprob::Reader r, baton::TokenLogprob& m) {
  m.token = r.getToken();
  m.logprob = r.getLogprob();
}

inline void put(LinkTraffic::Builder b, const baton::LinkTraffic& m) {
  b.setPeer(text_of(m.peer));
  b.setTransport(text_of(m.transport));
  b.setTransfers(m.transfers);
  b.setFailures(m.failures);
  b.setBytes(m.bytes);
  b.setBusyNs(m.busy_ns);
  b.setLatencyNs(m.latency_ns);
}
inline void get(LinkTraffic::Reader r, baton::LinkTraffic& m) {
  m.peer = string_of(r.getPeer(), 256, "peer");
  m.transport = string_of(r.getTransport(), 64, "transport");
  m.transfers = r.getTransfers();
  m.failures = r.getFailures();
  m.bytes = r.getBytes();
  m.busy_ns = r.getBusyNs();
  m.latency_ns = r.getLatencyNs();
}

inline void put(Heartbeat::Builder b, const baton::Heartbeat& m) {
  b.setProgress(m.progress);
  b.setRunning(m.running);
  b.setWaiting(m.waiting);
  b.setBlocksFree(m.blocks_free);
  b.setKvBytesSent(m.kv_bytes_sent);
  b.setKvBytesReceived(m.kv_bytes_received);
  b.setPromptTokensComputed(m.prompt_tokens_computed);
  b.setTokensGenerated(m.tokens_generated);
  b.setPrefixCacheQueries(m.prefix_cache_queries);
  b.setPrefixCacheHits(m.prefix_cache_hits);
  b.setNumPreemptions(m.num_preemptions);
  if (!m.traffic.empty()) put_list(b.initTraffic(size_of(m.traffic)), m.traffic);
}
inline void get(Heartbeat::Reader r, baton::Heartbeat& m) {
  m.progress = r.getProgress();
  m.running = r.getRunning();
  m.waiting = r.getWaiting();
  m.blocks_free = r.getBlocksFree();
  m.kv_bytes_sent = r.getKvBytesSent();
  m.kv_bytes_received = r.getKvBytesReceived();
  m.prompt_tokens_computed = r.getPromptTokensComputed();
  m.tokens_generated = r.getTokensGenerated();
  m.prefix_cache_queries = r.getPrefixCacheQueries();
  m.prefix_cache_hits = r.getPrefixCacheHits();
  m.num_preemptions = r.getNumPreemptions();
  get_list(r.getTraffic(), m.traffic, kTrafficPerHeartbeat, "traffic");
}

}  // namespace baton::wire
