// SPDX-License-Identifier: Apache-2.0
#include "launcher/cluster.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <sstream>
#include <utility>

#include "config/address.h"
#include "config/units.h"
#include "launcher/environment.h"
#include "launcher/exit_code.h"
#include "launcher/http_probe.h"
#include "launcher/jobs_client.h"
#include "launcher/json_writer.h"
#include "launcher/load_progress.h"
#include "launcher/port_owner.h"
#include "launcher/remote_worker.h"
#include "launcher/shared_memory.h"
#include "runtime/actor/real_loop.h"
#include "runtime/base/log.h"

namespace baton {
namespace {

constexpr Duration kPollPause = std::chrono::milliseconds(50);
constexpr Duration kAnswerLimit = std::chrono::seconds(2);
constexpr Duration kGlance = std::chrono::milliseconds(20);      // while answers are awaited
constexpr Duration kRest = std::chrono::minutes(1);
constexpr Duration kNoticeLimit = std::chrono::seconds(10);      // later the coordinator has noticed by itself
constexpr Duration kWorkerStopLimit = std::chrono::seconds(5);
// How other ports are chosen.
constexpr const char* kServePorts = "--port PORT for HTTP, --jobs tcp://HOST:PORT for jobs (workers join one port above)";
constexpr const char* kUpPorts = "--set coordinator.jobs=tcp://HOST:PORT --set coordinator.control=tcp://HOST:PORT --set gateway.http=HOST:PORT, or those keys of the file";
constexpr Duration kKillLimit = std::chrono::seconds(5);

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace

std::vector<ProcessSpec> plan_processes(const Topology& topology, const std::vector<std::string>& set, const std::string& text) {
  const std::string& state = topology.coordinator.state;
  std::vector<std::string> common = {"--topology", state + "/topology.yaml", "--base-folder", folder_of(topology.file)};
  for (const std::string& each : set) common.insert(common.end(), {"--set", each});
  std::vector<ProcessSpec> plan;
  const auto add = [&](const std::string& name, std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), common.begin(), common.end());
    plan.push_back({name, std::move(arguments), state + "/logs/" + name + ".log"});
  };
  add("coordinator", {"coordinator"});
  if (topology.gateway) add("gateway", {"gateway"});
  for (const WorkerSlot& slot : worker_slots(topology))
    if (auto worker = worker_process(topology, slot, set, text)) plan.push_back(std::move(*worker));
  return plan;
}

std::vector<std::string> workers_not_ready(const std::vector<std::string>& names, const StatusReport& report) {
  std::vector<std::string> missing;
  for (const std::string& name : names) {
    const bool ready = std::any_of(report.workers.begin(), report.workers.end(), [&](const WorkerStatus& each) {
      return each.name == name && each.state == WorkerState::kReady;
    });
    if (!ready) missing.push_back(name);
  }
  return missing;
}

std::vector<std::string> workers_not_ready(const Topology& topology, const StatusReport& report) {
  std::vector<std::string> names;
  for (WorkerSlot& slot : worker_slots(topology)) names.push_back(std::move(slot.name));
  return workers_not_ready(names, report);
}

// It answers only once the coordinator does.
bool gateway_ready(const Topology& topology) {
  if (!topology.gateway) return true;
  const auto status = http_status(http_url(topology), "/ready", kAnswerLimit);
  return status && *status == 200;
}

// A job's KV lies in one worker of each phase at a time, so the smaller side is what there is, and no job is larger than a worker.
std::string describe_capacity(const StatusReport& report) {
  std::uint64_t prefill = 0, decode = 0, a_job = report.max_model_len;
  for (const WorkerStatus& worker : report.workers) {
    const std::uint64_t tokens = std::uint64_t{worker.blocks_total} * report.block_tokens;
    const auto role = static_cast<PoolRole>(worker.role);
    if (role != PoolRole::kDecode) prefill += tokens;
    if (role != PoolRole::kPrefill) decode += tokens;
    a_job = std::min(a_job, tokens);
  }
  std::string text = std::to_string(std::min(prefill, decode)) + " tokens of KV in all";
  if (prefill != decode || report.workers.size() > 1)
    text += " (prefill " + std::to_string(prefill) + ", decode " + std::to_string(decode) + ')';
  if (a_job > 0) text += ", " + std::to_string(a_job) + " a job at most";
  return text;
}

