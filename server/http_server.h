// SPDX-License-Identifier: Apache-2.0
// HttpServer: HTTP/1.1 (and 1.0) on a thread of its own, `baton-http`, which is the HttpThread of those who answer. Requests
// are parsed strictly (http_parser.h) and within HttpLimits; what breaks a rule gets an error in OpenAI's shape and a closed
// connection. A connection answers its requests one after another. While an answer is pending or streamed it is watched: a
// client that closes, or only stops sending (a half-closed connection), is gone, and the exchange's on_gone runs.
//
// Owns its connections, at most limits.connections; when all are in use, the one that has been idle longest makes room.
// Listeners are added before start(). post() from any thread; stop() from any but the server's own. Exchanges may outlive the
// server.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "config/address.h"
#include "server/api_keys.h"
#include "server/http_exchange.h"
#include "server/http_limits.h"
#include "server/http_thread.h"

namespace baton {

struct HttpServerOptions {
  HttpLimits limits;
  std::string server_name = "baton";    // of the Server header
  std::shared_ptr<const ApiKeys> keys;  // nullptr: everybody may ask
};

// Who may ask at one address.
struct HttpAccess {
  bool needs_key = true;  // where the options have keys; but for /live, /ready and /health
  // Host and Origin must be of this machine ("localhost", an address). Without keys that is what keeps a page of some site, in
  // a browser on this machine, from asking: its script can be made to reach our address, but not to hide the name it came by.
  bool local_names_only = false;
};

struct HttpCounters {
  std::uint64_t accepted = 0;  // connections
  std::uint64_t open = 0;
  std::uint64_t requests = 0;  // handed to a handler
  std::uint64_t refused = 0;   // answered here: not well-formed, too large, too late, or without a key
  std::uint64_t evicted = 0;   // idle connections that made room
};

class HttpServer final : public HttpThread {
 public:
  explicit HttpServer(HttpServerOptions options);
  ~HttpServer() override;  // stop()
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Before start(). Port 0 takes a free one; returns the port.
  Result<std::uint16_t> listen(const SocketAddress& address, HttpHandler handler, HttpAccess access = {});
  void start();

  // Any thread. Accepts no more, closes idle connections, and the others behind their current answer, or the answer to the request
  // that has begun to come.
  void begin_drain();
  // Any thread. Requests that are not answered whole, from their first byte on.
  std::size_t exchanges() const;
  // Ends the thread; whoever waits for an answer is gone, whoever still sends a request gets a 503. Nothing that was posted runs any
  // more.
  void stop();

  void post(std::function<void()> turn) override;
  void after(Duration delay, std::function<void()> turn) override;
  Time now() const override;
  HttpCounters counters() const;  // HTTP thread

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace baton
