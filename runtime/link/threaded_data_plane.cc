// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/threaded_data_plane.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "runtime/base/check.h"
#include "runtime/base/log.h"
#include "runtime/base/thread_name.h"

namespace baton {
namespace {

// While transfers are live, this long without any progress means the peer is not sending now: stop burning a core on it.
constexpr Duration kSpinWhileLive = std::chrono::milliseconds(1);
// Empty rounds before the core is offered to others: on a machine with fewer cores than spinning threads the peer may be
// waiting for this very core. Costs well below a microsecond when nobody wants it.
constexpr int kRoundsBeforeYield = 64;
// After the last piece the next one often follows at once; waking from sleep costs about as much.
constexpr Duration kSpinWhenIdle = std::chrono::microseconds(30);
// A wake-up that never came would cost this much and no more.
constexpr Duration kLongestSleep = std::chrono::milliseconds(500);

// PlaneCore compares with what an endpoint says of itself, and TCP by UCX says "tcp".
std::vector<std::string> reported_names(std::vector<std::string> transports) {
  std::replace(transports.begin(), transports.end(), std::string("ucx_tcp"), std::string("tcp"));
  return transports;
}

Time clock_now() { return Time{std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())}; }

}  // namespace

Result<std::unique_ptr<ThreadedDataPlane>> ThreadedDataPlane::create(ThreadedPlaneOptions options) {
  const PathWorkerOptions paths{options.interface_name, options.node_name, options.transports, options.pool_bytes};
  std::unique_ptr<ThreadedDataPlane> plane(new ThreadedDataPlane(std::move(options)));
  plane->wake_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (plane->wake_fd_ < 0) return fail(ErrorCode::kIo, "no event descriptor: too many open files?");
  Result<std::unique_ptr<PathWorker>> made = PathWorker::create(paths, plane->core_);
  if (!made) return tl::unexpected(std::move(made).error());
  plane->paths_ = *std::move(made);
  plane->core_.attach(*plane->paths_, plane->pool());
  plane->core_.set_late_opens([raw = plane.get()] { raw->take_opens(); });
  plane->thread_ = std::thread([raw = plane.get()] { raw->run(); });
  return plane;
}

ThreadedDataPlane::ThreadedDataPlane(ThreadedPlaneOptions options)
    : core_({options.self, reported_names(options.transports), options.grace, options.pieces_in_flight}, std::move(options.sink),
            std::move(options.digest)) {}

ThreadedDataPlane::~ThreadedDataPlane() {
  if (thread_.joinable()) {
    post(commands_, [this] { stopping_ = true; });
    thread_.join();
  }
  paths_.reset();  // before the core, which hears its events
  if (wake_fd_ >= 0) ::close(wake_fd_);
}

void ThreadedDataPlane::post(Commands& queue, std::function<void()> command) {
  {
    const std::lock_guard lock(mutex_);
    queue.push_back(std::move(command));
    if (queue.size() > 1) return;  // whoever queued the first one rings
  }
  const std::uint64_t one = 1;
  (void)!::write(wake_fd_, &one, sizeof one);
}

void ThreadedDataPlane::open(const TransferId& transfer, const PeerKey& from, std::vector<Place> places, Duration time_limit) {
  post(opens_, [this, transfer, from, places = std::move(places), time_limit]() mutable {
    core_.open(transfer, from, std::move(places), time_limit);
  });
}

void ThreadedDataPlane::close(const TransferId& transfer) {
  post(commands_, [this, transfer] { core_.close(transfer); });
}

void ThreadedDataPlane::connect(const PeerKey& peer, const std::string& address) {
  post(commands_, [this, peer, address] { core_.connect(peer, address); });
}

void ThreadedDataPlane::disconnect(const PeerKey& peer) {
  post(commands_, [this, peer] { core_.disconnect(peer); });
}

void ThreadedDataPlane::push(std::uint64_t ticket, const PeerKey& to, const TransferId& transfer, std::vector<Piece> pieces) {
  post(commands_, [this, ticket, to, transfer, pieces = std::move(pieces)]() mutable { core_.push(ticket, to, transfer, std::move(pieces)); });
}

void ThreadedDataPlane::abandon(const TransferId& transfer) {
  post(commands_, [this, transfer] { core_.abandon(transfer); });
}

std::string ThreadedDataPlane::transport(const PeerKey& peer) const {
  const std::lock_guard lock(mutex_);
  const auto at = transports_.find(peer);
  return at == transports_.end() ? "none" : at->second;
}

ThreadedDataPlane::Stats ThreadedDataPlane::stats() const {
  const std::lock_guard lock(mutex_);
  return published_;
}

void ThreadedDataPlane::publish() {
  const Stats stats{core_.stats(), paths_->endpoints(), sleeps_};
  const std::lock_guard lock(mutex_);
  published_ = stats;
}

void ThreadedDataPlane::run() {
  name_this_thread("baton-data");
  Time last_activity = clock_now();
  int empty_rounds = 0;
  core_.set_now(last_activity);
  while (!stopping_) {
    const bool commanded = take_commands();
    const unsigned happened = paths_->progress();
    core_.set_now(clock_now());
    core_.check_timers();
    core_.pump();
    if (transports_seen_ != core_.transports_version()) {
      const std::lock_guard lock(mutex_);
      transports_ = core_.transports();
      transports_seen_ = core_.transports_version();
    }
    if (commanded || happened > 0) {
      last_activity = core_.now();
      empty_rounds = 0;
    } else if (core_.now() - last_activity > (core_.idle() ? kSpinWhenIdle : kSpinWhileLive)) {
      sleep();
    } else if (++empty_rounds > kRoundsBeforeYield) {
      std::this_thread::yield();
    }
  }
  take_commands();  // calls still queued count as made: their events are owed
  core_.stop();
  const Time limit = clock_now() + std::chrono::seconds(5);
  while (core_.moving() && clock_now() < limit) paths_->progress();
  if (core_.moving()) log_error("data_plane", "stopped with pieces posted");
  publish();
}

bool ThreadedDataPlane::take_commands() {
  Commands opens, others;
  {
    // Both at once: a close() must not overtake its open().
    const std::lock_guard lock(mutex_);
    opens.swap(opens_);
    others.swap(commands_);
  }
  for (const std::function<void()>& command : opens) command();
  for (const std::function<void()>& command : others) command();
  return !opens.empty() || !others.empty();
}

void ThreadedDataPlane::take_opens() {
  Commands opens;
  {
    const std::lock_guard lock(mutex_);
    opens.swap(opens_);
  }
  for (const std::function<void()>& command : opens) command();
}

void ThreadedDataPlane::sleep() {
  if (!paths_->arm()) return;
  publish();
  const Duration wait = std::max(std::min(core_.next_due() - core_.now(), kLongestSleep), Duration{0});
  const timespec timeout{static_cast<time_t>(wait.count() / 1000000000), static_cast<long>(wait.count() % 1000000000)};
  pollfd sources[2] = {{paths_->event_fd(), POLLIN, 0}, {wake_fd_, POLLIN, 0}};
  ++sleeps_;
  (void)ppoll(sources, 2, &timeout, nullptr);
  std::uint64_t rung = 0;
  (void)!::read(wake_fd_, &rung, sizeof rung);
}

}  // namespace baton
