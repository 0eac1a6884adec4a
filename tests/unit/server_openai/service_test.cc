// SPDX-License-Identifier: Apache-2.0
// The gateway's routes: which methods they take, what they say, and the way of a body through the pool to the cluster and back.
#include <atomic>
#include <chrono>
#include <thread>

#include "server/openai_service.h"
#include "server/parse_pool.h"
#include "tests/unit/server_openai/openai_rig.h"

namespace baton::test {
namespace {

class Service : public ::testing::Test {
 protected:
  void start(std::size_t queue_max = 64, std::size_t queue_bytes_max = 1u << 20) {
    OpenAiOptions options;
    options.model.names = {"small", "default"};
    options.model.max_model_len = 64;
    options.model.created = 17;
    options.model.version = "1.2";
    options.model.fingerprint = "fp_1";
    options.model.tokenizer = tokenizer_.get();
    options.model.chat_template = *ChatTemplate::parse("{% for m in messages %}{{ m.content }}{% endfor %}", "", "");
    options.metrics_compat = {"vllm"};
    options.queue_max = queue_max;
    options.queue_bytes_max = queue_bytes_max;
    options.salting_keys = keys_;
    options.http = [] { return HttpCounters{.accepted = 3, .open = 1, .requests = 4, .refused = 2, .evicted = 0}; };
    service_ = std::make_unique<OpenAiService>(std::move(options), jobs_, http_);
  }
  void SetUp() override { start(); }
  std::shared_ptr<Told> ask(const std::string& method, const std::string& path, const std::string& body = {}, std::vector<HttpHeader> headers = {},
                            std::optional<std::size_t> key = std::nullopt) {
    auto told = std::make_shared<Told>();
    HttpRequest request{method, path, {}, std::move(headers), body, key};
    request.headers.push_back({"content-type", "application/json"});
    service_->handle(std::move(request), std::make_shared<KeptExchange>(told));
    return told;
  }
  // Turns the HTTP thread until it is true.
  template <class Condition>
  void turn_until(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      if (!http_.turn()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  std::shared_ptr<Told> answered(const std::shared_ptr<Told>& told) {
    turn_until([&] { return told->responded; });
    return told;
  }
  static json::value body(const std::shared_ptr<Told>& told) { return json::parse(told->body); }
  static std::string header(const std::shared_ptr<Told>& told, const std::string& name) {
    for (const HttpHeader& each : told->head.headers)
      if (each.name == name) return each.value;
    return "(none)";
  }

  std::unique_ptr<MoodyTokenizer> tokenizer_ = std::make_unique<MoodyTokenizer>();
  HandTurnedThread http_;
  HeldJobs jobs_;
  std::shared_ptr<const ApiKeys> keys_;
  std::unique_ptr<OpenAiService> service_;
};

TEST(PeekRequestId, FindsTheBodysOwn) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"request_id":"a"})", "a"},
      {R"( { "x" : [ "request_id" , {"request_id":"in"} ] , "request_id" : "b" } )", "b"},
      {R"({"request_id":"a","request_id":"b"})", "b"},
      {R"({"x":"\"request_id\":\"c\""})", ""},
      {R"({"x":"request_id","y":"z"})", ""},
      {R"({"request_id":7})", ""},
      {R"({"request_id":"a","request_id":null})", ""},
      {R"({"request_id":"a","request\u005fid":"b"})", ""},
      {R"({"request_id":"a","x":"\n"})", "a"},
      {R"({"request_id":"\u0061"})", ""},
      {R"({"request_id")", ""},
      {R"({"request_id":")", ""},
      {R"({"request_id":)", ""},
      {R"("request_id":"a")", ""},
      {R"([["request_id":"a"]])", ""},
      {"", ""}};
  for (const auto& [text, id] : cases) EXPECT_EQ(peek_request_id(text), id) << text;
  EXPECT_EQ(peek_request_id(R"({"request_id":")" + std::string(65, 'x') + "\"}"), "");
}

