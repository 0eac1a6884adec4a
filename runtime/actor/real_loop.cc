// SPDX-License-Identifier: Apache-2.0
#include "runtime/actor/real_loop.h"

#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/base/check.h"
#include "runtime/link/zmq_channel.h"

namespace baton {
namespace asio = boost::asio;
using boost::system::error_code;

Time real_now() {
  return Time{std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())};
}

namespace {

std::uint64_t random_word() {
  std::uint64_t word = 0;
  while (word == 0) {
    const ssize_t got = getrandom(&word, sizeof word, 0);
    CHECK(got == sizeof word || errno == EINTR, "the kernel has no random numbers");
    if (got != sizeof word) word = 0;
  }
  return word;
}

NodeOptions node_options(const RealLoopOptions& options) {
  NodeOptions node;
  node.node = options.node;
  node.incarnation = options.incarnation.value != 0 ? options.incarnation : random_incarnation();
  node.random_key = random_word();
  node.links = options.links;
  if (options.bind_address.empty() && node.links.keepalive == Duration{0}) node.links.keepalive = kClientKeepalive;
  return node;
}

// What other threads may touch: a list under a lock and an eventfd that wakes the loop, written only when it is not awake.
class Inlet final : public Executor {
 public:
  Inlet() : event_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) { CHECK(event_ >= 0, "no descriptor for the loop's wake-up"); }
  ~Inlet() override { ::close(event_); }

  void post(std::uint32_t slot, std::function<void(Outbox&)> turn) override {
    bool first = false;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      first = posted_.empty();
      posted_.emplace_back(slot, std::move(turn));
    }
    if (first) wake();
  }
  // Async-signal-safe.
  void stop() {
    stopped_.store(true);
    wake();
  }
  bool take_stop() { return stopped_.exchange(false); }
  std::vector<std::pair<std::uint32_t, std::function<void(Outbox&)>>> take() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return std::exchange(posted_, {});
  }
  int descriptor() const { return event_; }
  void drain() {
    std::uint64_t count = 0;
    while (::read(event_, &count, sizeof count) > 0) {
    }
  }

 private:
  void wake() {
    const int saved = errno;
    const std::uint64_t one = 1;
    // EAGAIN: the counter is full, so the loop is being woken anyway.
    [[maybe_unused]] const ssize_t written = ::write(event_, &one, sizeof one);
    errno = saved;
  }

  const int event_;
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::vector<std::pair<std::uint32_t, std::function<void(Outbox&)>>> posted_;
};

static_assert(std::atomic<bool>::is_always_lock_free, "stop() must be safe in a signal handler");

}  // namespace

Incarnation random_incarnation() { return Incarnation{random_word()}; }

class RealLoop::Impl {
 public:
  Impl(const RealLoopOptions& options, std::unique_ptr<ZmqChannel> channel)
      : channel_(std::move(channel)),
        node_(node_options(options), *channel_),
        timer_(context_),
        wake_(context_, inlet_.descriptor()),
        signals_(context_),
        on_signal_(options.on_signal) {
    channel_->set_receiver([this](ConnectionId from, std::string_view frame) {
      received_ = true;
      node_.receive(real_now(), from, frame);
    });
    channel_->set_watcher([this](int descriptor, bool on) { watch(descriptor, on); });
    await_wake();
    if (on_signal_) {
      signals_.add(SIGINT);
      signals_.add(SIGTERM);
      await_signal();
    }
  }
  ~Impl() {
    wake_.release();
    channel_->set_watcher(nullptr);
    for (auto& [descriptor, watched] : watched_) watched.descriptor.release();
  }

  void run(std::optional<Time> until) {
    context_.restart();
    until_ = until;
    schedule_turn();
    context_.run();
    until_.reset();
  }

  Inlet inlet_;
  asio::io_context context_{1};
  std::unique_ptr<ZmqChannel> channel_;
  Node node_;

