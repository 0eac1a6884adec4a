// SPDX-License-Identifier: Apache-2.0
// TrafficCounters: what one worker has pushed to each of its peers. A transfer here is one push: a run of blocks, from the hand-over to
// the data plane until it says that they need not be read any more. `busy` counts the time with at least one under way, so that
// bytes / busy is what the path carried; `latency` sums each push's own. Owned by the worker; at most kPeersMax peers, those
// that come later are not counted. O(log peers) per push.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "protocol/messages.h"
#include "runtime/base/time.h"

namespace baton {

class TrafficCounters {
 public:
  static constexpr std::size_t kPeersMax = 4096;

  void begin(std::uint64_t ticket, const std::string& peer, std::uint64_t bytes, Time now) {
    if (!peers_.contains(peer) && peers_.size() >= kPeersMax) return;
    Peer& at = peers_[peer];
    at.total.peer = peer;
    if (at.under_way++ == 0) at.busy_since = now;
    pushes_[ticket] = {peer, bytes, now};
  }

  void end(std::uint64_t ticket, bool ok, const std::string& transport, Time now) {
    const auto push = pushes_.extract(ticket);
    if (push.empty()) return;
    const Push& ended = push.mapped();
    Peer& at = peers_.at(ended.peer);
    LinkTraffic& total = at.total;
    if (--at.under_way == 0) total.busy_ns += static_cast<std::uint64_t>((now - at.busy_since).count());
    if (ok) {
      ++total.transfers;
      total.bytes += ended.bytes;
      total.latency_ns += static_cast<std::uint64_t>((now - ended.began).count());
      total.transport = transport;
    } else {
      ++total.failures;
    }
    if (!std::exchange(at.changed, true)) changed_.push_back(ended.peer);
  }

  // The totals of peers that changed since they were last taken, the longest waiting first, at most so many.
  std::vector<LinkTraffic> take_changed(std::size_t most) {
    std::vector<LinkTraffic> taken;
    for (; !changed_.empty() && taken.size() < most; changed_.pop_front()) {
      Peer& at = peers_.at(changed_.front());
      at.changed = false;
      taken.push_back(at.total);
    }
    return taken;
  }

 private:
  struct Peer {
    LinkTraffic total;
    std::uint32_t under_way = 0;
    Time busy_since{};
    bool changed = false;
  };
  struct Push {
    std::string peer;
    std::uint64_t bytes = 0;
    Time began{};
  };
  std::map<std::string, Peer> peers_;
  std::map<std::uint64_t, Push> pushes_;
  std::deque<std::string> changed_;
};

}  // namespace baton