TEST_F(Service, ATimeLimitOfTheClientsIsThatOfItsJobs) {
  const std::pair<const char*, std::uint64_t> good[] = {{"30", 30'000'000'000}, {"1.5", 1'500'000'000}, {"0.001", 1'000'000}};
  for (const auto& [given, ns] : good) {
    const std::size_t before = jobs_.submitted.size();
    ask("POST", "/v1/completions", R"({"prompt":["a","b"]})", {HttpHeader{"x-request-timeout", given}});
    turn_until([&] { return jobs_.submitted.size() == before + 2; });
    EXPECT_EQ(jobs_.submitted[before].time_limit_ns, ns);
    EXPECT_EQ(jobs_.submitted[before + 1].time_limit_ns, ns);
  }
  for (const char* given : {"0", "-1", "x", "3s", ".", "1e9", "99999999999999999999"}) {
    const auto told = ask("POST", "/v1/completions", R"({"prompt":"a"})", {HttpHeader{"x-request-timeout", given}});
    EXPECT_EQ(told->head.status, 400u) << given;
    EXPECT_EQ(body(told).at("error").at("param"), "X-Request-Timeout");
  }
}

TEST_F(Service, UnknownRoutesAndMethods) {
  EXPECT_EQ(body(ask("GET", "/v2/x")).at("error").at("code"), "unknown_url");
  for (const char* path : {"/v1/completions", "/v1/chat/completions", "/tokenize"}) {
    const auto told = ask("GET", path);
    EXPECT_EQ(told->head.status, 405u) << path;
    EXPECT_EQ(header(told, "Allow"), "POST") << path;
  }
  EXPECT_EQ(header(ask("POST", "/v1/models"), "Allow"), "GET, HEAD");
  EXPECT_EQ(header(ask("POST", "/v1/models/small"), "Allow"), "GET, HEAD");
  EXPECT_EQ(header(ask("PUT", "/v1/requests/x"), "Allow"), "GET, HEAD, DELETE");
  EXPECT_EQ(ask("HEAD", "/v1/models")->head.status, 200u);
}

TEST_F(Service, Models) {
  EXPECT_EQ(body(ask("GET", "/v1/models")).at("data").as_array().size(), 2u);
  EXPECT_EQ(ask("GET", "/v1/models/default")->body, R"({"id":"default","object":"model","created":17,"owned_by":"baton","max_model_len":64})");
  EXPECT_EQ(body(ask("GET", "/v1/models/other")).at("error").at("code"), "model_not_found");
}

TEST_F(Service, ReadinessIsTheClusters) {
  EXPECT_EQ(ask("GET", "/live")->head.status, 200u);
  EXPECT_EQ(ask("GET", "/ready")->head.status, 503u) << "no worker yet";
  for (const Role role : {Role::kPrefill, Role::kDecode}) {
    WorkerStatus worker;
    worker.role = role;
    worker.state = WorkerState::kReady;
    jobs_.report->workers.push_back(worker);
  }
  EXPECT_EQ(ask("GET", "/ready")->head.status, 200u);
  EXPECT_EQ(ask("GET", "/health")->head.status, 200u);
  jobs_.report->workers[1].state = WorkerState::kLost;
  EXPECT_EQ(ask("GET", "/ready")->head.status, 503u);
  jobs_.report.reset();
  EXPECT_EQ(header(ask("GET", "/health"), "Retry-After"), "1");
}

TEST_F(Service, ACompletionGoesThroughThePool) {
  const auto told = ask("POST", "/v1/completions", R"({"prompt":"ab","max_tokens":3,"future":1})", {{"x-request-id", "mine"}});
  turn_until([&] { return !jobs_.submitted.empty(); });
  EXPECT_EQ(jobs_.submitted[0].prompt_ids, oracle_ids("ab"));
  EXPECT_EQ(jobs_.submitted[0].sampling.max_tokens, 3u);
  const std::string id = jobs_.submitted[0].id;
  EXPECT_TRUE(id.starts_with("cmpl-")) << id;
  EXPECT_EQ(body(ask("GET", "/v1/requests/" + id)).at("status"), "running");
  ClientDone done;
  done.reason = FinishReason::kLength;
  done.decode_worker = "decode-0";
  jobs_.say(0, {ClientAccepted{0, id, 2, 0}, tokens_of("xyz"), done});
  EXPECT_EQ(body(told).at("choices").at(0).at("text"), "xyz");
  EXPECT_EQ(body(told).at("id").as_string(), id);
  EXPECT_EQ(header(told, "X-Request-Id"), "mine");
  EXPECT_EQ(header(told, "X-Ignored-Params"), "future");
  const json::value entry = body(ask("GET", "/v1/requests/" + id));
  EXPECT_EQ(entry.at("status"), "completed");
  EXPECT_EQ(entry.at("decode_worker"), "decode-0");
  EXPECT_EQ(entry.at("usage").at("total_tokens"), 5);
}

