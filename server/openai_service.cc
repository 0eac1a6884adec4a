// SPDX-License-Identifier: Apache-2.0
#include "server/openai_service.h"

#include <algorithm>
#include <atomic>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <map>
#include <optional>
#include <utility>

#include "config/units.h"
#include "protocol/validate.h"
#include "runtime/base/hash.h"
#include "runtime/base/log.h"
#include "server/cluster_metrics.h"
#include "server/guarded.h"
#include "server/http_text.h"
#include "server/openai_answer.h"
#include "server/openai_error.h"
#include "server/openai_tokens.h"
#include "server/parse_pool.h"
#include "server/request_log.h"

namespace baton {
namespace {

namespace json = boost::json;

using Exchange = std::shared_ptr<HttpExchange>;

HttpResponse json_response(const json::value& body) { return {200, "application/json", {}, json::serialize(body)}; }

std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// "application/json", with or without parameters.
bool is_json(std::string_view content_type) {
  return equal_ignoring_case(trim_blanks(content_type.substr(0, content_type.find(';'))), "application/json");
}

double milliseconds(Duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

json::object show(const RequestLog::Entry& entry, Time now) {
  static constexpr const char* kStates[] = {"completed", "completed", "cancelled", "failed"};
  const auto outcome = static_cast<std::size_t>(entry.outcome);
  json::object object{{"id", entry.id},
                      {"object", "request"},
                      {"kind", entry.kind == CallKind::kChat ? "chat.completion" : "text_completion"},
                      {"model", entry.model.empty() ? json::value(nullptr) : json::value(entry.model)},  // null: its body was not read
                      {"status", entry.running ? "running" : kStates[outcome]}};
  const bool finished = !entry.running && (entry.outcome == RequestLog::Outcome::kStop || entry.outcome == RequestLog::Outcome::kLength);
  object["finish_reason"] = !finished ? json::value(nullptr) : entry.outcome == RequestLog::Outcome::kStop ? "stop" : "length";
  object["error"] = entry.error.empty() ? json::value(nullptr) : json::value(entry.error);
  object["usage"] = {{"prompt_tokens", entry.prompt_tokens},
                     {"completion_tokens", entry.completion_tokens},
                     {"total_tokens", entry.prompt_tokens + entry.completion_tokens}};
  const auto part = [](std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) * 1e-6; };
  const JobTimeline& timeline = entry.timeline;
  json::object timings{{"queue_ms", part(timeline.queue_ns)},
                       {"prefill_ms", part(timeline.prefill_ns)},
                       {"transfer_ms", part(timeline.transfer_ns)},
                       {"first_step_ms", part(timeline.first_step_ns)},
                       {"decode_ms", part(timeline.decode_ns)}};
  timings["ttft_ms"] = entry.first_token == Time{} ? json::value(nullptr) : json::value(milliseconds(entry.first_token - entry.began));
  timings["total_ms"] = milliseconds((entry.running ? now : entry.ended) - entry.began);
  object["timings"] = std::move(timings);
  object["prefill_worker"] = entry.prefill_worker;
  object["decode_worker"] = entry.decode_worker;
  object["kv_bytes_moved"] = entry.kv_bytes_moved;
  object["transport"] = entry.transport;
  return object;
}

bool can_serve(const StatusReport& report) {
  bool prefill = false, decode = false;
  for (const WorkerStatus& worker : report.workers) {
    if (worker.state != WorkerState::kReady) continue;
    prefill |= worker.role != Role::kDecode;
    decode |= worker.role != Role::kPrefill;
  }
  return prefill && decode;
}

}  // namespace

class OpenAiService::Impl {
 public:
  Impl(OpenAiOptions options, JobPort& jobs, HttpThread& http)
      : options_(std::move(options)),
        jobs_(jobs),
        http_(http),
        log_(books()),
        gathered_(std::make_shared<ByteAccount>(options_.gathered_bytes_max)),
        environment_{jobs_, http_, options_.model, log_, gathered_},
        pool_(std::max(1U, options_.threads), options_.queue_max, options_.queue_bytes_max) {
    metrics_.set("build_info", "The gateway's version.", {{"version", options_.model.version}}, 1);
  }

