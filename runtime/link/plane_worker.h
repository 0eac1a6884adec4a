// SPDX-License-Identifier: Apache-2.0
// PlaneWorker: a MessageLink that a data thread can drive and sleep on: UCX's, the one of TCP sockets, and the one that
// chooses between them per peer. One thread at a time calls it; after its making that is the data thread. Events come from
// inside progress() and send().
#pragma once

#include <cstddef>
#include <string>

#include "runtime/link/message_link.h"

namespace baton {

class PlaneWorker : public MessageLink {
 public:
  // What a peer gives to connect().
  virtual const std::string& address() const = 0;
  // Completes what it can; returns how much happened (0: nothing to do now).
  virtual unsigned progress() = 0;
  // True if the caller may sleep on event_fd() now; false if there is work, call progress() again.
  virtual bool arm() = 0;
  virtual int event_fd() const = 0;
  // Endpoints not yet gone, closing ones included.
  virtual std::size_t endpoints() const = 0;
};

}  // namespace baton