TEST_F(Service, JobsOfOneCallHaveNamesOfTheirOwn) {
  ask("POST", "/v1/completions", R"({"prompt":["a","b"],"max_tokens":3})");
  turn_until([&] { return jobs_.submitted.size() == 2; });
  EXPECT_TRUE(jobs_.submitted[0].id.ends_with("-0"));
  EXPECT_TRUE(jobs_.submitted[1].id.ends_with("-1"));
}

TEST_F(Service, WrongBodiesAreRefused) {
  const auto bad = answered(ask("POST", "/v1/chat/completions", "{]"));
  EXPECT_EQ(bad->head.status, 400u);
  EXPECT_EQ(body(bad).at("error").at("type"), "invalid_request_error");
  EXPECT_NE(header(bad, "X-Request-Id"), "(none)");
  auto told = std::make_shared<Told>();
  service_->handle({"POST", "/v1/completions", {}, {{"content-type", "text/plain"}}, "{}"}, std::make_shared<KeptExchange>(told));
  EXPECT_EQ(told->head.status, 415u);
  EXPECT_NE(header(told, "X-Request-Id"), "(none)");
  EXPECT_TRUE(jobs_.submitted.empty());
}

TEST_F(Service, AClientThatGoesWhileItsBodyIsReadLeavesNoJob) {
  const auto told = ask("POST", "/v1/completions", R"({"prompt":"ab"})");
  told->gone();
  ask("POST", "/v1/completions", R"({"prompt":"behind it"})");
  turn_until([&] { return !jobs_.submitted.empty(); });
  EXPECT_EQ(jobs_.submitted.size(), 1u);
  EXPECT_EQ(jobs_.submitted[0].prompt_ids, oracle_ids("behind it"));
  EXPECT_FALSE(told->responded);
}

TEST_F(Service, AFullPoolIsAnError503) {
  start(0);
  const auto told = ask("POST", "/v1/completions", R"({"prompt":"ab"})");
  EXPECT_EQ(told->head.status, 503u);
  EXPECT_EQ(body(told).at("error").at("code"), "overloaded");
  EXPECT_EQ(header(told, "x-should-retry"), "true");
}

TEST_F(Service, BodiesThatWaitAreBoundedInBytes) {
  start(64, 100);
  const std::string large = R"({"prompt":")" + std::string(100, 'a') + "\"}";
  EXPECT_EQ(body(ask("POST", "/v1/completions", large)).at("error").at("code"), "overloaded");
  for (int i = 0; i < 20; ++i) {  // one after another they pass: what was read holds nothing
    ask("POST", "/v1/completions", R"({"prompt":"ab"})" + std::string(60, ' '));
    turn_until([&] { return jobs_.submitted.size() == static_cast<std::size_t>(i) + 1; });
  }
}

TEST_F(Service, AnotherKeysRequestsAreNotThere) {
  const auto told = ask("POST", "/v1/completions", R"({"prompt":"ab","request_id":"guessed"})", {}, 1);
  turn_until([&] { return !jobs_.submitted.empty(); });
  const std::string path = "/v1/requests/" + jobs_.submitted[0].id;
  for (const char* method : {"GET", "HEAD", "DELETE"})
    for (const std::optional<std::size_t> key : {std::optional<std::size_t>(0), std::optional<std::size_t>()})
      EXPECT_EQ(ask(method, path, {}, {}, key)->head.status, 404u) << method;
  EXPECT_FALSE(told->responded) << "it goes on";
  EXPECT_EQ(body(ask("GET", path, {}, {}, 1)).at("status"), "running");
  EXPECT_EQ(body(ask("DELETE", path, {}, {}, 1)).at("cancelled"), true);
}