  void handle(HttpRequest request, Exchange exchange) {
    if (request.path.starts_with(kModels)) return models(request, request.path.substr(kModels.size()), exchange);
    if (request.path.starts_with(kRequests)) return requests(request, request.path.substr(kRequests.size()), exchange);
    for (const Route& route : kRoutes) {
      if (request.path != route.path) continue;
      const bool asked = request.method == route.method || (request.method == "HEAD" && route.method == std::string_view("GET"));
      if (!asked) return refuse_method(route.method, exchange);
      return (this->*route.handle)(std::move(request), exchange);
    }
    exchange->respond(to_response({404, "there is no " + request.method + ' ' + request.path + " here", "", "unknown_url"}));
  }

 private:
  struct Route {
    const char* method;
    const char* path;
    void (Impl::*handle)(HttpRequest, const Exchange&);
  };
  static constexpr std::string_view kModels = "/v1/models/";
  static constexpr std::string_view kRequests = "/v1/requests/";
  static const std::vector<Route> kRoutes;

  // A request whose body is on the pool.
  struct Parsing {
    Exchange exchange;
    std::vector<HttpHeader> headers = {};
    CallKind kind = CallKind::kCompletion;
    std::string id = {};  // of its answer, as far as can be seen; "": it has none
    std::optional<std::size_t> key = {};
    Time began{};
    std::uint64_t time_limit_ns = 0;  // its client's; 0: the cluster's
    std::shared_ptr<std::atomic<bool>> wanted = std::make_shared<std::atomic<bool>>(true);  // false: the pool need not read it any more
  };

  std::vector<RequestLog::Book> books() {
    const std::string& model = options_.model.names.front();
    std::vector<RequestLog::Book> books;
    books.push_back({metrics_, {{"model", model}}});
    vllm_ = std::find(options_.metrics_compat.begin(), options_.metrics_compat.end(), "vllm") != options_.metrics_compat.end();
    if (vllm_) books.push_back({vllm_metrics_, vllm_labels()});
    return books;
  }

  MetricLabels vllm_labels() const { return {{"model_name", options_.model.names.front()}, {"engine", "0"}}; }

  static void refuse_method(const std::string& allowed, const Exchange& exchange) {
    HttpResponse response = to_response({405, "this route takes " + allowed, "", "method_not_allowed"});
    response.headers.push_back({"Allow", allowed == "GET" ? "GET, HEAD" : allowed});
    exchange->respond(std::move(response));
  }

  // ---- what is known here ----

  void live(HttpRequest, const Exchange& exchange) { exchange->respond(json_response(json::object{{"status", "live"}})); }
  void version(HttpRequest, const Exchange& exchange) {
    exchange->respond(json_response(json::object{{"version", options_.model.version}}));
  }

  void ready(HttpRequest, const Exchange& exchange) {
    jobs_.status(false, [exchange](const std::optional<StatusReport>& report) {
      answer_guarded(exchange, {}, [&] {
        if (!report) return exchange->respond(to_response({503, "the coordinator does not answer", "", "unavailable"}));
        if (!can_serve(*report))
          return exchange->respond(to_response({503, "no worker is ready to prefill, or none to decode", "", "unavailable"}));
        exchange->respond(json_response(json::object{{"status", "ready"}}));
      });
    });
  }

  void metrics(HttpRequest, const Exchange& exchange) {
    jobs_.status(true, [this, exchange](const std::optional<StatusReport>& report) {
      answer_guarded(exchange, {}, [&] {
        exchange->respond({200, "text/plain; version=0.0.4; charset=utf-8", {}, metrics_text(report ? &*report : nullptr)});
      });
    });
  }

  std::string metrics_text(const StatusReport* report) {
    if (options_.http) set_http_metrics(metrics_, options_.http());
    set_cluster_metrics(metrics_, options_.model.names.front(), report);
    metrics_.set("gateway_requests_running", "Requests that the gateway is answering.", {}, static_cast<double>(log_.running()));
    metrics_.set("gateway_requests_parsing", "Requests whose body is being read and tokenised.", {}, static_cast<double>(parsing_.size()));
    metrics_.set("gateway_answer_bytes", "Bytes of answers that are being gathered, because they are not streamed.", {}, static_cast<double>(gathered_->held()));
    std::string text = metrics_.text("baton_");
    if (vllm_) set_vllm_metrics(vllm_metrics_, vllm_labels(), report);
    if (vllm_) text += vllm_metrics_.text("vllm:");
    return text;
  }

