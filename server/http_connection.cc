// SPDX-License-Identifier: Apache-2.0
#include "server/http_connection.h"

#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <utility>

#include "runtime/actor/real_loop.h"
#include "server/guarded.h"
#include "server/http_text.h"
#include "server/openai_error.h"

namespace baton {
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

// One request's answer as its handler holds it.
class ConnectionExchange final : public HttpExchange {
 public:
  ConnectionExchange(std::shared_ptr<HttpConnection> connection, std::uint64_t number)
      : connection_(std::move(connection)), number_(number) {}
  ~ConnectionExchange() override {
    run_guarded("letting go of a request", [this] { connection_->abandon(number_); });
  }
  void respond(HttpResponse response) override { connection_->respond(number_, std::move(response)); }
  void start_stream(HttpResponse head) override { connection_->start_stream(number_, std::move(head)); }
  bool write(std::string_view bytes, std::size_t echoed) override { return connection_->write(number_, bytes, echoed); }
  void finish() override { connection_->finish(number_); }
  void on_gone(std::function<void()> gone) override { connection_->on_gone(number_, std::move(gone)); }

 private:
  const std::shared_ptr<HttpConnection> connection_;
  const std::uint64_t number_;
};

// What stands around a chunk at most: its size, and two line ends.
constexpr std::size_t kChunkFrameBytes = 2 * sizeof(std::size_t) + 4;

bool needs_no_key(std::string_view path) { return path == "/live" || path == "/ready" || path == "/health"; }

bool may_have_body(unsigned status) { return status >= 200 && status != 204 && status != 304; }

}  // namespace

HttpConnection::HttpConnection(std::shared_ptr<HttpCore> core, tcp::socket socket, const HttpListener& listener)
    : core_(std::move(core)),
      limits_(core_->options.limits),
      handler_(listener.handler),
      access_(listener.access),
      socket_(std::move(socket)),
      parser_(limits_) {}

void HttpConnection::start() {
  error_code ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
  socket_.non_blocking(true, ignored);
  since_ = real_now();
  read();
}

template <class Turn>
void HttpConnection::guarded(Turn turn) {
  if (run_guarded("a connection", std::move(turn))) return;
  const auto end = [this] {
    if (phase_ == Phase::kReading) refuse({500, "the server failed at this request", "internal_error"});
    else close();
  };
  if (!run_guarded("the end of a connection", end)) run_guarded("the end of a connection", [this] { close(); });
}

// ---- requests ------------------------------------------------------------------------------------------------------

void HttpConnection::read() {
  if (reading_ || input_ended_ || phase_ == Phase::kClosed) return;
  reading_ = true;
  socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](error_code error) {
    self->reading_ = false;
    if (self->phase_ == Phase::kClosed) return;
    self->guarded([&] { error ? self->peer_ended(true) : self->take_readable(); });
  });
}

void HttpConnection::take_readable() {
  error_code error;
  const std::size_t count = socket_.read_some(asio::buffer(core_->scratch), error);
  if (error == asio::error::would_block) return read();
  if (error) return peer_ended(error != asio::error::eof);
  const std::string_view bytes(core_->scratch.data(), count);
  if (phase_ == Phase::kLingering) {
    dropped_ += count;
    return dropped_ > limits_.linger_bytes ? close() : read();
  }
  if (phase_ == Phase::kReading) return take(bytes);
  ahead_ += bytes;
  if (hold(ahead_.size()) && ahead_.size() < limits_.ahead_bytes) read();  // beyond, tick() watches
}

void HttpConnection::peer_ended(bool reset) {
  input_ended_ = true;
  // An answer that is handed over whole still goes to a client that has merely stopped sending.
  if (phase_ == Phase::kFlushing && !reset) keep_ = false;
  else close();
}

void HttpConnection::take(std::string_view bytes) {
  while (!bytes.empty()) {
    if (!parser_.begun()) since_ = real_now();
    bytes.remove_prefix(parser_.feed(bytes));
    count(true);
    if (parser_.state() == HttpParser::State::kHead) continue;
    if (parser_.state() == HttpParser::State::kBody && !std::exchange(in_body_, true)) since_ = real_now();
    if (parser_.state() != HttpParser::State::kFailed && !std::exchange(admitted_, true) && !admit()) return;
    if (parser_.state() == HttpParser::State::kFailed) return refuse(parser_.fault());
    if (parser_.state() == HttpParser::State::kDone) {
      ahead_ = std::string(bytes);
      hold(ahead_.size());
      return dispatch();
    }
  }
  if (hold(parser_.body_bytes())) return read();
  refuse({503, "too many requests are being sent to this server at once: try again in a moment", "overloaded"});
}

