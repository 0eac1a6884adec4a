// SPDX-License-Identifier: Apache-2.0
// RawHttp: a client that sends any bytes at all to a port of 127.0.0.1 and reads what comes back, as it comes. For tests of
// servers: it checks nothing and repairs nothing. One thread; every wait has a limit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/base/time.h"

namespace baton::test {

struct RawResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;                                          // decoded
  bool whole = false;                                        // to the end that its framing says
  std::string_view header(std::string_view name) const;
};

class RawHttp {
 public:
  explicit RawHttp(std::uint16_t port, Duration limit = std::chrono::seconds(10));
  ~RawHttp();
  RawHttp(const RawHttp&) = delete;
  RawHttp& operator=(const RawHttp&) = delete;

  bool connected() const { return socket_ >= 0; }
  bool send(std::string_view bytes);  // false: the connection is gone
  void end_sending();                 // closes this half
  void close();
  void reset();  // closes with RST

  // The next answer. `head_only`: to a HEAD. nullopt: the connection ended, or the limit passed, before a status line.
  std::optional<RawResponse> read(bool head_only = false);
  // Some more bytes; "" at the end of the connection or the limit.
  std::string read_some();
  // Everything until the server closes; nullopt: it did not within the limit.
  std::optional<std::string> read_to_end();
  // Whether the server has closed, waiting at most so long for it.
  bool closed_within(Duration limit);

 private:
  bool fill();

  int socket_ = -1;
  Duration limit_;
  std::string input_;
  bool ended_ = false;
};

// A whole request with Host and, if there is a body, Content-Length.
std::string http_request(std::string_view method, std::string_view target, std::string_view body = {},
                         std::string_view more_headers = {});
// Sends one request on a connection of its own.
std::optional<RawResponse> http_ask(std::uint16_t port, std::string_view method, std::string_view target,
                                    std::string_view body = {}, std::string_view more_headers = {});

}  // namespace baton::test
