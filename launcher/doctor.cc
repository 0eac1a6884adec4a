// SPDX-License-Identifier: Apache-2.0
#include "launcher/doctor.h"

#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "config/memory.h"
#include "config/units.h"
#include "launcher/commands.h"
#include "launcher/environment.h"
#include "launcher/exit_code.h"
#include "launcher/json_writer.h"
#include "launcher/port_owner.h"
#include "launcher/shared_memory.h"
#include "launcher/state_folder.h"
#include "launcher/table.h"
#include "runtime/link/ucx_version.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

// Without the line break at its end; "" if it cannot be read. /proc says no sizes, hence the stream.
std::string text_of(const char* path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  std::string read = text.str();
  while (!read.empty() && (read.back() == '\n' || read.back() == ' ')) read.pop_back();
  return read;
}

std::string field_of(std::string_view text, std::string_view name) {
  const std::size_t at = text.find(name);
  if (at == std::string_view::npos) return "";
  const std::size_t colon = text.find(':', at), end = std::min(text.find('\n', at), text.size());
  if (colon == std::string_view::npos || colon > end) return "";
  std::string value(text.substr(colon + 1, end - colon - 1));
  value.erase(0, value.find_first_not_of(" \t"));
  return value;
}

Finding kernel() {
  utsname name{};
  uname(&name);
  return {Verdict::kOk, "kernel", std::string(name.sysname) + ' ' + name.release + ", " + name.machine, ""};
}

Finding cores(std::uint32_t usable) {
  const long all = sysconf(_SC_NPROCESSORS_ONLN);
  const std::string found = std::to_string(usable) + " usable of " + std::to_string(all);
  if (usable >= 2) return {Verdict::kOk, "cores", found, ""};
  return {Verdict::kWarn, "cores", found, "prefill and decode workers will wait for each other: use one worker of role both"};
}

Finding huge_pages() {
  const std::string mode = text_of("/sys/kernel/mm/transparent_hugepage/enabled");
  if (mode.empty()) return {Verdict::kWarn, "huge pages", "the kernel has none", "weights are read a little slower"};
  const bool never = mode.find("[never]") != std::string::npos;
  return {never ? Verdict::kWarn : Verdict::kOk, "huge pages", mode,
          never ? "as root: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled" : ""};
}

// Whether one process of ours may read another's memory, which UCX does for large pieces over shared memory.
Finding cross_memory() {
  static char secret[8] = "baton";
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    char copy[8] = {};
    iovec local{copy, sizeof copy}, remote{secret, sizeof secret};
    _exit(process_vm_readv(parent, &local, 1, &remote, 1, 0) == sizeof copy ? 0 : errno == EPERM ? 1 : 2);
  }
  int status = -1;
  if (child > 0) waitpid(child, &status, 0);
  if (child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) return {Verdict::kOk, "process_vm_readv", "allowed", ""};
  return {Verdict::kOk, "process_vm_readv", "not allowed", "KV over shm is copied through /dev/shm then, which works as well"};
}

Finding limit(int which, const char* what, std::uint64_t least, const char* advice, bool bytes) {
  rlimit limits{};
  getrlimit(static_cast<decltype(RLIMIT_NOFILE)>(which), &limits);
  if (limits.rlim_cur == RLIM_INFINITY) return {Verdict::kOk, what, "unlimited", ""};
  const std::string found = bytes ? format_bytes(limits.rlim_cur) : std::to_string(limits.rlim_cur);
  return {limits.rlim_cur >= least ? Verdict::kOk : Verdict::kWarn, what, found, limits.rlim_cur >= least ? "" : advice};
}

Finding ucx() {
  const auto version = ucx_version();
  if (version) return {Verdict::kOk, "UCX", *version + "; transports shm, tcp", ""};
  return {Verdict::kWarn, "UCX", version.error().message,
          "tools/get_ucx.sh fetches it; without it, only clusters of one worker run"};
}

Finding models(const std::string& home) {
  std::string names;
  std::error_code problem;
  for (fs::directory_iterator each(home + "/.cache/baton/models", problem), end; !problem && each != end;
       each.increment(problem))
    names += (names.empty() ? "" : ", ") + each->path().filename().string();
  if (!names.empty()) return {Verdict::kOk, "models", names, ""};
  return {Verdict::kWarn, "models", "none in " + home + "/.cache/baton/models",
          "baton model fetch smollm2, or name a .gguf file"};
}