TEST_F(Service, KeysShareNoKvUnlessTheyAreToldTo) {
  const auto salts = [&](std::shared_ptr<const ApiKeys> keys) {
    keys_ = std::move(keys);
    start();
    std::vector<std::string> found;
    for (const char* own : {"", R"(,"cache_salt":"mine")"})
      for (const std::size_t key : {0, 0, 1}) {
        const std::size_t before = jobs_.submitted.size();
        ask("POST", "/v1/completions", std::string(R"({"prompt":["ab","cd"])") + own + "}", {}, key);
        turn_until([&] { return jobs_.submitted.size() == before + 2; });
        found.push_back(jobs_.submitted[before].cache_salt);
        EXPECT_EQ(jobs_.submitted[before + 1].cache_salt, found.back()) << "one request, one salt";
      }
    return found;
  };
  const auto apart = salts(std::make_shared<const ApiKeys>(*ApiKeys::parse("alice-key-1\nbob-key-22\n", "keys")));
  EXPECT_EQ(apart[0], apart[1]);
  EXPECT_NE(apart[0], apart[2]);
  EXPECT_EQ(apart[3], apart[4]);
  EXPECT_NE(apart[3], apart[5]) << "a salt of one's own is no way to somebody else's KV";
  EXPECT_NE(apart[0], apart[3]);
  EXPECT_FALSE(apart[0].empty());
  EXPECT_EQ(salts(nullptr), (std::vector<std::string>{"", "", "", "mine", "mine", "mine"}));
}

TEST_F(Service, TokensAndText) {
  EXPECT_EQ(answered(ask("POST", "/tokenize", R"({"prompt":"ab","return_token_strs":true})"))->body,
            R"({"count":2,"max_model_len":64,"tokens":[98,99],"token_strs":["a","b"]})");
  EXPECT_EQ(body(answered(ask("POST", "/tokenize", R"({"messages":[{"role":"user","content":"ab"}]})"))).at("count"), 2);
  const std::string longer = R"({"messages":[{"role":"user","content":")" + std::string(100, 'a') + R"("}]})";
  EXPECT_EQ(body(answered(ask("POST", "/tokenize", longer))).at("count"), 100) << "beyond the context of 64";
  EXPECT_EQ(answered(ask("POST", "/detokenize", R"({"tokens":[98,99]})"))->body, R"({"prompt":"ab"})");
  for (const char* wrong : {"{}", R"({"tokens":"x"})", R"({"tokens":[-1]})", R"({"tokens":[512]})", R"({"tokens":[1.5]})", "[]"})
    EXPECT_EQ(answered(ask("POST", "/detokenize", wrong))->head.status, 400u) << wrong;
  for (const char* path : {"/tokenize", "/detokenize"}) {
    EXPECT_EQ(body(answered(ask("POST", path, R"({"prompt":"a","tokens":[1],"model":"other"})"))).at("error").at("code"), "model_not_found") << path;
    EXPECT_EQ(answered(ask("POST", path, R"({"prompt":"a","tokens":[1],"model":"default"})"))->head.status, 200u) << path;
  }
  for (const char* wrong : {"{}", R"({"prompt":7})", R"({"prompt":"a","add_special_tokens":"no"})", "7"})
    EXPECT_EQ(answered(ask("POST", "/tokenize", wrong))->head.status, 400u) << wrong;
}

// A list of eight million ids, and their texts, would be a gigabyte on the way.
TEST_F(Service, MoreTokensThanAJobMayHaveAreNotListed) {
  start(64, 16u << 20);
  const auto told = answered(ask("POST", "/tokenize", R"({"prompt":")" + std::string((1u << 20) + 1, 'a') + R"(","return_token_strs":true})"));
  EXPECT_EQ(told->head.status, 400u);
  EXPECT_EQ(body(told).at("error").at("param"), "prompt");
}

TEST_F(Service, ARequestIsCancelledByItsName) {
  const auto told = ask("POST", "/v1/completions", R"({"prompt":"ab"})");
  turn_until([&] { return !jobs_.submitted.empty(); });
  const std::string id = jobs_.submitted[0].id;
  EXPECT_EQ(body(ask("DELETE", "/v1/requests/" + id)).at("cancelled"), true);
  EXPECT_EQ(body(told).at("error").at("code"), "cancelled");
  EXPECT_EQ(body(ask("DELETE", "/v1/requests/" + id)).at("cancelled"), false) << "it has ended";
  EXPECT_EQ(body(ask("GET", "/v1/requests/" + id)).at("status"), "cancelled");
  EXPECT_EQ(ask("DELETE", "/v1/requests/none")->head.status, 404u);
}

