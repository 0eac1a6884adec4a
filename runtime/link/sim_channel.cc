// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/sim_channel.h"

#include <algorithm>
#include <vector>

#include "runtime/base/check.h"
#include "runtime/base/hash.h"

namespace baton {
namespace {
constexpr std::uint64_t kMillion = 1'000'000;

Duration up_to(Random& random, Duration bound) {
  return bound.count() <= 0 ? Duration{} : Duration(static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(bound.count()))));
}
}  // namespace

SimNetworkOptions draw_network_options(Random& random) {
  using std::chrono::microseconds;
  using std::chrono::milliseconds;
  SimNetworkOptions options;
  const auto maybe = [&](std::uint64_t ppm_max) { return random.chance(1, 2) ? random.below(ppm_max) : 0; };
  options.latency = microseconds(10 + random.below(500));
  options.latency_spread = microseconds(random.below(1000));
  options.tail_one_in = random.chance(1, 2) ? 10 + random.below(1000) : 0;
  options.tail = microseconds(100 + random.below(20000));
  options.loss_ppm = maybe(50'000);
  options.duplicate_ppm = maybe(50'000);
  options.reorder_ppm = maybe(50'000);
  options.refuse_ppm = maybe(100'000);
  options.reset_ppm = maybe(10'000);
  options.high_water = random.chance(1, 4) ? 1 + random.below(8) : 1000;
  options.redial = milliseconds(1 + random.below(200));
  return options;
}

Result<std::unique_ptr<SimChannel>> SimNetwork::open(NodeId node, const std::string& address) {
  if (listeners_.contains(address)) return fail(ErrorCode::kAlreadyExists, "address " + address + " is in use");
  std::unique_ptr<SimChannel> channel(new SimChannel(*this, node, address));
  if (!address.empty()) listeners_.emplace(address, channel.get());
  return channel;
}

void SimNetwork::partition(NodeId a, NodeId b, bool one_way) {
  blocked_.emplace(a, b);
  if (!one_way) blocked_.emplace(b, a);
}

void SimNetwork::heal() {
  blocked_.clear();
  for (auto& [id, pipe] : pipes_) {
    pipe.failing = false;
    for (const bool to_acceptor : {true, false}) {
      Direction& direction = pipe.directions[to_acceptor ? 0 : 1];
      for (std::string& frame : std::exchange(direction.stalled, {})) {
        direction.last_arrival = std::max(heap_.now() + options_.latency, direction.last_arrival);
        heap_.at(direction.last_arrival, [this, pipe_id = id, to_acceptor, frame = std::move(frame)]() mutable {
          arrive(pipe_id, to_acceptor, std::move(frame));
        });
      }
    }
  }
}

void SimNetwork::reset(NodeId node) {
  std::vector<ConnectionId> broken;
  for (const auto& [id, pipe] : pipes_) {
    if (pipe.dialler->node_ == node || pipe.acceptor->node_ == node) broken.push_back(id);
  }
  for (const ConnectionId id : broken) break_pipe(id);
}

ConnectionId SimNetwork::dial(SimChannel& dialler, const std::string& address) {
  const ConnectionId id = ++ids_;
  dials_.emplace(id, Dial{&dialler, address, 0});
  heap_.after(draw_latency(), [this, id] { attempt(id); });
  return id;
}

void SimNetwork::attempt(ConnectionId dial) {
  const auto it = dials_.find(dial);
  if (it == dials_.end() || it->second.pipe != 0) return;
  const auto listener = listeners_.find(it->second.address);
  SimChannel* const dialler = it->second.dialler;
  SimChannel* const acceptor = listener == listeners_.end() ? nullptr : listener->second;
  if (acceptor == nullptr || acceptor->paused_ || dialler->paused_ || blocked(dialler->node_, acceptor->node_) ||
      blocked(acceptor->node_, dialler->node_)) {
    redial_later(dial);
    return;
  }
  const ConnectionId pipe = ++ids_;
  it->second.pipe = pipe;
  Pipe& created = pipes_[pipe];
  created.dial = dial;
  created.dialler = dialler;
  created.acceptor = acceptor;
}

void SimNetwork::redial_later(ConnectionId dial) {
  heap_.after(options_.redial + up_to(heap_.random(), options_.redial / 4), [this, dial] { attempt(dial); });
}

void SimNetwork::hang_up(ConnectionId dial) {
  const auto it = dials_.find(dial);
  if (it == dials_.end()) return;
  const ConnectionId pipe = it->second.pipe;
  dials_.erase(it);
  if (pipe != 0) break_pipe(pipe);
}

Duration SimNetwork::draw_latency() {
  Random& random = heap_.random();
  Duration latency = options_.latency + up_to(random, options_.latency_spread);
  if (options_.tail_one_in != 0 && random.chance(1, options_.tail_one_in)) {
    Duration tail = options_.tail;
    for (int doublings = 0; doublings < 6 && random.chance(1, 4); ++doublings) tail *= 2;
    latency += up_to(random, tail);
  }
  return latency;
}

bool SimNetwork::send(SimChannel& from, ConnectionId connection, std::string_view frame) {
  if (frame.size() > kFrameBytesMax) return false;
  const auto dialled = dials_.find(connection);
  const bool to_acceptor = dialled != dials_.end() && dialled->second.dialler == &from;
  const ConnectionId id = to_acceptor ? dialled->second.pipe : connection;
  const auto it = pipes_.find(id);
  if (it == pipes_.end() || (!to_acceptor && it->second.acceptor != &from)) return false;
  Random& random = heap_.random();
  Direction& direction = it->second.directions[to_acceptor ? 0 : 1];
  if (direction.queued >= options_.high_water || (options_.refuse_ppm != 0 && random.chance(options_.refuse_ppm, kMillion))) {
    ++counters_.refused;
    return false;
  }
  if (options_.reset_ppm != 0 && random.chance(options_.reset_ppm, kMillion)) {
    ++counters_.resets;
    break_pipe(id);  // this frame, too, was queued and is lost
    return true;
  }
  if (options_.loss_ppm != 0 && random.chance(options_.loss_ppm, kMillion)) {
    ++counters_.lost;
    return true;
  }
  if (options_.duplicate_ppm != 0 && random.chance(options_.duplicate_ppm, kMillion)) {
    ++counters_.duplicated;
    carry(id, to_acceptor, std::string(frame));
  }
  carry(id, to_acceptor, std::string(frame));
  return true;
}

void SimNetwork::carry(ConnectionId pipe, bool to_acceptor, std::string frame) {
  Direction& direction = pipes_.at(pipe).directions[to_acceptor ? 0 : 1];
  ++direction.queued;
  Time arrival = heap_.now() + draw_latency();
  if (options_.reorder_ppm != 0 && heap_.random().chance(options_.reorder_ppm, kMillion)) {
    ++counters_.reordered;
    arrival += up_to(heap_.random(), 8 * options_.latency + options_.latency_spread);
  } else {
    arrival = direction.last_arrival = std::max(arrival, direction.last_arrival);
  }
  heap_.at(arrival, [this, pipe, to_acceptor, bytes = std::move(frame)]() mutable { arrive(pipe, to_acceptor, std::move(bytes)); });
}

void SimNetwork::arrive(ConnectionId pipe, bool to_acceptor, std::string frame) {
  const auto it = pipes_.find(pipe);
  if (it == pipes_.end()) return;
  SimChannel& from = to_acceptor ? *it->second.dialler : *it->second.acceptor;
  SimChannel& to = to_acceptor ? *it->second.acceptor : *it->second.dialler;
  if (blocked(from.node_, to.node_)) {
    it->second.directions[to_acceptor ? 0 : 1].stalled.push_back(std::move(frame));
    if (!std::exchange(it->second.failing, true)) {
      heap_.after(options_.heartbeat_timeout, [this, pipe] {
        const auto failing = pipes_.find(pipe);
        if (failing != pipes_.end() && failing->second.failing) break_pipe(pipe);
      });
    }
    return;
  }
  if (to.paused_) {
    to.waiting_.push_back({pipe, to_acceptor, std::move(frame)});
    return;
  }
  hand_over(pipe, to_acceptor, frame);
}

void SimNetwork::hand_over(ConnectionId pipe, bool to_acceptor, const std::string& frame) {
  Pipe& from = pipes_.at(pipe);
  --from.directions[to_acceptor ? 0 : 1].queued;
  ++counters_.delivered;
  SimChannel& to = to_acceptor ? *from.acceptor : *from.dialler;
  heap_.note(hash_bytes(frame.data(), frame.size(), to.node_.value));
  if (to.receiver_) to.receiver_(to_acceptor ? pipe : from.dial, frame);
}

void SimNetwork::break_pipe(ConnectionId pipe) {
  const auto it = pipes_.find(pipe);
  if (it == pipes_.end()) return;
  const ConnectionId dial = it->second.dial;
  pipes_.erase(it);
  const auto dialled = dials_.find(dial);
  if (dialled == dials_.end()) return;
  dialled->second.pipe = 0;
  redial_later(dial);
}

void SimNetwork::detach(SimChannel& channel) {
  if (!channel.address_.empty()) listeners_.erase(channel.address_);
  std::vector<ConnectionId> gone;
  for (const auto& [id, dial] : dials_) {
    if (dial.dialler == &channel) gone.push_back(id);
  }
  for (const ConnectionId id : gone) hang_up(id);
  gone.clear();
  for (const auto& [id, pipe] : pipes_) {
    if (pipe.acceptor == &channel) gone.push_back(id);
  }
  for (const ConnectionId id : gone) break_pipe(id);
}

SimChannel::~SimChannel() { die(); }

void SimChannel::die() {
  if (std::exchange(dead_, true)) return;
  network_.detach(*this);
  waiting_.clear();
}

Result<ConnectionId> SimChannel::connect(const std::string& address) {
  if (dead_) return fail(ErrorCode::kUnavailable, "the process has ended");
  if (address.empty()) return fail(ErrorCode::kInvalidArgument, "an empty address cannot be dialled");
  return network_.dial(*this, address);
}

bool SimChannel::send(ConnectionId to, std::string_view frame) { return !dead_ && network_.send(*this, to, frame); }

// Like a ROUTER, the accepting side cannot hang up.
void SimChannel::close(ConnectionId connection) {
  const auto it = network_.dials_.find(connection);
  if (it != network_.dials_.end() && it->second.dialler == this) network_.hang_up(connection);
}

void SimChannel::set_receiver(std::function<void(ConnectionId, std::string_view)> receiver) { receiver_ = std::move(receiver); }

void SimChannel::pause() { paused_ = true; }

void SimChannel::resume() {
  paused_ = false;
  for (Waiting& waiting : std::exchange(waiting_, {})) {
    network_.heap_.after(Duration{}, [&network = network_, waiting = std::move(waiting)]() mutable {
      network.arrive(waiting.pipe, waiting.to_acceptor, std::move(waiting.frame));
    });
  }
}

}  // namespace baton
