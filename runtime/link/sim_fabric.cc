// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <utility>

#include "runtime/base/check.h"
#include "runtime/link/sim_data_plane.h"

namespace baton {

std::unique_ptr<SimDataPlane> SimFabric::make(const PeerKey& self, std::uint64_t pool_bytes, DataPlaneSink sink, PlaceDigest digest) {
  CHECK(!planes_.contains(self), "two data planes of one life");
  std::unique_ptr<SimDataPlane> plane(new SimDataPlane(*this, self, pool_bytes, std::move(sink), std::move(digest)));
  planes_[self] = plane.get();
  return plane;
}

SimDataPlane* SimFabric::alive(const PeerKey& peer) {
  const auto at = planes_.find(peer);
  return at == planes_.end() ? nullptr : at->second;
}

// Something happens at a node: now, when it is resumed, or never.
void SimFabric::at_node(const PeerKey& peer, std::function<void(SimDataPlane&)> run) {
  SimDataPlane* plane = alive(peer);
  if (plane == nullptr) return;
  if (const auto stopped = paused_.find(peer); stopped != paused_.end()) stopped->second.push_back(std::move(run));
  else run(*plane);
}

// Something travels from one node to another and happens there.
void SimFabric::across(const PeerKey& from, const PeerKey& to, Duration delay, std::function<void(SimDataPlane&)> run) {
  heap_.after(delay, [this, from, to, run = std::move(run)]() mutable {
    const auto cut = partitions_.find(pair_of(from, to));
    if (cut == partitions_.end()) return at_node(to, std::move(run));
    cut->second.push_back([this, to, run = std::move(run)] { at_node(to, run); });
  });
}

EndpointId SimFabric::connect(const PeerKey& from, const std::string& address) {
  const std::uint64_t id = next_connection_++;
  PeerKey to{};
  for (const auto& [peer, plane] : planes_)
    if (plane->address_ == address) to = peer;
  connections_[id] = Connection{from, to, true, alive(to) != nullptr, heap_.now() + 2 * options_.latency, {}};
  if (alive(to) == nullptr) {
    heap_.after(2 * options_.latency, [this, id, from] {
      at_node(from, [this, id](SimDataPlane& plane) {
        const auto at = connections_.find(id);
        if (at == connections_.end() || !at->second.from_open) return;
        close_side(id, true, "connection refused", Duration{0});
        plane.turn([&](PlaneCore& core) { core.on_broken(dialling(id), "connection refused"); });
      });
    });
  }
  return dialling(id);
}

void SimFabric::send(const PeerKey& from, EndpointId endpoint, std::uint64_t operation, const MessageHeaderBytes& header,
                     std::span<const std::byte> payload) {
  const std::uint64_t id = next_message_++;
  const Connection& connection = connections_.at(endpoint / 2);
  Message& message = messages_[id];
  message.connection = endpoint / 2;
  message.send_operation = operation;
  message.header = header;
  message.payload = payload;
  if (!connection.to_open) return;  // nobody is there: ended when that is noticed
  Duration delay = std::max(connection.established - heap_.now(), Duration{0}) + options_.latency;
  if (!payload.empty() && options_.jitter > Duration{0})
    delay += Duration{static_cast<std::int64_t>(heap_.random().below(static_cast<std::uint64_t>(options_.jitter.count())))};
  across(from, connection.to, delay, [this, id](SimDataPlane& receiver) { arrive(id, receiver); });
}

SimFabric::Fault SimFabric::draw_fault() {
  std::uint64_t draw = heap_.random().below(1'000'000);
  const std::pair<std::uint32_t, Fault> chances[] = {{options_.faults.refused, Fault::kRefused},
                                                     {options_.faults.tail_lost, Fault::kTailLost},
                                                     {options_.faults.completion_lost, Fault::kCompletionLost},
                                                     {options_.faults.late, Fault::kLate},
                                                     {options_.faults.bit_flipped, Fault::kBitFlipped}};
  for (const auto& [chance, fault] : chances) {
    if (draw < chance) return fault;
    draw -= chance;
  }
  return Fault::kNone;
}

void SimFabric::arrive(std::uint64_t id, SimDataPlane& receiver) {
  const auto at = messages_.find(id);
  if (at == messages_.end()) return;
  Message& message = at->second;
  const std::uint64_t connection = message.connection;
  const auto link = connections_.find(connection);
  if (link == connections_.end() || !link->second.to_open) return;
  const bool is_piece = !message.payload.empty();
  message.fault = is_piece ? draw_fault() : Fault::kNone;
  if (message.fault == Fault::kRefused) return tell_sender(id, false, "refused by the receiver");
  MessageEvents::Destination to;
  const MessageHeaderBytes header = message.header;
  const std::uint64_t bytes = message.payload.size();
  receiver.turn([&](PlaneCore& core) {
    to = core.on_message(accepting(connection), header, bytes);
    // Kept before anything else of this turn may close the connection.
    message.to = to.to;
    message.receive_operation = to.operation;
    message.receiver_waits = to.to != nullptr;
  });
  if (!messages_.contains(id)) return;
  if (!is_piece) return tell_sender(id, true, {});
  if (to.to == nullptr) return tell_sender(id, false, "refused by the receiver");
  schedule_landing(id);
}

// The bytes of an accepted piece come in three steps, one after another on its connection.
void SimFabric::schedule_landing(std::uint64_t id) {
  const Message& message = messages_.at(id);
  Connection& connection = connections_.at(message.connection);
  const std::size_t bytes = message.payload.size();
  const auto time_of = [&](std::size_t count) {
    return Duration{static_cast<std::int64_t>(static_cast<unsigned __int128>(count) * 1'000'000'000 / options_.bytes_per_second)};
  };
  const Time start = std::max(heap_.now(), connection.busy_until);
  connection.busy_until = start + time_of(bytes);
  const std::size_t steps[] = {0, bytes / 3, bytes * 2 / 3, bytes};
  for (std::size_t step = 0; step < 3; ++step) {
    const bool last = step == 2;
    if (last && message.fault == Fault::kTailLost) return;
    const Duration late = last && message.fault == Fault::kLate ? options_.late_by : Duration{0};
    heap_.at(start + time_of(steps[step + 1]) + late,
             [this, id, begin = steps[step], end = steps[step + 1], last] { land(id, begin, end, last); });
  }
}

// Both processes have a part in moving bytes: a stopped one holds them up, a dead one ends them.
void SimFabric::land(std::uint64_t id, std::size_t begin, std::size_t end, bool last) {
  const auto at = messages_.find(id);
  if (at == messages_.end()) return;
  const auto link = connections_.find(at->second.connection);
  if (link == connections_.end()) return;
  const PeerKey from = link->second.from;
  const PeerKey to = link->second.to;
  at_node(from, [this, id, begin, end, last, from, to](SimDataPlane&) {
    across(from, to, Duration{0}, [this, id, begin, end, last](SimDataPlane& receiver) { write(id, begin, end, last, receiver); });
  });
}

void SimFabric::write(std::uint64_t id, std::size_t begin, std::size_t end, bool last, SimDataPlane& receiver) {
  const auto at = messages_.find(id);
  if (at == messages_.end() || !at->second.receiver_waits) return;
  Message& message = at->second;
  const auto link = connections_.find(message.connection);
  if (link == connections_.end() || !link->second.to_open || !link->second.from_open) return;
  std::memcpy(message.to + begin, message.payload.data() + begin, end - begin);
  landed_bytes_ += end - begin;
  if (receiver.core_.closing(message.receive_operation)) late_writes_ += end - begin;
  if (!last) return;
  if (message.fault == Fault::kBitFlipped) {
    const std::uint64_t bit = heap_.random().below(message.payload.size() * 8);
    message.to[bit / 8] ^= std::byte{1} << (bit % 8);
  }
  const std::uint64_t operation = message.receive_operation;
  const bool told = message.fault != Fault::kCompletionLost;
  if (told) message.receiver_waits = false;
  tell_sender(id, true, {});
  if (told) receiver.turn([&](PlaneCore& core) { core.on_received(operation, true, {}); });
}

void SimFabric::tell_sender(std::uint64_t id, bool ok, const std::string& reason) {
  const auto at = messages_.find(id);
  if (at == messages_.end()) return;
  const auto link = connections_.find(at->second.connection);
  if (link == connections_.end()) return;
  across(link->second.to, link->second.from, options_.latency, [this, id, ok, reason](SimDataPlane& sender) {
    const auto found = messages_.find(id);
    if (found == messages_.end() || !found->second.sender_waits) return;
    found->second.sender_waits = false;
    const std::uint64_t operation = found->second.send_operation;
    forget_if_done(id);
    sender.turn([&](PlaneCore& core) { core.on_sent(operation, ok, reason); });
  });
}

void SimFabric::forget_if_done(std::uint64_t id) {
  const auto at = messages_.find(id);
  if (at != messages_.end() && !at->second.sender_waits && !at->second.receiver_waits) messages_.erase(at);
}

// Ends what one side of a connection waits for. From here on nothing of it is written or read by that side.
void SimFabric::cancel(std::uint64_t connection, bool dialling_side, const std::string& reason) {
  const PeerKey node = dialling_side ? connections_.at(connection).from : connections_.at(connection).to;
  std::vector<std::uint64_t> touched;
  for (auto& [id, message] : messages_) {
    if (message.connection != connection) continue;
    bool& waits = dialling_side ? message.sender_waits : message.receiver_waits;
    if (!waits) continue;
    waits = false;
    touched.push_back(id);
    cancelled_[node].push_back({dialling_side, dialling_side ? message.send_operation : message.receive_operation, reason});
  }
  for (const std::uint64_t id : touched) forget_if_done(id);
  if (touched.empty()) return;
  heap_.after(Duration{0}, [this, node] {
    at_node(node, [this, node](SimDataPlane&) { end_cancelled(node); });
  });
}

void SimFabric::end_cancelled(const PeerKey& peer) {
  SimDataPlane* plane = alive(peer);
  const auto ended_here = cancelled_.extract(peer);
  if (plane == nullptr || ended_here.empty()) return;
  for (const Cancelled& ended : ended_here.mapped()) {
    plane->turn([&](PlaneCore& core) {
      if (ended.sent) core.on_sent(ended.operation, false, ended.reason);
      else core.on_received(ended.operation, false, ended.reason);
    });
  }
}

void SimFabric::close_side(std::uint64_t id, bool dialling_side, const std::string& reason, Duration other_notices_after) {
  const auto at = connections_.find(id);
  if (at == connections_.end()) return;
  Connection& connection = at->second;
  bool& open = dialling_side ? connection.from_open : connection.to_open;
  if (!open) return;
  open = false;
  cancel(id, dialling_side, reason);
  const bool other_open = dialling_side ? connection.to_open : connection.from_open;
  if (!other_open) {
    connections_.erase(at);
    return;
  }
  const PeerKey here = dialling_side ? connection.from : connection.to;
  const PeerKey other = dialling_side ? connection.to : connection.from;
  across(here, other, other_notices_after, [this, id, dialling_side, reason](SimDataPlane& plane) {
    const auto found = connections_.find(id);
    if (found == connections_.end() || !(dialling_side ? found->second.to_open : found->second.from_open)) return;
    close_side(id, !dialling_side, reason, Duration{0});
    plane.turn([&](PlaneCore& core) { core.on_broken(dialling_side ? accepting(id) : dialling(id), reason); });
  });
}

// A process is gone: its sides of all connections close without its noticing.
void SimFabric::remove(const PeerKey& peer, bool killed) {
  planes_.erase(peer);
  paused_.erase(peer);
  std::vector<std::uint64_t> ids;
  for (const auto& [id, connection] : connections_)
    if (connection.from == peer || connection.to == peer) ids.push_back(id);
  for (const std::uint64_t id : ids) {
    if (!connections_.contains(id)) continue;
    const Connection connection = connections_.at(id);
    if (connection.from == peer) close_side(id, true, "connection reset", killed ? options_.death_noticed : options_.latency);
    if (connection.to == peer && connections_.contains(id))
      close_side(id, false, "connection reset", killed ? options_.death_noticed : options_.latency);
  }
  cancelled_.erase(peer);
}

void SimFabric::kill(const PeerKey& peer) {
  SimDataPlane* plane = alive(peer);
  if (plane == nullptr) return;
  plane->killed_ = true;
  remove(peer, true);
}

void SimFabric::pause(const PeerKey& peer) {
  if (alive(peer) != nullptr) paused_.try_emplace(peer);
}

void SimFabric::resume(const PeerKey& peer) {
  auto stopped = paused_.extract(peer);
  if (stopped.empty()) return;
  for (std::function<void(SimDataPlane&)>& run : stopped.mapped())
    heap_.after(Duration{0}, [this, peer, held = std::move(run)] { at_node(peer, held); });
}

void SimFabric::partition(const PeerKey& a, const PeerKey& b) {
  const Pair pair = pair_of(a, b);
  if (!partitions_.try_emplace(pair).second) return;
  std::vector<std::uint64_t> cut;
  for (const auto& [id, connection] : connections_)
    if (pair_of(connection.from, connection.to) == pair) cut.push_back(id);
  heap_.after(options_.cut_noticed, [this, pair, cut] {
    if (!partitions_.contains(pair)) return;
    for (const std::uint64_t id : cut) {
      for (const bool dialling_side : {true, false}) {
        const auto at = connections_.find(id);
        if (at == connections_.end()) break;
        if (!(dialling_side ? at->second.from_open : at->second.to_open)) continue;
        const PeerKey node = dialling_side ? at->second.from : at->second.to;
        close_side(id, dialling_side, "connection timed out", Duration{0});
        at_node(node, [&](SimDataPlane& plane) {
          plane.turn([&](PlaneCore& core) {
            core.on_broken(dialling_side ? dialling(id) : accepting(id), "connection timed out");
          });
        });
      }
    }
  });
}

void SimFabric::heal(const PeerKey& a, const PeerKey& b) {
  auto cut = partitions_.extract(pair_of(a, b));
  if (cut.empty()) return;
  for (std::function<void()>& held : cut.mapped()) heap_.after(Duration{0}, std::move(held));
}

}  // namespace baton
