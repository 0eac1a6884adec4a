// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/path_worker.h"

#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string_view>
#include <utility>

#include "runtime/base/hash.h"
#include "runtime/link/tcp_worker.h"
#include "runtime/link/ucx_worker.h"

namespace baton {
namespace {

// Equal for two processes only if they see the same /dev/shm of one running kernel, and belong to one node.
std::string host_key(const std::string& node_name) {
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  struct stat facts {};
  const bool has_shm = stat("/dev/shm", &facts) == 0;
  const std::string all = boot + '/' + node_name + '/' + (has_shm ? std::to_string(facts.st_dev) : "none");
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash_bytes(all.data(), all.size(), 0)));
  return text;
}

// What stands behind "name=" in a list with commas; empty: not there.
std::string entry_of(std::string_view address, std::string_view name) {
  while (!address.empty()) {
    const std::size_t comma = std::min(address.find(','), address.size());
    const std::string_view entry = address.substr(0, comma);
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=')
      return std::string(entry.substr(name.size() + 1));
    address.remove_prefix(std::min(comma + 1, address.size()));
  }
  return {};
}

bool has(const std::vector<std::string>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

class PathWorkerImpl final : public PathWorker {
 public:
  explicit PathWorkerImpl(MessageEvents& events) : ucx_events_(events, 0), tcp_events_(events, 1) {}
  ~PathWorkerImpl() override;

  Result<void> start(const PathWorkerOptions& options);

  std::span<std::byte> pool() const override { return ucx_ ? ucx_->pool() : pool_; }
  const std::string& address() const override { return address_; }
  unsigned progress() override;
  bool arm() override;
  int event_fd() const override { return epoll_; }
  std::size_t endpoints() const override { return (ucx_ ? ucx_->endpoints() : 0) + (tcp_ ? tcp_->endpoints() : 0); }
  Result<EndpointId> connect(const std::string& address) override;
  Sent send(EndpointId to, std::uint64_t operation, const MessageHeaderBytes& header, std::span<const std::byte> payload,
            std::string& reason) override {
    return way(to).send(to / 2, operation, header, payload, reason);
  }
  void force_close(EndpointId endpoint) override { way(endpoint).force_close(endpoint / 2); }
  std::string transport(EndpointId endpoint) const override { return way(endpoint).transport(endpoint / 2); }

 private:
  // Endpoints of both ways have ids of their own; ours are twice those, plus which way it is.
  class Renamed final : public MessageEvents {
   public:
    Renamed(MessageEvents& events, EndpointId which) : events_(events), which_(which) {}
    Destination on_message(EndpointId from, std::span<const std::byte> header, std::uint64_t bytes) override {
      return events_.on_message(from * 2 + which_, header, bytes);
    }
    void on_received(std::uint64_t operation, bool ok, const std::string& reason) override {
      events_.on_received(operation, ok, reason);
    }
    void on_sent(std::uint64_t operation, bool ok, const std::string& reason) override {
      events_.on_sent(operation, ok, reason);
    }
    void on_broken(EndpointId endpoint, const std::string& reason) override {
      events_.on_broken(endpoint * 2 + which_, reason);
    }

   private:
    MessageEvents& events_;
    const EndpointId which_;
  };
  PlaneWorker& way(EndpointId endpoint) const {
    return endpoint % 2 == 0 ? static_cast<PlaneWorker&>(*ucx_) : static_cast<PlaneWorker&>(*tcp_);
  }
  Result<void> own_pool(std::uint64_t bytes);

  Renamed ucx_events_;
  Renamed tcp_events_;
  std::string host_;
  std::string address_;
  bool ucx_anywhere_ = false;  // not only within the host
  std::span<std::byte> pool_;  // empty if UCX has it
  std::unique_ptr<UcxWorker> ucx_;
  std::unique_ptr<TcpWorker> tcp_;
  int epoll_ = -1;
};

Result<void> PathWorkerImpl::own_pool(std::uint64_t bytes) {
  void* pool = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pool == MAP_FAILED)
    return fail(ErrorCode::kResourceExhausted,
                "cannot allocate the pool of " + std::to_string(bytes) + " bytes: " + std::strerror(errno));
  madvise(pool, bytes, MADV_HUGEPAGE);  // a wish
  pool_ = {static_cast<std::byte*>(pool), bytes};
  std::memset(pool, 0, bytes);  // every page now, not during the first transfers
  return {};
}

