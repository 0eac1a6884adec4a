// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/ucx_worker.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

#include "runtime/base/check.h"
#include "runtime/base/log.h"
#include "runtime/link/shared_memory_directory.h"
#include "runtime/link/socket_address.h"
#include "runtime/link/ucx_library.h"

namespace baton {
namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned kMessageId = 1;
// A force-close waits for nothing of the peer's and takes microseconds; this is for a UCX that does not keep that.
constexpr auto kCloseLimit = std::chrono::seconds(2);

std::string describe(ucs_status_t status) { return ucx().ucs_status_string(status); }

tl::unexpected<Error> ucx_failed(const std::string& what, ucs_status_t status) {
  return fail(ErrorCode::kUnavailable, "UCX: " + what + ": " + describe(status));
}

// Reads what one of UCX's print functions writes.
template <class Print>
std::string printed(const Print& print) {
  char* text = nullptr;
  std::size_t bytes = 0;
  std::FILE* stream = open_memstream(&text, &bytes);
  if (stream == nullptr) return {};
  print(stream);
  std::fclose(stream);
  std::string copy(text, bytes);
  std::free(text);
  return copy;
}

// Finds the lane marked "am" in ucp_ep_print_info's "lane[1]:  2:posix/memory.0 md[2]  -> md[2]/posix/sysdev[255] seg 0 am":
// the only place where UCX says which of an endpoint's transports carries messages.
std::string lane_of_messages(const std::string& info) {
  std::istringstream lines(info);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t lane = line.find("lane[");
    const std::size_t arrow = line.find("->");
    if (lane == std::string::npos || arrow == std::string::npos) continue;
    std::istringstream uses(line.substr(arrow));
    bool carries = false;
    for (std::string use; uses >> use;) carries |= use == "am";
    if (!carries) continue;
    const std::size_t slash = line.find('/', lane);
    const std::size_t colon = line.rfind(':', slash);
    const std::string name = line.substr(colon + 1, slash - colon - 1);
    return name == "posix" || name == "sysv" ? "shm" : name;
  }
  return "unknown";
}

class UcxWorkerImpl final : public UcxWorker {
 public:
  explicit UcxWorkerImpl(MessageEvents& events) : events_(events) {}
  ~UcxWorkerImpl() override;

  Result<void> start(const UcxWorkerOptions& options);

  std::span<std::byte> pool() const override { return pool_; }
  const std::string& address() const override { return address_; }
  unsigned progress() override;
  bool arm() override;
  int event_fd() const override { return epoll_fd_; }
  Result<EndpointId> connect(const std::string& address) override;
  Sent send(EndpointId to, std::uint64_t operation, const MessageHeaderBytes& header,
            std::span<const std::byte> payload, std::string& reason) override;
  void force_close(EndpointId endpoint) override;
  std::string transport(EndpointId endpoint) const override;
  std::size_t endpoints() const override { return live_.size() + closing_.size(); }

 private:
  struct Endpoint;
  // Lives from posting to the end of one send or receive; UCX keeps a pointer to it and to the header inside.
  struct Operation {
    Endpoint* endpoint;
    std::uint64_t id;
    bool receiving;
    MessageHeaderBytes header;
  };
  // A connection with a UCX worker of its own. Shared memory messages go through a queue in the receiving worker, where a
  // sender that is killed or stopped while it fills a slot blocks everything behind it; so no two peers share a worker.
  struct Endpoint {
    UcxWorkerImpl* owner = nullptr;
    EndpointId id = 0;
    ucp_worker_h worker = nullptr;
    ucp_ep_h handle = nullptr;
    int event_fd = -1;
    bool closed = false;  // by UCX, after a force-close
    Clock::time_point close_limit;
    std::set<Operation*> operations;
  };

  Result<void> start_context(const UcxWorkerOptions& options);
  Result<void> start_pool(std::uint64_t bytes);
  Result<void> start_listener(const std::string& interface_name);
  Result<ucp_worker_h> make_worker(int& event_fd);
  void drop_worker(ucp_worker_h worker, int event_fd);
  Result<EndpointId> make_endpoint(ucp_ep_params_t& params);
  void take_connections();
  unsigned finish_closing();
  void forget(Operation* operation);
  void end(Operation* operation, bool ok, const std::string& reason);
  ucs_status_t receive(Endpoint& from, std::span<const std::byte> header, void* data, std::size_t bytes, bool rendezvous);

