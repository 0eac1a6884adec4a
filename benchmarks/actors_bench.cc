// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/actors_bench.h"

#include <utility>
#include <vector>

#include "benchmarks/actors_rig.h"
#include "benchmarks/run_tool.h"
#include "benchmarks/zmq_peer.h"

namespace baton {
namespace {

constexpr Duration kToolLimit = std::chrono::seconds(60);

struct Samples {
  std::vector<double> ours;
  std::vector<double> peer;

  ActorsBenchRow row() const { return {spread_of(ours), spread_of(peer), spread_of(ratios(ours, peer))}; }
};

struct AllSamples {
  Samples flood, flood_text, chain, heartbeats, tokens, round_trip;
};

// The peers as they were found to be fastest.
struct Peers {
  std::string caf_style;
  std::string caf_version;
  ZmqPeerOptions zmq;
};

Result<double> caf_rate(const ActorsBenchOptions& options, const std::string& style, const char* pattern, std::uint64_t messages) {
  const auto output = run_tool({options.caf, pattern, style, std::to_string(messages)}, kToolLimit);
  if (!output) return tl::unexpected(output.error());
  return json_number(output->text, "per_second");
}

constexpr int kAttempts = 3;

// The faster style of CAF's actors, of the best of a few runs each, taken in turn.
Result<void> choose_caf(const ActorsBenchOptions& options, Peers& peers) {
  double best = 0;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    for (const char* style : {"dynamic", "typed"}) {
      const auto output = run_tool({options.caf, "flood", style, std::to_string(options.local_messages)}, kToolLimit);
      if (!output) return tl::unexpected(output.error());
      const auto rate = json_number(output->text, "per_second");
      if (!rate) return tl::unexpected(rate.error());
      if (*rate <= best) continue;
      best = *rate;
      peers.caf_style = style;
      peers.caf_version = json_text(output->text, "caf");
    }
  }
  return {};
}

// The same for the sockets of bare ZeroMQ and their bounds.
Result<void> choose_zmq(const ActorsBenchOptions& options, Peers& peers) {
  const std::size_t bytes = remote_message_bytes(RemoteMessage::kHeartbeat);
  double best = 0;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    for (const ZmqPeerOptions candidate : {ZmqPeerOptions{true, 1000}, {true, 100'000}, {false, 1000}, {false, 100'000}}) {
      const auto rate = zmq_one_way(candidate, options.remote_messages, bytes);
      if (!rate) return tl::unexpected(rate.error());
      if (*rate <= best) continue;
      best = *rate;
      peers.zmq = candidate;
    }
  }
  return {};
}

Result<void> take(std::vector<double>& into, const Result<double>& figure) {
  if (!figure) return tl::unexpected(figure.error());
  into.push_back(*figure);
  return {};
}

Result<double> median_of(Result<std::vector<double>> seconds) {
  if (!seconds) return tl::unexpected(seconds.error());
  return spread_of(std::move(*seconds)).median;
}

Result<void> run_round(const ActorsBenchOptions& options, const Peers& peers, AllSamples& samples) {
  const auto local = [&](Samples& into, LocalPattern pattern, const char* name, std::uint64_t messages) -> Result<void> {
    RETURN_IF_ERROR(take(into.ours, local_rate(pattern, messages)));
    if (options.caf.empty()) return {};
    return take(into.peer, caf_rate(options, peers.caf_style, name, messages));
  };
  RETURN_IF_ERROR(local(samples.flood, LocalPattern::kFlood, "flood", options.local_messages));
  RETURN_IF_ERROR(local(samples.flood_text, LocalPattern::kFloodText, "flood-text", options.local_messages));
  RETURN_IF_ERROR(local(samples.chain, LocalPattern::kChain, "chain", options.chain_messages));
  const auto remote = [&](Samples& into, RemoteMessage what) -> Result<void> {
    RETURN_IF_ERROR(take(into.ours, remote_rate(what, options.remote_messages)));
    return take(into.peer, zmq_one_way(peers.zmq, options.remote_messages, remote_message_bytes(what)));
  };
  RETURN_IF_ERROR(remote(samples.heartbeats, RemoteMessage::kHeartbeat));
  RETURN_IF_ERROR(remote(samples.tokens, RemoteMessage::kTokenBatch));
  RETURN_IF_ERROR(take(samples.round_trip.ours, median_of(remote_round_trips(options.round_trips))));
  return take(samples.round_trip.peer, median_of(zmq_round_trips(options.round_trips, remote_message_bytes(RemoteMessage::kHeartbeat))));
}

}  // namespace

Result<ActorsBenchReport> bench_actors(const ActorsBenchOptions& options, const std::function<void(std::string_view)>& watch) {
  watch("choosing how the peers are set up");
  Peers peers;
  if (!options.caf.empty()) RETURN_IF_ERROR(choose_caf(options, peers));
  RETURN_IF_ERROR(choose_zmq(options, peers));
  AllSamples warm_up;
  AllSamples samples;
  for (std::uint32_t round = 0; round <= options.rounds; ++round) {
    watch("round " + std::to_string(round) + " of " + std::to_string(options.rounds));
    RETURN_IF_ERROR(run_round(options, peers, round == 0 ? warm_up : samples));
  }
  ActorsBenchReport report;
  if (!options.caf.empty()) report.caf = peers.caf_version + ", " + peers.caf_style + " actors";
  report.zmq = zmq_version() + (peers.zmq.push_pull ? ", PUSH to PULL" : ", DEALER to ROUTER") + ", high-water mark " + std::to_string(peers.zmq.high_water);
  report.heartbeat_bytes = remote_message_bytes(RemoteMessage::kHeartbeat);
  report.token_bytes = remote_message_bytes(RemoteMessage::kTokenBatch);
  report.flood = samples.flood.row();
  report.flood_text = samples.flood_text.row();
  report.chain = samples.chain.row();
  report.heartbeats = samples.heartbeats.row();
  report.tokens = samples.tokens.row();
  report.round_trip = samples.round_trip.row();
  return report;
}

}  // namespace baton
