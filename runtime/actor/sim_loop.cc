// SPDX-License-Identifier: Apache-2.0
#include "runtime/actor/sim_loop.h"

#include <utility>

#include "runtime/base/check.h"

namespace baton {

// One life of one process. Events hold a weak reference to `token_`: when the life ends they find nothing.
class SimWorld::Life final : public SimNodeContext, public Executor {
 public:
  Life(SimWorld& world, const std::string& name, bool binds)
      : world_(world),
        name_(name),
        node_id_(baton::node_id(name)),
        incarnation_{world.heap_.random().next() | 1},
        random_key_(world.heap_.random().next()),
        address_(binds ? address_of(name) : std::string()) {
    auto channel = world.network_.open(node_id_, address_);
    CHECK(channel.has_value(), "two processes under one name");
    channel_ = std::move(*channel);
    NodeOptions options;
    options.node = node_id_;
    options.incarnation = incarnation_;
    options.random_key = random_key_;
    options.links = world.options_.links;
    if (!binds && options.links.keepalive == Duration{0}) options.links.keepalive = kClientKeepalive;
    node_ = std::make_unique<Node>(options, *channel_);
    channel_->set_receiver([this](ConnectionId connection, std::string_view frame) {
      // A paused process reads nothing, so this is never late.
      node_->receive(now(), connection, frame);
      run();
    });
  }

  const std::string& name() const override { return name_; }
  NodeId node() const override { return node_id_; }
  Incarnation incarnation() const override { return incarnation_; }
  const std::string& address() const override { return address_; }
  std::uint64_t random_key() const override { return random_key_; }
  EventHeap& heap() override { return world_.heap_; }
  Executor& executor() override { return *this; }
  ActorRef add(std::uint32_t slot, Cell& cell) override {
    if (ending_) return {};
    const ActorRef ref = node_->add(slot, cell);
    arm();
    return ref;
  }
  void after(Duration delay, std::function<void()> run) override {
    if (ending_) return;
    at(now() + delay, std::move(run));
  }
  void post(std::uint32_t slot, std::function<void(Outbox&)> turn) override {
    if (ending_) return;
    at(now(), [this, slot, turn = std::move(turn)]() mutable {
      node_->post(slot, std::move(turn));
      run();
    });
  }

  void start(const SimBoot& boot) {
    process_ = boot(*this);
    CHECK(process_ != nullptr, "a boot function returns the process");
    arm();
  }
  // Nothing a destructor does, or the rest of a turn in which it killed itself, can leave any more.
  void end() {
    ending_ = true;
    token_.reset();
    channel_->die();
  }
  void pause() {
    paused_ = true;
    channel_->pause();
  }
  void resume() {
    paused_ = false;
    channel_->resume();
    for (std::function<void()>& late : std::exchange(late_, {})) at(now(), std::move(late));
  }
  bool running() const { return running_ > 0; }
  SimProcess* process() { return process_.get(); }
  const Node& host() const { return *node_; }

 private:
  Time now() const { return world_.heap_.now(); }

  // Guards every event of this life against its end, delays it while paused.
  void at(Time when, std::function<void()> run) {
    world_.heap_.at(when, [this, alive = std::weak_ptr<int>(token_), run = std::move(run)]() mutable {
      if (alive.expired()) return;
      if (paused_) {
        late_.push_back(std::move(run));
        return;
      }
      ++running_;
      run();
      --running_;
    });
  }

  void run() {
    ++running_;
    const bool more = node_->run(now());
    --running_;
    if (ending_) return;
    if (more) {
      at(now(), [this] { this->run(); });
    } else {
      arm();
    }
  }

  // At most one wake-up is scheduled, moved only towards the present.
  void arm() {
    const Time next = std::max(node_->next_deadline(), now());
    if (next == kNever || next >= armed_) return;
    armed_ = next;
    at(next, [this, next] {
      if (armed_ != next) return;
      armed_ = kNever;
      this->run();
    });
  }

  SimWorld& world_;
  const std::string name_;
  const NodeId node_id_;
  const Incarnation incarnation_;
  const std::uint64_t random_key_;
  const std::string address_;
  std::shared_ptr<int> token_ = std::make_shared<int>(0);
  bool ending_ = false;
  bool paused_ = false;
  int running_ = 0;
  Time armed_ = kNever;
  std::deque<std::function<void()>> late_;
  std::unique_ptr<SimChannel> channel_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<SimProcess> process_;  // dies first: it may still call the context
};

SimWorld::SimWorld(EventHeap& heap, const SimWorldOptions& options)
    : heap_(heap), options_(options), network_(heap, options.network) {}

SimWorld::~SimWorld() {
  for (auto& [name, place] : places_) {
    if (place->life) place->life->end();
  }
}

NodeId SimWorld::add_node(const std::string& name, SimBoot boot_function, bool binds) {
  CHECK(!places_.contains(name), "two processes under one name");
  auto created = std::make_unique<Place>();
  created->name = name;
  created->boot = std::move(boot_function);
  created->binds = binds;
  Place& added = *created;
  places_.emplace(name, std::move(created));
  boot(added);
  return node_id(name);
}

void SimWorld::boot(Place& place) {
  place.paused = false;
  heap_.note(node_id(place.name).value);
  place.life = std::make_unique<Life>(*this, place.name, place.binds);
  place.life->start(place.boot);
}

void SimWorld::kill(const std::string& name) {
  Place& killed = place(name);
  if (!killed.life) return;
  heap_.note(~node_id(name).value);
  std::unique_ptr<Life> life = std::move(killed.life);
  life->end();
  if (!life->running()) return;
  ended_.push_back(std::move(life));
  heap_.at(heap_.now(), [this] { std::exchange(ended_, {}); });
}

void SimWorld::restart(const std::string& name) {
  kill(name);
  boot(place(name));
}

bool SimWorld::alive(const std::string& name) const { return place(name).life != nullptr; }

void SimWorld::pause(const std::string& name) {
  Place& paused = place(name);
  if (!paused.life || std::exchange(paused.paused, true)) return;
  paused.life->pause();
}

void SimWorld::resume(const std::string& name) {
  Place& paused = place(name);
  if (!std::exchange(paused.paused, false) || !paused.life) return;
  paused.life->resume();
}

void SimWorld::partition(const std::string& a, const std::string& b, bool one_way) {
  network_.partition(node_id(a), node_id(b), one_way);
}

SimProcess* SimWorld::process(const std::string& name) {
  Place& wanted = place(name);
  return wanted.life ? wanted.life->process() : nullptr;
}

const Node* SimWorld::node(const std::string& name) const {
  const Place& wanted = place(name);
  return wanted.life ? &wanted.life->host() : nullptr;
}

SimWorld::Place& SimWorld::place(const std::string& name) {
  const auto it = places_.find(name);
  CHECK(it != places_.end(), "no process of that name: " + name);
  return *it->second;
}
const SimWorld::Place& SimWorld::place(const std::string& name) const {
  const auto it = places_.find(name);
  CHECK(it != places_.end(), "no process of that name: " + name);
  return *it->second;
}

bool SimWorld::run_while_not(const std::function<bool()>& goal, Duration limit) {
  return run_while([&] { return !goal(); }, limit);
}

bool SimWorld::run_while(const std::function<bool()>& busy, Duration limit) {
  // A mark on the heap itself, so that an idle world still comes to the limit.
  auto over = std::make_shared<bool>(false);
  heap_.after(limit, [over] { *over = true; });
  while (busy()) {
    if (*over) return false;
    heap_.step();
  }
  return true;
}

}  // namespace baton
