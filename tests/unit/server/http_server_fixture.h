// SPDX-License-Identifier: Apache-2.0
// An HttpServer on a free port with routes that a test holds in its hands: it echoes, but /hold and /stream keep their
// exchange, /drop lets go of it, /throw fails, /large answers much, /split tries to forge headers. Shared by the tests of the
// server.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/actor/real_loop.h"
#include "runtime/base/json.h"
#include "server/http_server.h"
#include "tests/support/raw_http.h"
#include "tests/support/test_home.h"

namespace baton::test {

using std::chrono::milliseconds;
using std::chrono::seconds;

class HttpServerTest : public ::testing::Test {
 protected:
  // Not in the constructor: tests choose the limits first.
  void start() {
    server_ = std::make_unique<HttpServer>(options_);
    const auto port = server_->listen(
        {"127.0.0.1", 0},
        [this](HttpRequest request, std::shared_ptr<HttpExchange> exchange) {
          handle(std::move(request), std::move(exchange));
        },
        access_);
    ASSERT_TRUE(port) << port.error().message;
    port_ = *port;
    server_->start();
  }
  void TearDown() override {
    if (server_) server_->stop();
    held_.clear();
  }

  void handle(HttpRequest request, std::shared_ptr<HttpExchange> exchange) {
    ++requests_;
    if (request.path == "/smuggled") ++smuggled_;
    if (request.path == "/hold" || request.path == "/stream") {
      exchange->on_gone([this] { ++gone_; });
      if (request.path == "/stream") exchange->start_stream({200, "text/event-stream", {{"X-More", "yes"}}, {}});
      held_.push_back(std::move(exchange));
    } else if (request.path == "/drop") {
      return;
    } else if (request.path == "/throw") {
      throw std::runtime_error("on purpose");
    } else if (request.path == "/large") {
      exchange->respond({200, "text/plain", {}, std::string(32u << 20, 'x')});
    } else if (request.path == "/split") {
      exchange->respond({200, "text/plain", {{"X-Good", "yes"}, {"X-Bad", "a\r\nX-Injected: b"}, {"X Bad", "c"}}, "ok"});
    } else {
      exchange->respond({200, "text/plain", {}, request.method + ' ' + request.path + ' ' + request.body});
    }
  }
  // On the HTTP thread, and waits for it.
  template <class Turn>
  auto on_thread(Turn turn) {
    std::promise<decltype(turn())> result;
    server_->post([&] { result.set_value(turn()); });
    return result.get_future().get();
  }
  bool write(std::string_view bytes) {
    return on_thread([&] { return held_.back()->write(bytes); });
  }
  std::optional<RawResponse> ask(const std::string& target, std::string_view body = {}, std::string_view headers = {}) {
    return http_ask(port_, body.empty() ? "GET" : "POST", target, body, headers);
  }
  void expect_serves() {
    const auto answer = ask("/x");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body, "GET /x ");
  }

  HttpServerOptions options_;
  HttpAccess access_;
  std::unique_ptr<HttpServer> server_;
  std::uint16_t port_ = 0;
  std::atomic<int> requests_{0}, smuggled_{0}, gone_{0};
  std::vector<std::shared_ptr<HttpExchange>> held_;  // HTTP thread, while it runs
};

inline void expect_error_body(const std::string& body, const std::string& what) {
  const auto json = parse_json(body);
  ASSERT_TRUE(json) << what << ": " << body;
  const auto* error = json_member(*json, "error");
  ASSERT_NE(error, nullptr) << what << ": " << body;
  for (const char* text : {"message", "type", "code"}) {
    const auto* member = json_member(*error, text);
    ASSERT_TRUE(member != nullptr && member->is_string()) << what << ": " << body;
  }
  ASSERT_TRUE(json_member(*error, "param") != nullptr && json_member(*error, "param")->is_null()) << what << ": " << body;
}

}  // namespace baton::test