  json::object show_model(const std::string& name) const {
    return {{"id", name},
            {"object", "model"},
            {"created", options_.model.created},
            {"owned_by", "baton"},
            {"max_model_len", options_.model.max_model_len}};
  }

  void all_models(HttpRequest, const Exchange& exchange) {
    json::array data;
    for (const std::string& name : options_.model.names) data.emplace_back(show_model(name));
    exchange->respond(json_response(json::object{{"object", "list"}, {"data", std::move(data)}}));
  }

  void models(const HttpRequest& request, const std::string& name, const Exchange& exchange) {
    if (request.method != "GET" && request.method != "HEAD") return refuse_method("GET", exchange);
    const auto& names = options_.model.names;
    if (std::find(names.begin(), names.end(), name) == names.end()) return exchange->respond(to_response(model_not_found(name)));
    exchange->respond(json_response(show_model(name)));
  }

  void requests(const HttpRequest& request, const std::string& id, const Exchange& exchange) {
    const bool cancel = request.method == "DELETE";
    if (!cancel && request.method != "GET" && request.method != "HEAD") return refuse_method("GET, HEAD, DELETE", exchange);
    // Of another key it is not known: ids may be guessed, or chosen.
    const RequestLog::Entry* const entry = log_.find(id);
    const bool known = entry != nullptr && entry->key == request.key;
    if (!known || !entry->running)
      for (const auto& [number, parsing] : parsing_) {
        if (id.empty() || parsing.id != id || parsing.key != request.key) continue;
        return cancel ? cancel_parsing(number, exchange) : show_parsing(parsing, exchange);
      }
    if (!known)
      return exchange->respond(to_response({404, "no request '" + id + "' is running here or has ended lately", "", "not_found"}));
    if (!cancel) return exchange->respond(json_response(show(*entry, http_.now())));
    const bool cancelled = log_.cancel(id);
    exchange->respond(json_response(json::object{{"id", id}, {"object", "request"}, {"cancelled", cancelled}}));
  }

  void show_parsing(const Parsing& parsing, const Exchange& exchange) const {
    RequestLog::Entry entry;
    entry.id = parsing.id;
    entry.kind = parsing.kind;
    entry.began = parsing.began;
    json::object object = show(entry, http_.now());
    object["status"] = "parsing";
    exchange->respond(json_response(object));
  }

  void cancel_parsing(std::uint64_t number, const Exchange& exchange) {
    const Parsing parsing = take_parsing(number);
    *parsing.wanted = false;
    const ApiError error = api_error(ErrorCode::kCancelled, "the request was cancelled before its end");
    if (!is_running(parsing.id)) {  // else it would have been refused for its name
      OpenAiCall call;
      call.id = parsing.id;
      call.kind = parsing.kind;
      call.key = parsing.key;
      log_.began(call, parsing.began, [] {});
      log_.ended(parsing.id, RequestLog::Outcome::kCancelled, http_.now(), error.message);
    }
    respond(to_response(error), parsing.headers, parsing.exchange);
    exchange->respond(json_response(json::object{{"id", parsing.id}, {"object", "request"}, {"cancelled", true}}));
  }

  Parsing take_parsing(std::uint64_t number) {
    const auto it = parsing_.find(number);
    Parsing parsing = std::move(it->second);
    parsing_.erase(it);
    return parsing;
  }

  // ---- what is read on the pool ----

  void completions(HttpRequest request, const Exchange& exchange) { parse(CallKind::kCompletion, std::move(request), exchange); }
  void chat_completions(HttpRequest request, const Exchange& exchange) { parse(CallKind::kChat, std::move(request), exchange); }

