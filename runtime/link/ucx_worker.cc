// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/ucx_worker.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <ucp/api/ucp.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <sstream>
#include <unordered_map>
#include <utility>

#include "runtime/base/check.h"
#include "runtime/base/log.h"

namespace baton {
namespace {

constexpr unsigned kMessageId = 1;

std::string describe(ucs_status_t status) { return ucs_status_string(status); }

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

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

std::string to_text(const sockaddr_storage& storage) {
  char host[INET6_ADDRSTRLEN] = {};
  if (storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host);
    return std::string(host) + ":" + std::to_string(ntohs(v4.sin_port));
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
  inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host);
  return "[" + std::string(host) + "]:" + std::to_string(ntohs(v6.sin6_port));
}

std::optional<SocketAddress> from_text(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon + 1 >= text.size() || text.size() - colon > 6) return std::nullopt;
  unsigned port = 0;
  for (std::size_t i = colon + 1; i < text.size(); ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    port = port * 10 + static_cast<unsigned>(text[i] - '0');
  }
  if (port == 0 || port > 65535) return std::nullopt;
  SocketAddress address;
  if (text[0] == '[' && colon >= 2 && text[colon - 1] == ']') {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(static_cast<std::uint16_t>(port));
    if (inet_pton(AF_INET6, text.substr(1, colon - 2).c_str(), &v6.sin6_addr) != 1) return std::nullopt;
    address.size = sizeof v6;
  } else {
    auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(static_cast<std::uint16_t>(port));
    if (inet_pton(AF_INET, text.substr(0, colon).c_str(), &v4.sin_addr) != 1) return std::nullopt;
    address.size = sizeof v4;
  }
  return address;
}

// The interface's own address, IPv4 before IPv6 (link-local ones need a scope the peer does not know, so they are skipped).
Result<SocketAddress> address_of_interface(const std::string& name) {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return fail(ErrorCode::kIo, "cannot list network interfaces");
  std::optional<SocketAddress> v4, v6;
  bool exists = false;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (name != entry->ifa_name) continue;
    exists = true;
    if (entry->ifa_addr == nullptr || (entry->ifa_flags & IFF_UP) == 0) continue;
    if (entry->ifa_addr->sa_family == AF_INET && !v4) {
      v4.emplace();
      v4->size = sizeof(sockaddr_in);
      std::memcpy(&v4->storage, entry->ifa_addr, v4->size);
    } else if (entry->ifa_addr->sa_family == AF_INET6 && !v6) {
      const auto* in6 = reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr);
      if (IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr)) continue;
      v6.emplace();
      v6->size = sizeof(sockaddr_in6);
      std::memcpy(&v6->storage, entry->ifa_addr, v6->size);
    }
  }
  freeifaddrs(list);
  if (v4) return *v4;
  if (v6) return *v6;
  return fail(ErrorCode::kNotFound, "network interface '" + name + (exists ? "' is down or has no address" : "' does not exist"));
}

class UcxWorkerImpl final : public UcxWorker {
 public:
  explicit UcxWorkerImpl(MessageEvents& events) : events_(events) {}
  ~UcxWorkerImpl() override;

  Result<void> start(const UcxWorkerOptions& options);

  std::span<std::byte> pool() const override { return pool_; }
  const std::string& address() const override { return address_; }
  unsigned progress() override;
  bool arm() override { return accepted_.empty() && broken_.empty() && ucp_worker_arm(worker_) == UCS_OK; }
  int event_fd() const override { return event_fd_; }
  Result<EndpointId> connect(const std::string& address) override;
  Sent send(EndpointId to, std::uint64_t operation, const MessageHeaderBytes& header,
            std::span<const std::byte> payload, std::string& reason) override;
  void force_close(EndpointId endpoint) override;
  std::string transport(EndpointId endpoint) const override;
  std::size_t endpoints() const override { return by_id_.size() + closing_; }
  std::size_t operations() const override { return operations_; }

 private:
  struct Endpoint {
    UcxWorkerImpl* worker;
    EndpointId id;
    ucp_ep_h handle;
  };
  // Lives from posting to the end of one send or receive; UCX keeps a pointer to it and to the header inside.
  struct Operation {
    UcxWorkerImpl* worker;
    std::uint64_t id;
    MessageHeaderBytes header;
  };

  Result<void> start_context(const UcxWorkerOptions& options);
  Result<void> start_pool(std::uint64_t bytes);
  Result<void> start_worker();
  Result<void> start_listener(const std::string& interface_name);
  Result<EndpointId> make_endpoint(ucp_ep_params_t& params);
  void take_connections();
  ucs_status_t receive(const void* header, std::size_t header_bytes, void* data, std::size_t bytes, const ucp_am_recv_param_t* param);