bool HttpConnection::hold(std::size_t bytes) {
  const bool more = bytes > held_;
  core_->held_bytes = core_->held_bytes - held_ + bytes;
  held_ = bytes;
  return !more || core_->held_bytes <= limits_.held_bytes;
}

bool HttpConnection::admit() {
  if (access_.local_names_only) {
    const std::string_view host = parser_.request().header("host"), origin = parser_.request().header("origin");
    if ((!host.empty() && !is_local_name(host)) || (!origin.empty() && !is_local_name(origin))) {
      refuse(
          {403,
           "this address is for this machine alone: ask it by its number or as localhost; docs/gateway.md says how to open it",
           "host_not_allowed"});
      return false;
    }
  }
  const ApiKeys* keys = access_.needs_key ? core_->options.keys.get() : nullptr;
  if (keys != nullptr && !needs_no_key(parser_.request().path)) {
    const auto key = keys->find(parser_.request().header("authorization"));
    if (!key) {
      refuse({401, "give an API key: the header Authorization: Bearer KEY is missing, or its key is not known here",
              "invalid_api_key"});
      return false;
    }
    if (key != key_) {
      if (!core_->take_key(*key)) {
        refuse({429,
                "more than " + std::to_string(limits_.connections_per_key) +
                    " connections use this API key; close some, or keep them open for several requests",
                "too_many_connections"});
        return false;
      }
      if (key_) core_->release_key(*key_);
      key_ = key;
    }
  }
  if (parser_.expects_continue() && parser_.state() == HttpParser::State::kBody && parser_.body_bytes() == 0) {
    queue("HTTP/1.1 100 Continue\r\n\r\n");
    schedule_flush();
  }
  return true;
}

void HttpConnection::refuse(HttpFault fault) {
  ++core_->counters.refused;
  HttpResponse response = to_response({fault.status, fault.message, "", fault.code});
  if (fault.status == 401) response.headers.push_back({"WWW-Authenticate", "Bearer"});
  keep_ = chunked_ = streaming_ = false;
  hold(0);
  head_only_ = parser_.head_only();
  http_1_0_ = parser_.http_1_0();
  parser_.refuse(std::move(fault));
  queue(head_of(response, false));
  if (!head_only_) queue(response.body);
  count(true);
  answered();
}

void HttpConnection::dispatch() {
  ++core_->counters.requests;
  keep_ = parser_.keep_alive();
  head_only_ = parser_.head_only();
  http_1_0_ = parser_.http_1_0();
  chunked_ = streaming_ = false;
  phase_ = Phase::kAnswering;
  const std::uint64_t number = ++exchange_;
  HttpRequest request = parser_.take();
  request.key = key_;
  admitted_ = in_body_ = false;
  const auto exchange = std::make_shared<ConnectionExchange>(shared_from_this(), number);
  if (request.path == "*") {
    HttpResponse response;
    response.status = 204;
    response.headers.push_back({"Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"});
    exchange->respond(std::move(response));
  } else {
    if (!run_guarded("a handler", [&] { handler_(std::move(request), exchange); })) exchange->respond(to_response(internal_error()));
  }
  if (phase_ == Phase::kAnswering && ahead_.size() < limits_.ahead_bytes) read();
}

// The requests that came while the last one was answered.
void HttpConnection::resume() {
  if (phase_ != Phase::kReading) return;
  const std::string bytes = std::exchange(ahead_, {});
  if (bytes.empty()) read();
  else take(bytes);
}

// Where nothing more is read, the end of the client is not seen; the system knows it.
void HttpConnection::watch_unread() {
  tcp_info facts{};
  socklen_t size = sizeof facts;
  if (getsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_INFO, &facts, &size) == 0 && facts.tcpi_state != TCP_ESTABLISHED)
    peer_ended(false);
}

