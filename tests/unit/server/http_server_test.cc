// SPDX-License-Identifier: Apache-2.0
// The HTTP server over real sockets: what a client that keeps the rules gets, and what one gets that does not.
#include "runtime/base/random.h"
#include "tests/support/smuggling_cases.h"
#include "tests/unit/server/http_server_fixture.h"

namespace baton::test {
namespace {

// ---- the rules -------------------------------------------------------------------------------------------------------

TEST_F(HttpServerTest, AnswersEverySmugglingCaseOnceAndCloses) {
  options_.limits.head_time = milliseconds(500);
  start();
  for (const SmugglingCase& each : smuggling_cases()) {
    RawHttp client(port_);
    ASSERT_TRUE(client.send(each.bytes)) << each.name;
    const auto answer = client.read();
    ASSERT_TRUE(answer) << each.name;
    EXPECT_EQ(answer->status, each.status) << each.name;
    if (each.status < 300) continue;
    expect_error_body(answer->body, each.name);
    EXPECT_EQ(answer->header("connection"), "close") << each.name;
    const auto rest = client.read_to_end();
    ASSERT_TRUE(rest) << each.name << ": not closed";
    EXPECT_EQ(*rest, "") << each.name << ": a second answer";
  }
  EXPECT_EQ(smuggled_, 0);
  expect_serves();
}

TEST_F(HttpServerTest, OutlivesTenThousandMutatedRequests) {
  start();
  std::atomic<bool> over{false};
  std::atomic<int> served{0};
  std::thread good([&] {
    RawHttp client(port_);
    while (!over) {
      if (!client.send(http_request("POST", "/x", "body"))) return;
      const auto answer = client.read();
      if (!answer || answer->status != 200 || answer->body != "POST /x body") return;
      ++served;
    }
  });
  Random random(11);
  for (int round = 0; round < 10'000; ++round) ASSERT_TRUE(survives_mutated_case(port_, random)) << round;
  over = true;
  good.join();
  EXPECT_GT(served, 100);
  EXPECT_TRUE(comes_true([&] { return server_->exchanges() == 0 && on_thread([&] { return server_->counters().open; }) == 0; }))
      << server_->exchanges() << " exchanges, " << on_thread([&] { return server_->counters().open; }) << " connections";
  expect_serves();
}

TEST_F(HttpServerTest, KeepsAConnectionForSeveralRequests) {
  start();
  RawHttp client(port_);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(client.send(http_request("POST", "/x", std::to_string(i))));
    const auto answer = client.read();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->body, "POST /x " + std::to_string(i));
    EXPECT_EQ(answer->header("server"), "baton");
    EXPECT_EQ(answer->header("date").size(), 29u) << answer->header("date");
    EXPECT_EQ(answer->header("connection"), "");
  }
  ASSERT_TRUE(client.send(http_request("GET", "/x", "", "Connection: close\r\n")));
  EXPECT_EQ(client.read()->header("connection"), "close");
  EXPECT_TRUE(client.closed_within(seconds(2)));
  EXPECT_EQ(on_thread([&] { return server_->counters().accepted; }), 1u);
}

TEST_F(HttpServerTest, AnswersRequestsSentAheadInTheirOrder) {
  start();
  RawHttp client(port_);
  std::string all;
  for (int i = 0; i < 3000; ++i) all += http_request("POST", "/x", std::to_string(i));
  std::thread sender([&] { client.send(all); });
  for (int i = 0; i < 3000; ++i) {
    const auto answer = client.read();
    ASSERT_TRUE(answer) << i;
    ASSERT_EQ(answer->body, "POST /x " + std::to_string(i));
  }
  sender.join();
}

TEST_F(HttpServerTest, RequestsSentAheadWaitForTheAnswerBeforeThem) {
  start();
  RawHttp client(port_);
  ASSERT_TRUE(client.send(http_request("GET", "/hold") + http_request("GET", "/x")));
  ASSERT_TRUE(comes_true([&] { return requests_ == 1; }));
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_EQ(requests_, 1);
  on_thread([&] { return held_.back()->respond({200, "text/plain", {}, "first"}), 0; });
  EXPECT_EQ(client.read()->body, "first");
  EXPECT_EQ(client.read()->body, "GET /x ");
}

TEST_F(HttpServerTest, HeadGetsTheLengthAndNoBody) {
  start();
  RawHttp client(port_);
  ASSERT_TRUE(client.send(http_request("HEAD", "/x") + http_request("GET", "/y")));
  const auto head = client.read(true);
  ASSERT_TRUE(head);
  EXPECT_EQ(head->header("content-length"), "8");  // "HEAD /x "
  EXPECT_EQ(client.read()->body, "GET /y ");
}

TEST_F(HttpServerTest, SaysContinueBeforeABodyThatWaitsForIt) {
  start();
  RawHttp client(port_);
  ASSERT_TRUE(client.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"));
  ASSERT_EQ(client.read()->status, 100);
  ASSERT_TRUE(client.send("abc"));
  EXPECT_EQ(client.read()->body, "POST /x abc");
}

TEST_F(HttpServerTest, Http10GetsAStreamUntilTheConnectionEnds) {
  start();
  RawHttp client(port_);
  ASSERT_TRUE(client.send("GET /stream HTTP/1.0\r\n\r\n"));
  ASSERT_TRUE(comes_true([&] { return requests_ == 1; }));
  EXPECT_TRUE(write("one "));
  on_thread([&] { return held_.back()->write("two"), held_.back()->finish(), 0; });
  const auto answer = client.read();
  ASSERT_TRUE(answer && answer->whole);
  EXPECT_EQ(answer->header("transfer-encoding"), "");
  EXPECT_EQ(answer->body, "one two");
}

TEST_F(HttpServerTest, AHandlersHeaderCannotSplitTheAnswer) {
  start();
  const auto answer = ask("/split");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->header("x-good"), "yes");
  EXPECT_EQ(answer->header("x-bad"), "");
  EXPECT_EQ(answer->header("x-injected"), "");
  EXPECT_EQ(answer->body, "ok");
}

TEST_F(HttpServerTest, AHandlerThatFailsCostsItsRequestAlone) {
  start();
  const auto answer = ask("/throw");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 500);
  expect_error_body(answer->body, "/throw");
  EXPECT_EQ(answer->body.find("on purpose"), std::string::npos);
  RawHttp client(port_);
  ASSERT_TRUE(client.send(http_request("GET", "/drop")));
  EXPECT_EQ(client.read_to_end(), "") << "an exchange let go of closes";
  expect_serves();
}