  static void on_connection(ucp_conn_request_h request, void* self) {
    static_cast<UcxWorkerImpl*>(self)->accepted_.push_back(request);
  }
  static void on_error(void* endpoint, ucp_ep_h, ucs_status_t status) {
    auto* entry = static_cast<Endpoint*>(endpoint);
    entry->owner->broken_.emplace_back(entry->id, describe(status));
  }
  static ucs_status_t on_message(void* endpoint, const void* header, std::size_t header_bytes, void* data, std::size_t bytes,
                                 const ucp_am_recv_param_t* param) {
    auto* entry = static_cast<Endpoint*>(endpoint);
    return entry->owner->receive(*entry, {static_cast<const std::byte*>(header), header_bytes}, data, bytes,
                                 (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) != 0);
  }
  static void on_sent(void* request, ucs_status_t status, void* operation);
  static void on_received(void* request, ucs_status_t status, std::size_t bytes, void* operation);
  static void on_closed(void* request, ucs_status_t, void* endpoint) {
    static_cast<Endpoint*>(endpoint)->closed = true;
    ucx().ucp_request_free(request);
  }

  MessageEvents& events_;
  std::optional<SharedMemoryDirectory> directory_;
  ucp_context_h context_ = nullptr;
  ucp_worker_h listening_ = nullptr;  // carries nothing but connection requests
  int listening_fd_ = -1;
  ucp_listener_h listener_ = nullptr;
  ucp_mem_h memory_ = nullptr;
  std::span<std::byte> pool_;
  std::string address_;
  int epoll_fd_ = -1;  // watches every worker's own descriptor
  EndpointId next_endpoint_ = 1;
  std::map<EndpointId, std::unique_ptr<Endpoint>> live_;
  std::vector<std::unique_ptr<Endpoint>> closing_;  // closed by force; kept until UCX is done with them
  std::vector<ucp_conn_request_h> accepted_;        // noted in callbacks, handled outside of them
  std::vector<std::pair<EndpointId, std::string>> broken_;
};