void HttpConnection::tick(Time now) {
  const auto late = [now](Time since, Duration limit) { return now - since > limit; };
  switch (phase_) {
    case Phase::kReading: {
      if (!parser_.begun()) {
        if (late(since_, limits_.idle_time)) close();
      } else if (parser_.state() == HttpParser::State::kHead) {
        if (late(since_, limits_.head_time)) refuse({408, "the headers did not come in time", "request_timeout"});
      } else {
        const auto allowed = std::chrono::nanoseconds(std::chrono::seconds(1)) *
                             static_cast<std::int64_t>(parser_.body_bytes()) /
                             static_cast<std::int64_t>(limits_.body_bytes_per_second);
        if (late(since_, limits_.body_grace + allowed)) refuse({408, "the body comes too slowly", "request_timeout"});
      }
      return;
    }
    case Phase::kAnswering:
    case Phase::kFlushing:
      if (unsent() > 0) note_taken(now);
      if (unsent() > 0 && now > patience_) close();
      else if (!reading_) watch_unread();
      return;
    case Phase::kLingering:
      if (late(since_, limits_.linger_time)) close();
      return;
    case Phase::kClosed: return;
  }
}

void HttpConnection::drain() {
  keep_ = false;
  if (idle()) close();
}

void HttpConnection::end() {
  if (phase_ == Phase::kReading && parser_.begun()) {
    refuse({503, "the server ends, and your request had not come whole: send it again", "unavailable"});
    flush();
  }
  close();
}

// From a request's first byte to the last one of its answer a drain waits for it.
void HttpConnection::count(bool request) {
  if (request == std::exchange(counted_, request)) return;
  if (request) core_->exchanges.fetch_add(1);
  else core_->exchanges.fetch_sub(1);
}

// ---- answers -------------------------------------------------------------------------------------------------------

std::string HttpConnection::head_of(const HttpResponse& response, bool chunked) {
  const bool keep = keep_ && !core_->draining;
  std::string head = "HTTP/1.1 " + std::to_string(response.status) + ' ' + std::string(reason_phrase(response.status)) +
                     "\r\nDate: " + core_->date(real_now()) + "\r\nServer: " + core_->options.server_name + "\r\n";
  const auto add = [&head](std::string_view name, std::string_view value) {
    // A line end in a value would be a header, or an answer, of somebody else's making.
    if (is_http_token(name) && is_http_field_value(value)) head.append(name).append(": ").append(value).append("\r\n");
  };
  for (const HttpHeader& each : response.headers) add(each.name, each.value);
  if (may_have_body(response.status)) {
    if (!response.content_type.empty()) add("Content-Type", response.content_type);
    if (chunked) add("Transfer-Encoding", "chunked");
    else if (!streaming_) add("Content-Length", std::to_string(response.body.size()));
  }
  if (!keep) add("Connection", "close");
  else if (http_1_0_) add("Connection", "keep-alive");
  return head + "\r\n";
}

void HttpConnection::respond(std::uint64_t exchange, HttpResponse response) {
  if (!current(exchange) || streaming_) return;
  if (core_->draining) keep_ = false;
  const std::string head = head_of(response, false);
  out_.reserve(out_.size() + head.size() + response.body.size());  // part of an answer is never queued
  queue(head);
  if (!head_only_ && may_have_body(response.status)) queue(response.body);
  answered();
}

void HttpConnection::start_stream(std::uint64_t exchange, HttpResponse head) {
  if (!current(exchange) || streaming_) return;
  streaming_ = true;
  chunked_ = !http_1_0_;
  if (!chunked_ || core_->draining) keep_ = false;  // the end of the connection is the end of the body
  queue(head_of(head, chunked_));
  schedule_flush();
}

bool HttpConnection::write(std::uint64_t exchange, std::string_view bytes, std::size_t echoed) {
  if (!current(exchange) || !streaming_) return false;
  if (bytes.empty() || head_only_) return true;
  out_.reserve(out_.size() + bytes.size() + kChunkFrameBytes);  // part of a chunk is never queued
  if (chunked_) {
    constexpr char kDigits[] = "0123456789abcdef";
    std::string size;
    for (std::size_t left = bytes.size(); left > 0; left /= 16) size.insert(size.begin(), kDigits[left % 16]);
    queue(size + "\r\n");
  }
  queue(bytes);
  if (chunked_) queue("\r\n");
  // One event that is larger than the buffer says nothing about its reader, until it is sent; nor do many echoes.
  large_ += bytes.size() > limits_.stream_buffer_bytes ? bytes.size() : echoed;
  const std::size_t most = limits_.stream_buffer_bytes + large_;
  if (unsent() <= most) {
    schedule_flush();
    return true;
  }
  if (!writing_) flush();
  if (phase_ == Phase::kAnswering && unsent() > most) close();
  return phase_ == Phase::kAnswering;
}

