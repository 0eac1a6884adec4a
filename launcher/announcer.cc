// SPDX-License-Identifier: Apache-2.0
#include "launcher/announcer.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace baton {
namespace {

// On the pipe: kind, length (4 bytes, host order), text.
constexpr std::size_t kHeadBytes = 1 + sizeof(std::uint32_t);

// Lines of progress on the terminal, which is one of this process's outputs.
std::size_t lines_shown = 0;

void print(char kind, std::string_view text) {
  if (kind == 'p' && isatty(STDERR_FILENO) == 0) return;
  if (lines_shown > 0) std::fprintf(stderr, "\033[%zuA\033[J", lines_shown);  // up, and erase what is below
  std::fflush(stderr);
  lines_shown = kind == 'p' ? static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) : 0;
  std::FILE* stream = kind == 'o' ? stdout : stderr;
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
}

}  // namespace

Announcer::~Announcer() {
  if (pipe_ >= 0) close(pipe_);
}

void Announcer::send(char kind, std::string_view text) {
  if (pipe_ < 0) return print(kind, text);
  const auto length = static_cast<std::uint32_t>(text.size());
  std::string message(kHeadBytes, kind);
  std::memcpy(message.data() + 1, &length, sizeof length);
  message += text;
  for (std::size_t sent = 0; sent < message.size();) {
    const ssize_t count = write(pipe_, message.data() + sent, message.size() - sent);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;  // nobody waits any more
    sent += static_cast<std::size_t>(count);
  }
}

void Announcer::finish(int exit_status) {
  if (pipe_ < 0) return;
  send('x', std::to_string(exit_status));
  close(pipe_);
  pipe_ = -1;
}

int relay_announcements(int pipe, int signals, const std::function<void()>& on_signal) {
  std::string received;
  while (true) {
    pollfd files[2] = {{pipe, POLLIN, 0}, {signals, POLLIN, 0}};
    if (poll(files, 2, -1) < 0 && errno != EINTR) return 1;
    if ((files[1].revents & POLLIN) != 0) on_signal();
    if ((files[0].revents & (POLLIN | POLLHUP)) == 0) continue;
    char buffer[4096];
    const ssize_t count = read(pipe, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return 1;
    received.append(buffer, static_cast<std::size_t>(count));
    std::uint32_t length = 0;
    while (received.size() >= kHeadBytes) {
      std::memcpy(&length, received.data() + 1, sizeof length);
      if (received.size() < kHeadBytes + length) break;
      const std::string text = received.substr(kHeadBytes, length);
      if (received[0] == 'x') return std::atoi(text.c_str());
      print(received[0], text);
      received.erase(0, kHeadBytes + length);
    }
  }
}

}  // namespace baton