  static void on_connection(ucp_conn_request_h request, void* self) {
    static_cast<UcxWorkerImpl*>(self)->accepted_.push_back(request);
  }
  static void on_error(void* endpoint, ucp_ep_h, ucs_status_t status) {
    auto* entry = static_cast<Endpoint*>(endpoint);
    entry->worker->broken_.emplace_back(entry->id, describe(status));
  }
  static ucs_status_t on_am(void* self, const void* header, std::size_t header_bytes, void* data, std::size_t bytes,
                            const ucp_am_recv_param_t* param) {
    return static_cast<UcxWorkerImpl*>(self)->receive(header, header_bytes, data, bytes, param);
  }
  static void on_sent(void* request, ucs_status_t status, void* operation);
  static void on_received(void* request, ucs_status_t status, std::size_t bytes, void* operation);
  static void on_closed(void* request, ucs_status_t, void* self) {
    --static_cast<UcxWorkerImpl*>(self)->closing_;
    ucp_request_free(request);
  }

  MessageEvents& events_;
  ucp_context_h context_ = nullptr;
  ucp_worker_h worker_ = nullptr;
  ucp_listener_h listener_ = nullptr;
  ucp_mem_h memory_ = nullptr;
  std::span<std::byte> pool_;
  std::string address_;
  int event_fd_ = -1;
  EndpointId next_endpoint_ = 1;
  std::map<EndpointId, std::unique_ptr<Endpoint>> by_id_;
  std::unordered_map<ucp_ep_h, EndpointId> by_handle_;
  std::vector<std::unique_ptr<Endpoint>> retired_;  // closed, but UCX may still name them in a late error callback
  std::vector<ucp_conn_request_h> accepted_;        // noted in callbacks, handled outside of them
  std::vector<std::pair<EndpointId, std::string>> broken_;
  std::size_t closing_ = 0;
  std::size_t operations_ = 0;
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
  const std::pair<const char*, std::string> settings[] = {
      {"TLS", lanes},
      {"NET_DEVICES", options.interface_name},
      {"POSIX_ERROR_HANDLING", "y"},  // without it shared memory is silently left out of connections that detect errors
      {"KEEPALIVE_INTERVAL", "1s"},
      {"TCP_USER_TIMEOUT", "2s"},
      {"TCP_CM_USER_TIMEOUT", "2s"},
      {"TCP_CONN_NB", "y"},  // connecting to a host that is gone must not stop the data thread
      {"SOCKADDR_TLS_PRIORITY", "tcp"},
      {"MAX_RNDV_RAILS", "1"},  // one lane carries the bytes: the one transport() names
      // The receiver's own process copies every byte into place. In the other schemes the peer writes into our pool, and a
      // peer that was stopped in the middle could go on after its connection was closed here.
      {"RNDV_SCHEME", "am"},
      {"RNDV_THRESH", "8K"},  // above, bytes go straight into place and a refusal reaches the sender
      {"TCP_TX_SEG_SIZE", "256K"},
      {"TCP_RX_SEG_SIZE", "256K"},
  };
  ucp_config_t* config = nullptr;
  if (const ucs_status_t status = ucp_config_read(nullptr, nullptr, &config); status != UCS_OK)
    return ucx_failed("reading its configuration", status);
  for (const auto& [name, value] : settings)
    if (const ucs_status_t status = ucp_config_modify(config, name, value.c_str()); status != UCS_OK)
      log_warn("ucx", "setting not known to this UCX", {{"name", name}, {"error", describe(status)}});
  ucp_params_t params{};
  params.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_NAME;
  params.features = UCP_FEATURE_AM | UCP_FEATURE_WAKEUP;
  params.name = "baton";
  const ucs_status_t status = ucp_init(&params, config, &context_);
  ucp_config_release(config);
  if (status != UCS_OK) return ucx_failed("no context with transports " + lanes + " on " + options.interface_name, status);
  return {};
}

// UCX allocates the pool itself: then a peer on this host maps it and bytes move at the speed of one memcpy.
Result<void> UcxWorkerImpl::start_pool(std::uint64_t bytes) {
  ucp_mem_map_params_t params{};
  params.field_mask = UCP_MEM_MAP_PARAM_FIELD_LENGTH | UCP_MEM_MAP_PARAM_FIELD_FLAGS;
  params.length = bytes;
  params.flags = UCP_MEM_MAP_ALLOCATE;
  if (const ucs_status_t status = ucp_mem_map(context_, &params, &memory_); status != UCS_OK)
    return ucx_failed("cannot allocate the pool of " + std::to_string(bytes) + " bytes", status);
  ucp_mem_attr_t attributes{};
  attributes.field_mask = UCP_MEM_ATTR_FIELD_ADDRESS | UCP_MEM_ATTR_FIELD_LENGTH;
  if (const ucs_status_t status = ucp_mem_query(memory_, &attributes); status != UCS_OK)
    return ucx_failed("cannot find the pool", status);
  CHECK(attributes.length >= bytes);
  pool_ = {static_cast<std::byte*>(attributes.address), bytes};
  std::memset(pool_.data(), 0, pool_.size());  // also touches every page now instead of during the first transfers
  return {};
}

