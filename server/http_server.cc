// SPDX-License-Identifier: Apache-2.0
#include "server/http_server.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <ctime>
#include <string_view>
#include <thread>
#include <utility>

#include "runtime/actor/real_loop.h"
#include "runtime/base/check.h"
#include "runtime/base/thread_name.h"
#include "server/guarded.h"
#include "server/http_connection.h"
#include "server/http_core.h"

namespace baton {
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr int kBacklog = 4096;
constexpr std::chrono::milliseconds kGlance{100};       // how often time limits are looked at
constexpr std::chrono::milliseconds kAcceptPause{100};  // after an accept for which the system had no descriptor

}  // namespace

// ---- what connections share ------------------------------------------------------------------------------------------

void HttpCore::post(std::function<void()> turn) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  posted_.push_back(std::move(turn));
  if (posting_) return;
  asio::post(context, [this] { run_posted(); });
  posting_ = true;  // not before: where it throws, the next one tries again
}

void HttpCore::run_posted() {
  std::vector<std::function<void()>> turns;
  {
    const std::lock_guard lock(mutex_);
    turns.swap(posted_);
    posting_ = false;
  }
  for (std::function<void()>& turn : turns) run_guarded("a posted turn", [&turn] { std::exchange(turn, nullptr)(); });
}

void HttpCore::at(Time when, std::function<void()> turn) {
  due_.emplace(when, std::move(turn));
  if (due_.begin()->first == when) arm();
}

void HttpCore::arm() {
  if (due_.empty()) return;
  const Time now = real_now();
  const Time next = due_.begin()->first;
  alarm.expires_after(next <= now ? Duration{0} : next - now);
  alarm.async_wait([this](error_code error) {
    if (!error) run_due();
  });
}

void HttpCore::run_due() {
  const Time now = real_now();
  while (!due_.empty() && due_.begin()->first <= now) {
    const std::function<void()> turn = std::move(due_.begin()->second);
    due_.erase(due_.begin());
    run_guarded("a turn that was due", turn);
  }
  arm();
}

bool HttpCore::make_room() {
  if (connections.size() < options.limits.connections) return true;
  std::shared_ptr<HttpConnection> oldest;
  for (const auto& each : connections)
    if (each->idle() && (oldest == nullptr || each->since() < oldest->since())) oldest = each;
  if (oldest == nullptr) return false;
  ++counters.evicted;
  oldest->close();
  return true;
}

bool HttpCore::take_key(std::size_t key) {
  std::size_t& count = connections_of_key_[key];
  if (count >= options.limits.connections_per_key) return false;
  ++count;
  return true;
}

void HttpCore::release_key(std::size_t key) {
  const auto it = connections_of_key_.find(key);
  if (--it->second == 0) connections_of_key_.erase(it);
}

const std::string& HttpCore::date(Time now) {
  if (now >= date_until_) {
    const std::time_t seconds = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[40];
    date_.assign(text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts));
    date_until_ = now + std::chrono::milliseconds(500);
  }
  return date_;
}

void HttpCore::clear() {
  std::vector<std::function<void()>> dropped;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    dropped.swap(posted_);
  }
  const auto due = std::exchange(due_, {});
}

// ---- the server ------------------------------------------------------------------------------------------------------

class HttpServer::Impl {
 public:
  explicit Impl(HttpServerOptions options)
      : core_(std::make_shared<HttpCore>(std::move(options))), work_(asio::make_work_guard(core_->context)) {}

