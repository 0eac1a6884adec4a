// SPDX-License-Identifier: Apache-2.0
// Streams of a real cluster when something goes wrong: the client goes, the gateway or the coordinator is killed, the gateway is to
// stop. Blocks come back, and nobody takes part of an answer for a whole one.
#include <signal.h>

#include <atomic>
#include <thread>

#include "runtime/actor/real_loop.h"
#include "runtime/base/random.h"
#include "tests/integration/openai/api_cluster.h"
#include "tests/support/slow_build.h"
#include "tests/support/smuggling_cases.h"

namespace baton::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kLong = R"({"prompt":"a relay","max_tokens":1500,"ignore_eos":true,"temperature":0,"stream":true})";

class Streams : public ApiCluster {
 protected:
  // Whether the workers hold nothing of any request.
  bool at_rest() const {
    const auto client = cluster_->connect();
    const auto report = client ? client->fsck(seconds(5)) : Result<FsckReport>(fail(ErrorCode::kUnavailable, ""));
    if (!report || !report->complete) return false;
    for (const FsckAccount& account : report->accounts)
      if (account.sequences != 0 || account.transfers != 0 || account.held != 0) return false;
    return true;
  }
};

TEST_F(Streams, BlocksAreBackWithinASecondWhenClientsGo) {
  up_oracle(milliseconds(5));
  std::vector<std::unique_ptr<RawHttp>> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(stream(kLong));
  ASSERT_FALSE(at_rest());
  for (std::size_t i = 0; i < clients.size(); ++i) {
    if (i % 2 == 0) clients[i]->close();
    else clients[i]->reset();
  }
  EXPECT_TRUE(comes_true([&] { return at_rest(); }, seconds(kSlowBuild ? 5 : 1)));
  EXPECT_EQ(cluster_->fsck(), "");
}

TEST_F(Streams, AWholeAnswerIsCancelledToo) {
  up_oracle(milliseconds(5));
  RawHttp client(port_);
  client.send(http_request("POST", "/v1/completions", R"({"prompt":"a relay","max_tokens":1500,"ignore_eos":true})", headers()));
  ASSERT_TRUE(comes_true([&] { return !at_rest(); }));
  client.close();
  EXPECT_TRUE(comes_true([&] { return at_rest(); }, seconds(kSlowBuild ? 5 : 1)));
}

TEST_F(Streams, BlocksAreBackWhenTheGatewayIsKilled) {
  up_oracle(milliseconds(5));
  std::vector<std::unique_ptr<RawHttp>> clients;
  for (int i = 0; i < 8; ++i) clients.push_back(stream(kLong));
  const pid_t before = cluster_->pid("gateway");
  ASSERT_TRUE(cluster_->send_signal("gateway", SIGKILL));
  for (const auto& client : clients) {
    const auto rest = client->read_to_end();
    ASSERT_TRUE(rest) << "the connection hangs";
    EXPECT_EQ(rest->find("[DONE]"), std::string::npos);
  }
  EXPECT_TRUE(comes_true([&] { return at_rest(); }));
  EXPECT_TRUE(comes_true([&] { return cluster_->pid("gateway") != 0 && cluster_->pid("gateway") != before; }));
  EXPECT_TRUE(comes_true([&] {
    const auto answer = ask("POST", "/v1/completions", R"({"prompt":"a","max_tokens":2})");
    return answer && answer->status == 200;
  }));
  EXPECT_EQ(cluster_->fsck(), "");
}

TEST_F(Streams, SayWhenTheCoordinatorIsKilled) {
  up_oracle(milliseconds(5));
  std::vector<std::unique_ptr<RawHttp>> clients;
  for (int i = 0; i < 8; ++i) clients.push_back(stream(kLong));
  const pid_t before = cluster_->pid("coordinator");
  ASSERT_TRUE(cluster_->send_signal("coordinator", SIGKILL));
  for (const auto& client : clients) {
    std::string rest;
    while (rest.find("data: [DONE]") == std::string::npos) {
      const std::string more = client->read_some();
      ASSERT_FALSE(more.empty()) << "it neither goes on nor ends: " << rest;
      rest += more;
    }
    const bool whole = rest.find("\"finish_reason\":\"length\"") != std::string::npos;
    const bool said = rest.find("data: {\"error\":") != std::string::npos;
    EXPECT_NE(whole, said) << rest.substr(rest.size() - std::min<std::size_t>(rest.size(), 600));
  }
  ASSERT_TRUE(cluster_->is_back("coordinator", before, seconds(20)));
  EXPECT_TRUE(comes_true([&] {
    const auto answer = ask("POST", "/v1/completions", R"({"prompt":"a","max_tokens":2})");
    return answer && answer->status == 200;
  }));
  EXPECT_EQ(cluster_->fsck(), "");
}

TEST_F(Streams, AreFinishedBeforeTheClusterStops) {
  up_oracle(milliseconds(2));
  const auto client = stream(R"({"prompt":"a relay","max_tokens":300,"ignore_eos":true,"stream":true})");
  ASSERT_TRUE(client);
  Output down;
  std::thread stopping([&] { down = cluster_->down(); });
  const auto rest = client->read_to_end();
  stopping.join();
  EXPECT_EQ(down.exit_status, 0) << down.err;
  ASSERT_TRUE(rest);
  EXPECT_NE(rest->find("\"finish_reason\":\"length\""), std::string::npos) << *rest;
  EXPECT_NE(rest->find("[DONE]"), std::string::npos);
}

TEST_F(Streams, AreTheSameBesideTenThousandHostileRequests) {
  up_oracle();
  const std::string wanted = R"({"prompt":"a relay race","max_tokens":40,"ignore_eos":true,"temperature":0})";
  const auto text_of = [&]() -> std::string {
    const auto answer = ask("POST", "/v1/completions", wanted);
    if (!answer || answer->status != 200) return "status " + std::to_string(answer ? answer->status : 0);
    return std::string(boost::json::parse(answer->body).at("choices").at(0).at("text").as_string());
  };
  const std::string expected = text_of();
  std::atomic<bool> over{false};
  std::atomic<int> same{0};
  std::thread good([&] {
    while (!over) {
      EXPECT_EQ(text_of(), expected);
      ++same;
    }
  });
  Random random(11);
  const std::string valid = R"({"model":"default","prompt":"a","max_tokens":3,"temperature":0.5,"stop":["x"],"stream":true,"n":2,"logprobs":1})";
  const int rounds = kSlowBuild ? 2000 : 10'000;
  for (int round = 0; round < rounds; ++round) {
    std::string body = valid;
    for (std::uint64_t edits = 1 + random.below(6); edits > 0; --edits) body[random.below(body.size())] = static_cast<char>(32 + random.below(95));
    const auto answer = ask("POST", round % 3 == 0 ? "/v1/chat/completions" : "/v1/completions", body);
    ASSERT_TRUE(answer) << body;
    ASSERT_TRUE(answer->status == 200 || answer->status == 400 || answer->status == 404 || answer->status == 429) << answer->status << body;
    if (answer->status != 400) continue;
    ASSERT_TRUE(boost::json::parse(answer->body).at("error").at("message").is_string()) << answer->body;
  }
  over = true;
  good.join();
  EXPECT_GT(same, 10);
  EXPECT_TRUE(comes_true([&] { return at_rest(); }));
  EXPECT_EQ(cluster_->fsck(), "");
}

}  // namespace
}  // namespace baton::test
