// SPDX-License-Identifier: Apache-2.0
// The test program as a gateway: an edge and a GatewayClient of its own in a real cluster, seen through the JobPort.
#include <gtest/gtest.h>
#include <signal.h>

#include <future>
#include <mutex>
#include <thread>

#include "actors/edge.h"
#include "models/oracle_tokenizer.h"
#include "runtime/actor/real_loop.h"
#include "server/gateway_client.h"
#include "server/http_server.h"
#include "tests/support/cluster_process.h"
#include "tests/support/load_client.h"
#include "tests/support/raw_http.h"
#include "tests/support/verdict.h"

namespace baton::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class NoExit final : public ProcessControl {
 public:
  void exit(int, const std::string& reason) override { ADD_FAILURE() << reason; }
};

// What a job's sink has been given. Filled on the HTTP thread, read by the test.
struct Heard {
  std::mutex mutex;
  std::vector<JobPort::Event> events;
  void take(const std::vector<JobPort::Event>& more) {
    const std::lock_guard lock(mutex);
    events.insert(events.end(), more.begin(), more.end());
  }
  std::size_t count() {
    const std::lock_guard lock(mutex);
    return events.size();
  }
  template <class Event>
  std::optional<Event> last() {
    const std::lock_guard lock(mutex);
    if (events.empty() || !std::holds_alternative<Event>(events.back())) return std::nullopt;
    return std::get<Event>(events.back());
  }
};

class JobPortTest : public ::testing::Test {
 protected:
  JobPortTest() {
    model_.step_time = milliseconds(2);
    model_.max_model_len = 4096;
    cluster_ = std::make_unique<ClusterProcess>(home_, oracle_spec(model_, 2048));
  }
  void SetUp() override {
    ASSERT_TRUE(cluster_->up());
    tokenizer_ = make_oracle_tokenizer(model_.vocab_size);
    RealLoopOptions options;
    options.node = node_id("edge/gateway");
    options.bind_address = "tcp://127.0.0.1:0";
    options.links.keepalive = milliseconds(200);
    auto loop = RealLoop::open(options);
    ASSERT_TRUE(loop) << loop.error().message;
    loop_ = std::move(*loop);
    EdgeOptions edge;
    edge.name = "gateway";
    edge.control_address = loop_->bound_address();
    edge.coordinator_address = cluster_->control();
    edge.coordinator_node = node_id("coordinator");
    edge.max_model_len = edge.default_max_tokens = model_.max_model_len;
    edge_ = std::make_unique<Edge>(edge, *tokenizer_, exit_);
    edge_cell_ = std::make_unique<ActorCell<Edge>>(*edge_);
    const ActorRef actor = loop_->add(0, *edge_cell_);
    client_ = std::make_unique<GatewayClient>(http_, loop_->executor(), 1, actor, 1);
    client_cell_ = std::make_unique<ActorCell<GatewayClient>>(*client_);
    loop_->add(1, *client_cell_);
    loop_->executor().post(0, [this](Outbox& out) { edge_->start(out); });
    const auto port = http_.listen(
        {"127.0.0.1", 0}, [this](const HttpRequest&, const std::shared_ptr<HttpExchange>& exchange) { stream(exchange); });
    ASSERT_TRUE(port) << port.error().message;
    port_ = *port;
    http_.start();
    thread_ = std::thread([this] { loop_->run(); });
    ASSERT_TRUE(comes_true([&] { return status().has_value(); }));
  }
  void TearDown() override {
    if (loop_) loop_->stop();
    if (thread_.joinable()) thread_.join();
    http_.stop();
  }
  template <class Turn>
  auto on_http(Turn turn) {
    std::promise<decltype(turn())> result;
    http_.post([&] { result.set_value(turn()); });
    return result.get_future().get();
  }
  std::optional<StatusReport> status() {
    std::promise<std::optional<StatusReport>> answer;
    http_.post([&] { client_->status(false, [&](std::optional<StatusReport> report) { answer.set_value(std::move(report)); }); });
    return answer.get_future().get();
  }
  JobPort::Ticket submit(ClientSubmit job, Heard& heard) {
    return on_http([&] {
      return client_->submit(std::move(job), [&heard](const std::vector<JobPort::Event>& events) { heard.take(events); });
    });
  }
  // The least that a route can be: every request is an endless job, each of its tokens a line.
  void stream(const std::shared_ptr<HttpExchange>& exchange) {
    exchange->start_stream({200, "text/plain", {}, {}});
    const JobPort::Ticket ticket = client_->submit(endless(), [exchange](const std::vector<JobPort::Event>& events) {
      for (const JobPort::Event& event : events) {
        if (const auto* tokens = std::get_if<ClientTokens>(&event))
          for (const ClientToken& token : tokens->tokens) exchange->write(std::to_string(token.token) + '\n');
        else if (!std::holds_alternative<ClientAccepted>(event)) exchange->finish();
      }
    });
    exchange->on_gone([this, ticket] { client_->cancel(ticket); });
  }
  ClientSubmit endless() const {
    ClientSubmit job;
    job.prompt_ids.assign(100, 7);
    job.sampling.max_tokens = 3000;
    job.sampling.ignore_eos = true;
    return job;
  }