// A wildcard is no address to dial.
std::string http_url(const Topology& topology) {
  std::string where = topology.gateway->http;
  for (const std::string_view any : {"*", "0.0.0.0", "[::]"})
    if (where.starts_with(any)) where = "127.0.0.1" + where.substr(any.size());
  return "http://" + where;
}

namespace {

// To be pasted into a shell as it is.
std::string curl_line(const Topology& topology) {
  const std::string model = topology.model.served_model_name.empty() ? "default" : topology.model.served_model_name.front();
  JsonWriter body;
  body.begin_object().member("model", model).key("messages").begin_array().begin_object();
  body.member("role", "user").member("content", "Hi").end_object().end_array().end_object();
  std::string quoted;  // for the shell
  for (const char c : body.take()) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  const std::string key = topology.security.api_keys_file.empty() ? "" : " -H \"Authorization: Bearer $BATON_API_KEY\"";
  return "curl " + http_url(topology) + "/v1/chat/completions" + key + " -H 'Content-Type: application/json' -d '" + quoted + '\'';
}

}  // namespace

std::string describe_ready(const Topology& topology, const StatusReport& report, Duration took) {
  std::ostringstream text;
  text << topology.name << " is up";
  if (took > Duration{0}) text << " (" << format_duration(std::chrono::duration_cast<std::chrono::milliseconds>(took)) << ')';
  text << ": " << (report.model_name.empty() ? topology.model.path : report.model_name) << '\n';
  text << "  jobs      " << topology.coordinator.jobs << '\n';
  if (topology.gateway) text << "  http      " << http_url(topology) << "/v1\n";
  if (topology.gateway && !topology.gateway->admin.empty()) text << "  admin     http://" << topology.gateway->admin << "/metrics\n";
  text << "  state     " << topology.coordinator.state << '\n';
  for (const WorkerStatus& worker : report.workers) {
    const std::uint64_t capacity = std::uint64_t{worker.blocks_total} * report.block_tokens;
    text << "  worker    " << worker.name << " (" << to_string(static_cast<PoolRole>(worker.role)) << ", pid " << worker.pid << "): KV for "
         << capacity << " tokens\n";
  }
  text << "  capacity  " << describe_capacity(report) << '\n';
  text << "  try       baton submit --topology " << topology.name << " \"The capital of France is\"\n";
  if (topology.gateway) text << "            " << curl_line(topology) << '\n';
  text << "  stop      baton down " << topology.name << '\n';
  return text.str();
}

ClusterRun::ClusterRun(const LoadedTopology& loaded, std::vector<std::string> set, Announcer& announcer, std::string command)
    : topology_(loaded.topology),
      text_(loaded.text),
      set_(std::move(set)),
      announcer_(announcer),
      command_(std::move(command)),
      supervisor_(own_executable(), RestartBudget{.restarts = topology_.lifecycle.max_restarts}),
      line_(topology_.coordinator.jobs),
      fleet_(loaded, set_, supervisor_, line_,
             {[this](ProcessSpec spec) { return start(std::move(spec)); },
              [this](std::uint64_t connection, const ScaleReply& reply) { socket_->reply(connection, reply); },
              [this](const std::string& what) { complain(what); }, [this](const std::string& name) { return state_->log_path(name); }}) {}

int ClusterRun::run(bool detached) {
  started_ = launcher_now();
  if (const Result<void> prepared = prepare(detached); !prepared) {
    complain(prepared.error().message + '\n');
    return kFailed;
  }
  if (const std::optional<int> failed = start_all()) return stop(true, *failed);
  if (const std::optional<int> failed = wait_ready()) return stop(true, *failed);
  if (detached) announcer_.finish(kDone);
  return watch();
}