// The lanes are ours to choose, not the environment's. cma is never allowed: whoever connects could write the whole process.
Result<void> UcxWorkerImpl::start_context(const UcxWorkerOptions& options) {
  // tcp is always among the lanes: UCX cannot set up a connection without it. Where it is not wanted for the bytes, the
  // owner sees it in transport() and refuses the connection.
  std::string lanes = "self,tcp";
  for (const std::string& transport : options.transports) {
    if (transport == "shm") lanes += ",posix";
    else if (transport != "tcp") return fail(ErrorCode::kInvalidArgument, "unknown transport '" + transport + "': expected shm or tcp");
  }
  std::vector<std::pair<const char*, std::string>> settings = {
      {"TLS", lanes},
      {"NET_DEVICES", options.interface_name},
      {"POSIX_ERROR_HANDLING", "y"},  // without it shared memory is silently left out of connections that detect errors
      {"KEEPALIVE_INTERVAL", "1s"},
      {"TCP_USER_TIMEOUT", "2s"},
      {"TCP_CM_USER_TIMEOUT", "2s"},
      {"TCP_CONN_NB", "y"},  // connecting to a host that is gone must not stop the data thread
      {"SOCKADDR_TLS_PRIORITY", "tcp"},
      // Not as a file of shared memory, which UCX would prefer: bytes do not travel through the pool itself, and a process that
      // is killed while such a file has its name leaves it behind, memory of nobody until the next boot.
      {"ALLOC_PRIO", "thp,mmap"},
      {"MAX_RNDV_RAILS", "1"},  // one lane carries the bytes: the one transport() names
      // The receiver's own process copies every byte into place. In the other schemes the peer writes into our pool, and a
      // peer that was stopped in the middle could go on after its connection was closed here.
      {"RNDV_SCHEME", "am"},
      {"RNDV_THRESH", "8K"},  // above, bytes go straight into place and a refusal reaches the sender
      {"TCP_TX_SEG_SIZE", "256K"},
      {"TCP_RX_SEG_SIZE", "256K"},
  };
  if (Result<SharedMemoryDirectory> directory = SharedMemoryDirectory::create(); directory) {
    directory_.emplace(*std::move(directory));
    settings.emplace_back("POSIX_DIR", directory_->path());
  } else {
    log_warn("ucx", "no directory of our own for shared memory", {{"error", directory.error().message}});
  }
#if UCP_API_VERSION < UCP_VERSION(1, 22)
  // In 1.13 ucp_config_modify() does not reach the transports' own settings ("invalid configurations"); the environment does.
  for (const auto& [name, value] : settings) setenv(("UCX_" + std::string(name)).c_str(), value.c_str(), 1);
#endif
  ucp_config_t* config = nullptr;
  if (const ucs_status_t status = ucx().ucp_config_read(nullptr, nullptr, &config); status != UCS_OK)
    return ucx_failed("reading its configuration", status);
#if UCP_API_VERSION >= UCP_VERSION(1, 22)
  for (const auto& [name, value] : settings)
    if (const ucs_status_t status = ucx().ucp_config_modify(config, name, value.c_str()); status != UCS_OK)
      log_warn("ucx", "setting not known to this UCX", {{"name", name}, {"error", describe(status)}});
#endif
  ucp_params_t params{};
  params.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_NAME;
  params.features = UCP_FEATURE_AM | UCP_FEATURE_WAKEUP;
  params.name = "baton";
  const ucs_status_t status = ucx().ucp_init_version(UCP_API_MAJOR, UCP_API_MINOR, &params, config, &context_);
  ucx().ucp_config_release(config);
  if (status != UCS_OK) return ucx_failed("no context with transports " + lanes + " on " + options.interface_name, status);
  return {};
}

// UCX allocates the pool and registers it: where huge pages are to be had, of those.
Result<void> UcxWorkerImpl::start_pool(std::uint64_t bytes) {
  ucp_mem_map_params_t params{};
  params.field_mask = UCP_MEM_MAP_PARAM_FIELD_LENGTH | UCP_MEM_MAP_PARAM_FIELD_FLAGS;
  params.length = bytes;
  params.flags = UCP_MEM_MAP_ALLOCATE;
  if (const ucs_status_t status = ucx().ucp_mem_map(context_, &params, &memory_); status != UCS_OK)
    return ucx_failed("cannot allocate the pool of " + std::to_string(bytes) + " bytes", status);
  ucp_mem_attr_t attributes{};
  attributes.field_mask = UCP_MEM_ATTR_FIELD_ADDRESS | UCP_MEM_ATTR_FIELD_LENGTH;
  if (const ucs_status_t status = ucx().ucp_mem_query(memory_, &attributes); status != UCS_OK)
    return ucx_failed("cannot find the pool", status);
  CHECK(attributes.length >= bytes);
  pool_ = {static_cast<std::byte*>(attributes.address), bytes};
  std::memset(pool_.data(), 0, pool_.size());  // also touches every page now instead of during the first transfers
  return {};
}

Result<ucp_worker_h> UcxWorkerImpl::make_worker(int& event_fd) {
  ucp_worker_params_t params{};
  params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
  params.thread_mode = UCS_THREAD_MODE_SERIALIZED;  // the first is made by the caller of create(), then used by the data thread
  ucp_worker_h worker = nullptr;
  if (const ucs_status_t status = ucx().ucp_worker_create(context_, &params, &worker); status != UCS_OK)
    return ucx_failed("cannot create a worker", status);
  epoll_event event{};
  event.events = EPOLLIN;
  if (ucx().ucp_worker_get_efd(worker, &event_fd) != UCS_OK || epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, event_fd, &event) != 0) {
    ucx().ucp_worker_destroy(worker);
    return fail(ErrorCode::kUnavailable, "UCX: no event descriptor");
  }
  return worker;
}

void UcxWorkerImpl::drop_worker(ucp_worker_h worker, int event_fd) {
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, event_fd, nullptr);
  ucx().ucp_worker_destroy(worker);
}

