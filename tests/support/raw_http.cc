// SPDX-License-Identifier: Apache-2.0
#include "tests/support/raw_http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "runtime/actor/real_loop.h"

namespace baton::test {

std::string_view RawResponse::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (key == name) return value;
  return {};
}

RawHttp::RawHttp(std::uint16_t port, Duration limit) : limit_(limit) {
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (socket_ >= 0 && connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) close();
  const int yes = 1;
  if (socket_ >= 0) setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

RawHttp::~RawHttp() { close(); }

void RawHttp::close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

void RawHttp::reset() {
  const linger now{1, 0};
  if (socket_ >= 0) setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

void RawHttp::end_sending() { shutdown(socket_, SHUT_WR); }

bool RawHttp::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool RawHttp::fill() {
  if (ended_ || socket_ < 0) return false;
  pollfd file{socket_, POLLIN, 0};
  if (poll(&file, 1, static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(limit_).count())) != 1)
    return false;
  char buffer[16384];
  const ssize_t got = recv(socket_, buffer, sizeof buffer, 0);
  if (got <= 0) {
    ended_ = true;
    return false;
  }
  input_.append(buffer, static_cast<std::size_t>(got));
  return true;
}

std::string RawHttp::read_some() {
  if (input_.empty()) fill();
  return std::exchange(input_, {});
}

std::optional<std::string> RawHttp::read_to_end() {
  while (fill()) {
  }
  if (!ended_) return std::nullopt;
  return std::exchange(input_, {});
}

bool RawHttp::closed_within(Duration limit) {
  const Time deadline = real_now() + limit;
  const Duration before = std::exchange(limit_, limit);
  while (real_now() < deadline && fill()) {
  }
  limit_ = before;
  return ended_;
}

std::optional<RawResponse> RawHttp::read(bool head_only) {
  std::size_t end = 0;
  while ((end = input_.find("\r\n\r\n")) == std::string::npos)
    if (!fill()) return std::nullopt;
  RawResponse response;
  std::string_view head = std::string_view(input_).substr(0, end + 2);
  response.status = std::atoi(std::string(head.substr(std::min<std::size_t>(head.size(), 9), 3)).c_str());
  head.remove_prefix(head.find("\r\n") + 2);
  while (!head.empty()) {
    const std::string_view line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(line.size() + 2);
    const std::size_t colon = line.find(": ");
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    response.headers.emplace_back(name, std::string(line.substr(colon + 2)));
  }
  input_.erase(0, end + 4);
  if (head_only || response.status == 100 || response.status == 204) {
    response.whole = true;
    return response;
  }
  if (response.header("transfer-encoding") == "chunked") {
    while (true) {
      std::size_t line = 0;
      while ((line = input_.find("\r\n")) == std::string::npos)
        if (!fill()) return response;
      const std::size_t size = std::strtoul(input_.c_str(), nullptr, 16);
      while (input_.size() < line + 2 + size + 2)
        if (!fill()) return response;
      response.body += input_.substr(line + 2, size);
      input_.erase(0, line + 2 + size + 2);
      if (size == 0) break;
    }
    response.whole = true;
  } else if (const std::string length(response.header("content-length")); !length.empty()) {
    const std::size_t size = std::strtoul(length.c_str(), nullptr, 10);
    while (input_.size() < size)
      if (!fill()) return response;
    response.body = input_.substr(0, size);
    input_.erase(0, size);
    response.whole = true;
  } else {
    while (fill()) {
    }
    response.body = std::exchange(input_, {});
    response.whole = ended_;
  }
  return response;
}

std::string http_request(std::string_view method, std::string_view target, std::string_view body,
                         std::string_view more_headers) {
  std::string text;
  text.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: localhost\r\n").append(more_headers);
  if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return text.append("\r\n").append(body);
}

std::optional<RawResponse> http_ask(std::uint16_t port, std::string_view method, std::string_view target, std::string_view body,
                                    std::string_view more_headers) {
  RawHttp client(port);
  if (!client.connected() || !client.send(http_request(method, target, body, more_headers))) return std::nullopt;
  return client.read(method == "HEAD");
}

}  // namespace baton::test
