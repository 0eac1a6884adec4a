// SPDX-License-Identifier: Apache-2.0
// Supervisor: starts processes, notices at once when one ends, starts it again within a budget. Supervision is of processes
// only; what their end means for jobs is the coordinator's business. Used from one thread, which must be the one that lives
// as long as the program: the kernel kills every child when that thread is gone (PR_SET_PDEATHSIG), however it went, so
// no orphan survives a killed launcher. Each child has its own process group (a Ctrl-C reaches the launcher alone), reads
// nothing unless its spec says so, and appends what it writes to its log.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/base/time.h"

namespace baton {

struct ProcessSpec {
  std::string name;
  std::vector<std::string> arguments;  // without the program itself
  std::string log_path;
  int inherit = -1;  // a file that the process gets under the same number; borrowed
  std::string program = {};  // empty: the supervisor's own; without a slash: as found on PATH
  std::string input = {};    // standard input, which then stays open until this process ends; empty: there is none
};

struct RestartBudget {
  std::uint32_t restarts = 5;  // of one process within the window; one more and it is lost for good
  Duration window = std::chrono::seconds(60);
  Duration first_pause = std::chrono::milliseconds(100);  // doubles with each restart in the window
  Duration longest_pause = std::chrono::seconds(5);
};

struct ProcessEnd {
  std::string name;
  pid_t pid = 0;
  std::string how;         // "exit status 1", "killed by signal 9 (Killed)"
  bool expected = false;   // it was asked to end
  bool for_good = false;   // the budget is spent: it will not be started again
  bool crashed = false;    // by a signal of its own making (an abort, a fault): what it worked on may be the cause
};

class Supervisor {
 public:
  Supervisor(std::string executable, const RestartBudget& budget) : executable_(std::move(executable)), budget_(budget) {}
  ~Supervisor();  // kills and reaps whatever still runs
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  Result<void> start(const ProcessSpec& spec);

  struct Turn {
    std::vector<ProcessEnd> ended;
    std::vector<std::string> restarted;
    bool readable = false;  // `file` has something to read
  };
  // Returns as soon as something happened, or after `limit`. `file` may be -1.
  Turn wait(Duration limit, int file);

  // Sends the signal; the process is not started again. Unknown and ended ones are left alone.
  void signal(const std::string& name, int number);
  // Of a process that has ended or waits to be started again: it is not, and its name may be used anew. A running one stays.
  void forget(const std::string& name);
  // From now on nothing is started again.
  void stop_restarting() { restarting_ = false; }

  pid_t pid(const std::string& name) const;  // 0: not running
  std::size_t running() const;

 private:
  struct Process {
    ProcessSpec spec;
    pid_t pid = 0;  // 0: not running
    int watch = -1; // pidfd; -1 where the kernel has none, then wait() looks often
    int input = -1;  // kept open for a process that has input
    bool asked_to_end = false;
    bool restart_due = false;
    Time restart_at = kNever;
    std::deque<Time> restarts;  // within the window; at most budget_.restarts
  };

  Result<void> spawn(Process& process);
  bool reap(Process& process, Turn& turn);
  void plan_restart(Process& process, ProcessEnd& end);
  void restart_due(Turn& turn);
  Duration until_next_restart(Duration limit) const;

  std::string executable_;
  RestartBudget budget_;
  bool restarting_ = true;
  std::vector<Process> processes_;
};

// The monotonic clock; for the launcher, which has no loop to ask.
Time launcher_now();

}  // namespace baton
