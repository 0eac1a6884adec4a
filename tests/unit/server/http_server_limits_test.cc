// SPDX-License-Identifier: Apache-2.0
// What one client may take of the HTTP server, and who may ask at all.
#include <algorithm>

#include "tests/unit/server/http_server_fixture.h"

namespace baton::test {
namespace {

// ---- limits ----------------------------------------------------------------------------------------------------------

TEST_F(HttpServerTest, SlowHeadersEndInTime) {
  options_.limits.head_time = milliseconds(300);
  start();
  RawHttp slow(port_);
  const Time begun = real_now();
  const std::string bytes = "GET /x HTTP/1.1\r\nHost: a\r\nX: " + std::string(1000, 'y');
  std::size_t sent = 0;
  while (real_now() - begun < seconds(3) && sent < bytes.size() && slow.send(bytes.substr(sent, 1))) {
    ++sent;
    std::this_thread::sleep_for(milliseconds(20));
    if (sent % 8 == 0) expect_serves();
    if (real_now() - begun > milliseconds(800)) break;
  }
  const auto answer = slow.read();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 408);
  expect_error_body(answer->body, "slow headers");
  EXPECT_TRUE(slow.closed_within(seconds(5)));
}

TEST_F(HttpServerTest, SlowBodiesEndInTimeAndSteadyOnesDoNot) {
  options_.limits.body_grace = milliseconds(300);
  options_.limits.body_bytes_per_second = 1000;
  start();
  for (const bool chunked : {false, true}) {
    RawHttp slow(port_);
    slow.send(std::string("POST /x HTTP/1.1\r\nHost: a\r\n") +
              (chunked ? "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n" : "Content-Length: 1000\r\n\r\nabc"));
    const auto answer = slow.read();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 408) << chunked;
  }
  RawHttp steady(port_);
  ASSERT_TRUE(steady.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1500\r\n\r\n"));
  for (int i = 0; i < 15; ++i) {
    ASSERT_TRUE(steady.send(std::string(100, 'z')));
    std::this_thread::sleep_for(milliseconds(50));
  }
  EXPECT_EQ(steady.read()->status, 200);
}

TEST_F(HttpServerTest, SilentConnectionsAreClosed) {
  options_.limits.idle_time = milliseconds(300);
  start();
  RawHttp fresh(port_), used(port_);
  ASSERT_TRUE(used.send(http_request("GET", "/x")));
  ASSERT_TRUE(used.read());
  EXPECT_EQ(fresh.read_to_end(), "");
  EXPECT_EQ(used.read_to_end(), "");
}

TEST_F(HttpServerTest, ARefusedClientThatGoesOnSendingStillHearsWhy) {
  start();
  RawHttp client(port_);
  std::thread sender(
      [&] { client.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n" + std::string(600'000, 'x')); });
  const auto answer = client.read();
  sender.join();
  ASSERT_TRUE(answer && answer->whole);
  EXPECT_EQ(answer->status, 413);
}

TEST_F(HttpServerTest, BodiesThatNeverEndFillNoMemory) {
  options_.limits.held_bytes = 4u << 20;
  start();
  std::vector<std::unique_ptr<RawHttp>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::make_unique<RawHttp>(port_, milliseconds(300)));
    clients.back()->send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n" + std::string(1'000'000, 'x'));
  }
  int refused = 0;
  for (const auto& client : clients) {
    const auto answer = client->read();
    if (!answer) continue;  // its body is awaited
    EXPECT_EQ(answer->status, 503);
    EXPECT_EQ(answer->header("retry-after"), "1");
    ++refused;
  }
  EXPECT_GE(refused, 4) << "no more than four million bytes are held";
  EXPECT_LT(refused, 8);
  expect_serves();
  clients.clear();
  EXPECT_TRUE(comes_true([&] {
    const auto answer = http_ask(port_, "POST", "/x", std::string(3u << 20, 'y'));
    return answer && answer->status == 200;
  }));
}

TEST_F(HttpServerTest, TheConnectionIdleLongestMakesRoom) {
  options_.limits.connections = 3;
  start();
  std::vector<std::unique_ptr<RawHttp>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<RawHttp>(port_));
    ASSERT_TRUE(clients.back()->send(http_request("GET", "/x")));
    ASSERT_TRUE(clients.back()->read());
  }
  RawHttp fourth(port_);
  ASSERT_TRUE(fourth.send(http_request("GET", "/x")));
  ASSERT_TRUE(fourth.read());
  EXPECT_TRUE(clients[0]->closed_within(seconds(2)));
  ASSERT_TRUE(clients[1]->send(http_request("GET", "/hold")) && clients[2]->send(http_request("GET", "/hold")) &&
              fourth.send(http_request("GET", "/hold")));
  ASSERT_TRUE(comes_true([&] { return requests_ == 7; }));
  RawHttp fifth(port_);
  const auto answer = fifth.read();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 503);
  EXPECT_EQ(gone_, 0) << "a busy one is never sent away";
}