void HttpConnection::finish(std::uint64_t exchange) {
  if (!current(exchange) || !streaming_) return;
  if (chunked_ && !head_only_) queue("0\r\n\r\n");
  answered();
}

void HttpConnection::on_gone(std::uint64_t exchange, std::function<void()> gone) {
  if (current(exchange)) gone_ = std::move(gone);
  else if (exchange == exchange_ && phase_ == Phase::kClosed && exchange != handed_over_) core_->post(std::move(gone));
}

void HttpConnection::abandon(std::uint64_t exchange) {
  if (current(exchange)) close();
}

void HttpConnection::answered() {
  gone_ = nullptr;
  handed_over_ = exchange_;
  phase_ = Phase::kFlushing;
  schedule_flush();
}

void HttpConnection::queue(std::string_view bytes) {
  if (unsent() == 0) patience_ = real_now() + limits_.stall_time;
  if (sent_ > 0 && sent_ >= out_.size() / 2) {
    out_.erase(0, sent_);
    sent_ = 0;
  }
  out_ += bytes;
}

// Behind the current turn: what one turn writes leaves in one piece, and no failure of the socket shows inside a handler's
// call.
void HttpConnection::schedule_flush() {
  if (writing_ || std::exchange(flush_due_, true)) return;
  asio::post(core_->context, [self = shared_from_this()] {
    self->flush_due_ = false;
    if (!self->writing_) self->guarded([&] { self->flush(); });
  });
}

void HttpConnection::flush() {
  if (phase_ == Phase::kClosed) return;
  while (unsent() > 0) {
    error_code error;
    const std::size_t count = socket_.write_some(asio::buffer(out_.data() + sent_, unsent()), error);
    if (error == asio::error::would_block) {
      writing_ = true;
      socket_.async_wait(tcp::socket::wait_write, [self = shared_from_this()](error_code failed) {
        self->writing_ = false;
        self->guarded([&] { failed ? self->close() : self->flush(); });
      });
      return;
    }
    if (error) return close();
    sent_ += count;
    large_ = std::min(large_, unsent());
    written_ += count;
  }
  out_.clear();
  sent_ = 0;
  if (phase_ == Phase::kFlushing) end_answer();
}

// Each byte buys the time that the slowest pace allows for it. The most that can be bought is stall_time: what buffers took at once is
// no credit for minutes of silence. Asked of the system, for the socket takes more only when a megabyte of its buffer is free, which a
// slow but steady reader needs minutes for.
void HttpConnection::note_taken(Time now) {
  int waiting = 0;
  if (ioctl(socket_.native_handle(), SIOCOUTQ, &waiting) != 0) return;
  const std::uint64_t taken = std::max(taken_, written_ - std::min(written_, static_cast<std::uint64_t>(waiting)));
  const auto bought = std::chrono::nanoseconds(std::chrono::seconds(1)) * static_cast<std::int64_t>(taken - taken_) /
                      static_cast<std::int64_t>(limits_.answer_bytes_per_second);
  patience_ = std::min(patience_ + bought, now + limits_.stall_time);
  taken_ = taken;
}

void HttpConnection::end_answer() {
  count(false);
  if (!keep_ || core_->draining || parser_.state() == HttpParser::State::kFailed) return linger();
  phase_ = Phase::kReading;
  since_ = real_now();
  if (input_ended_) return close();
  if (out_.capacity() > 4 * limits_.stream_buffer_bytes) std::string().swap(out_);
  if (ahead_.empty()) return read();
  asio::post(core_->context, [self = shared_from_this()] { self->guarded([&] { self->resume(); }); });
}

void HttpConnection::linger() {
  phase_ = Phase::kLingering;
  if (input_ended_) return close();
  since_ = real_now();
  ahead_.clear();
  hold(0);
  error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
  read();
}

void HttpConnection::close() {
  if (phase_ == Phase::kClosed) return;
  count(false);
  phase_ = Phase::kClosed;
  input_ended_ = true;
  hold(0);
  error_code ignored;
  socket_.close(ignored);
  if (key_) core_->release_key(*key_);
  key_.reset();
  const auto self = shared_from_this();
  core_->connections.erase(self);  // before what may throw
  if (gone_) core_->post(std::exchange(gone_, nullptr));
}

}  // namespace baton
