// SPDX-License-Identifier: Apache-2.0
// The jobs client against an edge that dies on it. Slow: a link is given up after 10 s.
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <thread>
#include <utility>
#include <variant>

#include "launcher/jobs_client.h"
#include "protocol/codec.h"
#include "runtime/actor/actor.h"
#include "runtime/actor/real_loop.h"

namespace baton {
namespace {

// Answers questions and accepts a job, but never says a word about it.
struct SilentEdge {
  using Inbox = std::variant<StatusRequest, ClientSubmit, ClientCancel>;
  void on(const StatusRequest& request, Outbox& out) {
    StatusReport report;
    report.tag = request.tag;
    out.send(out.sender(), report);
  }
  void on(const ClientSubmit& submit, Outbox& out) {
    out.send(out.sender(), ClientAccepted{submit.tag, "job-1", 1, 1});
    accepted.set_value();
  }
  void on(const ClientCancel& cancel, Outbox& out) { out.send(out.sender(), ClientCancelled{cancel.tag, false}); }
  void tick(Outbox&) {}
  std::promise<void> accepted;
};

TEST(JobsClient, AWaitingSubmitEndsWhenTheClusterDies) {
  SilentEdge edge;
  ActorCell<SilentEdge> cell(edge);
  RealLoopOptions options;
  options.node = node_id("edge/jobs");
  options.bind_address = "tcp://127.0.0.1:0";
  auto loop = RealLoop::open(options);
  ASSERT_TRUE(loop) << loop.error().message;
  (*loop)->add(0, cell);
  const std::string address = (*loop)->bound_address();
  std::thread server([&loop] { (*loop)->run(); });
  auto client = JobsClient::connect(address, std::chrono::seconds(10));
  ASSERT_TRUE(client) << client.error().message;

  std::promise<Result<void>> ended;
  std::thread waiting([&] { ended.set_value((*client)->submit(ClientSubmit{}, [](const JobsClient::Event&) {}, {})); });
  edge.accepted.get_future().wait();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // everything is acknowledged: the link is idle
  (*loop)->stop();
  server.join();
  loop->reset();

  auto end = ended.get_future();
  const bool in_time = end.wait_for(std::chrono::seconds(30)) == std::future_status::ready;
  EXPECT_TRUE(in_time);
  if (!in_time) std::abort();  // the waiting thread would never be joined
  const Result<void> result = end.get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kUnavailable);
  waiting.join();
}

}  // namespace
}  // namespace baton
