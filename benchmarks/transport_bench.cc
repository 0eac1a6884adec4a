// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/transport_bench.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <variant>

#include "benchmarks/run_tool.h"
#include "runtime/link/socket_address.h"
#include "runtime/link/threaded_data_plane.h"

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
  std::unique_ptr<ThreadedDataPlane> sender;
  std::unique_ptr<ThreadedDataPlane> receiver;
  std::unique_ptr<Finish> finish = std::make_unique<Finish>();
  std::uint64_t transfers = 0;
};

constexpr Duration kToolLimit = std::chrono::seconds(20);
constexpr PeerKey kSender{NodeId{1}, Incarnation{1}};
constexpr PeerKey kReceiver{NodeId{2}, Incarnation{1}};

Result<Pair> make_pair_over(const TransportBenchOptions& options, const std::vector<std::string>& transports) {
  Pair pair;
  ThreadedPlaneOptions ucx;
  ucx.interface_name = options.interface_name;
  ucx.transports = transports;
  ucx.pool_bytes = options.pool_bytes;
  ucx.self = kSender;
  ucx.sink = [finish = pair.finish.get()](const DataPlaneEvent& event) {
    if (const auto* done = std::get_if<PushDone>(&event); done != nullptr && !done->ok) finish->set(done->reason);
  };
  Result<std::unique_ptr<ThreadedDataPlane>> sender = ThreadedDataPlane::create(ucx);
  if (!sender) return tl::unexpected(sender.error());
  ucx.self = kReceiver;
  ucx.sink = [finish = pair.finish.get()](const DataPlaneEvent& event) {
    if (const auto* closed = std::get_if<TransferClosed>(&event)) finish->set(closed->reason);
  };
  Result<std::unique_ptr<ThreadedDataPlane>> receiver = ThreadedDataPlane::create(ucx);
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

// GB/s of one transfer, from open() to its end at the receiver.
Result<double> transfer_rate(Pair& pair, const Plan& plan) {
  const TransferId id{1, ++pair.transfers};
  const auto start = std::chrono::steady_clock::now();
  pair.receiver->open(id, kSender, plan.places, std::chrono::seconds(60));
  pair.sender->push(id.low, kReceiver, id, plan.pieces);
  if (const std::string reason = pair.finish->wait(); reason != "complete")
    return fail(ErrorCode::kUnavailable, "a transfer ended: " + reason);
  return static_cast<double>(plan.bytes) / seconds_since(start) / 1e9;
}

double copy_rate(std::span<std::byte> to, std::span<const std::byte> from, const Plan& plan) {
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < plan.pieces.size(); ++i)
    std::memcpy(to.data() + plan.places[i].offset, from.data() + plan.pieces[i].source_offset, plan.places[i].bytes);
  return static_cast<double>(plan.bytes) / seconds_since(start) / 1e9;
}

std::string congestion_control() {
  char name[32] = "unknown";
  socklen_t size = sizeof name - 1;
  const int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (file < 0) return name;
  (void)getsockopt(file, IPPROTO_TCP, TCP_CONGESTION, name, &size);
  ::close(file);
  return name;
}

