// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/zmq_channel.h"

#include <zmq.h>

#include <atomic>
#include <cerrno>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "runtime/base/check.h"

namespace baton {
namespace {

constexpr int kSocketsMax = 16384;
constexpr ConnectionId kRouter = 0;

std::string reason() { return zmq_strerror(zmq_errno()); }

void set(void* socket, int option, int value) { CHECK(zmq_setsockopt(socket, option, &value, sizeof value) == 0, reason()); }

int descriptor_of(void* socket) {
  int descriptor = -1;
  std::size_t size = sizeof descriptor;
  CHECK(zmq_getsockopt(socket, ZMQ_FD, &descriptor, &size) == 0, reason());
  return descriptor;
}

// Reading the events also makes the socket process its commands, which a swallowed edge would have announced.
bool readable(void* socket) {
  int events = 0;
  std::size_t size = sizeof events;
  CHECK(zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) == 0, reason());
  return (events & ZMQ_POLLIN) != 0;
}

class Message {
 public:
  Message() { CHECK(zmq_msg_init(&message_) == 0); }
  ~Message() { zmq_msg_close(&message_); }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
  bool receive(void* socket) { return zmq_msg_recv(&message_, socket, ZMQ_DONTWAIT) >= 0; }
  bool more() const { return zmq_msg_more(&message_) != 0; }
  std::string_view view() { return {static_cast<const char*>(zmq_msg_data(&message_)), zmq_msg_size(&message_)}; }

 private:
  zmq_msg_t message_;
};

// Buffers that have left, given back by ZeroMQ's own threads.
class Returned {
 public:
  std::string take() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (buffers_.empty()) return {};
    std::string buffer = std::move(buffers_.back());
    buffers_.pop_back();
    return buffer;
  }
  void give(std::string buffer) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (buffers_.size() < ZmqChannel::kBuffersMax && buffer.capacity() <= 4 * kSocketBytes) buffers_.push_back(std::move(buffer));
  }

 private:
  static constexpr std::size_t kSocketBytes = 64u << 10;
  std::mutex mutex_;
  std::vector<std::string> buffers_;
};

// A frame whose memory ZeroMQ holds.
struct Lent {
  std::string frame;
  std::shared_ptr<Returned> home;
  std::atomic<bool> handed_over{false};  // orders what ZeroMQ's own queue orders, but where TSan sees it

  static void done(void*, void* hint) {
    const std::unique_ptr<Lent> lent(static_cast<Lent*>(hint));
    CHECK(lent->handed_over.load(std::memory_order_acquire));
    if (lent->home) lent->home->give(std::move(lent->frame));
  }
};

// Takes the frame if it returns true.
bool send_lent(void* socket, std::string& frame, const std::shared_ptr<Returned>& home) {
  auto lent = std::make_unique<Lent>();
  lent->frame = std::move(frame);
  lent->home = home;
  zmq_msg_t message;
  CHECK(zmq_msg_init_data(&message, lent->frame.data(), lent->frame.size(), &Lent::done, lent.get()) == 0, reason());
  Lent* const held = lent.release();
  held->handed_over.store(true, std::memory_order_release);
  if (zmq_msg_send(&message, socket, ZMQ_DONTWAIT) >= 0) return true;
  frame = std::move(held->frame);
  held->home.reset();
  zmq_msg_close(&message);
  return false;
}

}  // namespace

struct ZmqChannel::Sockets {
  struct Dialled {
    void* socket = nullptr;
    std::string address;
  };
  struct Inbound {
    std::string routing_id;
    std::uint64_t heard = 0;  // order of the last frame
  };

  explicit Sockets(const ZmqOptions& o) : options(o), context(zmq_ctx_new()) {
    CHECK(context != nullptr, reason());
    zmq_ctx_set(context, ZMQ_IO_THREADS, 1);
    zmq_ctx_set(context, ZMQ_MAX_SOCKETS, kSocketsMax);
  }
  ~Sockets() {
    for (auto& [id, dialled] : dials) zmq_close(dialled.socket);
    if (router != nullptr) zmq_close(router);
    zmq_ctx_term(context);
  }

