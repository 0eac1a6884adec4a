// SPDX-License-Identifier: Apache-2.0
// TwoNamespaces: two machines for a test, which are two network namespaces joined by a cable (veth, eth0 in both). Needs root and iproute2.
// The thread that made it is in the first one until the object ends. Everything of it is removed with it.
#pragma once

#include <string>

namespace baton::test {

// Whether a shell command succeeds, its output dropped; whether a program is on the PATH.
bool shell(const std::string& command);
bool is_there(const std::string& program);

class TwoNamespaces {
 public:
  static constexpr const char* kHere = "10.77.1.1";
  static constexpr const char* kThere = "10.77.1.2";

  TwoNamespaces();
  ~TwoNamespaces();
  TwoNamespaces(const TwoNamespaces&) = delete;
  TwoNamespaces& operator=(const TwoNamespaces&) = delete;

  // Why this machine cannot have them; "" if it has.
  const std::string& missing() const { return missing_; }
  // The calling thread, and what it starts from then on. 0: here, 1: there.
  void enter(int node) const;
  // What a command line begins with to run in that one.
  std::string in(int node) const { return "ip netns exec " + names_[node] + ' '; }
  // Everything between the two is dropped, in silence, as by a switch that has lost its power. Needs nft.
  bool cut() const;
  bool mend() const;

 private:
  const std::string names_[2];
  int files_[2] = {-1, -1};
  int own_ = -1;
  std::string missing_;
};

}  // namespace baton::test
