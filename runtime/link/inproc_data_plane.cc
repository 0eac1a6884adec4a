// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/inproc_data_plane.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <future>

#include "runtime/base/check.h"

namespace baton {
namespace {

Time clock_now() { return Time{std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())}; }

}  // namespace

InprocHub::InprocHub() : thread_([this] { run(); }) {}

InprocHub::~InprocHub() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
  CHECK(planes_.empty(), "a data plane outlives its hub");
}

void InprocHub::post(std::function<void()> command) {
  {
    const std::lock_guard lock(mutex_);
    commands_.push_back(std::move(command));
  }
  changed_.notify_one();
}

void InprocHub::run_and_wait(std::function<void()> command) {
  CHECK(std::this_thread::get_id() != thread_.get_id(), "waiting for the data thread on the data thread");
  std::promise<void> done;
  post([&] {
    command();
    done.set_value();
  });
  done.get_future().wait();
}

void InprocHub::run() {
  while (true) {
    Time due = kNever;
    for (const auto& [address, plane] : planes_) due = std::min(due, plane->core_.next_due());
    std::vector<std::function<void()>> commands;
    {
      std::unique_lock lock(mutex_);
      const auto ready = [this] { return stopping_ || !commands_.empty(); };
      if (!broken_.empty()) due = clock_now();
      if (due == kNever) changed_.wait(lock, ready);
      else changed_.wait_for(lock, std::max(due - clock_now(), Duration{0}), ready);
      if (stopping_ && commands_.empty()) return;
      commands.swap(commands_);
    }
    const Time now = clock_now();
    for (const auto& [address, plane] : planes_) plane->core_.set_now(now);
    for (const std::function<void()>& command : commands) command();
    turn_all();
  }
}

void InprocHub::turn_all() {
  while (!broken_.empty()) {
    const auto broken = std::exchange(broken_, {});
    for (const auto& [plane, endpoint] : broken) plane->core_.on_broken(endpoint, "closed by the peer");
  }
  for (const auto& [address, plane] : planes_) {
    plane->core_.check_timers();
    plane->core_.pump();
    plane->publish();
  }
}

InprocDataPlane::InprocDataPlane(InprocHub& hub, const PeerKey& self, std::uint64_t pool_bytes, DataPlaneSink sink,
                                 PlaceDigest digest, Duration grace, std::uint32_t pieces_in_flight)
    : hub_(hub),
      address_("inproc:" + to_hex(self.node.value) + ":" + to_hex(self.incarnation.value)),
      pool_(pool_bytes),
      core_({self, {}, grace, pieces_in_flight}, std::move(sink), std::move(digest)) {
  core_.attach(*this, pool_);
  hub_.run_and_wait([this] {
    CHECK(hub_.planes_.emplace(address_, this).second, "two data planes of one life");
    core_.set_now(clock_now());
  });
}

InprocDataPlane::~InprocDataPlane() {
  hub_.run_and_wait([this] {
    core_.stop();
    // What stop() does not know of: accepted connections that have not said who they are.
    std::vector<EndpointId> unnamed;
    for (const auto& [id, connection] : hub_.connections_)
      if (connection.to == this) unnamed.push_back(InprocHub::accepting(id));
    for (const EndpointId endpoint : unnamed) force_close(endpoint);
    std::erase_if(hub_.broken_, [this](const auto& entry) { return entry.first == this; });
    hub_.planes_.erase(address_);
  });
}

void InprocDataPlane::publish() {
  if (transports_seen_ == core_.transports_version()) return;
  const std::lock_guard lock(mutex_);
  transports_ = core_.transports();
  transports_seen_ = core_.transports_version();
}

PlaneCore::Stats InprocDataPlane::stats() {
  PlaneCore::Stats stats;
  hub_.run_and_wait([&] { stats = core_.stats(); });
  return stats;
}

void InprocDataPlane::open(const TransferId& transfer, const PeerKey& from, std::vector<Place> places, Duration time_limit) {
  hub_.post([this, transfer, from, places = std::move(places), time_limit]() mutable {
    core_.open(transfer, from, std::move(places), time_limit);
  });
}
void InprocDataPlane::close(const TransferId& transfer) {
  hub_.post([this, transfer] { core_.close(transfer); });
}
void InprocDataPlane::connect(const PeerKey& peer, const std::string& address) {
  hub_.post([this, peer, address] { core_.connect(peer, address); });
}
void InprocDataPlane::disconnect(const PeerKey& peer) {
  hub_.post([this, peer] { core_.disconnect(peer); });
}
void InprocDataPlane::push(std::uint64_t ticket, const PeerKey& to, const TransferId& transfer, std::vector<Piece> pieces) {
  hub_.post([this, ticket, to, transfer, pieces = std::move(pieces)]() mutable {
    core_.push(ticket, to, transfer, std::move(pieces));
  });
}
void InprocDataPlane::abandon(const TransferId& transfer) {
  hub_.post([this, transfer] { core_.abandon(transfer); });
}

std::string InprocDataPlane::transport(const PeerKey& peer) const {
  const std::lock_guard lock(mutex_);
  const auto at = transports_.find(peer);
  return at == transports_.end() ? "none" : at->second;
}

Result<EndpointId> InprocDataPlane::connect(const std::string& address) {
  const auto at = hub_.planes_.find(address);
  if (at == hub_.planes_.end()) return fail(ErrorCode::kUnavailable, "nobody is at " + address);
  const std::uint64_t id = hub_.next_connection_++;
  hub_.connections_[id] = {this, at->second};
  return InprocHub::dialling(id);
}

MessageLink::Sent InprocDataPlane::send(EndpointId to, std::uint64_t, const MessageHeaderBytes& header,
                                        std::span<const std::byte> payload, std::string& reason) {
  const auto at = hub_.connections_.find(to / 2);
  if (at == hub_.connections_.end() || at->second.to == nullptr) {
    reason = "not connected";
    return Sent::kFailed;
  }
  PlaneCore& receiver = at->second.to->core_;
  const MessageEvents::Destination into = receiver.on_message(InprocHub::accepting(at->first), header, payload.size());
  if (payload.empty()) return Sent::kDone;
  if (into.to == nullptr) {
    reason = "refused by the receiver";
    return Sent::kFailed;
  }
  // Source and destination are the same memory's places when a node sends to itself.
  std::memmove(into.to, payload.data(), payload.size());
  receiver.on_received(into.operation, true, {});
  return Sent::kDone;
}

void InprocDataPlane::force_close(EndpointId endpoint) {
  const auto at = hub_.connections_.find(endpoint / 2);
  if (at == hub_.connections_.end()) return;
  const bool dialling_side = endpoint % 2 == 0;
  InprocDataPlane* other = dialling_side ? at->second.to : at->second.from;
  if (other != nullptr) hub_.broken_.emplace_back(other, dialling_side ? InprocHub::accepting(at->first) : InprocHub::dialling(at->first));
  hub_.connections_.erase(at);
}

}  // namespace baton
