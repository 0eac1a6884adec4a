// SPDX-License-Identifier: Apache-2.0
// The gateway's process: an edge of its own and a client beside it on one loop, HTTP on another thread. What is served over
// HTTP is put together in run_gateway(), and nowhere else.
#include <sys/resource.h>

#include <chrono>
#include <memory>
#include <utility>

#include "actors/edge.h"
#include "config/address.h"
#include "launcher/environment.h"
#include "launcher/port_owner.h"
#include "launcher/process_parts.h"
#include "launcher/version.h"
#include "launcher/wire.h"
#include "runtime/base/hash.h"
#include "runtime/base/log.h"
#include "runtime/base/thread_name.h"
#include "server/api_keys.h"
#include "server/gateway_client.h"
#include "server/http_server.h"
#include "server/openai_error.h"
#include "server/openai_service.h"

namespace baton {
namespace {

constexpr std::uint32_t kEdgeSlot = 0;
constexpr std::uint32_t kClientSlot = 1;
constexpr unsigned kParseThreads = 2;

// Each connection is a descriptor; the soft limit is often 1024.
void allow_many_files() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

Result<HttpServerOptions> server_options(const Topology& topology) {
  HttpServerOptions options;
  options.server_name = std::string("baton/") + build_name().version;
  if (topology.security.api_keys_file.empty()) return options;
  auto keys = ApiKeys::load(topology.security.api_keys_file);
  if (!keys) return tl::unexpected<Error>(keys.error());
  options.keys = std::make_shared<const ApiKeys>(std::move(*keys));
  return options;
}

Result<void> listen(HttpServer& server, const std::string& where, const HttpHandler& handler, HttpAccess access) {
  const auto address = parse_host_port(where);
  if (!address) return tl::unexpected<Error>(address.error());
  const auto port = server.listen(*address, handler, access);
  if (port) return {};
  if (port.error().code == ErrorCode::kAlreadyExists)  // the kernel knows whose it is
    RETURN_IF_ERROR(check_port_free(*address, running_clusters(home_folder()), "gateway.http and gateway.admin"));
  return tl::unexpected<Error>(port.error());
}

// What the admin address has of all routes: those that neither use the model nor show what is asked of it.
HttpHandler watching_only(const HttpHandler& handler) {
  return [handler](HttpRequest request, const std::shared_ptr<HttpExchange>& exchange) {
    for (const char* path : {"/metrics", "/live", "/ready", "/health", "/version"})
      if (request.path == path) return handler(std::move(request), exchange);
    exchange->respond(to_response({404, "this address has /metrics, /live, /ready, /health and /version", "", "not_found"}));
  };
}

Result<void> listen_all(HttpServer& server, const Topology& topology, const HttpHandler& handler) {
  const GatewaySection& gateway = *topology.gateway;
  const bool guarded = !topology.security.insecure;
  RETURN_IF_ERROR(listen(server, gateway.http, handler, {true, guarded && topology.security.api_keys_file.empty()}));
  return gateway.admin.empty() ? Result<void>() : listen(server, gateway.admin, watching_only(handler), {false, guarded});
}

EdgeOptions edge_options(const Topology& topology, const EdgeModel& model, const std::string& address) {
  EdgeOptions options;
  options.name = "gateway";
  options.control_address = address;
  options.coordinator_address = topology.coordinator.control;
  options.coordinator_node = node_id("coordinator");
  options.max_model_len = model.max_model_len;
  options.default_max_tokens = model.max_model_len;  // OpenAI's: as far as the context goes
  return options;
}

OpenAiOptions service_options(const Topology& topology, const EdgeModel& model, const HttpServer& server,
                              const std::shared_ptr<const ApiKeys>& keys) {
  OpenAiOptions options;
  options.model.names = topology.model.served_model_name;
  options.model.max_model_len = model.max_model_len;
  options.model.created = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  options.model.version = build_name().version;
  // Changes with whatever may change an answer's tokens: the program, the model's file, how it computes.
  const std::string content = options.model.version + '\n' + build_name().commit + '\n' + topology.model.path + '\n' +
                              std::to_string(model.max_model_len) + '\n' + std::string(to_string(topology.numerics));
  options.model.fingerprint = "fp_" + to_hex(hash_bytes(content.data(), content.size(), 0));
  options.model.tokenizer = model.tokenizer.get();
  options.model.chat_template = model.chat_template;
  options.random_key = random_incarnation().value;
  options.metrics_compat = topology.observability.metrics_compat;
  options.threads = kParseThreads;
  if (!topology.security.share_prefix_cache) options.salting_keys = keys;
  options.http = [&server] { return server.counters(); };
  return options;
}

}  // namespace

int run_gateway(const Topology& topology) {
  set_logging(topology);
  allow_many_files();
  const auto model = load_edge_model(topology);
  if (!model) return failed("gateway", model.error());
  auto options = server_options(topology);
  if (!options) return failed("gateway", options.error());
  const auto keys = options->keys;
  HttpServer server(std::move(*options));

  LoopExit exit("gateway");
  RealLoop* signalled = nullptr;
  Drain drain(
      "gateway", topology.lifecycle.drain_timeout, [&] { server.begin_drain(); }, [&] { return server.exchanges() == 0; });
  RealLoopOptions control;
  control.node = node_id("edge/gateway");
  control.bind_address = "tcp://" + (topology.nodes.empty() ? std::string("127.0.0.1") : topology.nodes.front().address) + ":0";
  // An edge that waits for tokens has nothing to say, and whoever says nothing does not notice that the coordinator has another
  // life.
  control.links.keepalive = topology.lifecycle.heartbeat_interval;
  control.on_signal = [&](int) { drain.signalled(*signalled); };
  const auto loop = RealLoop::open(control);
  if (!loop) return failed("gateway", loop.error());
  signalled = loop->get();
  exit.attach(**loop);
  Edge edge(edge_options(topology, *model, (*loop)->bound_address()), *model->tokenizer, exit);
  ActorCell<Edge> edge_cell(edge);
  const ActorRef edge_actor = (*loop)->add(kEdgeSlot, edge_cell);
  GatewayClient client(server, (*loop)->executor(), kClientSlot, edge_actor, random_incarnation().value);
  ActorCell<GatewayClient> client_cell(client);
  (*loop)->add(kClientSlot, client_cell);
  (*loop)->executor().post(kEdgeSlot, [&edge](Outbox& out) { edge.start(out); });

  OpenAiService service(service_options(topology, *model, server, keys), client, server);
  const HttpHandler handler = [&service](HttpRequest request, std::shared_ptr<HttpExchange> exchange) {
    service.handle(std::move(request), std::move(exchange));
  };
  if (const auto listening = listen_all(server, topology, handler); !listening) return failed("gateway", listening.error());
  server.start();
  log_info("gateway", "up", {{"http", topology.gateway->http}, {"control", (*loop)->bound_address()}});
  name_this_thread("baton-loop");
  (*loop)->run();
  drain.finish();
  server.stop();  // before what its handlers reach
  (*loop)->remove(kClientSlot);
  (*loop)->remove(kEdgeSlot);
  return exit.code();
}

}  // namespace baton
