// SPDX-License-Identifier: Apache-2.0
#include "launcher/port_owner.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

namespace baton {
namespace {

// Inodes of the sockets that listen on the port, from one of /proc/net/tcp{,6}.
void add_listeners(const char* table, std::uint16_t port, std::set<std::string>& inodes) {
  std::ifstream stream(table);
  std::string line;
  std::getline(stream, line);  // the heading
  while (std::getline(stream, line)) {
    std::istringstream fields(line);
    std::string slot, local, remote, state, queues, timer, retransmits, user, timeout, inode;
    fields >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> user >> timeout >> inode;
    const std::size_t colon = local.rfind(':');
    constexpr const char* kListening = "0A";
    if (state == kListening && colon != std::string::npos && std::strtoul(local.c_str() + colon + 1, nullptr, 16) == port)
      inodes.insert("socket:[" + inode + "]");
  }
}

std::string first_line(const std::filesystem::path& path) {
  std::ifstream stream(path);
  std::string line;
  std::getline(stream, line);
  return line;
}

// 0 if no process that we may look into has one of the sockets.
pid_t owner_of(const std::set<std::string>& inodes) {
  std::error_code problem;
  for (const auto& process : std::filesystem::directory_iterator("/proc", problem)) {
    const std::string pid = process.path().filename().string();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    std::error_code hidden;
    for (std::filesystem::directory_iterator file(process.path() / "fd", hidden), end; !hidden && file != end; file.increment(hidden)) {
      std::error_code gone;
      const std::string target = std::filesystem::read_symlink(file->path(), gone).string();
      if (!gone && inodes.contains(target)) return std::stoi(pid);
    }
  }
  return 0;
}

pid_t parent_of(pid_t pid) {
  const std::string stat = first_line("/proc/" + std::to_string(pid) + "/stat");  // "123 (any ) text) S 122 …"
  std::istringstream fields(stat.substr(std::min(stat.size(), stat.rfind(')') + 1)));
  std::string state;
  pid_t parent = 0;
  fields >> state >> parent;
  return parent;
}

// "pid 123 (python3); stop that", and the like.
std::string describe_owner(pid_t owner, const std::vector<ClusterEntry>& ours) {
  if (owner == 0) return "a process of another user; stop that";
  const std::string who = "pid " + std::to_string(owner) + " (" + first_line("/proc/" + std::to_string(owner) + "/comm") + ')';
  const pid_t parent = parent_of(owner);
  for (const ClusterEntry& each : ours)
    if (each.launcher == parent) return who + ", the cluster " + each.name + "; stop it with `baton down " + each.name + '`';
  return who + "; stop that";
}

}  // namespace

Result<void> check_port_free(const SocketAddress& address, const std::vector<ClusterEntry>& ours, const std::string& other_ports) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(address.port);
  const char* host = address.host == "*" ? nullptr : address.host.c_str();
  if (const int problem = getaddrinfo(host, port.c_str(), &hints, &found); problem != 0)
    return fail(ErrorCode::kNotFound, address.host + ": " + gai_strerror(problem));
  const int probe = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);  // connections of an earlier run may linger
  const bool bound = probe >= 0 && bind(probe, found->ai_addr, found->ai_addrlen) == 0 && listen(probe, 1) == 0;
  const int why = errno;
  if (probe >= 0) close(probe);
  freeaddrinfo(found);
  if (bound) return {};
  const std::string name = address.host + ':' + port;
  if (why != EADDRINUSE) return fail(ErrorCode::kIo, "cannot listen on " + name + ": " + std::strerror(why));
  std::set<std::string> inodes;
  add_listeners("/proc/net/tcp", address.port, inodes);
  add_listeners("/proc/net/tcp6", address.port, inodes);
  return fail(ErrorCode::kAlreadyExists, name + " is taken by " + describe_owner(owner_of(inodes), ours) + ", or choose other ports: " + other_ports);
}

}  // namespace baton