// Everything that can go wrong before the first process: the lock, the ports, the files.
Result<void> ClusterRun::prepare(bool detached) {
  const CoordinatorSection& coordinator = topology_.coordinator;
  auto folder = StateFolder::create(coordinator.state);
  if (!folder) return tl::unexpected<Error>(folder.error());
  state_.emplace(std::move(*folder));
  std::vector<Result<SocketAddress>> addresses = {parse_tcp_address(coordinator.jobs), parse_tcp_address(coordinator.control)};
  if (topology_.gateway) addresses.push_back(parse_host_port(topology_.gateway->http));
  if (topology_.gateway && !topology_.gateway->admin.empty()) addresses.push_back(parse_host_port(topology_.gateway->admin));
  for (const auto& address : addresses) {
    if (!address) return tl::unexpected<Error>(address.error());
    RETURN_IF_ERROR(check_port_free(*address, running_clusters(home_folder()), command_ == "serve" ? kServePorts : kUpPorts));
  }
  std::vector<std::string> logs = {state_->log_path("launcher")};
  for (const ProcessSpec& each : plan_processes(topology_, set_)) logs.push_back(each.log_path);
  for (const std::string& log : logs) std::rename(log.c_str(), (log + ".1").c_str());
  if (detached) {
    const int log = open(logs[0].c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0 || dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0) return fail(ErrorCode::kIo, "cannot write " + logs[0]);
    close(log);
  }
  remove_journal(state_->path());  // of an earlier cluster, whose launcher was killed
  supervisor_key_ = to_hex(random_incarnation().value) + to_hex(random_incarnation().value);
  RETURN_IF_ERROR(write_file(supervisor_key_path(state_->path()), supervisor_key_));
  RETURN_IF_ERROR(write_file(state_->path() + "/topology.yaml", text_));
  ClusterEntry entry{topology_.name, state_->path(), coordinator.jobs, topology_.file, 0, {}};
  entry.stop_limit = topology_.lifecycle.drain_timeout + kWorkerStopLimit + kKillLimit;
  return register_cluster(home_folder(), entry);
}

Result<void> ClusterRun::start(ProcessSpec spec) {
  if (spec.arguments.front() == "worker" && weights_.descriptor() >= 0) {
    spec.inherit = weights_.descriptor();
    spec.arguments.insert(spec.arguments.end(), {"--weights-file", std::to_string(spec.inherit)});
  }
  forget_load_progress(topology_.coordinator.state, spec.name);
  return supervisor_.start(spec);
}

std::optional<int> ClusterRun::start_all() {
  const std::vector<ProcessSpec> plan = plan_processes(topology_, set_, text_);
  for (const ProcessSpec& each : plan) {
    if (const Result<void> started = start(each); !started) {
      complain(started.error().message + '\n');
      return kFailed;
    }
  }
  write_cluster_file();
  const std::size_t workers = plan.size() - (topology_.gateway ? 2 : 1);
  announcer_.err("starting " + topology_.name + ": coordinator" + (topology_.gateway ? ", gateway" : "") + " and " + std::to_string(workers) + " worker" + (workers == 1 ? "" : "s") + '\n');
  if (const std::string by_hand = to_be_started_by_hand(topology_); !by_hand.empty()) announcer_.err(by_hand);
  if (const auto why = why_no_shared_memory(topology_, shm_size())) announcer_.err("  KV goes over tcp, which is slower: " + *why + '\n');
  return std::nullopt;
}

// Ready: the coordinator answers on the jobs socket and shows every worker as ready. Until then any death is final: what
// fails in its first second fails again, and its own words are worth more than a restart.
void ClusterRun::show_progress(const std::vector<std::string>& missing) {
  std::vector<std::pair<std::string, std::optional<LoadState>>> workers;
  for (const std::string& name : missing) workers.emplace_back(name, read_load_progress(topology_.coordinator.state, name));
  std::string text = render_load_progress(workers);
  if (text == progress_) return;
  progress_ = std::move(text);
  announcer_.progress(progress_);
}

