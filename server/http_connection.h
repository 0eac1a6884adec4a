// SPDX-License-Identifier: Apache-2.0
// HttpConnection: one client's socket: its requests in, their answers out, one at a time. Internal to the HTTP server; HTTP
// thread. Reads only when there is something to do with the bytes: a request while none is open, at most limits.ahead_bytes of
// the next ones meanwhile. Keeps itself alive while the server lists it, and while an exchange is held.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/http_core.h"
#include "server/http_parser.h"

namespace baton {

class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(std::shared_ptr<HttpCore> core, boost::asio::ip::tcp::socket socket, const HttpListener& listener);

  void start();
  void tick(Time now);  // looks whether a time limit has passed
  void drain();         // closes if idle; else the request that has begun to come, or is being answered, is the last
  void end();           // closes; a request that has not come whole is told so, as far as the socket takes it at once
  void close();
  bool idle() const { return phase_ == Phase::kReading && !parser_.begun(); }
  Time since() const { return since_; }

  // Of the exchange with that number; calls of earlier ones do nothing.
  void respond(std::uint64_t exchange, HttpResponse response);
  void start_stream(std::uint64_t exchange, HttpResponse head);
  bool write(std::uint64_t exchange, std::string_view bytes, std::size_t echoed);
  void finish(std::uint64_t exchange);
  void on_gone(std::uint64_t exchange, std::function<void()> gone);
  void abandon(std::uint64_t exchange);

 private:
  // kReading: a request. kAnswering: its answer is awaited, or streamed. kFlushing: it is handed over, not yet sent.
  // kLingering: the last one is sent, what still comes is dropped, so that no reset overtakes it.
  enum class Phase { kReading, kAnswering, kFlushing, kLingering, kClosed };

  // Turns of the socket: what goes wrong in them is this client's end alone.
  template <class Turn>
  void guarded(Turn turn);
  void read();
  void take_readable();
  void take(std::string_view bytes);
  bool hold(std::size_t bytes);  // says how much of requests this connection holds; false: all together hold too much
  bool admit();                  // keys, Expect: once per request, when its head is there
  void refuse(HttpFault fault);
  void dispatch();
  void resume();
  void peer_ended(bool reset);
  void watch_unread();
  void count(bool request);
  bool current(std::uint64_t exchange) const { return phase_ == Phase::kAnswering && exchange == exchange_; }
  std::string head_of(const HttpResponse& response, bool chunked);
  void queue(std::string_view bytes);
  void schedule_flush();
  void flush();
  void answered();
  void end_answer();
  void linger();
  std::size_t unsent() const { return out_.size() - sent_; }
  void note_taken(Time now);

  const std::shared_ptr<HttpCore> core_;  // first: the socket ends before its context
  const HttpLimits& limits_;
  const HttpHandler& handler_;
  const HttpAccess access_;
  boost::asio::ip::tcp::socket socket_;
  HttpParser parser_;
  Phase phase_ = Phase::kReading;
  Time since_{};           // when the phase, or the request, or its body began
  Time patience_{};        // until when the client must have taken more
  bool admitted_ = false;  // the request being read was looked at
  bool in_body_ = false;
  bool counted_ = false;  // among the core's exchanges
  bool keep_ = true;      // the connection, after this answer
  bool head_only_ = false;
  bool chunked_ = false;
  bool http_1_0_ = false;
  bool streaming_ = false;
  bool reading_ = false;  // a wait is under way
  bool writing_ = false;
  bool flush_due_ = false;
  bool input_ended_ = false;
  std::uint64_t exchange_ = 0;
  std::uint64_t handed_over_ = 0;  // the last exchange whose answer is whole
  std::function<void()> gone_;
  std::optional<std::size_t> key_;
  std::string ahead_;  // of the next requests
  std::string out_;
  std::size_t sent_ = 0;       // of out_
  std::uint64_t written_ = 0;  // to the socket, in all
  std::uint64_t taken_ = 0;    // of these, acknowledged by the client's system when last looked at
  std::size_t large_ = 0;      // unsent bytes at most of echoes, and of events above limits.stream_buffer_bytes
  std::size_t dropped_ = 0;    // while lingering
  std::size_t held_ = 0;       // this one's part of the core's held_bytes
};

}  // namespace baton