Result<void> UcxWorkerImpl::start_worker() {
  ucp_worker_params_t params{};
  params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
  params.thread_mode = UCS_THREAD_MODE_SERIALIZED;  // made here, used by the data thread
  if (const ucs_status_t status = ucp_worker_create(context_, &params, &worker_); status != UCS_OK)
    return ucx_failed("cannot create the worker", status);
  if (const ucs_status_t status = ucp_worker_get_efd(worker_, &event_fd_); status != UCS_OK)
    return ucx_failed("no event descriptor", status);
  ucp_am_handler_param_t handler{};
  handler.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG |
                       UCP_AM_HANDLER_PARAM_FIELD_FLAGS;
  handler.id = kMessageId;
  handler.cb = on_am;
  handler.arg = this;
  handler.flags = UCP_AM_FLAG_WHOLE_MSG;
  if (const ucs_status_t status = ucp_worker_set_am_recv_handler(worker_, &handler); status != UCS_OK)
    return ucx_failed("cannot set the message handler", status);
  return {};
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
  if (const ucs_status_t status = ucp_listener_create(worker_, &params, &listener_); status != UCS_OK)
    return ucx_failed("cannot listen on " + interface_name, status);
  ucp_listener_attr_t attributes{};
  attributes.field_mask = UCP_LISTENER_ATTR_FIELD_SOCKADDR;
  if (const ucs_status_t status = ucp_listener_query(listener_, &attributes); status != UCS_OK)
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
  RETURN_IF_ERROR(start_worker());
  return start_listener(options.interface_name);
}

UcxWorkerImpl::~UcxWorkerImpl() {
  if (listener_ != nullptr) ucp_listener_destroy(listener_);
  if (worker_ != nullptr) {
    take_connections();
    while (!by_id_.empty()) force_close(by_id_.begin()->first);
    // Every close ends: it waits for nothing of the peer's. Bounded all the same, since a hang here would hang shutdown.
    for (int i = 0; i < 1000000 && (closing_ > 0 || operations_ > 0); ++i) ucp_worker_progress(worker_);
    if (closing_ > 0 || operations_ > 0) log_warn("ucx", "endpoints did not close", {{"closing", closing_}, {"operations", operations_}});
    ucp_worker_destroy(worker_);
  }
  if (memory_ != nullptr) ucp_mem_unmap(context_, memory_);
  if (context_ != nullptr) ucp_cleanup(context_);
}

Result<EndpointId> UcxWorkerImpl::make_endpoint(ucp_ep_params_t& params) {
  auto endpoint = std::make_unique<Endpoint>(Endpoint{this, next_endpoint_++, nullptr});
  params.field_mask |= UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE | UCP_EP_PARAM_FIELD_ERR_HANDLER;
  params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
  params.err_handler.cb = on_error;
  params.err_handler.arg = endpoint.get();
  if (const ucs_status_t status = ucp_ep_create(worker_, &params, &endpoint->handle); status != UCS_OK)
    return ucx_failed("cannot connect", status);
  const EndpointId id = endpoint->id;
  by_handle_[endpoint->handle] = id;
  by_id_.emplace(id, std::move(endpoint));
  return id;
}

