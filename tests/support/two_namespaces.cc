// SPDX-License-Identifier: Apache-2.0
#include "tests/support/two_namespaces.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>

#include "runtime/base/check.h"

namespace baton::test {

bool shell(const std::string& command) { return std::system((command + " >/dev/null 2>&1").c_str()) == 0; }
bool is_there(const std::string& program) { return shell("command -v " + program); }

TwoNamespaces::TwoNamespaces() : names_{"baton" + std::to_string(getpid()) + "a", "baton" + std::to_string(getpid()) + "b"} {
  if (geteuid() != 0) missing_ = "needs root, for network namespaces";
  else if (!is_there("ip")) missing_ = "needs ip (Debian package iproute2)";
  if (!missing_.empty()) return;
  own_ = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (!shell("ip netns add " + names_[0]) || !shell("ip netns add " + names_[1])) {
    missing_ = "no network namespaces here";
    return;
  }
  CHECK(shell("ip link add eth0 netns " + names_[0] + " type veth peer name eth0 netns " + names_[1]));
  const char* addresses[] = {kHere, kThere};
  for (int i = 0; i < 2; ++i) {
    const std::string inside = "ip -n " + names_[i] + ' ';
    CHECK(shell(inside + "link set lo up") && shell(inside + "addr add " + addresses[i] + "/24 dev eth0") && shell(inside + "link set eth0 up"));
    files_[i] = open(("/run/netns/" + names_[i]).c_str(), O_RDONLY | O_CLOEXEC);
    CHECK(files_[i] >= 0);
  }
  enter(0);
}

TwoNamespaces::~TwoNamespaces() {
  if (own_ < 0) return;
  (void)setns(own_, CLONE_NEWNET);
  for (const int file : {own_, files_[0], files_[1]})
    if (file >= 0) close(file);
  for (const std::string& name : names_) (void)shell("ip netns del " + name);
}

void TwoNamespaces::enter(int node) const { CHECK(setns(files_[node], CLONE_NEWNET) == 0); }

bool TwoNamespaces::cut() const {
  return shell(in(1) + "nft add table inet cable") && shell(in(1) + "nft add chain inet cable in '{ type filter hook input priority 0; }'") &&
         shell(in(1) + "nft add chain inet cable out '{ type filter hook output priority 0; }'") &&
         shell(in(1) + "nft add rule inet cable in iifname eth0 drop") && shell(in(1) + "nft add rule inet cable out oifname eth0 drop");
}

bool TwoNamespaces::mend() const { return shell(in(1) + "nft delete table inet cable"); }

}  // namespace baton::test
