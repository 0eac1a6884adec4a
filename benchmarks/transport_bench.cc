// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/transport_bench.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <variant>

#include "runtime/link/ucx_data_plane.h"

namespace baton {
namespace {

// The end of one transfer, as the receiver reports it.
class Finish {
 public:
  void set(std::string reason) {
    const std::lock_guard lock(mutex_);
    reason_ = std::move(reason);
    set_ = true;
    changed_.notify_one();
  }
  std::string wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return set_; });
    set_ = false;
    return std::move(reason_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string reason_;
  bool set_ = false;
};

struct Pair {
  std::unique_ptr<UcxDataPlane> sender;
  std::unique_ptr<UcxDataPlane> receiver;
  std::unique_ptr<Finish> finish = std::make_unique<Finish>();
  std::uint64_t transfers = 0;
};

constexpr PeerKey kSender{NodeId{1}, Incarnation{1}};
constexpr PeerKey kReceiver{NodeId{2}, Incarnation{1}};

Result<Pair> make_pair_over(const TransportBenchOptions& options, const std::vector<std::string>& transports) {
  Pair pair;
  UcxOptions ucx;
  ucx.interface_name = options.interface_name;
  ucx.transports = transports;
  ucx.pool_bytes = options.pool_bytes;
  ucx.self = kSender;
  ucx.sink = [finish = pair.finish.get()](const DataPlaneEvent& event) {
    if (const auto* done = std::get_if<PushDone>(&event); done != nullptr && !done->ok) finish->set(done->reason);
  };
  Result<std::unique_ptr<UcxDataPlane>> sender = UcxDataPlane::create(ucx);
  if (!sender) return tl::unexpected(sender.error());
  ucx.self = kReceiver;
  ucx.sink = [finish = pair.finish.get()](const DataPlaneEvent& event) {
    if (const auto* closed = std::get_if<TransferClosed>(&event)) finish->set(closed->reason);
  };
  Result<std::unique_ptr<UcxDataPlane>> receiver = UcxDataPlane::create(ucx);
  if (!receiver) return tl::unexpected(receiver.error());
  pair.sender = *std::move(sender);
  pair.receiver = *std::move(receiver);
  pair.sender->connect(kReceiver, pair.receiver->address());
  return pair;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Places and pieces at every second position, in unlike orders, so that nothing is neighbour to anything.
struct Plan {
  std::vector<Place> places;
  std::vector<Piece> pieces;
  std::uint64_t bytes = 0;
};

Plan plan_for(std::uint64_t pool_bytes, std::uint64_t piece_bytes) {
  Plan plan;
  const std::uint64_t count = pool_bytes / piece_bytes / 2;
  for (std::uint64_t i = 0; i < count; ++i) {
    plan.places.push_back({i * 2 * piece_bytes, piece_bytes, 0});
    plan.pieces.push_back({((count - 1 - i) * 2 + 1) * piece_bytes, piece_bytes, static_cast<std::uint32_t>(i), 1});
  }
  plan.bytes = count * piece_bytes;
  return plan;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// GB/s of one transfer, from open() to its end at the receiver; negative if it failed.
double transfer_rate(Pair& pair, const Plan& plan) {
  const TransferId id{1, ++pair.transfers};
  const auto start = std::chrono::steady_clock::now();
  pair.receiver->open(id, kSender, plan.places, std::chrono::seconds(60));
  pair.sender->push(id.low, kReceiver, id, plan.pieces);
  if (const std::string reason = pair.finish->wait(); reason != "complete") {
    std::printf("transfer ended: %s\n", reason.c_str());
    return -1;
  }
  return static_cast<double>(plan.bytes) / seconds_since(start) / 1e9;
}

double copy_rate(std::span<std::byte> to, std::span<const std::byte> from, const Plan& plan) {
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < plan.pieces.size(); ++i)
    std::memcpy(to.data() + plan.places[i].offset, from.data() + plan.pieces[i].source_offset, plan.places[i].bytes);
  return static_cast<double>(plan.bytes) / seconds_since(start) / 1e9;
}

std::string congestion_control() {
  std::ifstream file("/proc/sys/net/ipv4/tcp_congestion_control");
  std::string name;
  return file >> name ? name : "unknown";
}

}  // namespace

int bench_transport(const TransportBenchOptions& options) {
  Result<Pair> shm = make_pair_over(options, {"shm", "tcp"});
  Result<Pair> tcp = shm ? make_pair_over(options, {"tcp"}) : tl::unexpected(shm.error());
  if (!shm || !tcp) {
    std::fprintf(stderr, "%s\n", (shm ? tcp : shm).error().message.c_str());
    return 1;
  }
  std::printf("interface %s, TCP congestion control %s, %u cores, medians of %u\n", options.interface_name.c_str(),
              congestion_control().c_str(), std::thread::hardware_concurrency(), options.repeats);
  std::printf("%12s %8s %14s %14s %14s\n", "piece bytes", "pieces", "memcpy GB/s", "shm GB/s", "tcp GB/s");
  for (const std::uint64_t piece_bytes : options.piece_bytes) {
    const Plan plan = plan_for(options.pool_bytes, piece_bytes);
    if (plan.pieces.empty()) continue;
    std::vector<double> copies, shares, streams;
    // Interleaved, so that a busy moment of the machine touches all three.
    for (std::uint32_t i = 0; i <= options.repeats; ++i) {
      const double copy = copy_rate(shm->receiver->pool(), shm->sender->pool(), plan);
      const double share = transfer_rate(*shm, plan);
      const double stream = transfer_rate(*tcp, plan);
      if (share < 0 || stream < 0) return 1;
      if (i == 0) continue;  // connections and caches
      copies.push_back(copy);
      shares.push_back(share);
      streams.push_back(stream);
    }
    std::printf("%12llu %8zu %14.2f %14.2f %14.2f\n", static_cast<unsigned long long>(piece_bytes), plan.pieces.size(),
                median(copies), median(shares), median(streams));
  }
  const std::string over_shm = shm->sender->transport(kReceiver);
  const std::string over_tcp = tcp->sender->transport(kReceiver);
  std::printf("transports as reported: %s, %s\n", over_shm.c_str(), over_tcp.c_str());
  return 0;
}

}  // namespace baton
