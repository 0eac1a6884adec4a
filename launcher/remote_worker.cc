// SPDX-License-Identifier: Apache-2.0
#include "launcher/remote_worker.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <thread>
#include <utility>

#include "config/address.h"
#include "runtime/base/thread_name.h"

namespace baton {
namespace {

// The text is preceded by its length, in as many digits.
constexpr std::size_t kLengthDigits = 8;
constexpr std::size_t kTextMax = 1 << 20;

bool is_this_machine(const std::string& address) {
  if (is_loopback(address)) return true;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return false;
  bool found = false;
  for (const ifaddrs* entry = list; entry != nullptr && !found; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    char text[INET6_ADDRSTRLEN] = {};
    if (entry->ifa_addr->sa_family == AF_INET)
      inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(entry->ifa_addr)->sin_addr, text, sizeof text);
    else if (entry->ifa_addr->sa_family == AF_INET6)
      inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr)->sin6_addr, text, sizeof text);
    found = address == text;
  }
  freeifaddrs(list);
  return found;
}

// For the shell at the other end.
std::string quoted(const std::string& word) {
  std::string text = "'";
  for (const char each : word) text += each == '\'' ? std::string("'\\''") : std::string(1, each);
  return text + '\'';
}

bool read_exactly(char* to, std::size_t count) {
  while (count > 0) {
    const ssize_t got = read(STDIN_FILENO, to, count);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    to += got;
    count -= static_cast<std::size_t>(got);
  }
  return true;
}

void end_with_standard_input() {
  std::thread([] {
    name_this_thread("baton-stdin");
    char ignored[256];
    for (ssize_t got = 1; got != 0;) {
      got = read(STDIN_FILENO, ignored, sizeof ignored);
      if (got < 0 && errno != EINTR) break;
    }
    // The first asks for a drain, the second does not wait for it: nobody is left to hear the answers.
    kill(getpid(), SIGTERM);
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    kill(getpid(), SIGTERM);
    std::this_thread::sleep_for(std::chrono::seconds(5));
    kill(getpid(), SIGKILL);
  }).detach();
}

}  // namespace

StartedBy who_starts(const Topology& topology, const PoolSection& pool) {
  const NodeSection& node = node_of(topology, pool);
  if (&node == &coordinator_node(topology)) return StartedBy::kLauncher;
  if (!node.ssh.empty()) return StartedBy::kSsh;
  return is_this_machine(node.address) ? StartedBy::kLauncher : StartedBy::kHand;
}

ProcessSpec through_ssh(const NodeSection& node, const std::string& own_program, const std::string& topology_text,
                        ProcessSpec local) {
  std::string command = "exec " + quoted(node.baton.empty() ? own_program : node.baton);
  for (std::size_t i = 0; i < local.arguments.size(); ++i) {
    const bool is_file = i > 0 && local.arguments[i - 1] == "--topology";
    command += ' ' + quoted(is_file ? "-" : local.arguments[i]);
  }
  ProcessSpec spec = std::move(local);
  spec.program = "ssh";  // as found on PATH
  spec.arguments = {
      "-T",     "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=2", "-o", "ServerAliveCountMax=5",
      node.ssh, "--", command};
  std::string length = std::to_string(topology_text.size());
  length.insert(0, kLengthDigits - length.size(), '0');
  spec.input = length + topology_text;
  return spec;
}

std::string to_be_started_by_hand(const Topology& topology) {
  std::string text;
  for (const WorkerSlot& slot : worker_slots(topology)) {
    const PoolSection& pool = topology.pools[slot.pool];
    if (who_starts(topology, pool) != StartedBy::kHand) continue;
    const NodeSection& node = node_of(topology, pool);
    text += "  " + slot.name + " is not started from here (node " + node.name + " at " + node.address +
            " has no ssh); start it there:\n    baton worker " + slot.name + " --topology " +
            topology.file.substr(topology.file.rfind('/') + 1) + '\n';
  }
  return text;
}

std::optional<std::string> topology_from_standard_input() {
  char digits[kLengthDigits];
  if (!read_exactly(digits, sizeof digits)) return std::nullopt;
  std::size_t length = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return std::nullopt;
    length = length * 10 + static_cast<std::size_t>(digit - '0');
  }
  if (length > kTextMax) return std::nullopt;
  std::string text(length, '\0');
  const int file = memfd_create("topology", MFD_CLOEXEC);
  if (file < 0 || !read_exactly(text.data(), text.size()) ||
      write(file, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return std::nullopt;
  end_with_standard_input();
  return "/proc/self/fd/" + std::to_string(file);
}

}  // namespace baton
