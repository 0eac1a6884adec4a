// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cluster_process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "runtime/actor/real_loop.h"
#include "tests/support/json_lines.h"

namespace baton::test {
namespace {

std::string microseconds(Duration duration) {
  return std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(duration).count()) + "us";
}

// What is wrong with a cluster at rest.
std::string complaint(const FsckReport& report) {
  if (!report.complete) return "some workers did not answer";
  for (const FsckAccount& account : report.accounts) {
    const std::string head = account.worker + ": ";
    if (!account.problems.empty()) return head + account.problems.front();
    if (account.free + account.cached != account.blocks_total) return head + std::to_string(account.blocks_total - account.free - account.cached) + " blocks are held by nobody";
    if (account.sequences != 0 || account.transfers != 0)
      return head + std::to_string(account.sequences) + " sequences and " + std::to_string(account.transfers) + " transfers are left";
  }
  return {};
}

}  // namespace

ClusterSpec oracle_spec(const OracleOptions& model, std::uint32_t blocks) {
  const std::size_t block_bytes = oracle_info(model).geometry.block_bytes();
  ClusterSpec spec;
  std::ostringstream path;
  path << "oracle:layers=" << model.layers << ",kv_heads=" << model.kv_heads << ",head_dim=" << model.head_dim
       << ",vocab_size=" << model.vocab_size << ",step_time=" << microseconds(model.step_time) << ",token_time=" << microseconds(model.token_time);
  if (model.crash_on >= 0) path << ",crash_on=" << model.crash_on;
  spec.model = path.str();
  spec.max_model_len = model.max_model_len;
  spec.kv_memory = std::to_string(blocks * block_bytes) + "B";
  return spec;
}

ClusterProcess::ClusterProcess(TestHome& home, const ClusterSpec& spec) : home_(home), spec_(spec) {
  const std::vector<int> ports = free_ports(2);
  jobs_ = "tcp://127.0.0.1:" + std::to_string(ports[0]);
  control_ = "tcp://127.0.0.1:" + std::to_string(ports[1]);
  state_ = home_.path() + "/state/" + spec_.name;
  file_ = home_.path() + '/' + spec_.name + ".yaml";
  std::ostringstream text;
  text << "version: 1\nname: " << spec_.name << "\nmodel: { path: \"" << spec_.model << '"';
  if (spec_.max_model_len != 0) text << ", max_model_len: " << spec_.max_model_len;
  text << " }\nkv_cache: { memory: " << spec_.kv_memory << ", block_size: 16 }\n"
       << "coordinator: { jobs: \"" << jobs_ << "\", control: \"" << control_ << "\", state: " << state_ << " }\npools:\n";
  for (const std::string& pool : spec_.pools) text << "  - { " << pool << " }\n";
  text << spec_.more;
  write_text(file_, text.str());
}

bool ClusterProcess::up() {
  const Output output = home_.run({"up", file_, "--detach", "--wait"}, std::chrono::minutes(3));
  if (output.exit_status == 0) return true;
  ADD_FAILURE() << "baton up: exit status " << output.exit_status << '\n' << output.out << output.err << logs();
  return false;
}

Output ClusterProcess::down(bool now) {
  std::vector<std::string> words = {"down", spec_.name};
  if (now) words.emplace_back("--now");
  return home_.run(words);
}

pid_t ClusterProcess::pid(const std::string& name) const {
  const std::string text = read_text(state_ + "/cluster.json");
  if (text.empty()) return 0;
  const Json cluster = parse_json(text);
  if (const Json* process = cluster.find(name); process != nullptr) return static_cast<pid_t>(process->at("pid").number);
  for (const Json& worker : cluster.at("workers").items)
    if (worker.at("name").text == name) return static_cast<pid_t>(worker.at("pid").number);
  return 0;
}

bool ClusterProcess::send_signal(const std::string& name, int signal) const {
  const pid_t target = pid(name);
  const bool sent = target > 0 && kill(target, signal) == 0;
  if (!sent) ADD_FAILURE() << "no process " << name << " to signal";
  return sent;
}

bool ClusterProcess::is_back(const std::string& name, pid_t before, Duration limit) {
  const Time deadline = real_now() + limit;
  if (!comes_true([&] { return pid(name) != 0 && pid(name) != before; }, limit)) return false;
  return comes_true(
      [&] {
        auto client = JobsClient::connect(jobs_, std::chrono::seconds(1));
        if (!client) return false;
        const auto report = (*client)->status(std::chrono::seconds(1));
        return report && report->workers.size() >= spec_.pools.size() &&
               std::all_of(report->workers.begin(), report->workers.end(), [&](const WorkerStatus& worker) {
                 return worker.state == WorkerState::kReady && static_cast<pid_t>(worker.pid) == pid(worker.name);
               });
      },
      deadline - real_now());
}

std::unique_ptr<JobsClient> ClusterProcess::connect() const {
  auto client = JobsClient::connect(jobs_, std::chrono::seconds(10));
  if (client) return std::move(*client);
  ADD_FAILURE() << client.error().message << '\n' << logs();
  return nullptr;
}

std::string ClusterProcess::fsck(Duration limit) const {
  const auto client = connect();
  if (!client) return "nobody answers";
  std::string wrong;
  comes_true(
      [&] {
        const auto report = client->fsck(std::chrono::seconds(5));
        wrong = report ? complaint(*report) : report.error().message;
        return wrong.empty();
      },
      limit);
  return wrong;
}

std::string ClusterProcess::logs() const {
  std::string text;
  std::error_code problem;
  for (const auto& each : std::filesystem::directory_iterator(state_ + "/logs", problem)) {
    const std::string log = read_text(each.path());
    text += "--- " + each.path().filename().string() + '\n' + log.substr(log.size() - std::min<std::size_t>(log.size(), 6000));
  }
  return text;
}

std::string ClusterProcess::complaints_in_logs() const {
  std::string found;
  std::error_code problem;
  for (const auto& each : std::filesystem::directory_iterator(state_ + "/logs", problem)) {
    std::istringstream lines(read_text(each.path().string()));
    for (std::string line; std::getline(lines, line);)
      for (const char* sign : {"Sanitizer", "runtime error:", "CHECK"})
        if (line.find(sign) != std::string::npos) found += each.path().filename().string() + ": " + line + '\n';
  }
  return found;
}

std::size_t rss_bytes(pid_t pid) {
  std::istringstream fields(read_text("/proc/" + std::to_string(pid) + "/statm"));
  std::size_t size = 0;
  std::size_t resident = 0;
  fields >> size >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

std::size_t open_files(pid_t pid) {
  std::size_t count = 0;
  std::error_code problem;
  for (const auto& each : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd", problem)) count += !each.path().empty();
  return count;
}

}  // namespace baton::test