// ---- streams, and clients that go ------------------------------------------------------------------------------------

TEST_F(HttpServerTest, AStreamArrivesWhileItIsWritten) {
  start();
  RawHttp client(port_);
  ASSERT_TRUE(client.send(http_request("GET", "/stream")));
  const std::string head = client.read_some();
  EXPECT_NE(head.find("Transfer-Encoding: chunked\r\n"), std::string::npos) << head;
  EXPECT_NE(head.find("Content-Type: text/event-stream\r\n"), std::string::npos) << head;
  EXPECT_NE(head.find("X-More: yes\r\n"), std::string::npos) << head;
  EXPECT_EQ(head.find("Content-Length"), std::string::npos) << head;
  EXPECT_TRUE(write("data: a\n\n"));
  EXPECT_EQ(client.read_some(), "9\r\ndata: a\n\n\r\n");
  on_thread([&] { return held_.back()->finish(), 0; });
  EXPECT_EQ(client.read_some(), "0\r\n\r\n");
  ASSERT_TRUE(client.send(http_request("GET", "/x")));
  EXPECT_EQ(client.read()->body, "GET /x ");
  EXPECT_EQ(gone_, 0);
}

TEST_F(HttpServerTest, AClientThatClosesIsGone) {
  start();
  for (const char* target : {"/hold", "/stream"}) {
    for (const bool reset : {false, true}) {
      gone_ = 0;
      const int before = requests_;
      RawHttp client(port_);
      ASSERT_TRUE(client.send(http_request("GET", target)));
      ASSERT_TRUE(comes_true([&] { return requests_ > before; }));
      reset ? client.reset() : client.close();
      EXPECT_TRUE(comes_true([&] { return gone_ == 1; }, seconds(5))) << target << reset;
      EXPECT_FALSE(write("more"));
      on_thread([&] { return held_.back()->respond({}), held_.back()->finish(), 0; });
      EXPECT_EQ(gone_, 1) << "once";
    }
  }
  EXPECT_EQ(server_->exchanges(), 0u);
}