 private:
  // The descriptors are ZeroMQ's: they are released, never closed, by Asio. async_wait arms the edge anew each time, so a
  // descriptor that stayed readable fires again.
  struct Watched {
    Watched(asio::io_context& context, std::uint64_t number) : descriptor(context), serial(number) {}
    asio::posix::stream_descriptor descriptor;
    std::uint64_t serial;  // numbers come again: a late completion of an earlier tenant is not ours
  };
  void watch(int descriptor, bool on) {
    if (on) {
      Watched& watched = watched_.try_emplace(descriptor, context_, ++serial_).first->second;
      error_code error;
      watched.descriptor.assign(descriptor, error);
      CHECK(!error, "a ZeroMQ descriptor cannot be watched: " + error.message());
      await_readable(descriptor, watched);
      return;
    }
    const auto it = watched_.find(descriptor);
    if (it == watched_.end()) return;
    it->second.descriptor.release();
    watched_.erase(it);
  }
  void await_readable(int descriptor, Watched& watched) {
    watched.descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                  [this, descriptor, serial = watched.serial](error_code error) {
                                    if (error || !ours(descriptor, serial)) return;
                                    channel_->wake(descriptor);
                                    turn();
                                    if (ours(descriptor, serial)) await_readable(descriptor, watched_.at(descriptor));
                                  });
  }
  bool ours(int descriptor, std::uint64_t serial) const {
    const auto it = watched_.find(descriptor);
    return it != watched_.end() && it->second.serial == serial;
  }
  void await_wake() {
    wake_.async_wait(asio::posix::stream_descriptor::wait_read, [this](error_code error) {
      if (error) return;
      inlet_.drain();
      turn();
      await_wake();
    });
  }
  void await_signal() {
    signals_.async_wait([this](error_code error, int signal) {
      if (error) return;
      on_signal_(signal);
      await_signal();
    });
  }
  void schedule_turn() {
    if (std::exchange(scheduled_, true)) return;
    asio::post(context_, [this] {
      scheduled_ = false;
      turn();
    });
  }

  // Everything that has come, once; what remains is posted behind the other events of the loop.
  void turn() {
    if (context_.stopped()) return;
    for (auto& [slot, posted] : inlet_.take()) node_.post(slot, std::move(posted));
    bool more = !backlog_ && channel_->pump();
    backlog_ = node_.run(real_now());
    received_ = false;
    // The flush may have swallowed the edge of a frame that came meanwhile.
    if (!backlog_ && channel_->pump()) more = true;
    if (inlet_.take_stop() || (until_ && real_now() >= *until_)) {
      context_.stop();
      return;
    }
    if (more || backlog_ || received_) {
      schedule_turn();
    } else {
      arm();
    }
  }

  // Moved only towards the present: a turn that finds nothing due arms the later deadline.
  void arm() {
    Time next = node_.next_deadline();
    if (until_) next = std::min(next, *until_);
    if (next >= armed_) return;
    armed_ = next;
    const Time now = real_now();
    timer_.expires_after(next <= now ? Duration{} : next - now);
    timer_.async_wait([this](error_code error) {
      if (error) return;
      armed_ = kNever;
      turn();
    });
  }

  asio::steady_timer timer_;
  asio::posix::stream_descriptor wake_;
  asio::signal_set signals_;
  std::function<void(int)> on_signal_;
  std::map<int, Watched> watched_;
  std::uint64_t serial_ = 0;
  Time armed_ = kNever;
  std::optional<Time> until_;
  bool scheduled_ = false;
  bool received_ = false;
  bool backlog_ = false;  // the node has turns waiting: read nothing more meanwhile
};

Result<std::unique_ptr<RealLoop>> RealLoop::open(const RealLoopOptions& options) {
  ZmqOptions zmq;
  zmq.bind_address = options.bind_address;
  zmq.high_water = options.high_water;
  Result<std::unique_ptr<ZmqChannel>> channel = ZmqChannel::open(zmq);
  if (!channel) return tl::unexpected<Error>(channel.error());
  try {
    return std::unique_ptr<RealLoop>(new RealLoop(std::make_unique<Impl>(options, std::move(*channel))));
  } catch (const boost::system::system_error& error) {
    return fail(ErrorCode::kIo, std::string("the loop's descriptors: ") + error.what());
  }
}

RealLoop::RealLoop(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RealLoop::~RealLoop() = default;

ActorRef RealLoop::add(std::uint32_t slot, Cell& cell) { return impl_->node_.add(slot, cell); }
void RealLoop::remove(std::uint32_t slot) { impl_->node_.remove(slot); }
const std::string& RealLoop::bound_address() const { return impl_->channel_->bound_address(); }
Executor& RealLoop::executor() { return impl_->inlet_; }
const Node& RealLoop::node() const { return impl_->node_; }
void RealLoop::run() { impl_->run(std::nullopt); }
void RealLoop::run_for(Duration duration) { impl_->run(real_now() + duration); }
void RealLoop::stop() { impl_->inlet_.stop(); }

}  // namespace baton
