// SPDX-License-Identifier: Apache-2.0
// ApiCluster: a real cluster with a gateway, asked over HTTP as its users do. One thread.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <boost/json/parse.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/time.h"
#include "tests/support/cluster_process.h"
#include "tests/support/raw_http.h"

namespace baton::test {

class ApiCluster : public ::testing::Test {
 protected:
  static constexpr const char* kKey = "an-api-key-of-tests";

  void TearDown() override {
    if (cluster_) {
      EXPECT_EQ(cluster_->complaints_in_logs(), "");
    }
  }
  void up(ClusterSpec spec) {
    const std::string keys = home_.path() + "/keys";
    write_text(keys, "tests:" + std::string(kKey) + '\n');
    ASSERT_EQ(chmod(keys.c_str(), 0600), 0);
    spec.more += "gateway: { http: 127.0.0.1:" + std::to_string(port_) + ", admin: 127.0.0.1:" + std::to_string(admin_) + " }\n";
    spec.more += "security: { api_keys_file: " + keys + " }\n";
    cluster_ = std::make_unique<ClusterProcess>(home_, spec);
    ASSERT_TRUE(cluster_->up());
  }
  void up_oracle(Duration step_time = std::chrono::milliseconds(1)) {
    OracleOptions model;
    model.step_time = step_time;
    ClusterSpec spec = oracle_spec(model, 4096);
    spec.more = "observability: { metrics_compat: [vllm] }\n";
    up(spec);
  }
  static std::string headers() { return "Authorization: Bearer " + std::string(kKey) + "\r\nContent-Type: application/json\r\n"; }
  std::optional<RawResponse> ask(const std::string& method, const std::string& target, const std::string& body = {}) const {
    return http_ask(port_, method, target, body, headers());
  }
  // A stream that has begun: its first bytes have come. nullptr, and a failure, if not.
  std::unique_ptr<RawHttp> stream(const std::string& body, Duration limit = std::chrono::seconds(30)) const {
    auto client = std::make_unique<RawHttp>(port_, limit);
    client->send(http_request("POST", "/v1/completions", body, headers()));
    std::string begun;
    while (begun.find("data: ") == std::string::npos) {
      const std::string more = client->read_some();
      if (more.empty()) {
        ADD_FAILURE() << "no stream: " << begun;
        return nullptr;
      }
      begun += more;
    }
    return client;
  }

  TestHome home_;
  const std::vector<int> ports_ = free_ports(2);
  const std::uint16_t port_ = static_cast<std::uint16_t>(ports_[0]), admin_ = static_cast<std::uint16_t>(ports_[1]);
  std::unique_ptr<ClusterProcess> cluster_;
};

}  // namespace baton::test