TEST_F(HttpServerTest, AClientThatStopsSendingIsGoneButHearsAWholeAnswer) {
  start();
  RawHttp waiting(port_);
  ASSERT_TRUE(waiting.send(http_request("GET", "/hold")));
  waiting.end_sending();
  EXPECT_TRUE(comes_true([&] { return gone_ == 1; }, seconds(5)));
  RawHttp large(port_);
  ASSERT_TRUE(large.send(http_request("GET", "/large")));
  large.end_sending();
  const auto answer = large.read();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body.size(), 32u << 20);
  EXPECT_TRUE(large.closed_within(seconds(2)));
  EXPECT_TRUE(comes_true([&] { return server_->exchanges() == 0; })) << "each answer is counted once: " << server_->exchanges();
}

TEST_F(HttpServerTest, AClientThatGoesBehindUnreadRequestsIsGone) {
  start();
  RawHttp client(port_);
  ASSERT_TRUE(client.send(http_request("GET", "/hold") + std::string(2 * options_.limits.ahead_bytes, 'x')));
  ASSERT_TRUE(comes_true([&] { return requests_ == 1; }));
  std::this_thread::sleep_for(milliseconds(50));
  client.close();
  EXPECT_TRUE(comes_true([&] { return gone_ == 1; }, seconds(5)));
}

TEST_F(HttpServerTest, AReaderThatLagsTooFarIsGone) {
  options_.limits.stream_buffer_bytes = 64u << 10;
  start();
  RawHttp client(port_);
  ASSERT_TRUE(client.send(http_request("GET", "/stream")));
  ASSERT_TRUE(comes_true([&] { return requests_ == 1; }));
  const std::string piece(16u << 10, 'x');
  std::size_t taken = 0;
  while (taken < (64u << 20) && write(piece)) taken += piece.size();
  EXPECT_LT(taken, 64u << 20) << "the system's buffers and ours are smaller";
  EXPECT_TRUE(comes_true([&] { return gone_ == 1; }, seconds(5)));
  EXPECT_FALSE(write(piece));
  expect_serves();
}

// The echo of a long prompt with its log-probabilities is one event: its size is no sign of a slow reader.
TEST_F(HttpServerTest, OneLargeEventIsNotLaggingBehind) {
  options_.limits.stream_buffer_bytes = 64u << 10;
  start();
  RawHttp client(port_);
  ASSERT_TRUE(client.send(http_request("GET", "/stream")));
  ASSERT_TRUE(comes_true([&] { return requests_ == 1; }));
  const std::string large(24u << 20, 'x'), small(1u << 10, 'y');
  ASSERT_TRUE(write(large)) << "larger than the system's buffers";
  for (int i = 0; i < 32; ++i) ASSERT_TRUE(write(small)) << i;
  int more = 0;
  while (more < 1000 && write(small)) ++more;
  EXPECT_LT(more, 1000) << "what comes behind it counts as ever";
  RawHttp second(port_);
  ASSERT_TRUE(second.send(http_request("GET", "/stream")));
  ASSERT_TRUE(comes_true([&] { return requests_ == 2; }));
  std::thread writer([&] {
    EXPECT_TRUE(write(large));
    for (int i = 0; i < 32; ++i) EXPECT_TRUE(write(small));
    on_thread([&] { return held_.back()->finish(), 0; });
  });
  const auto answer = second.read();
  writer.join();
  ASSERT_TRUE(answer && answer->whole);
  EXPECT_EQ(answer->body.size(), large.size() + 32 * small.size());
}

TEST_F(HttpServerTest, ManyEchoesInOneTurnAreNotLaggingBehind) {
  options_.limits.stream_buffer_bytes = 64u << 10;
  start();
  RawHttp client(port_);
  ASSERT_TRUE(client.send(http_request("GET", "/stream")));
  ASSERT_TRUE(comes_true([&] { return requests_ == 1; }));
  const std::string echo(60u << 10, 'x'), token(100, 'y');
  constexpr int kEchoes = 400;
  std::thread writer([&] {
    EXPECT_TRUE(on_thread([&] {
      for (int i = 0; i < kEchoes; ++i)
        if (!held_.back()->write(echo, echo.size())) return false;
      return held_.back()->write(token);
    }));
    on_thread([&] { return held_.back()->finish(), 0; });
  });
  const auto answer = client.read();
  writer.join();
  ASSERT_TRUE(answer && answer->whole);
  EXPECT_EQ(answer->body.size(), kEchoes * echo.size() + token.size());
}

