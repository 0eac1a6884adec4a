// SPDX-License-Identifier: Apache-2.0
// HttpThread: the thread on which requests are heard and answered, as those who answer them see it. HttpServer is the real one;
// tests have one of their own that they turn by hand.
#pragma once

#include <functional>

#include "runtime/base/time.h"

namespace baton {

class HttpThread {
 public:
  virtual ~HttpThread() = default;
  // Any thread. `turn` runs on the HTTP thread, in order of posting; not at all once the server has stopped.
  virtual void post(std::function<void()> turn) = 0;
  // HTTP thread. `turn` runs there once, at or soon after `delay`; not at all once the server has stopped.
  virtual void after(Duration delay, std::function<void()> turn) = 0;
  // HTTP thread.
  virtual Time now() const = 0;
};

}  // namespace baton
