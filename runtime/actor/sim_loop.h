// SPDX-License-Identifier: Apache-2.0
// SimWorld: many simulated processes on one EventHeap, each a Node with its actors on a SimNetwork. The same Node, Links and
// actors as in a real process; only time, channel and what the boot function builds around them differ. One thread; the
// world owns every process, borrows the heap, and decides from the heap's random stream alone.
//
// A process may be killed (everything of it is lost at once and its destructor reaches nobody), restarted (its boot function
// runs again under a fresh incarnation), paused (SIGSTOP: frames wait, timers and finished work are late) or cut off.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/actor/event_heap.h"
#include "runtime/actor/executor.h"
#include "runtime/actor/node.h"
#include "runtime/link/sim_channel.h"

namespace baton {

// What a boot function builds: the actors, cells and simulated devices of one life of one process.
class SimProcess {
 public:
  virtual ~SimProcess() = default;
};

// A process's view of the simulator, valid as long as the life it was made for; handed to boot and kept if wanted.
class SimNodeContext {
 public:
  virtual ~SimNodeContext() = default;
  virtual const std::string& name() const = 0;
  virtual NodeId node() const = 0;
  virtual Incarnation incarnation() const = 0;
  // Where the others dial this process.
  virtual const std::string& address() const = 0;
  // Different for every life.
  virtual std::uint64_t random_key() const = 0;
  virtual EventHeap& heap() = 0;
  virtual Executor& executor() = 0;
  // The cell is borrowed: the SimProcess owns it.
  virtual ActorRef add(std::uint32_t slot, Cell& cell) = 0;
  // Dropped if this life ends first, late if the process is paused then.
  virtual void after(Duration delay, std::function<void()> run) = 0;
};

using SimBoot = std::function<std::unique_ptr<SimProcess>(SimNodeContext&)>;

struct SimWorldOptions {
  SimNetworkOptions network;
  LinkLimits links;
};

class SimWorld {
 public:
  explicit SimWorld(EventHeap& heap, const SimWorldOptions& options = {});
  ~SimWorld();
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;

  // Boots at once; the first ticks come with the next event. `binds` false: a client that others cannot dial.
  NodeId add_node(const std::string& name, SimBoot boot, bool binds = true);
  void kill(const std::string& name);
  // Kills first if need be.
  void restart(const std::string& name);
  bool alive(const std::string& name) const;
  void pause(const std::string& name);
  void resume(const std::string& name);
  void partition(const std::string& a, const std::string& b, bool one_way = false);
  void heal() { network_.heal(); }

  // Null while dead.
  SimProcess* process(const std::string& name);
  // Counters of a live process.
  const Node* node(const std::string& name) const;
  static std::string address_of(const std::string& name) { return "sim://" + name; }
  // For lives booted from now on.
  void set_link_limits(const LinkLimits& limits) { options_.links = limits; }
  SimNetwork& network() { return network_; }
  EventHeap& heap() { return heap_; }

  void run_until(Time until) { heap_.run_until(until); }
  void run_for(Duration duration) { heap_.run_until(heap_.now() + duration); }
  // Until `goal` holds (asked before every event) or `limit` of virtual time is over; whether it holds.
  bool run_while_not(const std::function<bool()>& goal, Duration limit);
  // While `busy` holds, at most `limit`; true if it ceased to hold.
  bool run_while(const std::function<bool()>& busy, Duration limit);

 private:
  class Life;
  struct Place {
    std::string name;
    SimBoot boot;
    bool binds = true;
    bool paused = false;
    std::unique_ptr<Life> life;
  };

  Place& place(const std::string& name);
  const Place& place(const std::string& name) const;
  void boot(Place& place);

  EventHeap& heap_;
  SimWorldOptions options_;
  SimNetwork network_;
  std::map<std::string, std::unique_ptr<Place>> places_;
  std::vector<std::unique_ptr<Life>> ended_;  // killed in the middle of their own turn
};

}  // namespace baton