  void* open_socket(int type) {
    void* socket = zmq_socket(context, type);
    if (socket == nullptr) return nullptr;
    set(socket, ZMQ_LINGER, 0);
    set(socket, ZMQ_SNDHWM, options.high_water);
    set(socket, ZMQ_RCVHWM, options.high_water);
    set(socket, ZMQ_HEARTBEAT_IVL, options.heartbeat_ms);
    set(socket, ZMQ_HEARTBEAT_TIMEOUT, 3 * options.heartbeat_ms);
    set(socket, ZMQ_HEARTBEAT_TTL, 3 * options.heartbeat_ms);
    set(socket, ZMQ_RECONNECT_IVL, options.reconnect_ms);
    set(socket, ZMQ_RECONNECT_IVL_MAX, options.reconnect_max_ms);
    const std::int64_t frame_max = static_cast<std::int64_t>(kFrameBytesMax);
    CHECK(zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max) == 0, reason());
    if (type == ZMQ_ROUTER) set(socket, ZMQ_ROUTER_MANDATORY, 1);
    if (type == ZMQ_DEALER) set(socket, ZMQ_IMMEDIATE, 1);
    return socket;
  }

  ConnectionId inbound_of(std::string_view routing_id) {
    auto it = by_routing_id.find(routing_id);
    if (it == by_routing_id.end()) {
      if (inbound.size() >= kInboundMax) forget_silent();
      const ConnectionId id = ++ids;
      it = by_routing_id.emplace(std::string(routing_id), id).first;
      inbound.emplace(id, Inbound{std::string(routing_id), 0});
      by_silence.emplace(0, id);
    }
    Inbound& peer = inbound.at(it->second);
    by_silence.erase({peer.heard, it->second});
    peer.heard = ++heard;
    by_silence.emplace(peer.heard, it->second);
    return it->second;
  }
  void forget_silent() { forget(by_silence.begin()->second); }
  void forget(ConnectionId id) {
    const auto it = inbound.find(id);
    if (it == inbound.end()) return;
    by_silence.erase({it->second.heard, id});
    by_routing_id.erase(it->second.routing_id);
    inbound.erase(it);
  }

  // One frame of this socket to the receiver; false if there is none. Frames of an odd number of parts are dropped.
  bool receive_one(void* socket, ConnectionId dialled) {
    Message first;
    if (!first.receive(socket)) return false;
    if (dialled != kRouter) {
      const bool whole = !first.more();
      drain_parts(socket, first.more());
      if (whole && receiver) receiver(dialled, first.view());
      return true;
    }
    Message body;
    if (!first.more() || !body.receive(socket)) return true;
    const bool whole = !body.more();
    drain_parts(socket, body.more());
    if (whole) {
      const ConnectionId from = inbound_of(first.view());
      if (receiver) receiver(from, body.view());
    }
    return true;
  }
  // `put` sends one part.
  template <class Put>
  bool send(ConnectionId to, const Put& put) {
    const auto dialled = dials.find(to);
    if (dialled != dials.end()) {
      touch(to);
      return put(dialled->second.socket);
    }
    const auto peer = inbound.find(to);
    if (peer == inbound.end()) return false;
    touch(kRouter);
    const std::string& id = peer->second.routing_id;
    if (zmq_send(router, id.data(), id.size(), ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0) {
      if (zmq_errno() == EHOSTUNREACH) forget(to);
      return false;
    }
    return put(router);
  }
  static void drain_parts(void* socket, bool more) {
    while (more) {
      Message rest;
      if (!rest.receive(socket)) return;
      more = rest.more();
    }
  }
  void touch(ConnectionId id) {
    if (touched.insert(id).second) order.push_back(id);
  }
  void* socket_of(ConnectionId id) {
    if (id == kRouter) return router;
    const auto it = dials.find(id);
    return it == dials.end() ? nullptr : it->second.socket;
  }
  // Some frames of one socket; true if it has more.
  bool pump_socket(ConnectionId id, std::size_t& budget) {
    for (std::size_t frames = 0; frames < kSocketFramesMax && budget > 0; ++frames, --budget) {
      // Looked up each time: the receiver may close it. A read that finds nothing makes the socket process its commands.
      void* socket = socket_of(id);
      if (socket == nullptr || !receive_one(socket, id)) return false;
    }
    void* socket = socket_of(id);
    return socket != nullptr && readable(socket);
  }

  ZmqOptions options;
  std::shared_ptr<Returned> returned = std::make_shared<Returned>();
  void* context;
  void* router = nullptr;
  std::map<ConnectionId, Dialled> dials;
  std::map<ConnectionId, Inbound> inbound;
  std::map<std::string, ConnectionId, std::less<>> by_routing_id;
  std::set<std::pair<std::uint64_t, ConnectionId>> by_silence;
  std::function<void(ConnectionId, std::string_view)> receiver;
  std::function<void(int, bool)> watcher;
  std::map<int, ConnectionId> by_descriptor;
  // Sockets that may have something to read, in turn.
  std::set<ConnectionId> touched;
  std::deque<ConnectionId> order;
  ConnectionId ids = 0;
  std::uint64_t heard = 0;
};

ZmqChannel::ZmqChannel(std::unique_ptr<Sockets> sockets) : sockets_(std::move(sockets)) {}
ZmqChannel::~ZmqChannel() = default;

