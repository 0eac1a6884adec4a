// SPDX-License-Identifier: Apache-2.0
#include "launcher/state_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <utility>

#include "config/units.h"
#include "runtime/base/json.h"

namespace baton {
namespace {

std::string register_folder(const std::string& home) { return home + "/.local/state/baton/clusters"; }

Result<void> make_folder(const std::string& path) {
  std::error_code problem;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), problem);
  if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) {
    // A folder that was there before may be open to others; journals and logs are not theirs to read.
    if (chmod(path.c_str(), 0700) == 0) return {};
  }
  return fail(ErrorCode::kIo, "cannot make the folder " + path + ": " + std::strerror(errno));
}

pid_t pid_in(int file) {
  char text[32] = {};
  return pread(file, text, sizeof text - 1, 0) > 0 ? static_cast<pid_t>(std::strtol(text, nullptr, 10)) : 0;
}

ClusterEntry read_entry(const std::filesystem::path& path) {
  std::map<std::string, std::string> values;
  std::ifstream stream(path);
  for (std::string line; std::getline(stream, line);)
    if (const std::size_t equals = line.find('='); equals != std::string::npos) values[line.substr(0, equals)] = line.substr(equals + 1);
  ClusterEntry entry;
  entry.name = path.filename().string();
  entry.state = values["state"];
  entry.jobs = values["jobs"];
  entry.topology = values["topology"];
  entry.stop_limit = Duration{static_cast<std::int64_t>(parse_unsigned(values["stop_limit_ns"]).value_or(0))};
  return entry;
}

}  // namespace

Result<StateFolder> StateFolder::create(const std::string& path) {
  RETURN_IF_ERROR(make_folder(path));
  RETURN_IF_ERROR(make_folder(path + "/logs"));
  RETURN_IF_ERROR(make_folder(path + "/progress"));
  const int lock = open((path + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock < 0) return fail(ErrorCode::kIo, "cannot open " + path + "/lock: " + std::strerror(errno));
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    const pid_t holder = pid_in(lock);
    close(lock);
    return fail(ErrorCode::kAlreadyExists, "a cluster is already up in " + path + " (launcher pid " + std::to_string(holder) + ")");
  }
  const std::string pid = std::to_string(getpid()) + '\n';
  if (ftruncate(lock, 0) != 0 || pwrite(lock, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    const std::string why = std::strerror(errno);
    close(lock);
    return fail(ErrorCode::kIo, "cannot write " + path + "/lock: " + why);
  }
  return StateFolder(path, lock);
}

StateFolder::StateFolder(StateFolder&& other) noexcept : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

StateFolder::~StateFolder() {
  if (lock_ >= 0) close(lock_);
}

std::string journal_path(const std::string& state) { return state + "/journal"; }

void remove_journal(const std::string& state) {
  for (const char* end : {"", ".new"}) std::remove((journal_path(state) + end).c_str());
}

std::string supervisor_key_path(const std::string& state) { return state + "/supervisor.key"; }

pid_t lock_holder(const std::string& state) {
  const int lock = open((state + "/lock").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (lock < 0) return 0;
  const bool held = flock(lock, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  const pid_t holder = held ? pid_in(lock) : 0;
  close(lock);
  return holder;
}

Result<void> register_cluster(const std::string& home, const ClusterEntry& entry) {
  RETURN_IF_ERROR(make_folder(register_folder(home)));
  const ClusterEntry other = read_entry(register_folder(home) + '/' + entry.name);
  if (!other.state.empty() && other.state != entry.state) {
    if (const pid_t holder = lock_holder(other.state); holder != 0)
      return fail(ErrorCode::kAlreadyExists, "another cluster named " + entry.name + " is up in " + other.state + " (launcher pid " + std::to_string(holder) + ")");
  }
  return write_file(register_folder(home) + '/' + entry.name,
                    "state=" + entry.state + "\njobs=" + entry.jobs + "\ntopology=" + entry.topology +
                        "\nstop_limit_ns=" + std::to_string(entry.stop_limit.count()) + '\n');
}

void unregister_cluster(const std::string& home, const std::string& name) {
  std::error_code ignored;
  std::filesystem::remove(register_folder(home) + '/' + name, ignored);
}

std::vector<ClusterEntry> running_clusters(const std::string& home) {
  std::vector<ClusterEntry> found;
  std::error_code problem;
  for (const auto& each : std::filesystem::directory_iterator(register_folder(home), problem)) {
    if (each.path().filename().string().find('.') != std::string::npos) continue;  // half-written
    ClusterEntry entry = read_entry(each.path());
    entry.launcher = entry.state.empty() ? 0 : lock_holder(entry.state);
    if (entry.launcher != 0) found.push_back(std::move(entry));
  }
  std::sort(found.begin(), found.end(), [](const ClusterEntry& a, const ClusterEntry& b) { return a.name < b.name; });
  return found;
}

namespace {

Result<boost::json::value> read_cluster_file(const std::string& state) {
  std::ifstream stream(state + "/cluster.json", std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return parse_json(text.str());
}

}  // namespace

std::vector<std::string> workers_of(const std::string& state) {
  std::vector<std::string> names;
  const auto cluster = read_cluster_file(state);
  const boost::json::value* workers = cluster ? json_member(*cluster, "workers") : nullptr;
  if (workers == nullptr || !workers->is_array()) return names;
  for (const boost::json::value& each : workers->get_array())
    if (const boost::json::value* name = json_member(each, "name"); name != nullptr && name->is_string()) names.emplace_back(name->get_string());
  return names;
}

std::optional<GatewayEntry> gateway_of(const std::string& state) {
  const auto cluster = read_cluster_file(state);
  const boost::json::value* gateway = cluster ? json_member(*cluster, "gateway") : nullptr;
  if (gateway == nullptr) return std::nullopt;
  const boost::json::value* pid = json_member(*gateway, "pid");
  const boost::json::value* http = json_member(*gateway, "http");
  if (pid == nullptr || !pid->is_int64() || http == nullptr || !http->is_string()) return std::nullopt;
  return GatewayEntry{static_cast<pid_t>(pid->get_int64()), std::string(http->get_string())};
}

Result<void> write_file(const std::string& path, const std::string& text) {
  const std::string half = path + ".new";
  const int file = open(half.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  bool good = file >= 0;
  std::size_t written = 0;
  while (good && written < text.size()) {
    const ssize_t count = write(file, text.data() + written, text.size() - written);
    if (count < 0 && errno == EINTR) continue;
    good = count > 0;
    if (good) written += static_cast<std::size_t>(count);
  }
  good = good && rename(half.c_str(), path.c_str()) == 0;
  const std::string why = good ? "" : std::strerror(errno);
  if (file >= 0) close(file);
  if (!good) return fail(ErrorCode::kIo, "cannot write " + path + ": " + why);
  return {};
}

std::string last_lines_of_file(const std::string& path, std::size_t lines) {
  constexpr std::streamoff kBytesMax = 16 * 1024;
  std::ifstream stream(path, std::ios::binary | std::ios::ate);
  if (!stream) return {};
  const std::streamoff size = stream.tellg();
  stream.seekg(std::max<std::streamoff>(0, size - kBytesMax));
  std::ostringstream read;
  read << stream.rdbuf();
  const std::string text = read.str();
  std::size_t start = text.size();
  for (std::size_t found = 0; start > 0; --start)
    if (text[start - 1] == '\n' && start != text.size() && ++found == lines) break;
  return text.substr(start);
}

}  // namespace baton