Result<void> UcxWorkerImpl::start_listener(const std::string& interface_name) {
  Result<SocketAddress> own = address_of_interface(interface_name);
  if (!own) return tl::unexpected(std::move(own).error());
  ucp_listener_params_t params{};
  params.field_mask = UCP_LISTENER_PARAM_FIELD_SOCK_ADDR | UCP_LISTENER_PARAM_FIELD_CONN_HANDLER;
  params.sockaddr.addr = reinterpret_cast<const sockaddr*>(&own->storage);
  params.sockaddr.addrlen = own->size;
  params.conn_handler.cb = on_connection;
  params.conn_handler.arg = this;
  Result<ucp_worker_h> worker = make_worker(listening_fd_);
  if (!worker) return tl::unexpected(std::move(worker).error());
  listening_ = *worker;
  if (const ucs_status_t status = ucx().ucp_listener_create(listening_, &params, &listener_); status != UCS_OK)
    return ucx_failed("cannot listen on " + interface_name, status);
  ucp_listener_attr_t attributes{};
  attributes.field_mask = UCP_LISTENER_ATTR_FIELD_SOCKADDR;
  if (const ucs_status_t status = ucx().ucp_listener_query(listener_, &attributes); status != UCS_OK)
    return ucx_failed("cannot learn the listener's port", status);
  address_ = to_text(attributes.sockaddr);
  return {};
}

Result<void> UcxWorkerImpl::start(const UcxWorkerOptions& options) {
  if (options.pool_bytes == 0) return fail(ErrorCode::kInvalidArgument, "the pool must not be empty");
  // Checked first: a context made while its interface is down never reaches anyone and does not say so.
  if (Result<SocketAddress> own = address_of_interface(options.interface_name); !own) return tl::unexpected(std::move(own).error());
  RETURN_IF_ERROR(start_context(options));
  RETURN_IF_ERROR(start_pool(options.pool_bytes));
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd_ < 0) return fail(ErrorCode::kIo, "no epoll descriptor: too many open files?");
  return start_listener(options.interface_name);
}

UcxWorkerImpl::~UcxWorkerImpl() {
  if (listening_ != nullptr) {
    take_connections();
    while (!live_.empty()) force_close(live_.begin()->first);
    while (!closing_.empty()) finish_closing();
    if (listener_ != nullptr) ucx().ucp_listener_destroy(listener_);
    drop_worker(listening_, listening_fd_);
  }
  if (memory_ != nullptr) ucx().ucp_mem_unmap(context_, memory_);
  if (context_ != nullptr) ucx().ucp_cleanup(context_);
  if (epoll_fd_ >= 0) ::close(epoll_fd_);
}

Result<EndpointId> UcxWorkerImpl::make_endpoint(ucp_ep_params_t& params) {
  auto endpoint = std::make_unique<Endpoint>();
  endpoint->owner = this;
  endpoint->id = next_endpoint_++;
  Result<ucp_worker_h> worker = make_worker(endpoint->event_fd);
  if (!worker) return tl::unexpected(std::move(worker).error());
  endpoint->worker = *worker;
  ucp_am_handler_param_t handler{};
  handler.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG |
                       UCP_AM_HANDLER_PARAM_FIELD_FLAGS;
  handler.id = kMessageId;
  handler.cb = on_message;
  handler.arg = endpoint.get();
  handler.flags = UCP_AM_FLAG_WHOLE_MSG;
  ucs_status_t status = ucx().ucp_worker_set_am_recv_handler(endpoint->worker, &handler);
  params.field_mask |= UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE | UCP_EP_PARAM_FIELD_ERR_HANDLER;
  params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
  params.err_handler.cb = on_error;
  params.err_handler.arg = endpoint.get();
  if (status == UCS_OK) status = ucx().ucp_ep_create(endpoint->worker, &params, &endpoint->handle);
  if (status != UCS_OK) {
    drop_worker(endpoint->worker, endpoint->event_fd);
    return ucx_failed("cannot connect", status);
  }
  const EndpointId id = endpoint->id;
  live_.emplace(id, std::move(endpoint));
  return id;
}

