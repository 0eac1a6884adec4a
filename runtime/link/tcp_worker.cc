// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/tcp_worker.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/base/check.h"
#include "runtime/base/log.h"
#include "runtime/link/socket_address.h"
#include "runtime/link/tcp_connection.h"

namespace baton {
namespace {

constexpr std::size_t kAcceptedLimit = 1024;
constexpr Duration kSilenceLimit = std::chrono::seconds(5);
constexpr Duration kGlance = std::chrono::milliseconds(100);  // between looks for silent ones
constexpr EndpointId kListener = 0;
// A link that is cut is noticed this much later; deadlines of the owner's are the last word all the same.
constexpr unsigned kUserTimeoutMs = 2000;

Time clock_now() { return Time{std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())}; }

void set_option(int file, int level, int name, int value) { setsockopt(file, level, name, &value, sizeof value); }

// Buffers are left to the kernel, which sizes them by the path; the congestion control is the machine's to choose.
void set_options(int file) {
  set_option(file, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(file, IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMs);
  set_option(file, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(file, IPPROTO_TCP, TCP_KEEPIDLE, 1);
  set_option(file, IPPROTO_TCP, TCP_KEEPINTVL, 1);
}

class TcpWorkerImpl final : public TcpWorker {
 public:
  TcpWorkerImpl(MessageEvents& events, std::uint64_t payload_limit) : events_(events), payload_limit_(payload_limit) {}
  ~TcpWorkerImpl() override;

  Result<void> start(const std::string& interface_name);

  const std::string& address() const override { return address_; }
  unsigned progress() override;
  bool arm() override;
  int event_fd() const override { return epoll_; }
  std::size_t endpoints() const override { return live_.size(); }
  Result<EndpointId> connect(const std::string& address) override;
  Sent send(EndpointId to, std::uint64_t operation, const MessageHeaderBytes& header, std::span<const std::byte> payload,
            std::string& reason) override;
  void force_close(EndpointId endpoint) override;
  std::string transport(EndpointId endpoint) const override { return live_.contains(endpoint) ? "tcp" : "none"; }

 private:
  struct Ended {
    std::uint64_t operation = 0;
    bool receiving = false;
  };
  EndpointId add(int file, bool dialled);
  bool look();
  void accept_waiting();
  unsigned end_operations();
  unsigned close_broken();

  MessageEvents& events_;
  const std::uint64_t payload_limit_;
  std::string address_;
  int epoll_ = -1;
  int listener_ = -1;
  bool callers_ = false;  // waiting to be accepted
  std::size_t accepted_ = 0;
  EndpointId next_ = 1;
  std::map<EndpointId, std::unique_ptr<TcpConnection>> live_;
  std::vector<Ended> ended_;  // of connections closed by force; told from progress()
  Time next_glance_{};
};

Result<void> TcpWorkerImpl::start(const std::string& interface_name) {
  Result<SocketAddress> own = address_of_interface(interface_name);
  if (!own) return tl::unexpected(std::move(own).error());
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  listener_ = socket(own->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (epoll_ < 0 || listener_ < 0) return fail(ErrorCode::kIo, std::string("no socket for KV: ") + std::strerror(errno));
  socklen_t size = own->size;
  epoll_event event{EPOLLIN | EPOLLET, {.u64 = kListener}};
  if (bind(listener_, reinterpret_cast<const sockaddr*>(&own->storage), own->size) != 0 || listen(listener_, 128) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&own->storage), &size) != 0 ||
      epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event) != 0)
    return fail(ErrorCode::kIo, "cannot listen for KV on " + interface_name + ": " + std::strerror(errno));
  address_ = to_text(own->storage);
  return {};
}

TcpWorkerImpl::~TcpWorkerImpl() {
  live_.clear();
  for (const int file : {listener_, epoll_})
    if (file >= 0) ::close(file);
}

EndpointId TcpWorkerImpl::add(int file, bool dialled) {
  set_options(file);
  const EndpointId id = next_++;
  epoll_event event{EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.u64 = id}};
  live_.emplace(id, std::make_unique<TcpConnection>(id, file, dialled, clock_now(), payload_limit_));
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, file, &event) != 0) live_.at(id)->say_broken(std::strerror(errno));
  if (!dialled) ++accepted_;
  return id;
}

