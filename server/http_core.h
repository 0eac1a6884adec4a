// SPDX-License-Identifier: Apache-2.0
// HttpCore: what the connections of one HttpServer share. Internal to http_server.cc and http_connection.cc, the only files
// that see Asio. HTTP thread only, but for post(), exchanges and the drain mark. Connections keep it alive: an exchange may be
// held by its handler longer than the server lives.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "server/http_server.h"

namespace baton {

class HttpConnection;

struct HttpListener {
  explicit HttpListener(boost::asio::io_context& context) : acceptor(context), pause(context) {}
  boost::asio::ip::tcp::acceptor acceptor;
  boost::asio::steady_timer pause;  // after an accept that the system refused
  HttpHandler handler;
  HttpAccess access;
};

class HttpCore : public std::enable_shared_from_this<HttpCore> {
 public:
  explicit HttpCore(HttpServerOptions chosen) : options(std::move(chosen)), alarm(context) {}

  void post(std::function<void()> turn);  // any thread
  void at(Time when, std::function<void()> turn);
  // Of a new connection: a place for it, or false.
  bool make_room();
  // Of one more, or one less, connection under that key.
  bool take_key(std::size_t key);
  void release_key(std::size_t key);
  const std::string& date(Time now);  // of the Date header
  // Forgets everything that waits, so that no handler's objects are kept by us.
  void clear();

  const HttpServerOptions options;
  boost::asio::io_context context{1};
  boost::asio::steady_timer alarm;
  std::list<HttpListener> listeners;
  std::set<std::shared_ptr<HttpConnection>> connections;
  std::array<char, 64u << 10> scratch{};  // what one read takes; nobody keeps it over a turn
  std::size_t held_bytes = 0;             // what connections hold of requests that no handler has yet
  HttpCounters counters;
  std::atomic<std::size_t> exchanges{0};
  std::atomic<bool> draining{false};

 private:
  void run_posted();
  void run_due();
  void arm();

  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;
  bool posting_ = false;  // run_posted() is on its way; under the mutex
  bool closed_ = false;   // under the mutex
  std::multimap<Time, std::function<void()>> due_;
  std::map<std::size_t, std::size_t> connections_of_key_;
  std::string date_;
  Time date_until_{};
};

}  // namespace baton
