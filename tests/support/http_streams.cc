// SPDX-License-Identifier: Apache-2.0
#include "tests/support/http_streams.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string_view>
#include <utility>

#include "runtime/actor/real_loop.h"
#include "tests/support/raw_http.h"

namespace baton::test {
namespace {

int dial(std::uint16_t port) {
  const int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (file >= 0 && connect(file, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return file;
  if (file >= 0) close(file);
  return -1;
}

std::string request_of(const HttpStream& stream) {
  std::ostringstream body;
  body << R"({"model": "oracle", "stream": true, "return_token_ids": true, "ignore_eos": )" << (stream.sampling.ignore_eos ? "true" : "false")
       << ", \"max_tokens\": " << stream.sampling.max_tokens << ", \"temperature\": " << stream.sampling.temperature << ", \"seed\": " << stream.sampling.seed << ", \"prompt\": [";
  for (std::size_t i = 0; i < stream.prompt.size(); ++i) body << (i == 0 ? "" : ",") << stream.prompt[i];
  body << "]}";
  return http_request("POST", "/v1/completions", body.str(), "Content-Type: application/json\r\n");
}

}  // namespace

HttpStreams::HttpStreams(std::uint16_t port, std::vector<HttpStream> streams) : streams_(std::move(streams)), connections_(streams_.size()) {
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    connections_[i].socket = dial(port);
    const std::string request = request_of(streams_[i]);
    if (connections_[i].socket < 0 || send(connections_[i].socket, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
      end(i, std::string("no connection: ") + std::strerror(errno));
  }
  thread_ = std::thread([this] { read_all(); });
}

HttpStreams::~HttpStreams() { (void)finish({}); }

std::vector<HttpStream> HttpStreams::finish(Duration limit) {
  const Time deadline = real_now() + limit;
  while (ended_ < streams_.size() && real_now() < deadline) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  stop_ = true;
  if (thread_.joinable()) thread_.join();
  for (std::size_t i = 0; i < connections_.size(); ++i)
    if (connections_[i].socket >= 0) end(i, "no end within the limit");
  return streams_;
}

void HttpStreams::read_all() {
  std::vector<pollfd> files;
  std::vector<std::size_t> owners;
  while (!stop_ && ended_ < streams_.size()) {
    files.clear();
    owners.clear();
    for (std::size_t i = 0; i < connections_.size(); ++i) {
      if (connections_[i].socket < 0) continue;
      files.push_back({connections_[i].socket, POLLIN, 0});
      owners.push_back(i);
    }
    if (poll(files.data(), files.size(), 50) <= 0) continue;
    for (std::size_t k = 0; k < files.size(); ++k)
      if (files[k].revents != 0) read_one(owners[k]);
  }
}

// Chunks' own lines stand between the events and are skipped with everything that is none.
void HttpStreams::read_one(std::size_t index) {
  Connection& connection = connections_[index];
  HttpStream& stream = streams_[index];
  char buffer[16384];
  const ssize_t got = recv(connection.socket, buffer, sizeof buffer, 0);
  if (got <= 0) return end(index, "the connection ended early");
  const Time now = real_now();
  connection.input.append(buffer, static_cast<std::size_t>(got));
  if (!connection.in_body) {
    const std::size_t head = connection.input.find("\r\n\r\n");
    if (head == std::string::npos) return;
    stream.status = std::atoi(connection.input.substr(9, 3).c_str());
    if (const std::size_t at = connection.input.find("\r\nRetry-After: "); at < head) stream.retry_after = std::chrono::seconds(std::atoi(connection.input.c_str() + at + 15));
    connection.input.erase(0, head + 4);
    connection.in_body = true;
    if (stream.status != 200) return end(index, "status " + std::to_string(stream.status));
  }
  std::size_t at = 0;
  while (connection.socket >= 0) {
    const std::size_t begin = connection.input.find("data: ", at);
    const std::size_t finish = begin == std::string::npos ? begin : connection.input.find("\n\n", begin);
    if (finish == std::string::npos) break;
    take_event(stream, std::string_view(connection.input).substr(begin + 6, finish - begin - 6), now);
    at = finish + 2;
    if (stream.done || !stream.trouble.empty()) return end(index, stream.trouble);
  }
  connection.input.erase(0, at);
}

void HttpStreams::take_event(HttpStream& stream, std::string_view event, Time now) {
  if (event == "[DONE]") {
    stream.done = true;
    return;
  }
  if (event.find("\"error\"") != std::string_view::npos) {
    stream.trouble = event;
    return;
  }
  constexpr std::string_view kIds = "\"token_ids\":[";
  if (std::size_t at = event.find(kIds); at != std::string_view::npos) {
    for (at += kIds.size(); at < event.size() && event[at] != ']';) {
      char* behind = nullptr;
      stream.tokens.push_back(static_cast<TokenId>(std::strtol(event.data() + at, &behind, 10)));
      stream.arrived.push_back(now);
      at = static_cast<std::size_t>(behind - event.data());
      if (event[at] == ',') ++at;
    }
    if (stream.tokens.size() == 1) ++begun_;
  }
  constexpr std::string_view kReason = "\"finish_reason\":\"";
  if (const std::size_t at = event.find(kReason); at != std::string_view::npos)
    stream.finish_reason = event.substr(at + kReason.size(), event.find('"', at + kReason.size()) - at - kReason.size());
}

void HttpStreams::end(std::size_t index, const std::string& trouble) {
  if (connections_[index].socket >= 0) close(connections_[index].socket);
  connections_[index].socket = -1;
  streams_[index].trouble = trouble;
  ++ended_;
}

}  // namespace baton::test
