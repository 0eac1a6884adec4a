// SPDX-License-Identifier: Apache-2.0
#include "launcher/launcher_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace baton {
namespace {

constexpr const char* kName = "launcher.sock";
constexpr int kGlance = 200;  // milliseconds

// An address has 107 bytes, a folder may have more: it is named by an open file of it.
class FolderAddress {
 public:
  explicit FolderAddress(const std::string& folder) : folder_(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
    address_.sun_family = AF_UNIX;
    const std::string path = "/proc/self/fd/" + std::to_string(folder_) + '/' + kName;
    std::memcpy(address_.sun_path, path.c_str(), path.size() + 1);
  }
  ~FolderAddress() {
    if (folder_ >= 0) close(folder_);
  }
  FolderAddress(const FolderAddress&) = delete;
  FolderAddress& operator=(const FolderAddress&) = delete;

  bool good() const { return folder_ >= 0; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address_); }
  static constexpr socklen_t kSize = sizeof(sockaddr_un);

 private:
  int folder_;
  sockaddr_un address_{};
};

bool watch(int epoll, int file, std::uint64_t number) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = number;
  return epoll_ctl(epoll, EPOLL_CTL_ADD, file, &event) == 0;
}

}  // namespace

LauncherSocket::~LauncherSocket() {
  for (const auto& [id, connection] : connections_) close(connection.file);
  for (const int file : {listener_, epoll_})
    if (file >= 0) close(file);
  if (!path_.empty()) unlink(path_.c_str());
}

Result<void> LauncherSocket::open(const std::string& folder, int also) {
  const auto problem = [&](const char* what) { return fail(ErrorCode::kIo, "cannot " + std::string(what) + ' ' + folder + '/' + kName + ": " + std::strerror(errno)); };
  const FolderAddress address(folder);
  if (!address.good()) return problem("find the folder of");
  const std::string path = folder + '/' + kName;
  unlink(path.c_str());
  listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener_ < 0 || bind(listener_, address.get(), FolderAddress::kSize) != 0) return problem("make");
  path_ = path;
  if (chmod(path.c_str(), 0600) != 0 || listen(listener_, kConnectionsMax) != 0) return problem("listen at");
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0 || !watch(epoll_, listener_, 0) || !watch(epoll_, also, 0)) return problem("wait for");
  return {};
}

std::vector<LauncherSocket::Asked> LauncherSocket::turn() {
  std::vector<Asked> asked;
  accept_all();
  std::vector<std::uint64_t> gone;
  for (auto& [id, connection] : connections_)
    if (!read_some(id, connection, asked)) gone.push_back(id);
  for (const std::uint64_t id : gone) drop(id);
  return asked;
}

void LauncherSocket::accept_all() {
  for (std::size_t i = 0; i < kConnectionsMax; ++i) {
    const int file = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (file < 0) return;
    if (connections_.size() >= kConnectionsMax) {
      std::uint64_t idle = 0;
      for (const auto& [id, connection] : connections_)
        if (!connection.asked && idle == 0) idle = id;
      if (idle != 0) drop(idle);
    }
    if (connections_.size() >= kConnectionsMax || !watch(epoll_, file, next_)) close(file);
    else connections_[next_++].file = file;
  }
}

bool LauncherSocket::read_some(std::uint64_t id, Connection& connection, std::vector<Asked>& asked) {
  char bytes[4096];
  for (std::size_t reads = 0; reads < kReadsATurn; ++reads) {
    const ssize_t count = recv(connection.file, bytes, sizeof bytes, MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno == EAGAIN;
    if (count == 0) return false;
    if (connection.asked) continue;  // it has said what it may say
    const Result<void> added = connection.input.add({bytes, static_cast<std::size_t>(count)});
    const std::optional<std::string> line = added ? connection.input.next() : std::nullopt;
    if (added && !line) continue;
    const Result<ScaleRequest> request = line ? parse_scale_request(*line) : tl::unexpected<Error>(added.error());
    if (!request) {
      const std::string refusal = to_line({"this is no request: " + request.error().message, 2});
      send(connection.file, refusal.data(), refusal.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      return false;
    }
    connection.asked = true;
    asked.push_back({id, *request});
  }
  return true;
}

void LauncherSocket::drop(std::uint64_t id) {
  const auto it = connections_.find(id);
  if (it == connections_.end()) return;
  close(it->second.file);  // leaves the epoll set with it
  connections_.erase(it);
}

void LauncherSocket::reply(std::uint64_t id, const ScaleReply& reply) {
  const auto it = connections_.find(id);
  if (it == connections_.end()) return;
  const std::string line = to_line(reply);
  const bool sent = send(it->second.file, line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL) == static_cast<ssize_t>(line.size());
  if (!sent || reply.exit_status) drop(id);
}

Result<ScaleReply> ask_launcher(const std::string& folder, const ScaleRequest& request, const std::function<void(const std::string&)>& on_text,
                                const std::function<bool()>& interrupted) {
  const FolderAddress address(folder);
  const int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto give_up = [&](ErrorCode code, const std::string& why) {
    if (file >= 0) close(file);
    return fail(code, why);
  };
  if (!address.good() || file < 0 || connect(file, address.get(), FolderAddress::kSize) != 0)
    return give_up(ErrorCode::kUnavailable, "no launcher listens at " + folder + '/' + kName + " (" + std::strerror(errno) + "): is the cluster up, and serving?");
  const std::string line = to_line(request);
  if (line.size() > kScaleLineMax || send(file, line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size()))
    return give_up(ErrorCode::kUnavailable, "the launcher took no request");
  LineBuffer input;
  while (true) {
    if (interrupted()) return give_up(ErrorCode::kCancelled, "interrupted; what was asked goes on, `baton status` shows how far it is");
    pollfd ready{file, POLLIN, 0};
    if (poll(&ready, 1, kGlance) <= 0) continue;
    char bytes[4096];
    const ssize_t count = recv(file, bytes, sizeof bytes, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0 || !input.add({bytes, static_cast<std::size_t>(count)})) return give_up(ErrorCode::kUnavailable, "the launcher went away; `baton status` shows what is left");
    while (const auto next = input.next()) {
      const auto reply = parse_scale_reply(*next);
      if (!reply) return give_up(ErrorCode::kCorrupt, "the launcher's reply makes no sense: " + reply.error().message);
      if (!reply->exit_status) {
        on_text(reply->text);
        continue;
      }
      close(file);
      return *reply;
    }
  }
}

}  // namespace baton