Finding clusters(const std::vector<ClusterEntry>& running) {
  std::string names;
  for (const ClusterEntry& each : running) names += (names.empty() ? "" : ", ") + each.name + " (" + each.jobs + ")";
  return {Verdict::kOk, "clusters", names.empty() ? "none is up" : names, ""};
}

Finding port(std::uint16_t number, const char* use, const std::vector<ClusterEntry>& running) {
  const std::string what = "port " + std::to_string(number);
  const auto is_free = check_port_free({"127.0.0.1", number}, running, std::string("see ") + use);
  if (is_free) return {Verdict::kOk, what, std::string("free (") + use + ')', ""};
  return {Verdict::kWarn, what, is_free.error().message, ""};
}

Finding gpus() {
  std::error_code problem;
  std::string found;
  for (fs::directory_iterator each("/proc/driver/nvidia/gpus", problem), end; !problem && each != end;
       each.increment(problem)) {
    const std::string model = field_of(text_of((each->path() / "information").c_str()), "Model");
    found += (found.empty() ? "" : ", ") + (model.empty() ? "an NVIDIA GPU" : model);
  }
  return {Verdict::kOk, "GPUs",
          found.empty() ? "none; workers compute on the CPU" : found + "; this version computes on the CPU", ""};
}

Finding disk(const std::string& home) {
  struct statvfs status {};
  if (statvfs(home.c_str(), &status) != 0)
    return {Verdict::kFail, "disk", home + ": " + std::strerror(errno),
            "set HOME to a folder of yours: state and models lie there"};
  const std::uint64_t free_bytes = std::uint64_t{status.f_bavail} * status.f_frsize;
  const bool enough = free_bytes >= (1ull << 30);
  return {enough ? Verdict::kOk : Verdict::kWarn, "disk", format_bytes(free_bytes) + " free in " + home,
          enough ? "" : "models and logs need room: free some"};
}

Finding writable_home(const std::string& home) {
  if (!home.empty() && access(home.c_str(), W_OK | X_OK) == 0) return {Verdict::kOk, "home", home, ""};
  return {Verdict::kFail, "home", home.empty() ? "not known" : home + " cannot be written",
          "set HOME to a folder of yours: state lies in ~/.local/state/baton"};
}

// A clock that stands before this program was written was never set.
Finding wall_clock() {
  constexpr std::time_t kReleased = 1'735'689'600;  // 2025-01-01
  const std::time_t now = std::time(nullptr);
  char text[40] = "";
  std::tm parts{};
  if (gmtime_r(&now, &parts) != nullptr) std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts);
  const bool plausible = now > kReleased;
  return {plausible ? Verdict::kOk : Verdict::kWarn, "clock", text,
          plausible ? "" : "logs and downloads need the right time: set it"};
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk: return "ok";
    case Verdict::kWarn: return "warn";
    case Verdict::kFail: return "fail";
  }
  return "?";
}

Finding judge_cpu(std::string_view cpuinfo) {
  const std::string flags = ' ' + field_of(cpuinfo, "flags") + ' ', model = field_of(cpuinfo, "model name");
  const auto has = [&](const char* flag) { return flags.find(' ' + std::string(flag) + ' ') != std::string::npos; };
  std::string found = model.empty() ? "unknown CPU" : model;
  found += ':';
  for (const auto& [flag, name] :
       {std::pair("avx2", "AVX2"), {"avx512f", "AVX-512"}, {"avx512_vnni", "VNNI"}, {"amx_tile", "AMX"}})
    if (has(flag)) found += std::string(" ") + name;
  if (has("avx2")) return {Verdict::kOk, "CPU", found, ""};
  return {Verdict::kWarn, "CPU", found + " no AVX2", "the scalar kernels run everywhere, but many times slower"};
}

Finding judge_quota(std::string_view cpu_max, std::uint32_t cores) {
  std::istringstream fields{std::string(cpu_max)};
  std::string quota;
  double period = 0;
  fields >> quota >> period;
  if (quota.empty() || quota == "max" || !(period > 0)) return {Verdict::kOk, "CPU quota", "none", ""};
  const double share = static_cast<double>(parse_unsigned(quota).value_or(0)) / period;
  char text[64];
  std::snprintf(text, sizeof text, "%.2f cores of %u", share, cores);
  if (share >= cores) return {Verdict::kOk, "CPU quota", text, ""};
  return {Verdict::kWarn, "CPU quota", text,
          "threads that the quota stops stall their step: set threads of each pool to fit it, or raise the quota"};
}