Result<EndpointId> UcxWorkerImpl::connect(const std::string& address) {
  const std::optional<SocketAddress> remote = address_from_text(address);
  if (!remote) return fail(ErrorCode::kInvalidArgument, "not an address of a data plane: " + address);
  ucp_ep_params_t params{};
  params.field_mask = UCP_EP_PARAM_FIELD_FLAGS | UCP_EP_PARAM_FIELD_SOCK_ADDR;
  params.flags = UCP_EP_PARAMS_FLAGS_CLIENT_SERVER;
  params.sockaddr.addr = reinterpret_cast<const sockaddr*>(&remote->storage);
  params.sockaddr.addrlen = remote->size;
  return make_endpoint(params);
}

void UcxWorkerImpl::take_connections() {
  const std::vector<ucp_conn_request_h> requests = std::exchange(accepted_, {});
  for (ucp_conn_request_h request : requests) {
    ucp_ep_params_t params{};
    params.field_mask = UCP_EP_PARAM_FIELD_CONN_REQUEST;
    params.conn_request = request;
    if (Result<EndpointId> made = make_endpoint(params); !made) log_warn("ucx", "connection not accepted", {{"error", made.error().message}});
  }
}

bool UcxWorkerImpl::arm() {
  if (!accepted_.empty() || !broken_.empty() || ucx().ucp_worker_arm(listening_) != UCS_OK) return false;
  for (const auto& [id, endpoint] : live_)
    if (ucx().ucp_worker_arm(endpoint->worker) != UCS_OK) return false;
  return closing_.empty();
}

unsigned UcxWorkerImpl::progress() {
  unsigned happened = ucx().ucp_worker_progress(listening_);
  // Callbacks do not change live_: what they want closed or accepted is only noted.
  for (const auto& [id, endpoint] : live_) happened += ucx().ucp_worker_progress(endpoint->worker);
  if (!accepted_.empty()) {
    take_connections();
    ++happened;
  }
  while (!broken_.empty()) {
    const std::vector<std::pair<EndpointId, std::string>> broken = std::exchange(broken_, {});
    for (const auto& [id, reason] : broken) {
      if (!live_.contains(id)) continue;
      force_close(id);
      events_.on_broken(id, reason);
      ++happened;
    }
  }
  return happened + (closing_.empty() ? 0 : finish_closing());
}

UcxWorker::Sent UcxWorkerImpl::send(EndpointId to, std::uint64_t operation, const MessageHeaderBytes& header,
                                    std::span<const std::byte> payload, std::string& reason) {
  const auto at = live_.find(to);
  if (at == live_.end()) {
    reason = "not connected";
    return Sent::kFailed;
  }
  Endpoint& endpoint = *at->second;
  // Entered first: UCX may call back before it returns, and the record is gone then.
  auto* record = new Operation{&endpoint, operation, false, header};
  endpoint.operations.insert(record);
  ucp_request_param_t params{};
  params.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  params.cb.send = on_sent;
  params.user_data = record;
  const ucs_status_ptr_t request = ucx().ucp_am_send_nbx(endpoint.handle, kMessageId, record->header.data(), record->header.size(),
                                                   payload.data(), payload.size(), &params);
  if (request != nullptr && !UCS_PTR_IS_ERR(request)) return Sent::kPending;
  forget(record);
  if (request == nullptr) return Sent::kDone;
  reason = describe(UCS_PTR_STATUS(request));
  return Sent::kFailed;
}

void UcxWorkerImpl::forget(Operation* operation) {
  operation->endpoint->operations.erase(operation);
  delete operation;
}

void UcxWorkerImpl::end(Operation* operation, bool ok, const std::string& reason) {
  const std::uint64_t id = operation->id;
  const bool receiving = operation->receiving;
  forget(operation);
  if (receiving) events_.on_received(id, ok, reason);
  else events_.on_sent(id, ok, reason);
}

void UcxWorkerImpl::on_sent(void* request, ucs_status_t status, void* operation) {
  ucx().ucp_request_free(request);
  auto* record = static_cast<Operation*>(operation);
  record->endpoint->owner->end(record, status == UCS_OK, status == UCS_ERR_REJECTED ? "refused by the receiver" : describe(status));
}

