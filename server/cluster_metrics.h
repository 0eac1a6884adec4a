// SPDX-License-Identifier: Apache-2.0
// What the coordinator says of its workers, as metrics: gauges and counters per worker, and KV transfers per pair of workers.
// Pure but for the registries; HTTP thread.
#pragma once

#include "protocol/messages.h"
#include "server/http_server.h"
#include "server/metrics.h"

namespace baton {

// Under our names, which are vLLM's stems where there is one. nullptr: the coordinator did not answer.
void set_cluster_metrics(Metrics& metrics, const std::string& model, const StatusReport* report);
// Under vLLM's own names and labels, summed over the workers, as of one engine. nullptr: as above.
void set_vllm_metrics(Metrics& metrics, const MetricLabels& labels, const StatusReport* report);
void set_http_metrics(Metrics& metrics, const HttpCounters& counters);

}  // namespace baton
