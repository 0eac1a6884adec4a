// SPDX-License-Identifier: Apache-2.0
// The parser alone: what it refuses and with which status, that cuts of the stream change nothing, and where its limits are.
#include "server/http_parser.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "runtime/base/random.h"
#include "server/http_text.h"
#include "tests/support/smuggling_cases.h"

namespace baton::test {
namespace {

struct Outcome {
  std::vector<std::string> requests;  // "POST /x abc"
  unsigned status = 0;                // of the fault that ended it
  std::size_t used = 0;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// Feeds the stream in pieces of those sizes, over and over.
Outcome parse(const std::string& stream, const std::vector<std::size_t>& pieces, const HttpLimits& limits = {}) {
  HttpParser parser(limits);
  Outcome outcome;
  std::size_t turn = 0;
  while (outcome.used < stream.size() && parser.state() != HttpParser::State::kFailed) {
    std::string_view piece = std::string_view(stream).substr(outcome.used, pieces[turn++ % pieces.size()]);
    while (!piece.empty() && parser.state() != HttpParser::State::kFailed) {
      const std::size_t used = parser.feed(piece);
      outcome.used += used;
      piece.remove_prefix(used);
      if (parser.state() != HttpParser::State::kDone) continue;
      const HttpRequest request = parser.take();
      outcome.requests.push_back(request.method + ' ' + request.path + ' ' + request.body);
    }
  }
  outcome.status = parser.fault().status;
  return outcome;
}

Outcome parse_at_once(const std::string& stream, const HttpLimits& limits = {}) {
  return parse(stream, {stream.size()}, limits);
}

TEST(HttpParser, RefusesEverySmugglingCaseAndTakesTheGoodOnes) {
  std::size_t bad = 0;
  for (const SmugglingCase& each : smuggling_cases()) {
    const Outcome outcome = parse_at_once(each.bytes);
    if (each.status < 300) {
      EXPECT_EQ(outcome.status, 0u) << each.name;
      EXPECT_EQ(outcome.requests.size(), 1u) << each.name;
      EXPECT_EQ(outcome.used, each.bytes.size()) << each.name;
      continue;
    }
    ++bad;
    EXPECT_EQ(outcome.status, static_cast<unsigned>(each.status)) << each.name;
    EXPECT_TRUE(outcome.requests.empty()) << each.name << ": " << outcome.requests.front();
  }
  EXPECT_GE(bad, 100u);
}

TEST(HttpParser, CutsOfTheStreamChangeNothing) {
  Random random(1);
  for (const SmugglingCase& each : smuggling_cases()) {
    const Outcome whole = parse_at_once(each.bytes);
    EXPECT_EQ(parse(each.bytes, {1}), whole) << each.name << ", byte by byte";
    for (int round = 0; round < 5; ++round) {
      std::vector<std::size_t> pieces;
      for (int i = 0; i < 7; ++i) pieces.push_back(1 + random.below(40));
      EXPECT_EQ(parse(each.bytes, pieces), whole) << each.name;
    }
  }
}

TEST(HttpParser, TakesRequestsOneBehindTheOther) {
  const Outcome outcome = parse_at_once(
      "GET /a HTTP/1.1\r\nHost: a\r\n\r\nPOST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
      "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\nGET /d HTTP/1.1\r\nHost: "
      "a\r\n\r\n");
  EXPECT_EQ(outcome.requests, (std::vector<std::string>{"GET /a ", "POST /b abc", "POST /c def", "GET /d "}));
  EXPECT_EQ(outcome.status, 0u);
}

TEST(HttpParser, DecodesThePathAndLeavesTheQuery) {
  HttpParser parser(HttpLimits{});
  const std::string text = "GET /v1/models/a%2Fb%20c?x=%41 HTTP/1.1\r\nHost: a\r\nX-Name:  \tvalue \r\nx-name: second\r\n\r\n";
  ASSERT_EQ(parser.feed(text), text.size());
  const HttpRequest request = parser.take();
  EXPECT_EQ(request.path, "/v1/models/a/b c");
  EXPECT_EQ(request.query, "x=%41");
  EXPECT_EQ(request.header("x-name"), "value");
}

TEST(HttpParser, KnowsWhoKeepsTheConnection) {
  const auto keeps = [](const std::string& version, const std::string& header) {
    HttpParser parser(HttpLimits{});
    parser.feed("GET / " + version + "\r\nHost: a\r\n" + header + "\r\n");
    EXPECT_EQ(parser.state(), HttpParser::State::kDone);
    return parser.keep_alive();
  };
  EXPECT_TRUE(keeps("HTTP/1.1", ""));
  EXPECT_FALSE(keeps("HTTP/1.1", "Connection: close\r\n"));
  EXPECT_FALSE(keeps("HTTP/1.1", "Connection: x, CLOSE\r\n"));
  EXPECT_FALSE(keeps("HTTP/1.0", ""));
  EXPECT_TRUE(keeps("HTTP/1.0", "Connection: Keep-Alive\r\n"));
}

TEST(HttpParser, LimitsAreWhereTheySay) {
  HttpLimits limits;
  limits.head_bytes = 200;
  limits.target_bytes = 50;
  limits.headers = 3;
  limits.body_bytes = 10;
  const auto status = [&](const std::string& stream) { return parse_at_once(stream, limits).status; };
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n";  // 25 bytes
  EXPECT_EQ(status(head + "X: " + std::string(200 - 25 - 7, 'a') + "\r\n\r\n"), 0u);
  EXPECT_EQ(status(head + "X: " + std::string(200 - 25 - 6, 'a') + "\r\n\r\n"), 431u);
  EXPECT_EQ(status(head + "A: b\r\nC: d\r\n\r\n"), 0u);
  EXPECT_EQ(status(head + "A: b\r\nC: d\r\nE: f\r\n\r\n"), 431u);
  EXPECT_EQ(status("GET /" + std::string(49, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n"), 0u);
  EXPECT_EQ(status("GET /" + std::string(50, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n"), 414u);
  EXPECT_EQ(status("GET /" + std::string(5000, 'a')), 414u) << "before its end has come";
  const std::string post = "POST / HTTP/1.1\r\nHost: a\r\n";
  EXPECT_EQ(status(post + "Content-Length: 10\r\n\r\n0123456789"), 0u);
  EXPECT_EQ(status(post + "Content-Length: 11\r\n\r\n"), 413u);
  EXPECT_EQ(status(post + "Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n01234\r\n0\r\n\r\n"), 0u);
  EXPECT_EQ(status(post + "Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n6\r\n"), 413u) << "while it is read";
  EXPECT_EQ(status(post + "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\nC: d\r\n\r\n"), 431u) << "trailers count, too";
}

TEST(HttpParser, MutatedRequestsEndInARequestAFaultOrMoreToCome) {
  Random random(7);
  for (int round = 0; round < 20'000; ++round) {
    const std::string bytes = mutated_case(random);
    const Outcome whole = parse_at_once(bytes);
    ASSERT_EQ(parse(bytes, {1 + random.below(30)}), whole) << bytes;
    ASSERT_TRUE(whole.status == 0 || (whole.status >= 400 && whole.status <= 505));
  }
}

TEST(HttpText, HostsAreNamesOrAddresses) {
  for (const char* good : {"a", "a.b-c.example", "a:80", "127.0.0.1:8000", "[::1]", "[::1]:80"})
    EXPECT_TRUE(is_http_host(good)) << good;
  for (const char* bad :
       {"", ":80", "a:", "a:123456", "a b", "a/b", "a?b", "u@a", "[::1", "::1", "[]", "[::1]80", "[g::1]", "a,b:c"})
    EXPECT_FALSE(is_http_host(bad)) << bad;
}

}  // namespace
}  // namespace baton::test