TEST_F(HttpServerTest, AReaderThatKeepsUpGetsAllOfALongStream) {
  options_.limits.stream_buffer_bytes = 64u << 10;
  start();
  RawHttp client(port_);
  ASSERT_TRUE(client.send(http_request("GET", "/stream")));
  ASSERT_TRUE(comes_true([&] { return requests_ == 1; }));
  std::thread writer([&] {
    for (int i = 0; i < 2000; ++i) {
      if (!write(std::string(4096, static_cast<char>('a' + i % 26)))) break;
      if (i % 8 == 0) std::this_thread::sleep_for(milliseconds(1));
    }
    on_thread([&] { return held_.back()->finish(), 0; });
  });
  const auto answer = client.read();
  writer.join();
  ASSERT_TRUE(answer && answer->whole);
  EXPECT_EQ(answer->body.size(), 2000u * 4096);
  EXPECT_EQ(gone_, 0);
}

TEST_F(HttpServerTest, AnAnswerNobodyTakesIsGivenUp) {
  options_.limits.stall_time = milliseconds(300);
  start();
  RawHttp client(port_);
  ASSERT_TRUE(client.send(http_request("GET", "/large")));
  ASSERT_TRUE(comes_true([&] { return server_->exchanges() == 1; }));
  EXPECT_TRUE(comes_true([&] { return server_->exchanges() == 0; }, seconds(5)));
  expect_serves();
}

// A few bytes now and then would hold the connection and all of its buffer for as long as the client likes.
TEST_F(HttpServerTest, AnAnswerTakenAtATrickleIsGivenUp) {
  options_.limits.stall_time = seconds(1);
  options_.limits.answer_bytes_per_second = 64u << 20;
  start();
  for (const char* target : {"/large", "/stream"}) {
    const int before = requests_;
    RawHttp client(port_);
    ASSERT_TRUE(client.send(http_request("GET", target)));
    ASSERT_TRUE(comes_true([&] { return requests_ > before; }));
    if (target == std::string_view("/stream")) {
      EXPECT_TRUE(write(std::string(32u << 20, 'x')));
    }
    const Time begun = real_now();
    while (server_->exchanges() > 0 && real_now() - begun < seconds(6)) {
      client.read_some();
      std::this_thread::sleep_for(milliseconds(4));  // too slow for 32 MiB in this time, and never silent
    }
    EXPECT_EQ(server_->exchanges(), 0u) << target;
  }
  expect_serves();
}

// The system lets more be written only when a large part of its buffer is free: that says nothing about the reader's pace.
TEST_F(HttpServerTest, AnAnswerTakenSteadilyIsNot) {
  options_.limits.stall_time = seconds(2);
  options_.limits.answer_bytes_per_second = 64u << 10;
  start();
  RawHttp client(port_);
  ASSERT_TRUE(client.send(http_request("GET", "/large")));
  std::size_t taken = 0;
  for (const Time begun = real_now(); real_now() - begun < seconds(5); std::this_thread::sleep_for(milliseconds(30)))
    taken += client.read_some().size();
  EXPECT_LT(taken, 32u << 20) << "some of it is unsent all the time";
  while (taken <= (32u << 20)) {
    const std::size_t more = client.read_some().size();
    if (more == 0) break;
    taken += more;
  }
  EXPECT_GT(taken, 32u << 20) << "all of it, and the head";
}

// ---- the thread ------------------------------------------------------------------------------------------------------

TEST_F(HttpServerTest, PostedTurnsRunInOrderAndLaterOnesWhenDue) {
  start();
  std::string order;
  for (char c = 'a'; c <= 'e'; ++c) server_->post([&order, c] { order += c; });
  std::promise<Duration> late;
  on_thread([&] {
    const Time asked = server_->now();
    server_->after(milliseconds(60), [&order] { order += 'z'; });
    server_->after(milliseconds(30), [&order] { order += 'y'; });
    server_->after(milliseconds(90), [&, asked] { late.set_value(server_->now() - asked); });
    return 0;
  });
  EXPECT_GE(late.get_future().get(), milliseconds(90));
  EXPECT_EQ(on_thread([&] { return order; }), "abcdeyz");
}