Result<std::unique_ptr<ZmqChannel>> ZmqChannel::open(const ZmqOptions& options) {
  std::unique_ptr<ZmqChannel> channel(new ZmqChannel(std::make_unique<Sockets>(options)));
  if (!options.bind_address.empty()) RETURN_IF_ERROR(channel->bind(options.bind_address));
  return channel;
}

Result<void> ZmqChannel::bind(const std::string& address) {
  Sockets& s = *sockets_;
  s.router = s.open_socket(ZMQ_ROUTER);
  if (s.router == nullptr) return fail(ErrorCode::kIo, "no socket for " + address + ": " + reason());
  if (zmq_bind(s.router, address.c_str()) != 0) {
    if (zmq_errno() == EADDRINUSE)
      return fail(ErrorCode::kAlreadyExists, "address " + address + " is in use: choose another port or end the process that has it");
    return fail(ErrorCode::kInvalidArgument, "cannot listen on " + address + ": " + reason());
  }
  char endpoint[512];
  std::size_t size = sizeof endpoint;
  CHECK(zmq_getsockopt(s.router, ZMQ_LAST_ENDPOINT, endpoint, &size) == 0, reason());
  bound_address_ = endpoint;
  s.by_descriptor.emplace(descriptor_of(s.router), kRouter);
  s.touch(kRouter);
  return {};
}

void ZmqChannel::set_watcher(std::function<void(int, bool)> watcher) {
  sockets_->watcher = std::move(watcher);
  if (!sockets_->watcher) return;
  if (sockets_->router != nullptr) sockets_->watcher(descriptor_of(sockets_->router), true);
  for (const auto& [id, dialled] : sockets_->dials) sockets_->watcher(descriptor_of(dialled.socket), true);
}

void ZmqChannel::set_receiver(std::function<void(ConnectionId, std::string_view)> receiver) {
  sockets_->receiver = std::move(receiver);
}

Result<ConnectionId> ZmqChannel::connect(const std::string& address) {
  Sockets& s = *sockets_;
  void* socket = s.open_socket(ZMQ_DEALER);
  if (socket == nullptr) return fail(ErrorCode::kResourceExhausted, "no socket to dial " + address + ": " + reason());
  if (zmq_connect(socket, address.c_str()) != 0) {
    const std::string why = reason();
    zmq_close(socket);
    return fail(ErrorCode::kInvalidArgument, "cannot dial " + address + ": " + why);
  }
  const ConnectionId id = ++s.ids;
  const int descriptor = descriptor_of(socket);
  s.dials.emplace(id, Sockets::Dialled{socket, address});
  s.by_descriptor.emplace(descriptor, id);
  s.touch(id);
  if (s.watcher) s.watcher(descriptor, true);
  return id;
}

bool ZmqChannel::send(ConnectionId to, std::string_view frame) {
  return frame.size() <= kFrameBytesMax &&
         sockets_->send(to, [&](void* socket) { return zmq_send(socket, frame.data(), frame.size(), ZMQ_DONTWAIT) >= 0; });
}

bool ZmqChannel::send_buffer(ConnectionId to, std::string& frame) {
  if (frame.size() >= kLentBytesMin && frame.size() <= kFrameBytesMax)
    return sockets_->send(to, [&](void* socket) { return send_lent(socket, frame, sockets_->returned); });
  const bool sent = send(to, frame);
  if (sent) sockets_->returned->give(std::move(frame));
  return sent;
}

std::string ZmqChannel::buffer() { return sockets_->returned->take(); }

// A ROUTER cannot hang up on one peer; forgetting it makes its next frame a new connection.
void ZmqChannel::close(ConnectionId connection) {
  Sockets& s = *sockets_;
  const auto dialled = s.dials.find(connection);
  if (dialled == s.dials.end()) {
    s.forget(connection);
    return;
  }
  void* socket = dialled->second.socket;
  const int descriptor = descriptor_of(socket);
  s.dials.erase(dialled);
  s.by_descriptor.erase(descriptor);
  if (s.watcher) s.watcher(descriptor, false);
  zmq_close(socket);
}

void ZmqChannel::wake(int descriptor) {
  const auto it = sockets_->by_descriptor.find(descriptor);
  if (it != sockets_->by_descriptor.end()) sockets_->touch(it->second);
}

bool ZmqChannel::pump() {
  Sockets& s = *sockets_;
  std::size_t budget = kPumpFramesMax;
  while (budget > 0 && !s.order.empty()) {
    const ConnectionId id = s.order.front();
    s.order.pop_front();
    s.touched.erase(id);
    if (s.pump_socket(id, budget)) s.touch(id);
  }
  return !s.order.empty();
}

}  // namespace baton