void UcxWorkerImpl::on_received(void* request, ucs_status_t status, std::size_t, void* operation) {
  ucx().ucp_request_free(request);
  auto* record = static_cast<Operation*>(operation);
  record->endpoint->owner->end(record, status == UCS_OK, describe(status));
}

ucs_status_t UcxWorkerImpl::receive(Endpoint& from, std::span<const std::byte> header, void* data, std::size_t bytes,
                                    bool rendezvous) {
  const ucs_status_t refused = rendezvous ? UCS_ERR_REJECTED : UCS_OK;
  if (!live_.contains(from.id)) return refused;  // closed here, and UCX still had something of it
  const MessageEvents::Destination to = events_.on_message(from.id, header, bytes);
  if (to.to == nullptr) return refused;
  if (!rendezvous) {
    std::memcpy(to.to, data, bytes);
    events_.on_received(to.operation, true, {});
    return UCS_OK;
  }
  auto* record = new Operation{&from, to.operation, true, {}};
  from.operations.insert(record);
  std::size_t received = 0;
  ucp_request_param_t params{};
  params.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_RECV_INFO;
  params.cb.recv_am = on_received;
  params.user_data = record;
  params.recv_info.length = &received;
  const ucs_status_ptr_t request = ucx().ucp_am_recv_data_nbx(from.worker, data, to.to, bytes, &params);
  if (request == nullptr) end(record, received == bytes, "short message");
  else if (UCS_PTR_IS_ERR(request)) end(record, false, describe(UCS_PTR_STATUS(request)));
  return UCS_INPROGRESS;  // the descriptor is UCX's since ucp_am_recv_data_nbx
}

void UcxWorkerImpl::force_close(EndpointId endpoint) {
  const auto at = live_.find(endpoint);
  if (at == live_.end()) return;
  Endpoint& entry = *at->second;
  ucp_request_param_t params{};
  params.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS | UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  params.flags = UCP_EP_CLOSE_FLAG_FORCE;
  params.cb.send = on_closed;
  params.user_data = &entry;
  entry.close_limit = Clock::now() + kCloseLimit;
  closing_.push_back(std::move(at->second));
  live_.erase(at);
  const ucs_status_ptr_t request = ucx().ucp_ep_close_nbx(entry.handle, &params);
  entry.closed = request == nullptr || UCS_PTR_IS_ERR(request);
}

// Destroys the workers of closed endpoints as soon as UCX has ended their operations. An operation it does not end within
// the limit ends with its worker: nothing is left then that could touch its memory.
unsigned UcxWorkerImpl::finish_closing() {
  unsigned happened = 0;
  for (std::size_t i = 0; i < closing_.size();) {
    Endpoint& entry = *closing_[i];
    happened += ucx().ucp_worker_progress(entry.worker);
    const bool finished = entry.closed && entry.operations.empty();
    if (!finished && Clock::now() < entry.close_limit) {
      ++i;
      continue;
    }
    if (!finished) log_warn("ucx", "an endpoint did not close by itself", {{"operations", entry.operations.size()}});
    drop_worker(entry.worker, entry.event_fd);
    const std::unique_ptr<Endpoint> gone = std::move(closing_[i]);
    closing_.erase(closing_.begin() + static_cast<std::ptrdiff_t>(i));
    while (!gone->operations.empty()) end(*gone->operations.begin(), false, "closed");
    ++happened;
  }
  return happened;
}

std::string UcxWorkerImpl::transport(EndpointId endpoint) const {
  const auto at = live_.find(endpoint);
  if (at == live_.end()) return "none";
  return lane_of_messages(printed([&](std::FILE* stream) { ucx().ucp_ep_print_info(at->second->handle, stream); }));
}

}  // namespace

Result<std::unique_ptr<UcxWorker>> UcxWorker::create(const UcxWorkerOptions& options, MessageEvents& events) {
  RETURN_IF_ERROR(load_ucx());
  auto worker = std::make_unique<UcxWorkerImpl>(events);
  RETURN_IF_ERROR(worker->start(options));
  return worker;
}

}  // namespace baton