TEST_F(HttpServerTest, ATurnThatThrowsEndsNeitherTheThreadNorTheTurnsBehindIt) {
  start();
  std::promise<void> behind_posted, behind_due;
  on_thread([&] {  // all in one go
    server_->post([] { throw std::runtime_error("on purpose"); });
    server_->post([] { throw 7; });
    server_->post([&] { behind_posted.set_value(); });
    server_->after(milliseconds(1), [] { throw std::runtime_error("on purpose"); });
    server_->after(milliseconds(2), [&] { behind_due.set_value(); });
    return 0;
  });
  EXPECT_EQ(behind_posted.get_future().wait_for(seconds(10)), std::future_status::ready);
  EXPECT_EQ(behind_due.get_future().wait_for(seconds(10)), std::future_status::ready);
  expect_serves();
}

TEST_F(HttpServerTest, DrainingEndsWithTheLastAnswer) {
  start();
  RawHttp busy(port_), idle(port_);
  ASSERT_TRUE(idle.send(http_request("GET", "/x")));
  ASSERT_TRUE(idle.read());
  ASSERT_TRUE(busy.send(http_request("GET", "/hold")));
  ASSERT_TRUE(comes_true([&] { return requests_ == 2; }));
  server_->begin_drain();
  EXPECT_TRUE(idle.closed_within(seconds(2)));
  EXPECT_TRUE(comes_true([&] { return !RawHttp(port_).connected(); }));
  EXPECT_EQ(server_->exchanges(), 1u);
  on_thread([&] { return held_.back()->respond({200, "text/plain", {}, "late"}), 0; });
  const auto answer = busy.read();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "late");
  EXPECT_EQ(answer->header("connection"), "close");
  EXPECT_TRUE(comes_true([&] { return server_->exchanges() == 0; }));
}

TEST_F(HttpServerTest, DrainingWaitsForABodyThatIsStillComing) {
  start();
  RawHttp sending(port_), stuck(port_);
  for (RawHttp* each : {&sending, &stuck}) ASSERT_TRUE(each->send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc"));
  ASSERT_TRUE(comes_true([&] { return server_->exchanges() == 2; }));
  server_->begin_drain();
  on_thread([] { return 0; });
  EXPECT_EQ(server_->exchanges(), 2u);
  ASSERT_TRUE(sending.send("def"));
  const auto answer = sending.read();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "POST /x abcdef");
  EXPECT_EQ(answer->header("connection"), "close");
  EXPECT_TRUE(comes_true([&] { return server_->exchanges() == 1; }));
  server_->stop();
  const auto refused = stuck.read();
  ASSERT_TRUE(refused) << "not cut in silence";
  EXPECT_EQ(refused->status, 503);
  EXPECT_EQ(refused->header("connection"), "close");
  EXPECT_EQ(refused->header("retry-after"), "1");
  EXPECT_EQ(server_->exchanges(), 0u);
}

TEST_F(HttpServerTest, StoppingTellsThoseWhoWaitAndExchangesMayLiveOn) {
  start();
  RawHttp client(port_);
  ASSERT_TRUE(client.send(http_request("GET", "/stream")));
  ASSERT_TRUE(comes_true([&] { return requests_ == 1; }));
  server_->stop();
  EXPECT_EQ(gone_, 1);
  bool ran = false;
  server_->post([&ran] { ran = true; });
  server_.reset();
  EXPECT_FALSE(ran);
  EXPECT_FALSE(held_.back()->write("more"));
  held_.clear();
  EXPECT_TRUE(client.closed_within(seconds(2)));
}

TEST_F(HttpServerTest, ATakenPortIsSaid) {
  start();
  HttpServer other({});
  const auto port = other.listen({"127.0.0.1", port_}, [](HttpRequest, const std::shared_ptr<HttpExchange>&) {});
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().code, ErrorCode::kAlreadyExists);
}

}  // namespace
}  // namespace baton::test
