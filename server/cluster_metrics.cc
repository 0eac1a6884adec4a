// SPDX-License-Identifier: Apache-2.0
#include "server/cluster_metrics.h"

#include <cstddef>
#include <string>

namespace baton {
namespace {

double used_share(const WorkerStatus& worker) {
  return worker.blocks_total == 0 ? 0 : 1 - static_cast<double>(worker.last.blocks_free) / worker.blocks_total;
}

// One figure of a worker's heartbeat.
struct WorkerFigure {
  const char* name;
  const char* help;
  bool counter;
  double (*value)(const WorkerStatus& worker);
};

const WorkerFigure kWorkerFigures[] = {
    {"num_requests_running", "Sequences that a worker computes or holds for its next step.", false, [](const WorkerStatus& w) { return double(w.last.running); }},
    {"num_requests_waiting", "Sequences that wait on a worker.", false, [](const WorkerStatus& w) { return double(w.last.waiting); }},
    {"kv_cache_usage_perc", "Share of a worker's KV blocks in use; 1 is all of them.", false, used_share},
    {"kv_cache_blocks", "KV blocks of a worker.", false, [](const WorkerStatus& w) { return double(w.blocks_total); }},
    {"prefix_cache_queries_total", "Prompt tokens that were looked up in a worker's prefix cache.", true, [](const WorkerStatus& w) { return double(w.last.prefix_cache_queries); }},
    {"prefix_cache_hits_total", "Prompt tokens that were found there.", true, [](const WorkerStatus& w) { return double(w.last.prefix_cache_hits); }},
    {"num_preemptions_total", "Sequences that gave up their blocks for others.", true, [](const WorkerStatus& w) { return double(w.last.num_preemptions); }},
    {"worker_prompt_tokens_total", "Prompt tokens that a worker computed.", true, [](const WorkerStatus& w) { return double(w.last.prompt_tokens_computed); }},
    {"worker_generation_tokens_total", "Tokens that a worker generated.", true, [](const WorkerStatus& w) { return double(w.last.tokens_generated); }},
    {"worker_kv_sent_bytes_total", "KV that a worker sent to others.", true, [](const WorkerStatus& w) { return double(w.last.kv_bytes_sent); }},
    {"worker_kv_received_bytes_total", "KV that a worker got from others.", true, [](const WorkerStatus& w) { return double(w.last.kv_bytes_received); }},
};

struct LinkFigure {
  const char* name;
  const char* help;
  double (*value)(const LinkTraffic& link);
};

const LinkFigure kLinkFigures[] = {
    {"kv_transfers_total", "KV transfers from one worker to another.", [](const LinkTraffic& l) { return double(l.transfers); }},
    {"kv_transfer_bytes_total", "Bytes of KV that they moved.", [](const LinkTraffic& l) { return double(l.bytes); }},
    {"kv_transfer_seconds_total", "Time that they took, from the first byte to the acknowledgement.", [](const LinkTraffic& l) { return double(l.busy_ns) * 1e-9; }},
    {"kv_transfer_failures_total", "KV transfers that failed.", [](const LinkTraffic& l) { return double(l.failures); }},
};

struct AdmissionFigure {
  const char* name;
  const char* help;
  MetricLabels labels;
  bool counter;
  double (*value)(const AdmissionStatus& status);
};

const AdmissionFigure kAdmissionFigures[] = {
    {"jobs_admitted_total", "Jobs that were admitted, of all edges, since the coordinator began.", {}, true, [](const AdmissionStatus& a) { return double(a.admitted); }},
    {"jobs_refused_total", "Jobs that were not admitted: their first token would have come too late, or the queue was full.", {{"reason", "predicted_ttft"}}, true, [](const AdmissionStatus& a) { return double(a.refused_predicted); }},
    {"jobs_refused_total", "Jobs that were not admitted: their first token would have come too late, or the queue was full.", {{"reason", "queue_full"}}, true, [](const AdmissionStatus& a) { return double(a.refused_full); }},
    {"jobs_expired_total", "Jobs whose time limit passed before a worker had them.", {}, true, [](const AdmissionStatus& a) { return double(a.expired); }},
    {"jobs_resumed_total", "Attempts at jobs that were lost and made again.", {}, true, [](const AdmissionStatus& a) { return double(a.resumed); }},
    {"jobs_out_of_retries_total", "Jobs that were given up because the retry budget was spent.", {}, true, [](const AdmissionStatus& a) { return double(a.out_of_retries); }},
    {"jobs_queued", "Jobs that wait for a worker.", {}, false, [](const AdmissionStatus& a) { return double(a.queued); }},
    {"queued_prompt_tokens", "Tokens of their prompts.", {}, false, [](const AdmissionStatus& a) { return double(a.queued_tokens); }},
    {"predicted_wait_seconds", "How long a job that came now is expected to wait until its prompt is computed.", {}, false, [](const AdmissionStatus& a) { return double(a.wait_ns) * 1e-9; }},
};

const char* word(Role role) { return role == Role::kPrefill ? "prefill" : role == Role::kDecode ? "decode" : "both"; }

const char* word(WorkerState state) {
  static constexpr const char* kWords[] = {"joining", "ready", "draining", "lost", "drained"};
  return kWords[static_cast<std::size_t>(state)];
}

// Of the cluster, among vLLM's names.
constexpr const char* kVllmNames[] = {"num_requests_running", "num_requests_waiting", "kv_cache_usage_perc", "prefix_cache_queries_total",
                                      "prefix_cache_hits_total", "num_preemptions_total", "cache_config_info"};

// What is gone, and what nobody says any more, takes its figures with it.
void forget_cluster(Metrics& metrics) {
  for (const WorkerFigure& figure : kWorkerFigures) metrics.clear(figure.name);
  for (const LinkFigure& figure : kLinkFigures) metrics.clear(figure.name);
  for (const AdmissionFigure& figure : kAdmissionFigures) metrics.clear(figure.name);
  metrics.clear("worker_state");
  metrics.clear("coordinator_jobs");
  metrics.clear("cache_config_info");
}

void set_worker(Metrics& metrics, const std::string& model, const WorkerStatus& worker) {
  const MetricLabels labels = {{"model", model}, {"pool", worker.pool}, {"worker", worker.name}, {"role", word(worker.role)}};
  for (const WorkerFigure& figure : kWorkerFigures) {
    if (figure.counter) metrics.set_counter(figure.name, figure.help, labels, figure.value(worker));
    else metrics.set(figure.name, figure.help, labels, figure.value(worker));
  }
  MetricLabels state = labels;
  state.emplace_back("state", word(worker.state));
  metrics.set("worker_state", "1 for the state that a worker is in.", state, 1);
  for (const LinkTraffic& link : worker.traffic)
    for (const LinkFigure& figure : kLinkFigures)
      metrics.set_counter(figure.name, figure.help, {{"source", worker.name}, {"destination", link.peer}, {"transport", link.transport}},
                          figure.value(link));
}

}  // namespace

void set_cluster_metrics(Metrics& metrics, const std::string& model, const StatusReport* report) {
  metrics.set("coordinator_up", "Whether the coordinator answers the gateway.", {}, report != nullptr ? 1 : 0);
  forget_cluster(metrics);
  if (report == nullptr) return;
  metrics.set("coordinator_jobs", "Jobs that the coordinator knows, of all edges.", {}, report->jobs);
  for (const AdmissionFigure& figure : kAdmissionFigures) {
    if (figure.counter) metrics.set_counter(figure.name, figure.help, figure.labels, figure.value(report->admission));
    else metrics.set(figure.name, figure.help, figure.labels, figure.value(report->admission));
  }
  metrics.set("cache_config_info", "What the KV cache is made of.",
              {{"model", model}, {"block_size", std::to_string(report->block_tokens)}, {"max_model_len", std::to_string(report->max_model_len)}}, 1);
  for (const WorkerStatus& worker : report->workers) set_worker(metrics, model, worker);
}

void set_vllm_metrics(Metrics& metrics, const MetricLabels& labels, const StatusReport* known) {
  for (const char* name : kVllmNames) metrics.clear(name);
  if (known == nullptr) return;
  const StatusReport& report = *known;
  Heartbeat sum;
  sum.waiting = report.admission.queued;
  std::uint64_t blocks = 0;
  for (const WorkerStatus& worker : report.workers) {
    sum.running += worker.last.running;
    sum.waiting += worker.last.waiting;
    sum.blocks_free += worker.last.blocks_free;
    sum.prefix_cache_queries += worker.last.prefix_cache_queries;
    sum.prefix_cache_hits += worker.last.prefix_cache_hits;
    sum.num_preemptions += worker.last.num_preemptions;
    blocks += worker.blocks_total;
  }
  metrics.set("num_requests_running", "Number of requests in execution.", labels, sum.running);
  metrics.set("num_requests_waiting", "Number of requests waiting to be processed.", labels, sum.waiting);
  metrics.set("kv_cache_usage_perc", "Share of KV blocks in use; 1 is all of them.", labels,
              blocks == 0 ? 0 : 1 - static_cast<double>(sum.blocks_free) / static_cast<double>(blocks));
  metrics.set_counter("prefix_cache_queries_total", "Tokens looked up in the prefix cache.", labels, static_cast<double>(sum.prefix_cache_queries));
  metrics.set_counter("prefix_cache_hits_total", "Tokens found there.", labels, static_cast<double>(sum.prefix_cache_hits));
  metrics.set_counter("num_preemptions_total", "Preemptions.", labels, static_cast<double>(sum.num_preemptions));
  MetricLabels info = labels;
  info.insert(info.end(), {{"block_size", std::to_string(report.block_tokens)}, {"num_gpu_blocks", std::to_string(blocks)}});
  metrics.set("cache_config_info", "What the KV cache is made of.", info, 1);
}

void set_http_metrics(Metrics& metrics, const HttpCounters& counters) {
  metrics.set("http_connections", "Open connections.", {}, static_cast<double>(counters.open));
  metrics.set_counter("http_connections_accepted_total", "Connections since the gateway began.", {}, static_cast<double>(counters.accepted));
  metrics.set_counter("http_requests_total", "HTTP requests that were well-formed and allowed.", {}, static_cast<double>(counters.requests));
  metrics.set_counter("http_requests_refused_total", "Those that were malformed, too large, too slow, or without a key.", {}, static_cast<double>(counters.refused));
}

}  // namespace baton