Result<EndpointId> TcpWorkerImpl::connect(const std::string& address) {
  const std::optional<SocketAddress> remote = address_from_text(address);
  if (!remote) return fail(ErrorCode::kInvalidArgument, "not an address of a data plane: " + address);
  const int file = socket(remote->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (file < 0) return fail(ErrorCode::kResourceExhausted, std::string("no socket: ") + std::strerror(errno));
  if (::connect(file, reinterpret_cast<const sockaddr*>(&remote->storage), remote->size) != 0 && errno != EINPROGRESS) {
    const std::string why = std::strerror(errno);
    ::close(file);
    return fail(ErrorCode::kUnavailable, "cannot connect to " + address + ": " + why);
  }
  return add(file, true);
}

// Only queued: frames that follow each other leave in one call, from progress().
TcpWorker::Sent TcpWorkerImpl::send(EndpointId to, std::uint64_t operation, const MessageHeaderBytes& header,
                                    std::span<const std::byte> payload, std::string& reason) {
  const auto at = live_.find(to);
  if (at == live_.end()) {
    reason = "not connected";
    return Sent::kFailed;
  }
  at->second->queue(operation, header, payload);
  return Sent::kPending;
}

void TcpWorkerImpl::force_close(EndpointId endpoint) {
  const auto at = live_.find(endpoint);
  if (at == live_.end()) return;
  TcpConnection& connection = *at->second;
  for (const std::uint64_t operation : connection.take_sends()) ended_.push_back({operation, false});
  if (const std::uint64_t operation = connection.take_receive(); operation != 0) ended_.push_back({operation, true});
  if (!connection.dialled()) --accepted_;
  live_.erase(at);
}

bool TcpWorkerImpl::look() {
  std::array<epoll_event, 64> events;
  const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.u64 == kListener) callers_ = true;
    else if (const auto at = live_.find(event.data.u64); at != live_.end()) at->second->ready(event.events);
  }
  return count > 0;
}

void TcpWorkerImpl::accept_waiting() {
  while (callers_) {
    const int file = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (file >= 0 && accepted_ < kAcceptedLimit) {
      add(file, false);
    } else if (file >= 0) {
      ::close(file);
    } else if (errno != EINTR && errno != ECONNABORTED) {
      // Out of descriptors: whoever is next to call brings us here again.
      if (errno != EAGAIN && errno != EWOULDBLOCK)
        log_warn("tcp", "connection not accepted", {{"error", std::strerror(errno)}});
      callers_ = false;
    }
  }
}

unsigned TcpWorkerImpl::end_operations() {
  const std::vector<Ended> ended = std::exchange(ended_, {});
  for (const Ended& each : ended) {
    if (each.receiving) events_.on_received(each.operation, false, "closed");
    else events_.on_sent(each.operation, false, "closed");
  }
  return static_cast<unsigned>(ended.size());
}

unsigned TcpWorkerImpl::close_broken() {
  std::vector<std::pair<EndpointId, std::string>> broken;
  const Time now = clock_now();
  const bool glance = now >= next_glance_;
  if (glance) next_glance_ = now + kGlance;
  for (const auto& [id, connection] : live_) {
    if (glance && connection->silent() && now - connection->since() > kSilenceLimit)
      connection->say_broken("said nothing for too long");
    if (!connection->broken().empty()) broken.emplace_back(id, connection->broken());
  }
  for (const auto& [id, reason] : broken) {
    if (!live_.contains(id)) continue;
    force_close(id);
    events_.on_broken(id, reason);
  }
  return static_cast<unsigned>(broken.size());
}

unsigned TcpWorkerImpl::progress() {
  unsigned happened = look() ? 1 : 0;
  accept_waiting();
  // Events do not change live_: what they want closed or dialled is done outside of them.
  for (const auto& [id, connection] : live_)
    if (connection->has_work() && connection->move(events_)) ++happened;
  happened += close_broken();
  if (!ended_.empty()) happened += end_operations();
  return happened;
}

bool TcpWorkerImpl::arm() {
  if (!ended_.empty()) return false;
  for (const auto& [id, connection] : live_)
    if (connection->has_work() || !connection->broken().empty()) return false;
  return true;
}

}  // namespace

Result<std::unique_ptr<TcpWorker>> TcpWorker::create(const TcpWorkerOptions& options, MessageEvents& events) {
  auto worker = std::make_unique<TcpWorkerImpl>(events, options.payload_limit);
  RETURN_IF_ERROR(worker->start(options.interface_name));
  return worker;
}

}  // namespace baton