Finding judge_shm(std::uint64_t bytes, std::uint64_t wanted) {
  if (bytes >= wanted) return {Verdict::kOk, "/dev/shm", format_bytes(bytes), ""};
  return {Verdict::kWarn, "/dev/shm", bytes == 0 ? "none" : format_bytes(bytes),
          "KV of examples/laptop.yaml wants " + format_bytes(wanted) +
              " and goes over tcp otherwise: docker run --shm-size=2g, or mount -o remount,size=2g /dev/shm"};
}

Finding judge_ptrace(std::string_view scope) {
  if (scope.empty() || scope == "0") return {Verdict::kOk, "ptrace", scope.empty() ? "no Yama" : "ptrace_scope 0", ""};
  return {Verdict::kOk, "ptrace", "ptrace_scope " + std::string(scope),
          "KV over shm takes two copies instead of one; as root: sysctl kernel.yama.ptrace_scope=0"};
}

Finding judge_memory(std::uint64_t total, std::uint64_t available) {
  constexpr std::uint64_t kLeast = 256ull << 20, kUsual = 2ull << 30;
  const std::string found = format_bytes(available) + " available of " + format_bytes(total);
  if (available == 0 || available >= kUsual) return {Verdict::kOk, "memory", found, ""};
  if (available < kLeast) return {Verdict::kFail, "memory", found, "not even a small model fits: stop something"};
  return {Verdict::kWarn, "memory", found, "examples/laptop.yaml wants 1.2GiB: lower kv_cache.memory, or stop something"};
}

Finding judge_congestion(std::string_view name) {
  return {Verdict::kOk, "TCP", name.empty() ? "congestion control not known" : "congestion control " + std::string(name), ""};
}

std::vector<Finding> examine_machine() {
  const std::string home = home_folder();
  const LoadOptions facts = load_options({});
  const std::vector<ClusterEntry> running = running_clusters(home);
  constexpr std::uint64_t kLaptopKv = (1ull << 30) + (64ull << 20);
  return {kernel(),
          cores(facts.cores),
          judge_cpu(text_of("/proc/cpuinfo")),
          judge_quota(text_of("/sys/fs/cgroup/cpu.max"), facts.cores),
          judge_memory(facts.memory, available_memory()),
          huge_pages(),
          judge_shm(shm_size(), kLaptopKv),
          judge_ptrace(text_of("/proc/sys/kernel/yama/ptrace_scope")),
          cross_memory(),
          limit(RLIMIT_MEMLOCK, "locked memory", 64 << 10, "RDMA will need it: ulimit -l unlimited", true),
          limit(RLIMIT_NOFILE, "open files", 1024, "each stream takes one: ulimit -n 65536", false),
          ucx(),
          judge_congestion(text_of("/proc/sys/net/ipv4/tcp_congestion_control")),
          models(home),
          clusters(running),
          port(7070, "jobs", running),
          port(7071, "workers", running),
          port(8000, "HTTP", running),
          gpus(),
          disk(home),
          writable_home(home),
          wall_clock()};
}

int run_doctor(const DoctorOptions& options) {
  const std::vector<Finding> findings = examine_machine();
  const auto count = [&](Verdict verdict) {
    return std::count_if(findings.begin(), findings.end(), [&](const Finding& each) { return each.verdict == verdict; });
  };
  const bool can_run = count(Verdict::kFail) == 0;
  if (options.json) {
    JsonWriter json;
    json.begin_object().member("can_run", can_run).key("findings").begin_array();
    for (const Finding& each : findings)
      json.begin_object()
          .member("verdict", to_string(each.verdict))
          .member("what", each.what)
          .member("found", each.found)
          .member("advice", each.advice)
          .end_object();
    json.end_array().end_object();
    std::printf("%s\n", json.take().c_str());
    return can_run ? kDone : kFailed;
  }
  for (const Finding& each : findings) {
    std::printf("%-4s  %-16s  %s\n", std::string(to_string(each.verdict)).c_str(), each.what.c_str(), each.found.c_str());
    if (!each.advice.empty()) std::printf("%26s%s\n", "-> ", each.advice.c_str());
  }
  std::printf("\n%s: %td to look at, %td in the way\n", can_run ? "Baton can run here" : "Baton cannot run here",
              count(Verdict::kWarn), count(Verdict::kFail));
  return can_run ? kDone : kFailed;
}

}  // namespace baton
