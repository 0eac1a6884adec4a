// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/zmq_peer.h"

#include <zmq.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>

namespace baton {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::uint64_t kWarmUpTrips = 100;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// One socket in a context of its own.
class Socket {
 public:
  Socket(int type, int high_water) : context_(zmq_ctx_new()), socket_(zmq_socket(context_, type)) {
    const int no_linger = 0;
    zmq_setsockopt(socket_, ZMQ_LINGER, &no_linger, sizeof no_linger);
    zmq_setsockopt(socket_, ZMQ_SNDHWM, &high_water, sizeof high_water);
    zmq_setsockopt(socket_, ZMQ_RCVHWM, &high_water, sizeof high_water);
  }
  ~Socket() {
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  // The endpoint with its port; "" if it cannot be had.
  std::string bind() {
    char endpoint[256];
    std::size_t size = sizeof endpoint;
    if (zmq_bind(socket_, "tcp://127.0.0.1:*") != 0 || zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, endpoint, &size) != 0) return {};
    return endpoint;
  }
  bool connect(const std::string& endpoint) { return zmq_connect(socket_, endpoint.c_str()) == 0; }
  void* get() { return socket_; }

 private:
  void* context_;
  void* socket_;
};

tl::unexpected<Error> failed(const char* what) { return fail(ErrorCode::kIo, std::string("bare ZeroMQ, ") + what + ": " + zmq_strerror(zmq_errno())); }

// Takes `messages` of them, whatever number of parts each has.
bool take(void* socket, std::uint64_t messages) {
  zmq_msg_t message;
  zmq_msg_init(&message);
  bool ok = true;
  for (std::uint64_t i = 0; ok && i < messages;) {
    ok = zmq_msg_recv(&message, socket, 0) >= 0;
    if (zmq_msg_more(&message) == 0) ++i;
  }
  zmq_msg_close(&message);
  return ok;
}

bool echo(void* socket, std::uint64_t messages) {
  zmq_msg_t message;
  zmq_msg_init(&message);
  bool ok = true;
  for (std::uint64_t i = 0; ok && i < messages; ++i)
    ok = zmq_msg_recv(&message, socket, 0) >= 0 && zmq_msg_send(&message, socket, 0) >= 0;
  zmq_msg_close(&message);
  return ok;
}

}  // namespace

std::string zmq_version() {
  int major = 0, minor = 0, patch = 0;
  ::zmq_version(&major, &minor, &patch);
  return std::to_string(major) + '.' + std::to_string(minor) + '.' + std::to_string(patch);
}

Result<double> zmq_one_way(const ZmqPeerOptions& options, std::uint64_t messages, std::size_t bytes) {
  Socket receiver(options.push_pull ? ZMQ_PULL : ZMQ_ROUTER, options.high_water);
  Socket sender(options.push_pull ? ZMQ_PUSH : ZMQ_DEALER, options.high_water);
  const std::string endpoint = receiver.bind();
  if (endpoint.empty() || !sender.connect(endpoint)) return failed("connecting");
  const std::string body(bytes, 'x');
  // The first message arrives when the connection stands.
  if (zmq_send(sender.get(), body.data(), body.size(), 0) < 0 || !take(receiver.get(), 1)) return failed("the first message");
  bool sent = true;
  const Clock::time_point start = Clock::now();
  std::thread thread([&] {
    for (std::uint64_t i = 0; sent && i < messages; ++i) sent = zmq_send(sender.get(), body.data(), body.size(), 0) >= 0;
  });
  const bool taken = take(receiver.get(), messages);
  const double seconds = seconds_since(start);
  thread.join();
  if (!sent || !taken) return failed("sending");
  return static_cast<double>(messages) / seconds;
}

Result<std::vector<double>> zmq_round_trips(std::uint64_t trips, std::size_t bytes) {
  Socket answering(ZMQ_DEALER, 1000);
  Socket asking(ZMQ_DEALER, 1000);
  const std::string endpoint = answering.bind();
  if (endpoint.empty() || !asking.connect(endpoint)) return failed("connecting");
  bool answered = true;
  std::thread thread([&] { answered = echo(answering.get(), kWarmUpTrips + trips); });
  const std::string body(bytes, 'x');
  std::vector<double> seconds;
  bool asked = true;
  for (std::uint64_t i = 0; asked && i < kWarmUpTrips + trips; ++i) {
    const Clock::time_point start = Clock::now();
    asked = zmq_send(asking.get(), body.data(), body.size(), 0) >= 0 && take(asking.get(), 1);
    if (i >= kWarmUpTrips) seconds.push_back(seconds_since(start));
  }
  thread.join();
  if (!asked || !answered) return failed("round trips");
  return seconds;
}

}  // namespace baton