  void tokenize(HttpRequest request, const Exchange& exchange) {
    compute([this, now = unix_seconds()](std::string_view body) { return tokenize_body(body, options_.model, now); }, std::move(request), exchange);
  }
  void detokenize(HttpRequest request, const Exchange& exchange) {
    compute([this](std::string_view body) { return detokenize_body(body, options_.model); }, std::move(request), exchange);
  }

  void parse(CallKind kind, HttpRequest request, const Exchange& exchange) {
    const std::string suffix = to_hex(mix64(options_.random_key, 2 * next_id_)) + to_hex(mix64(options_.random_key, 2 * next_id_ + 1));
    std::vector<HttpHeader> headers = request_id(request, suffix);
    const std::int64_t now = unix_seconds();
    const std::string named = peek_request_id(request.body);
    const std::string id = id_prefix(kind) + (named.empty() ? suffix : named);
    const auto limit = time_limit(request);
    if (!limit) return respond(to_response(limit.error()), headers, exchange);
    Parsing parsing{exchange, std::move(headers), kind, id};
    parsing.time_limit_ns = *limit;
    on_pool(std::move(request), std::move(parsing), [this, kind, suffix, now](const std::string& body, std::uint64_t number) {
      auto call = std::make_shared<tl::expected<OpenAiCall, ApiError>>(read_call(kind, body, options_.model, suffix, now));
      http_.post([this, number, call] { parsed(number, std::move(*call)); });
    });
  }

  void parsed(std::uint64_t number, tl::expected<OpenAiCall, ApiError> call) {
    if (!parsing_.contains(number)) return;  // its client went away meanwhile, or it was cancelled
    const Parsing parsing = take_parsing(number);
    answer_guarded(parsing.exchange, parsing.headers, [&] { begin(parsing, std::move(call)); });
  }

  void begin(const Parsing& parsing, tl::expected<OpenAiCall, ApiError> call) {
    std::vector<HttpHeader> headers = parsing.headers;
    if (call && is_running(call->id))
      call = tl::unexpected(bad_value("request_id", "is that of a request that is running: choose another"));
    if (!call) return respond(to_response(call.error()), headers, parsing.exchange);
    if (!call->ignored.empty()) {
      std::string names;
      for (const std::string& name : call->ignored) names += (names.empty() ? "" : ", ") + name;
      headers.push_back({"X-Ignored-Params", names});
    }
    // The cluster's name of a job is the answer's, so that `baton cancel` and `baton trace` find it.
    for (std::size_t i = 0; i < call->jobs.size(); ++i) call->jobs[i].id = call->jobs.size() == 1 ? call->id : call->id + '-' + std::to_string(i);
    call->key = parsing.key;
    for (ClientSubmit& job : call->jobs) job.time_limit_ns = parsing.time_limit_ns;
    if (options_.salting_keys && call->key)
      for (ClientSubmit& job : call->jobs) job.cache_salt = options_.salting_keys->cache_salt(*call->key, job.cache_salt);
    answer_call(std::move(*call), parsing.exchange, std::move(headers), environment_);
  }

  bool is_running(const std::string& id) const {
    const RequestLog::Entry* const entry = log_.find(id);
    return entry != nullptr && entry->running;
  }

  // A body to a body.
  using Compute = std::function<tl::expected<json::object, ApiError>(std::string_view)>;
  void compute(Compute work, HttpRequest request, const Exchange& exchange) {
    on_pool(std::move(request), {exchange}, [this, work](const std::string& body, std::uint64_t number) {
      const auto result = work(body);
      auto response = std::make_shared<HttpResponse>(result ? json_response(*result) : to_response(result.error()));
      http_.post([this, number, response] { computed(number, std::move(*response)); });
    });
  }

  void computed(std::uint64_t number, HttpResponse response) {
    if (parsing_.contains(number)) take_parsing(number).exchange->respond(std::move(response));
  }

