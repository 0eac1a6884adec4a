// SPDX-License-Identifier: Apache-2.0
// ProcessControl: how an actor says that its process must end (fenced, refused, coordinator lost). The real one stops the
// loop and sets the exit code; the simulated one kills the node. The actor goes on getting turns until then.
#pragma once

#include <string>

namespace baton {

class ProcessControl {
 public:
  virtual ~ProcessControl() = default;
  virtual void exit(int code, const std::string& reason) = 0;
};

}  // namespace baton