std::optional<int> ClusterRun::wait_ready() {
  const Time deadline = started_ + topology_.lifecycle.start_timeout;
  std::unique_ptr<JobsClient> client;
  std::vector<std::string> missing = workers_not_ready(topology_, {});
  while (true) {
    const Supervisor::Turn turn = supervisor_.wait(kPollPause, signals_.fd());
    if (turn.readable) return signals_.take() == SIGTERM ? kDone : kInterrupted;
    if (!turn.ended.empty()) return explain_death(turn.ended.front());
    show_progress(missing);
    if (launcher_now() >= deadline) return explain_not_ready(missing.empty() ? std::vector<std::string>{"gateway"} : missing);
    if (!client) {
      auto connected = JobsClient::connect(topology_.coordinator.jobs, kPollPause * 2);
      if (!connected) continue;
      client = std::move(*connected);
    }
    const auto report = client->status(std::min(kAnswerLimit, deadline - launcher_now()));
    if (!report) {
      client.reset();
      continue;
    }
    const std::vector<std::string> still_missing = workers_not_ready(topology_, *report);
    for (const std::string& name : missing)
      if (std::find(still_missing.begin(), still_missing.end(), name) == still_missing.end()) announcer_.err("  " + name + " is ready\n");
    if (missing != still_missing) progress_.clear();
    missing = still_missing;
    if (missing.empty() && gateway_ready(topology_)) {
      announcer_.out(describe_ready(topology_, *report, launcher_now() - started_));
      return std::nullopt;
    }
  }
}

int ClusterRun::explain_death(const ProcessEnd& end) {
  const std::string log = state_->log_path(end.name);
  complain(end.name + " ended before the cluster was ready: " + end.how + "\n  last lines of " + log + ":\n");
  announcer_.err(last_lines_of_file(log, 12));
  return kNotReadyInTime;
}

int ClusterRun::explain_not_ready(const std::vector<std::string>& missing) {
  complain("not ready after " + format_duration(topology_.lifecycle.start_timeout) + " (lifecycle.start_timeout); missing: " + joined(missing) + '\n');
  for (const std::string& name : missing) {
    const std::string log = state_->log_path(name);
    announcer_.err("  last lines of " + log + ":\n" + last_lines_of_file(log, 6));
  }
  return kNotReadyInTime;
}

// Serving: what happens is told to the coordinator and to the fleet, what is asked at the socket is done.
int ClusterRun::watch() {
  socket_.emplace();
  if (const Result<void> opened = socket_->open(state_->path(), signals_.fd()); !opened) {
    log_warn("launcher", "baton scale cannot reach this launcher", {{"why", opened.error().message}});
    socket_.reset();
  }
  while (true) {
    const bool soon = line_.waits() || fleet_.busy();
    const Supervisor::Turn turn = supervisor_.wait(soon ? kGlance : kRest, socket_ ? socket_->fd() : signals_.fd());
    note_ends(turn);
    for (const ProcessEnd& end : turn.ended) {
      if (!end.for_good || (end.name != "coordinator" && end.name != "gateway")) continue;
      complain(end.name + " keeps ending (" + end.how + ") and is given up; stopping the cluster\n  last lines of " +
                     state_->log_path(end.name) + ":\n" + last_lines_of_file(state_->log_path(end.name), 12));
      return stop(false, kWorkerLostForGood);
    }
    if (turn.readable && socket_)
      for (const LauncherSocket::Asked& asked : socket_->turn()) fleet_.scale(asked.connection, asked.request);
    for (const auto& [number, answer] : line_.turn()) fleet_.take(number, answer);
    fleet_.step();
    if (fleet_.take_changed()) write_cluster_file();
    if (fleet_.cannot_serve()) {
      complain(*fleet_.cannot_serve() + "; stopping the cluster\n");
      return stop(false, kWorkerLostForGood);
    }
    if (!turn.readable) continue;
    const int signal = signals_.take();
    if (signal == SIGQUIT) return stop(true, kDone);
    if (signal != 0) return stop(false, signal == SIGINT ? kInterrupted : kDone);
  }
}

// The coordinator hears of a worker's end before the worker is started again, which takes a pause at least.
void ClusterRun::note_ends(const Supervisor::Turn& turn) {
  for (const ProcessEnd& end : turn.ended) {
    if (!end.expected) log_warn("launcher", "a process ended", {{"name", end.name}, {"pid", end.pid}, {"how", end.how}});
    if (end.name == "coordinator") line_.forget_connection();
    else if (end.name != "gateway" && end.pid != 0) tell_coordinator(end);
    fleet_.note_end(end);
  }
  for (const std::string& name : turn.restarted) log_info("launcher", "started again", {{"name", name}, {"pid", supervisor_.pid(name)}});
  if (!turn.ended.empty() || !turn.restarted.empty()) write_cluster_file();
}