  // Runs `work` with the body on the pool; the exchange waits here, for it is the HTTP thread's.
  template <class Work>
  void on_pool(HttpRequest request, Parsing parsing, Work work) {
    if (!is_json(request.header("content-type")))
      return respond(to_response({415, "send the body as Content-Type: application/json", "", "unsupported_media_type"}), parsing.headers, parsing.exchange);
    const std::uint64_t number = next_id_++;
    auto body = std::make_shared<std::string>(std::move(request.body));
    const std::size_t bytes = body->size();
    parsing.key = request.key;
    parsing.began = http_.now();
    const auto read = [this, work, body, number, wanted = parsing.wanted] {
      if (!*wanted || run_guarded("reading a body", [&] { work(*body, number); })) return;
      std::string().swap(*body);  // its memory may be what was missing
      http_.post([this, number] { unread(number); });
    };
    if (!pool_.run(read, bytes))
      return respond(to_response({503, "too many requests wait to be read; try again", "", "overloaded"}), parsing.headers, parsing.exchange);
    parsing.exchange->on_gone([this, number, wanted = parsing.wanted] {
      *wanted = false;
      parsing_.erase(number);
    });
    parsing_.emplace(number, std::move(parsing));
  }

  // What its pool's thread could not read.
  void unread(std::uint64_t number) {
    if (!parsing_.contains(number)) return;
    const Parsing parsing = take_parsing(number);
    respond(to_response(internal_error()), parsing.headers, parsing.exchange);
  }

  // Runs `turn`, which answers; where it throws, that is the answer.
  template <class Turn>
  static void answer_guarded(const Exchange& exchange, const std::vector<HttpHeader>& headers, Turn turn) {
    if (!run_guarded("answering a request", std::move(turn))) respond(to_response(internal_error()), headers, exchange);
  }

  // X-Request-Timeout: how many seconds the answer is of use. 0: it is not given.
  static tl::expected<std::uint64_t, ApiError> time_limit(const HttpRequest& request) {
    const std::string_view given = request.header("x-request-timeout");
    if (given.empty()) return 0;
    const bool number = given.find_first_not_of("0123456789.") == std::string_view::npos;
    const auto limit = number ? parse_duration(std::string(given) + 's') : Result<Duration>(Duration{});
    if (!limit || *limit <= Duration{}) return tl::unexpected(bad_value("X-Request-Timeout", "must be a number of seconds above 0, as in 30 or 1.5"));
    return static_cast<std::uint64_t>(limit->count());
  }

  // X-Request-Id: the client's, if it is one, or ours.
  static std::vector<HttpHeader> request_id(const HttpRequest& request, const std::string& own) {
    const std::string given(request.header("x-request-id"));
    return {{"X-Request-Id", !given.empty() && validate_label("X-Request-Id", given) ? given : own}};
  }

  static void respond(HttpResponse response, const std::vector<HttpHeader>& headers, const Exchange& exchange) {
    response.headers.insert(response.headers.end(), headers.begin(), headers.end());
    exchange->respond(std::move(response));
  }

  OpenAiOptions options_;
  JobPort& jobs_;
  HttpThread& http_;
  bool vllm_ = false;
  Metrics metrics_, vllm_metrics_;
  RequestLog log_;
  const std::shared_ptr<ByteAccount> gathered_;
  AnswerEnvironment environment_;
  std::map<std::uint64_t, Parsing> parsing_;
  std::uint64_t next_id_ = 1;
  ParsePool pool_;  // the last: its threads use what is above
};

const std::vector<OpenAiService::Impl::Route> OpenAiService::Impl::kRoutes = {
    {"POST", "/v1/chat/completions", &Impl::chat_completions},
    {"POST", "/v1/completions", &Impl::completions},
    {"GET", "/v1/models", &Impl::all_models},
    {"POST", "/tokenize", &Impl::tokenize},
    {"POST", "/detokenize", &Impl::detokenize},
    {"GET", "/live", &Impl::live},
    {"GET", "/ready", &Impl::ready},
    {"GET", "/health", &Impl::ready},
    {"GET", "/version", &Impl::version},
    {"GET", "/metrics", &Impl::metrics},
};

OpenAiService::OpenAiService(OpenAiOptions options, JobPort& jobs, HttpThread& http)
    : impl_(std::make_unique<Impl>(std::move(options), jobs, http)) {}
OpenAiService::~OpenAiService() = default;
void OpenAiService::handle(HttpRequest request, std::shared_ptr<HttpExchange> exchange) {
  impl_->handle(std::move(request), std::move(exchange));
}

}  // namespace baton