  TestHome home_;
  OracleOptions model_;
  std::unique_ptr<ClusterProcess> cluster_;
  NoExit exit_;
  HttpServer http_{{}};
  std::uint16_t port_ = 0;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<RealLoop> loop_;
  std::unique_ptr<Edge> edge_;
  std::unique_ptr<ActorCell<Edge>> edge_cell_;
  std::unique_ptr<GatewayClient> client_;
  std::unique_ptr<ActorCell<GatewayClient>> client_cell_;
  std::thread thread_;
};

TEST_F(JobPortTest, TokensAreThoseOfTheModel) {
  const std::vector<LoadJob> jobs = random_jobs(model_, 3, 40, 200, 60, 0);
  std::vector<std::unique_ptr<Heard>> heard;
  for (const LoadJob& each : jobs) {
    heard.push_back(std::make_unique<Heard>());
    submit(each.submit, *heard.back());
  }
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    ASSERT_TRUE(comes_true([&] { return heard[i]->last<ClientDone>() || heard[i]->last<ClientError>(); })) << i;
    JobRecord record;
    record.submit = jobs[i].submit;
    for (const JobPort::Event& event : heard[i]->events) {
      if (const auto* accepted = std::get_if<ClientAccepted>(&event)) record.accepted = *accepted;
      if (const auto* tokens = std::get_if<ClientTokens>(&event))
        record.tokens.insert(record.tokens.end(), tokens->tokens.begin(), tokens->tokens.end());
      if (const auto* done = std::get_if<ClientDone>(&event)) record.done = *done;
      if (const auto* error = std::get_if<ClientError>(&event)) record.error = *error;
    }
    record.terminals = 1;
    EXPECT_EQ(oracle_complaint(model_, record), "") << i;
  }
  EXPECT_EQ(on_http([&] { return client_->jobs(); }), 0u);
  EXPECT_EQ(cluster_->fsck(), "");
}

TEST_F(JobPortTest, ACancelledJobGivesItsBlocksBackWithinASecond) {
  std::vector<std::unique_ptr<Heard>> heard;
  std::vector<JobPort::Ticket> tickets;
  for (int i = 0; i < 8; ++i) {
    heard.push_back(std::make_unique<Heard>());
    tickets.push_back(submit(endless(), *heard.back()));
  }
  ASSERT_TRUE(
      comes_true([&] { return std::all_of(heard.begin(), heard.end(), [](const auto& each) { return each->count() > 5; }); }));
  on_http([&] {
    for (const JobPort::Ticket ticket : tickets) client_->cancel(ticket);
    return 0;
  });
  std::vector<std::size_t> counts;
  for (const auto& each : heard) counts.push_back(each->count());
  EXPECT_EQ(cluster_->fsck(seconds(1)), "");
  for (std::size_t i = 0; i < heard.size(); ++i) EXPECT_EQ(heard[i]->count(), counts[i]) << "no event comes after a cancel";
  EXPECT_EQ(status()->jobs, 0u);
}

TEST_F(JobPortTest, AClientThatGoesInMidStreamGivesItsBlocksBackWithinASecond) {
  Duration longest{};
  for (int way = 0; way < 3; ++way) {
    std::vector<std::unique_ptr<RawHttp>> clients;
    for (int i = 0; i < 8; ++i) {
      clients.push_back(std::make_unique<RawHttp>(port_));
      ASSERT_TRUE(clients.back()->send(http_request("GET", "/")));
    }
    for (const auto& each : clients) {
      std::string text;
      while (text.size() < 500) {
        const std::string more = each->read_some();
        ASSERT_FALSE(more.empty());
        text += more;
      }
    }
    EXPECT_EQ(status()->jobs, 8u);
    for (const auto& each : clients) {
      if (way == 0) each->close();
      else if (way == 1) each->reset();
      else each->end_sending();
    }
    const Time gone = real_now();
    EXPECT_EQ(cluster_->fsck(seconds(1)), "") << way;
    longest = std::max(longest, real_now() - gone);
    EXPECT_LT(longest, seconds(1)) << way;
    EXPECT_EQ(status()->jobs, 0u) << way;
  }
  const std::string line =
      "gateway: 8 clients gone in mid-stream, blocks back within " + std::to_string(longest / milliseconds(1)) + " ms";
  report_verdict(line.c_str());
}

TEST_F(JobPortTest, ALostCoordinatorComesBackAndItsStreamsGoOn) {
  Heard heard;
  ClientSubmit stream = endless();
  stream.sampling.max_tokens = 400;
  submit(stream, heard);
  ASSERT_TRUE(comes_true([&] { return heard.count() > 5; }));
  const pid_t before = cluster_->pid("coordinator");
  ASSERT_TRUE(cluster_->send_signal("coordinator", SIGKILL));
  ASSERT_TRUE(cluster_->is_back("coordinator", before, seconds(20)));
  ASSERT_TRUE(comes_true([&] { return status().has_value(); }));
  Heard again;
  ClientSubmit job = endless();
  job.sampling.max_tokens = 5;
  submit(job, again);
  EXPECT_TRUE(comes_true([&] { return again.last<ClientDone>().has_value(); }));
  ASSERT_TRUE(comes_true([&] { return heard.last<ClientDone>().has_value(); }, seconds(30)));
  EXPECT_FALSE(heard.last<ClientError>().has_value());
  EXPECT_EQ(heard.last<ClientDone>()->completion_tokens, 400u);
}

}  // namespace
}  // namespace baton::test