Result<EndpointId> UcxWorkerImpl::connect(const std::string& address) {
  const std::optional<SocketAddress> remote = from_text(address);
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

unsigned UcxWorkerImpl::progress() {
  unsigned happened = ucp_worker_progress(worker_);
  if (!accepted_.empty()) {
    take_connections();
    ++happened;
  }
  while (!broken_.empty()) {
    const std::vector<std::pair<EndpointId, std::string>> broken = std::exchange(broken_, {});
    for (const auto& [id, reason] : broken) {
      if (!by_id_.contains(id)) continue;
      force_close(id);
      events_.on_broken(id, reason);
      ++happened;
    }
  }
  return happened;
}

UcxWorker::Sent UcxWorkerImpl::send(EndpointId to, std::uint64_t operation, const MessageHeaderBytes& header,
                                    std::span<const std::byte> payload, std::string& reason) {
  const auto at = by_id_.find(to);
  if (at == by_id_.end()) {
    reason = "not connected";
    return Sent::kFailed;
  }
  auto record = std::make_unique<Operation>();
  record->worker = this;
  record->id = operation;
  record->header = header;
  ucp_request_param_t params{};
  params.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_FLAGS;
  params.flags = UCP_AM_SEND_FLAG_REPLY;  // tells the receiver which of its endpoints this came by
  params.cb.send = on_sent;
  params.user_data = record.get();
  const ucs_status_ptr_t request =
      ucp_am_send_nbx(at->second->handle, kMessageId, record->header.data(), record->header.size(), payload.data(), payload.size(), &params);
  if (request == nullptr) return Sent::kDone;
  if (UCS_PTR_IS_ERR(request)) {
    reason = describe(UCS_PTR_STATUS(request));
    return Sent::kFailed;
  }
  (void)record.release();
  ++operations_;
  return Sent::kPending;
}

void UcxWorkerImpl::on_sent(void* request, ucs_status_t status, void* operation) {
  const std::unique_ptr<Operation> record(static_cast<Operation*>(operation));
  ucp_request_free(request);
  --record->worker->operations_;
  record->worker->events_.on_sent(record->id, status == UCS_OK, status == UCS_ERR_REJECTED ? "refused by the receiver" : describe(status));
}

ucs_status_t UcxWorkerImpl::receive(const void* header, std::size_t header_bytes, void* data, std::size_t bytes,
                                    const ucp_am_recv_param_t* param) {
  const bool rendezvous = (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) != 0;
  const ucs_status_t refused = rendezvous ? UCS_ERR_REJECTED : UCS_OK;
  if ((param->recv_attr & UCP_AM_RECV_ATTR_FIELD_REPLY_EP) == 0) return refused;
  const auto from = by_handle_.find(param->reply_ep);
  if (from == by_handle_.end()) return refused;
  const MessageEvents::Destination to =
      events_.on_message(from->second, {static_cast<const std::byte*>(header), header_bytes}, bytes);
  if (to.to == nullptr) return refused;
  if (!rendezvous) {
    std::memcpy(to.to, data, bytes);
    events_.on_received(to.operation, true, {});
    return UCS_OK;
  }
  auto record = std::make_unique<Operation>();
  record->worker = this;
  record->id = to.operation;
  std::size_t received = 0;
  ucp_request_param_t params{};
  params.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_RECV_INFO;
  params.cb.recv_am = on_received;
  params.user_data = record.get();
  params.recv_info.length = &received;
  const ucs_status_ptr_t request = ucp_am_recv_data_nbx(worker_, data, to.to, bytes, &params);
  if (request == nullptr) {
    events_.on_received(to.operation, received == bytes, "short message");
  } else if (UCS_PTR_IS_ERR(request)) {
    events_.on_received(to.operation, false, describe(UCS_PTR_STATUS(request)));
  } else {
    (void)record.release();
    ++operations_;
  }
  return UCS_INPROGRESS;  // the descriptor is UCX's since ucp_am_recv_data_nbx
}

void UcxWorkerImpl::on_received(void* request, ucs_status_t status, std::size_t, void* operation) {
  const std::unique_ptr<Operation> record(static_cast<Operation*>(operation));
  ucp_request_free(request);
  --record->worker->operations_;
  record->worker->events_.on_received(record->id, status == UCS_OK, describe(status));
}

void UcxWorkerImpl::force_close(EndpointId endpoint) {
  const auto at = by_id_.find(endpoint);
  if (at == by_id_.end()) return;
  const ucp_ep_h handle = at->second->handle;
  by_handle_.erase(handle);
  retired_.push_back(std::move(at->second));
  by_id_.erase(at);
  ucp_request_param_t params{};
  params.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS | UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  params.flags = UCP_EP_CLOSE_FLAG_FORCE;
  params.cb.send = on_closed;
  params.user_data = this;
  const ucs_status_ptr_t request = ucp_ep_close_nbx(handle, &params);
  if (request == nullptr) return;
  if (UCS_PTR_IS_ERR(request)) {
    log_warn("ucx", "endpoint did not close", {{"error", describe(UCS_PTR_STATUS(request))}});
    return;
  }
  ++closing_;
}

std::string UcxWorkerImpl::transport(EndpointId endpoint) const {
  const auto at = by_id_.find(endpoint);
  if (at == by_id_.end()) return "none";
  return lane_of_messages(printed([&](std::FILE* stream) { ucp_ep_print_info(at->second->handle, stream); }));
}

}  // namespace

Result<std::unique_ptr<UcxWorker>> UcxWorker::create(const UcxWorkerOptions& options, MessageEvents& events) {
  auto worker = std::make_unique<UcxWorkerImpl>(events);
  RETURN_IF_ERROR(worker->start(options));
  return worker;
}

}  // namespace baton
