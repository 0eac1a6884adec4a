// SPDX-License-Identifier: Apache-2.0
// A stream of HTTP requests: what the parser makes of it does not depend on how the bytes were cut, every request it lets through
// is within its limits and well-formed, and every fault has a status and a sentence.
#include <string>
#include <vector>

#include "runtime/base/check.h"
#include "runtime/base/hash.h"
#include "server/http_parser.h"
#include "server/http_text.h"
#include "tests/fuzz/target.h"

namespace baton::fuzz {
namespace {

struct Heard {
  std::vector<std::string> requests;
  unsigned status = 0;
  friend bool operator==(const Heard&, const Heard&) = default;
};

void check(const HttpRequest& request, const HttpLimits& limits) {
  CHECK(request.path.starts_with('/') || request.path == "*", "a path");
  CHECK(request.body.size() <= limits.body_bytes, "a body within its limit");
  CHECK(request.headers.size() <= limits.headers, "headers within their number");
  for (const HttpHeader& header : request.headers)
    CHECK(is_http_token(header.name) && is_http_field_value(header.value), "headers that can be sent on");
}

// `piece` says how long the next piece is.
template <class Piece>
Heard hear(std::string_view bytes, const HttpLimits& limits, Piece piece) {
  HttpParser parser(limits);
  Heard heard;
  while (!bytes.empty() && parser.state() != HttpParser::State::kFailed) {
    std::string_view now = bytes.substr(0, piece());
    bytes.remove_prefix(now.size());
    while (!now.empty() && parser.state() != HttpParser::State::kFailed) {
      const std::size_t used = parser.feed(now);
      CHECK(used <= now.size(), "no more than there was");
      now.remove_prefix(used);
      if (parser.state() != HttpParser::State::kDone) {
        CHECK(now.empty() || parser.state() == HttpParser::State::kFailed, "everything is used while more is wanted");
        continue;
      }
      const HttpRequest request = parser.take();
      check(request, limits);
      heard.requests.push_back(request.method + ' ' + request.path + '?' + request.query + ' ' + request.body);
      for (const HttpHeader& header : request.headers) heard.requests.push_back(header.name + ": " + header.value);
    }
  }
  heard.status = parser.fault().status;
  CHECK((parser.state() == HttpParser::State::kFailed) == (heard.status >= 400), "a fault has a status");
  CHECK(heard.status == 0 || !parser.fault().message.empty(), "and a sentence");
  return heard;
}

}  // namespace

void run_http(std::string_view bytes) {
  HttpLimits limits;
  limits.head_bytes = 2048;
  limits.target_bytes = 256;
  limits.headers = 16;
  limits.body_bytes = 4096;
  const Heard whole = hear(bytes, limits, [&] { return bytes.size(); });
  CHECK(whole == hear(bytes, limits, [] { return std::size_t{1}; }), "cuts change nothing");
  std::uint64_t state = hash_bytes(bytes.data(), bytes.size(), 0);
  CHECK(whole == hear(bytes, limits, [&] { return std::size_t{1} + (state = mix64(state + 1)) % 37; }), "wherever they are");
}

}  // namespace baton::fuzz
