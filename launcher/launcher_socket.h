// SPDX-License-Identifier: Apache-2.0
// The launcher's door: a Unix socket, STATE/launcher.sock (mode 0600 in a folder of mode 0700), where commands of the same
// user ask for what only the launcher can do (scale_protocol.h). LauncherSocket is its inside: the launcher's main thread,
// never blocks; at most kConnectionsMax connections, the oldest idle one gives way; who sends garbage or reads nothing is cut
// off. ask_launcher is the outside, of a command.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "launcher/scale_protocol.h"
#include "runtime/base/result.h"

namespace baton {

class LauncherSocket {
 public:
  struct Asked {
    std::uint64_t connection = 0;
    ScaleRequest request;
  };

  LauncherSocket() = default;
  ~LauncherSocket();
  LauncherSocket(const LauncherSocket&) = delete;
  LauncherSocket& operator=(const LauncherSocket&) = delete;

  // Listens in that folder; what a killed launcher left there is replaced. `also` is one more file to wait for.
  Result<void> open(const std::string& folder, int also);
  // Readable when turn(), or `also`, has something to do.
  int fd() const { return epoll_; }
  // What was asked since the last turn.
  std::vector<Asked> turn();
  // A last reply ends the connection. One that is gone hears nothing.
  void reply(std::uint64_t connection, const ScaleReply& reply);

 private:
  struct Connection {
    int file = -1;
    LineBuffer input;
    bool asked = false;  // one request each
  };
  static constexpr std::size_t kConnectionsMax = 16;
  static constexpr std::size_t kReadsATurn = 64;

  void accept_all();
  // False: it is to be dropped.
  bool read_some(std::uint64_t id, Connection& connection, std::vector<Asked>& asked);
  void drop(std::uint64_t id);

  int epoll_ = -1;
  int listener_ = -1;
  std::string path_;
  std::map<std::uint64_t, Connection> connections_;  // by number: in order of arrival
  std::uint64_t next_ = 1;
};

// Sends the request and hands every reply but the last to `on_text`; the last one. kUnavailable: no launcher listens there, or
// it went away; `interrupted` is asked a few times a second, kCancelled once it is true (what was asked goes on).
Result<ScaleReply> ask_launcher(const std::string& folder, const ScaleRequest& request, const std::function<void(const std::string&)>& on_text,
                                const std::function<bool()>& interrupted);

}  // namespace baton