TEST_F(Service, ARequestIsThereAndCanBeCancelledWhileItsBodyIsRead) {
  const std::string body_text = R"({"prompt":"wait","metadata":{"request_id":"inner"},"request_id":"mine"})";
  const auto told = ask("POST", "/v1/completions", body_text, {}, 1);
  const std::string path = "/v1/requests/cmpl-mine";
  const json::value shown = body(ask("GET", path, {}, {}, 1));
  EXPECT_EQ(shown.at("status"), "parsing");
  EXPECT_EQ(shown.at("id"), "cmpl-mine");
  EXPECT_TRUE(shown.at("model").is_null());
  EXPECT_EQ(ask("GET", "/v1/requests/cmpl-inner", {}, {}, 1)->head.status, 404u);
  for (const char* method : {"GET", "DELETE"}) EXPECT_EQ(ask(method, path, {}, {}, 0)->head.status, 404u) << "of another key";
  EXPECT_EQ(body(ask("DELETE", path, {}, {}, 1)).at("cancelled"), true);
  ASSERT_TRUE(told->responded);
  EXPECT_EQ(told->head.status, 400u);
  EXPECT_EQ(body(told).at("error").at("code"), "cancelled");
  EXPECT_NE(header(told, "X-Request-Id"), "(none)");
  EXPECT_EQ(body(ask("GET", path, {}, {}, 1)).at("status"), "cancelled");
  EXPECT_EQ(body(ask("DELETE", path, {}, {}, 1)).at("cancelled"), false);
  tokenizer_->go = true;
  tokenizer_->go.notify_all();
  ask("POST", "/v1/completions", R"({"prompt":"behind it"})");
  turn_until([&] { return !jobs_.submitted.empty(); });
  EXPECT_EQ(jobs_.submitted[0].prompt_ids, oracle_ids("behind it"));
}

TEST_F(Service, MetricsOfBothDialects) {
  const auto told = ask("GET", "/metrics");
  EXPECT_NE(told->body.find("baton_http_requests_total 4\n"), std::string::npos) << told->body;
  EXPECT_NE(told->body.find("baton_build_info{version=\"1.2\"} 1\n"), std::string::npos);
  EXPECT_NE(told->body.find("vllm:num_requests_running{model_name=\"small\",engine=\"0\"} 0\n"), std::string::npos);
}

TEST_F(Service, ABodyThatThePoolFailsAtIsAnsweredAndThePoolGoesOn) {
  for (const char* path : {"/v1/completions", "/tokenize"})
    for (int i = 0; i < 3; ++i) {
      const auto told = answered(ask("POST", path, R"({"prompt":"poison"})"));
      EXPECT_EQ(told->head.status, 500u);
      EXPECT_EQ(body(told).at("error").at("code"), "internal_error");
    }
  EXPECT_EQ(body(answered(ask("POST", "/tokenize", R"({"prompt":"ab"})"))).at("count"), 2);
}

TEST_F(Service, ARequestThatCannotBeBegunIsAnswered) {
  const auto told = ask("POST", "/v1/completions", R"({"prompt":"ab"})");
  jobs_.refuses = true;
  answered(told);
  EXPECT_EQ(told->head.status, 500u);
  EXPECT_EQ(body(told).at("error").at("code"), "internal_error");
  EXPECT_NE(header(told, "X-Request-Id"), "(none)");
  EXPECT_NE(ask("GET", "/metrics")->body.find("baton_gateway_requests_running 0\n"), std::string::npos);
}

TEST(Pool, OutlivesWorkThatThrows) {
  ParsePool pool(1, 64, 100);
  ASSERT_TRUE(pool.run([] { throw std::runtime_error("on purpose"); }, 100));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  std::atomic<bool> ran{false};
  while (!pool.run([&ran] { ran = true; }, 100)) ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "its bytes are given back";
  while (!ran) ASSERT_LT(std::chrono::steady_clock::now(), deadline);
}

TEST(Pool, DropsWhatHasNotBegun) {
  std::atomic<int> ran{0};
  {
    ParsePool pool(1, 2, 100);
    ASSERT_TRUE(pool.run([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      ++ran;
    }, 1));
    while (!pool.run([] {}, 1)) std::this_thread::yield();
  }
  EXPECT_LE(ran, 1);
}

TEST(Pool, TakesNoMoreBytesThanItMayHold) {
  ParsePool pool(1, 64, 100);
  std::atomic<bool> go{false};
  ASSERT_TRUE(pool.run([&] { go.wait(false); }, 60));
  EXPECT_FALSE(pool.run([] {}, 41)) << "what runs counts";
  EXPECT_TRUE(pool.run([] {}, 40));
  EXPECT_FALSE(pool.run([] {}, 1));
  go = true;
  go.notify_all();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!pool.run([] {}, 100)) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    std::this_thread::yield();
  }
}

}  // namespace
}  // namespace baton::test