Result<void> PathWorkerImpl::start(const PathWorkerOptions& options) {
  std::vector<std::string> by_ucx;
  for (const std::string& transport : options.transports) {
    if (transport == "shm") by_ucx.emplace_back("shm");
    else if (transport == "ucx_tcp") by_ucx.emplace_back("tcp");
    else if (transport != "tcp")
      return fail(ErrorCode::kInvalidArgument, "unknown transport '" + transport + "': expected shm or tcp");
  }
  if (options.pool_bytes == 0) return fail(ErrorCode::kInvalidArgument, "the pool must not be empty");
  host_ = host_key(options.node_name);
  ucx_anywhere_ = has(options.transports, "ucx_tcp");
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) return fail(ErrorCode::kIo, "no epoll descriptor: too many open files?");
  const auto watch = [this](const PlaneWorker& worker, const std::string& entry) {
    epoll_event event{};
    event.events = EPOLLIN;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, worker.event_fd(), &event) != 0) return false;
    address_ += (address_.empty() ? "" : ",") + entry + worker.address();
    return true;
  };
  bool watched = true;
  if (!by_ucx.empty()) {
    auto ucx = UcxWorker::create({options.interface_name, by_ucx, options.pool_bytes}, ucx_events_);
    if (!ucx) return tl::unexpected(std::move(ucx).error());
    ucx_ = *std::move(ucx);
    watched = watch(*ucx_, "ucx=" + host_ + '/');
  } else {
    RETURN_IF_ERROR(own_pool(options.pool_bytes));
  }
  if (has(options.transports, "tcp")) {
    auto tcp = TcpWorker::create({options.interface_name, options.pool_bytes}, tcp_events_);
    if (!tcp) return tl::unexpected(std::move(tcp).error());
    tcp_ = *std::move(tcp);
    watched = watch(*tcp_, "tcp=") && watched;
  }
  if (!watched) return fail(ErrorCode::kIo, "cannot watch the data plane's sockets");
  return {};
}

PathWorkerImpl::~PathWorkerImpl() {
  tcp_.reset();
  ucx_.reset();
  if (!pool_.empty()) munmap(pool_.data(), pool_.size());
  if (epoll_ >= 0) ::close(epoll_);
}

Result<EndpointId> PathWorkerImpl::connect(const std::string& address) {
  const std::string ucx = entry_of(address, "ucx");
  const std::size_t slash = ucx.find('/');
  if (ucx_ && slash != std::string::npos && (ucx_anywhere_ || ucx.substr(0, slash) == host_)) {
    auto endpoint = ucx_->connect(ucx.substr(slash + 1));
    if (endpoint || !tcp_) return endpoint ? Result<EndpointId>(*endpoint * 2) : endpoint;
  }
  const std::string tcp = entry_of(address, "tcp");
  if (!tcp_ || tcp.empty())
    return fail(ErrorCode::kUnavailable, std::string("no transport in common: this side has ") + (ucx_ ? "shm" : "") +
                                             (ucx_ && tcp_ ? " and " : "") + (tcp_ ? "tcp" : "") + ", the peer listens on '" +
                                             address + "'; see transport.order");
  const auto endpoint = tcp_->connect(tcp);
  if (!endpoint) return endpoint;
  return *endpoint * 2 + 1;
}

unsigned PathWorkerImpl::progress() { return (ucx_ ? ucx_->progress() : 0) + (tcp_ ? tcp_->progress() : 0); }

bool PathWorkerImpl::arm() { return (!tcp_ || tcp_->arm()) && (!ucx_ || ucx_->arm()); }

}  // namespace

Result<std::unique_ptr<PathWorker>> PathWorker::create(const PathWorkerOptions& options, MessageEvents& events) {
  auto worker = std::make_unique<PathWorkerImpl>(events);
  RETURN_IF_ERROR(worker->start(options));
  return worker;
}

}  // namespace baton
