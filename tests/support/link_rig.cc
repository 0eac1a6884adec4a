// SPDX-License-Identifier: Apache-2.0
#include "tests/support/link_rig.h"

#include <chrono>
#include <map>
#include <set>

#include "runtime/actor/real_loop.h"
#include "runtime/actor/sim_loop.h"
#include "runtime/base/check.h"
#include "runtime/link/zmq_channel.h"

namespace baton {
namespace {
using namespace std::chrono_literals;

std::function<void(ConnectionId, std::string_view)> collector(RawPeer& peer) {
  return [&peer](ConnectionId connection, std::string_view bytes) {
    Result<Frame> frame = decode_frame(bytes);
    CHECK(frame.has_value(), "a host sends whole frames");
    peer.frames.emplace_back(connection, std::move(*frame));
  };
}

struct RealHost final : Host {
  RealHost(const std::string& name, const std::string& address, const HostOptions& options) : cell(actor) {
    RealLoopOptions loop_options;
    loop_options.node = node_id(name);
    loop_options.bind_address = options.binds ? address : std::string();
    loop_options.links = options.links;
    loop_options.high_water = options.high_water;
    auto opened = RealLoop::open(loop_options);
    CHECK(opened.has_value(), opened.error().message);
    loop = std::move(*opened);
    loop->add(1, cell);
  }
  Recorder& recorder() override { return actor; }
  const Node& node() const override { return loop->node(); }
  void act(std::function<void(Outbox&)> turn) override { loop->executor().post(1, std::move(turn)); }

  Recorder actor;
  ActorCell<Recorder> cell;
  std::unique_ptr<RealLoop> loop;
};

struct RealRaw final : RawPeer {
  RealRaw(std::set<RealRaw*>& all_raws) : raws(all_raws) {
    zmq = std::move(*ZmqChannel::open({}));
    zmq->set_receiver(collector(*this));
    zmq->set_watcher([this](int descriptor, bool on) {
      if (on) descriptors.insert(descriptor);
      else descriptors.erase(descriptor);
    });
    raws.insert(this);
  }
  ~RealRaw() override { raws.erase(this); }
  Channel& channel() override { return *zmq; }
  void pump() {
    for (const int descriptor : descriptors) zmq->wake(descriptor);
    while (zmq->pump()) {
    }
  }
  std::set<RealRaw*>& raws;
  std::set<int> descriptors;
  std::unique_ptr<ZmqChannel> zmq;
};

class RealRig final : public LinkRig {
 public:
  Host& start(const std::string& name, const HostOptions& options) override {
    stop(name);
    std::string& address = addresses_.try_emplace(name, "tcp://127.0.0.1:0").first->second;
    auto& host = hosts_[name] = std::make_unique<RealHost>(name, address, options);
    if (options.binds) address = host->loop->bound_address();
    return *host;
  }
  void stop(const std::string& name) override { hosts_.erase(name); }
  Result<void> try_bind(const std::string& address) override {
    ZmqOptions options;
    options.bind_address = address;
    auto opened = ZmqChannel::open(options);
    if (!opened) return tl::unexpected<Error>(opened.error());
    return {};
  }
  // A name that never ran has an address, too: that of a host started and stopped for it.
  std::string address(const std::string& name) override {
    if (!addresses_.contains(name)) {
      start(name, HostOptions{});
      stop(name);
    }
    return addresses_.at(name);
  }
  std::unique_ptr<RawPeer> raw() override { return std::make_unique<RealRaw>(raws_); }
  bool until(const std::function<bool()>& goal, Duration limit) override {
    const Time end = real_now() + limit;
    while (!goal()) {
      if (real_now() >= end) return false;
      for (auto& [name, host] : hosts_) host->loop->run_for(200us);
      for (RealRaw* raw : raws_) raw->pump();
    }
    return true;
  }

 private:
  std::map<std::string, std::string> addresses_;
  std::map<std::string, std::unique_ptr<RealHost>> hosts_;
  std::set<RealRaw*> raws_;
};

struct SimHostProcess final : SimProcess, Host {
  SimHostProcess(SimNodeContext& c, SimWorld& w) : context(c), world(w), cell(actor) { context.add(1, cell); }
  Recorder& recorder() override { return actor; }
  const Node& node() const override { return *world.node(context.name()); }
  void act(std::function<void(Outbox&)> turn) override { context.executor().post(1, std::move(turn)); }
  SimNodeContext& context;
  SimWorld& world;
  Recorder actor;
  ActorCell<Recorder> cell;
};

struct SimRaw final : RawPeer {
  explicit SimRaw(SimNetwork& network) : sim(std::move(*network.open(node_id("raw"), ""))) { sim->set_receiver(collector(*this)); }
  Channel& channel() override { return *sim; }
  std::unique_ptr<SimChannel> sim;
};

class SimRig final : public LinkRig {
 public:
  Host& start(const std::string& name, const HostOptions& options) override {
    world_.set_link_limits(options.links);
    world_.network().options().high_water = static_cast<std::size_t>(options.high_water);
    if (known_.insert(name).second) {
      world_.add_node(name, [this](SimNodeContext& c) { return std::make_unique<SimHostProcess>(c, world_); }, options.binds);
    } else {
      world_.restart(name);
    }
    return dynamic_cast<SimHostProcess&>(*world_.process(name));
  }
  void stop(const std::string& name) override { world_.kill(name); }
  Result<void> try_bind(const std::string& address) override {
    auto opened = world_.network().open(node_id("other"), address);
    if (!opened) return tl::unexpected<Error>(opened.error());
    return {};
  }
  std::string address(const std::string& name) override { return SimWorld::address_of(name); }
  std::unique_ptr<RawPeer> raw() override { return std::make_unique<SimRaw>(world_.network()); }
  bool until(const std::function<bool()>& goal, Duration limit) override { return world_.run_while_not(goal, limit); }

 private:
  EventHeap heap_{7};
  SimWorld world_{heap_};
  std::set<std::string> known_;
};

}  // namespace

std::unique_ptr<LinkRig> make_rig(std::string_view kind) {
  if (kind == "Zmq") return std::make_unique<RealRig>();
  return std::make_unique<SimRig>();
}

}  // namespace baton