// ---- keys ------------------------------------------------------------------------------------------------------------

TEST_F(HttpServerTest, EveryRouteButTheLifeSignsNeedsAKey) {
  options_.keys = std::make_shared<const ApiKeys>(*ApiKeys::parse("alice:alice-key-1\nbob-key-22\n", "keys"));
  start();
  for (const char* open : {"/live", "/ready", "/health"}) EXPECT_EQ(ask(open)->status, 200) << open;
  for (const char* path :
       {"/", "/x", "/v1/models", "/metrics", "/live/", "/live/x", "//live", "/Live", "/v1/../live", "/%6Cive/x", "/health%2Fx"})
    for (const char* headers :
         {"", "Authorization: Bearer wrong-key\r\n", "Authorization: alice-key-1\r\n", "Authorization: Basic alice-key-1\r\n",
          "Authorization: Bearer\r\n", "Authorization: Bearer alice-key-1x\r\n", "Authorization: Bearer alice\r\n",
          "X-Api-Key: alice-key-1\r\n"}) {
      const auto answer = ask(path, "", headers);
      ASSERT_TRUE(answer) << path << headers;
      EXPECT_EQ(answer->status, 401) << path << headers;
      EXPECT_EQ(answer->header("www-authenticate"), "Bearer");
      EXPECT_NE(answer->body.find("\"invalid_api_key\""), std::string::npos) << answer->body;
      expect_error_body(answer->body, path);
    }
  EXPECT_EQ(requests_, 3);
  EXPECT_EQ(ask("/x", "", "Authorization: Bearer alice-key-1\r\n")->status, 200);
  EXPECT_EQ(ask("/x", "", "authorization: bearer  bob-key-22\r\n")->status, 200);
  RawHttp waits(port_);
  ASSERT_TRUE(waits.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"));
  EXPECT_EQ(waits.read()->status, 401) << "before the body";
}

TEST_F(HttpServerTest, ForThisMachineAloneItIsAskedByNoOtherName) {
  access_.local_names_only = true;
  start();
  const auto status = [&](const std::string& headers) {
    RawHttp client(port_);
    client.send("GET /x HTTP/1.1\r\n" + headers + "\r\n");
    const auto answer = client.read();
    return answer ? answer->status : 0;
  };
  for (const char* good : {"localhost", "LOCALHOST:80", "a.localhost:80", "127.0.0.1", "127.0.0.1:8000", "[::1]:8000"})
    EXPECT_EQ(status("Host: " + std::string(good) + "\r\n"), 200) << good;
  for (const char* bad : {"evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example", "xlocalhost"})
    EXPECT_EQ(status("Host: " + std::string(bad) + "\r\n"), 403) << bad;
  EXPECT_EQ(status("Host: localhost\r\nOrigin: http://127.0.0.1:8000\r\n"), 200);
  for (const char* origin : {"https://evil.example", "null", "http://localhost.evil.example", "http://127.0.0.1@evil.example"})
    EXPECT_EQ(status("Host: localhost\r\nOrigin: " + std::string(origin) + "\r\n"), 403) << origin;
  EXPECT_EQ(requests_, 7);
}

TEST_F(HttpServerTest, AKeyHasItsShareOfTheConnections) {
  options_.keys = std::make_shared<const ApiKeys>(*ApiKeys::parse("alice-key-1\nbob-key-22\n", "keys"));
  options_.limits.connections_per_key = 2;
  start();
  const std::string alice = http_request("GET", "/x", "", "Authorization: Bearer alice-key-1\r\n"),
                    bob = http_request("GET", "/x", "", "Authorization: Bearer bob-key-22\r\n");
  const auto status = [](RawHttp& client, const std::string& request) {
    client.send(request);
    const auto answer = client.read();
    return answer ? answer->status : 0;
  };
  auto first = std::make_unique<RawHttp>(port_);
  RawHttp second(port_), third(port_);
  EXPECT_EQ(status(*first, alice), 200);
  EXPECT_EQ(status(second, alice), 200);
  EXPECT_EQ(status(second, alice), 200);
  ASSERT_TRUE(third.send(alice));
  const auto refused = third.read();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 429);
  EXPECT_EQ(std::count_if(refused->headers.begin(), refused->headers.end(), [](const auto& each) { return each.first == "retry-after"; }), 1)
      << "two are joined to \"1, 1\", which is no number";
  RawHttp other(port_);
  EXPECT_EQ(status(other, bob), 200);
  EXPECT_EQ(status(second, bob), 200) << "a connection may change its key";
  first.reset();
  EXPECT_TRUE(comes_true([&] {
    RawHttp again(port_);
    return status(again, alice) == 200;
  }));
}

}  // namespace
}  // namespace baton::test