// GB/s of one stream between two processes of iperf3.
Result<double> iperf3_rate(const TransportBenchOptions& options) {
  Result<SocketAddress> own = address_of_interface(options.interface_name);
  if (!own) return tl::unexpected(own.error());
  const int file = socket(own->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  socklen_t size = own->size;
  const bool bound = file >= 0 && bind(file, reinterpret_cast<const sockaddr*>(&own->storage), own->size) == 0 &&
                     getsockname(file, reinterpret_cast<sockaddr*>(&own->storage), &size) == 0;
  if (file >= 0) ::close(file);
  if (!bound) return fail(ErrorCode::kIo, "no free port for iperf3");
  const std::string address = to_text(own->storage);
  const std::size_t colon = address.rfind(':');
  const std::string port = address.substr(colon + 1);
  const std::string host = address[0] == '[' ? address.substr(1, colon - 2) : address.substr(0, colon);
  std::thread server([&] { (void)run_tool({options.iperf3, "-s", "-1", "-B", host, "-p", port}, kToolLimit); });
  Result<ToolOutput> client = fail(ErrorCode::kUnavailable, "iperf3 did not start");
  for (int attempt = 0; attempt < 20 && !client; ++attempt) {  // until its server listens
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    client = run_tool({options.iperf3, "-c", host, "-p", port, "-n", "512M", "-J"}, kToolLimit);
  }
  server.join();
  if (!client) return tl::unexpected(client.error());
  const Result<double> bits = json_number(client->text, "bits_per_second");
  if (!bits) return bits;
  return *bits / 8e9;
}

struct Samples {
  std::vector<double> copy, shm, tcp, ucx_tcp, iperf3;
};

struct Pairs {
  Pair shm, tcp, ucx_tcp;
};

Result<void> run_round(const TransportBenchOptions& options, Pairs& pairs, const Plan& plan, Samples& samples) {
  samples.copy.push_back(copy_rate(pairs.shm.receiver->pool(), pairs.shm.sender->pool(), plan));
  const auto take = [](std::vector<double>& into, const Result<double>& rate) -> Result<void> {
    if (!rate) return tl::unexpected(rate.error());
    into.push_back(*rate);
    return {};
  };
  RETURN_IF_ERROR(take(samples.shm, transfer_rate(pairs.shm, plan)));
  if (!options.iperf3.empty()) RETURN_IF_ERROR(take(samples.iperf3, iperf3_rate(options)));
  RETURN_IF_ERROR(take(samples.tcp, transfer_rate(pairs.tcp, plan)));
  return take(samples.ucx_tcp, transfer_rate(pairs.ucx_tcp, plan));
}

TransportBenchRow row_of(std::uint64_t piece_bytes, const Plan& plan, const Samples& samples) {
  TransportBenchRow row;
  row.piece_bytes = piece_bytes;
  row.pieces = plan.pieces.size();
  row.copy = spread_of(samples.copy);
  row.shm = spread_of(samples.shm);
  row.tcp = spread_of(samples.tcp);
  row.ucx_tcp = spread_of(samples.ucx_tcp);
  row.iperf3 = spread_of(samples.iperf3);
  row.shm_of_copy = spread_of(ratios(samples.shm, samples.copy));
  row.tcp_of_iperf3 = spread_of(ratios(samples.tcp, samples.iperf3));
  return row;
}

}  // namespace

Result<TransportBenchReport> bench_transport(const TransportBenchOptions& options,
                                             const std::function<void(std::string_view)>& watch) {
  Pairs pairs;
  const auto make = [&](Pair& pair, const std::vector<std::string>& transports) -> Result<void> {
    Result<Pair> made = make_pair_over(options, transports);
    if (!made) return tl::unexpected(made.error());
    pair = *std::move(made);
    return {};
  };
  RETURN_IF_ERROR(make(pairs.shm, {"shm", "tcp"}));
  RETURN_IF_ERROR(make(pairs.tcp, {"tcp"}));
  RETURN_IF_ERROR(make(pairs.ucx_tcp, {"ucx_tcp"}));
  TransportBenchReport report;
  report.congestion_control = congestion_control();
  for (const std::uint64_t piece_bytes : options.piece_bytes) {
    const Plan plan = plan_for(options.pool_bytes, piece_bytes);
    if (plan.pieces.empty())
      return fail(ErrorCode::kInvalidArgument,
                  "a piece of " + std::to_string(piece_bytes) + " bytes is too large for this benchmark");
    watch("pieces of " + std::to_string(piece_bytes) + " bytes");
    Samples warming, samples;
    RETURN_IF_ERROR(run_round(options, pairs, plan, warming));
    for (std::uint32_t i = 0; i < options.rounds; ++i) RETURN_IF_ERROR(run_round(options, pairs, plan, samples));
    report.rows.push_back(row_of(piece_bytes, plan, samples));
  }
  report.shm_by = pairs.shm.sender->transport(kReceiver);
  report.tcp_by = pairs.tcp.sender->transport(kReceiver);
  return report;
}

}  // namespace baton