  Result<std::uint16_t> listen(const SocketAddress& address, HttpHandler handler, HttpAccess access) {
    const std::string name = address.host + ':' + std::to_string(address.port);
    error_code error;
    tcp::resolver resolver(core_->context);
    const std::string host = address.host == "*" ? "0.0.0.0" : address.host;
    const auto found = resolver.resolve(host, std::to_string(address.port), tcp::resolver::passive, error);
    if (error || found.empty()) return fail(ErrorCode::kNotFound, address.host + ": " + error.message());
    HttpListener& listener = core_->listeners.emplace_back(core_->context);
    listener.handler = std::move(handler);
    listener.access = access;
    const tcp::endpoint endpoint = *found.begin();
    listener.acceptor.open(endpoint.protocol(), error);
    if (!error) listener.acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) listener.acceptor.bind(endpoint, error);
    if (!error) listener.acceptor.listen(kBacklog, error);
    if (!error) return listener.acceptor.local_endpoint().port();
    core_->listeners.pop_back();
    if (error == asio::error::address_in_use) return fail(ErrorCode::kAlreadyExists, name + " is taken");
    return fail(ErrorCode::kIo, "cannot listen on " + name + ": " + error.message());
  }

  void start() {
    CHECK(!thread_.joinable(), "the HTTP server was started twice");
    for (HttpListener& listener : core_->listeners) accept(listener);
    glance();
    thread_ = std::thread([this] {
      name_this_thread("baton-http");
      // What a handler throws leaves run(); the others are still to have their turns.
      while (!run_guarded("a handler of the loop", [this] { core_->context.run(); })) continue;
      finish();
    });
  }

  void begin_drain() {
    core_->draining = true;
    core_->post([this] {
      for (HttpListener& listener : core_->listeners) close(listener);
      const std::vector<std::shared_ptr<HttpConnection>> all(core_->connections.begin(), core_->connections.end());
      for (const auto& each : all) each->drain();
    });
  }

  void stop() {
    if (!thread_.joinable()) return;
    core_->context.stop();
    thread_.join();
  }

  std::shared_ptr<HttpCore> core_;

 private:
  static void close(HttpListener& listener) {
    error_code ignored;
    listener.acceptor.close(ignored);
    listener.pause.cancel();
  }

  void accept(HttpListener& listener) {
    listener.acceptor.async_accept([this, &listener](error_code error, tcp::socket socket) {
      if (!listener.acceptor.is_open()) return;
      if (error) {
        listener.pause.expires_after(kAcceptPause);
        listener.pause.async_wait([this, &listener](error_code cancelled) {
          if (!cancelled && listener.acceptor.is_open()) accept(listener);
        });
        return;
      }
      run_guarded("taking a connection", [&] { take(std::move(socket), listener); });
      accept(listener);
    });
  }

  void take(tcp::socket socket, const HttpListener& listener) {
    ++core_->counters.accepted;
    if (!core_->make_room()) return turn_away(socket);
    const auto connection = std::make_shared<HttpConnection>(core_, std::move(socket), listener);
    core_->connections.insert(connection);
    connection->start();
  }

  // All connections are busy. What does not fit into the socket's buffer is nobody's loss.
  static void turn_away(tcp::socket& socket) {
    constexpr std::string_view kAnswer =
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(kAnswer), ignored);
  }

  void glance() {
    core_->at(real_now() + kGlance, [this] {
      const Time now = real_now();
      const std::vector<std::shared_ptr<HttpConnection>> all(core_->connections.begin(), core_->connections.end());
      for (const auto& each : all) run_guarded("looking after a connection", [&] { each->tick(now); });
      glance();
    });
  }

  // On the server's thread, when its loop has ended: closes everything, lets those who wait know, and leaves no handler behind
  // that would hold what it captured.
  void finish() {
    core_->draining = true;
    for (HttpListener& listener : core_->listeners) close(listener);
    const auto all = std::exchange(core_->connections, {});
    for (const auto& each : all)
      if (!run_guarded("the end of a connection", [&] { each->end(); })) each->close();
    core_->alarm.cancel();
    work_.reset();
    core_->context.restart();
    core_->context.poll();
    core_->clear();
    core_->context.restart();
    core_->context.poll();
  }

  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::thread thread_;
};

HttpServer::HttpServer(HttpServerOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
HttpServer::~HttpServer() { stop(); }

Result<std::uint16_t> HttpServer::listen(const SocketAddress& address, HttpHandler handler, HttpAccess access) {
  return impl_->listen(address, std::move(handler), access);
}
void HttpServer::start() { impl_->start(); }
void HttpServer::begin_drain() { impl_->begin_drain(); }
std::size_t HttpServer::exchanges() const { return impl_->core_->exchanges; }
void HttpServer::stop() { impl_->stop(); }
void HttpServer::post(std::function<void()> turn) { impl_->core_->post(std::move(turn)); }
void HttpServer::after(Duration delay, std::function<void()> turn) { impl_->core_->at(real_now() + delay, std::move(turn)); }
Time HttpServer::now() const { return real_now(); }
HttpCounters HttpServer::counters() const {
  HttpCounters counters = impl_->core_->counters;
  counters.open = impl_->core_->connections.size();
  return counters;
}

}  // namespace baton