void ClusterRun::tell_coordinator(const ProcessEnd& end) {
  ClusterCommand notice;
  notice.action = ClusterAction::kProcessEnded;
  notice.worker = end.name;
  notice.pid = static_cast<std::uint32_t>(end.pid);
  notice.detail = end.how;
  notice.crashed = end.crashed && !end.expected;
  notice.key = supervisor_key_;
  line_.ask(notice, kNoticeLimit);
}

// Workers last: the coordinator drains through them. A second signal, or a time limit, kills what is left.
int ClusterRun::stop(bool at_once, int exit_status) {
  supervisor_.stop_restarting();
  socket_.reset();
  if (fleet_.gave_up()) exit_status = kWorkerLostForGood;
  const std::vector<WorkerSlot> slots = fleet_.workers();
  if (!at_once) {
    announcer_.err("stopping " + topology_.name + ": running jobs may end (Ctrl-C, or baton down " + topology_.name + " --now, stops at once)\n");
    std::size_t workers = supervisor_.running();
    for (const char* name : {"gateway", "coordinator"}) {
      if (supervisor_.pid(name) != 0) --workers;
      supervisor_.signal(name, SIGTERM);
    }
    at_once = !drain_until(launcher_now() + topology_.lifecycle.drain_timeout, workers);
  }
  if (!at_once) {
    for (const WorkerSlot& slot : slots) supervisor_.signal(slot.name, SIGTERM);
    at_once = !drain_until(launcher_now() + kWorkerStopLimit, 0);
  }
  for (const char* name : {"gateway", "coordinator"}) supervisor_.signal(name, SIGKILL);
  for (const WorkerSlot& slot : slots) supervisor_.signal(slot.name, SIGKILL);
  const Time deadline = launcher_now() + kKillLimit;
  while (supervisor_.running() > 0 && launcher_now() < deadline) supervisor_.wait(kPollPause, -1);
  if (state_) {
    unregister_cluster(home_folder(), topology_.name);
    remove_journal(state_->path());
    for (const std::string& file : {state_->path() + "/cluster.json", supervisor_key_path(state_->path())}) std::remove(file.c_str());
  }
  announcer_.err(topology_.name + " is down\n");
  announcer_.finish(exit_status);
  return exit_status;
}

bool ClusterRun::drain_until(Time deadline, std::size_t leave_running) {
  while (supervisor_.running() > leave_running && launcher_now() < deadline) {
    if (supervisor_.wait(std::min<Duration>(deadline - launcher_now(), std::chrono::seconds(1)), signals_.fd()).readable) {
      const int signal = signals_.take();
      if (signal == SIGINT || signal == SIGQUIT) return false;  // a second SIGTERM is a second `baton down`: it waits, too
    }
  }
  return true;
}

void ClusterRun::write_cluster_file() const {
  JsonWriter json;
  json.begin_object().member("name", topology_.name).member("topology", topology_.file);
  json.key("launcher").begin_object().member("pid", static_cast<std::int64_t>(getpid())).end_object();
  json.key("coordinator").begin_object().member("pid", static_cast<std::int64_t>(supervisor_.pid("coordinator")));
  json.member("jobs", topology_.coordinator.jobs).member("control", topology_.coordinator.control);
  json.member("log", state_->log_path("coordinator")).end_object();
  if (topology_.gateway) {
    json.key("gateway").begin_object().member("pid", static_cast<std::int64_t>(supervisor_.pid("gateway")));
    json.member("http", http_url(topology_)).member("log", state_->log_path("gateway")).end_object();
  }
  json.key("workers").begin_array();
  for (const WorkerSlot& slot : fleet_.workers()) {
    json.begin_object().member("name", slot.name).member("pool", topology_.pools[slot.pool].name);
    json.member("role", to_string(topology_.pools[slot.pool].role)).member("pid", static_cast<std::int64_t>(supervisor_.pid(slot.name)));
    json.member("log", state_->log_path(slot.name)).end_object();
  }
  json.end_array().end_object();
  if (const Result<void> written = write_file(state_->path() + "/cluster.json", json.take() + '\n'); !written)
    log_warn("launcher", "cluster.json was not written", {{"why", written.error().message}});
}

}  // namespace baton
