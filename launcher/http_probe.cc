// SPDX-License-Identifier: Apache-2.0
#include "launcher/http_probe.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "config/address.h"
#include "config/units.h"
#include "launcher/supervisor.h"

namespace baton {
namespace {

constexpr std::size_t kStatusLineBytes = 12;  // "HTTP/1.1 200"

// Closed at the end.
struct Socket {
  explicit Socket(int opened) : number(opened) {}
  ~Socket() {
    if (number >= 0) close(number);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  bool wait(short event, Time deadline) const {
    pollfd file{number, event, 0};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - launcher_now());
    return left.count() > 0 && poll(&file, 1, static_cast<int>(left.count())) == 1;
  }
  const int number;
};

}  // namespace

std::optional<int> http_status(const std::string& url, const std::string& path, Duration limit) {
  constexpr std::string_view kScheme = "http://";
  const Time deadline = launcher_now() + limit;
  const std::string authority = url.substr(std::min(url.size(), kScheme.size()));
  const auto address = parse_host_port(authority);
  if (!address) return std::nullopt;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(address->host.c_str(), std::to_string(address->port).c_str(), &hints, &found) != 0) return std::nullopt;
  const Socket socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const bool begun =
      socket.number >= 0 && (connect(socket.number, found->ai_addr, found->ai_addrlen) == 0 || errno == EINPROGRESS);
  freeaddrinfo(found);
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: " + authority + "\r\nConnection: close\r\n\r\n";
  if (!begun || !socket.wait(POLLOUT, deadline) ||
      send(socket.number, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    return std::nullopt;
  std::string answer;
  while (answer.size() < kStatusLineBytes && socket.wait(POLLIN, deadline)) {
    char buffer[256];
    const ssize_t got = recv(socket.number, buffer, sizeof buffer, 0);
    if (got <= 0) return std::nullopt;
    answer.append(buffer, static_cast<std::size_t>(got));
  }
  if (answer.size() < kStatusLineBytes || !answer.starts_with("HTTP/1.1 ")) return std::nullopt;
  const auto status = parse_unsigned(std::string_view(answer).substr(9, 3));
  return status ? std::optional<int>(static_cast<int>(*status)) : std::nullopt;
}

}  // namespace baton
