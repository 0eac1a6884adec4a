// SPDX-License-Identifier: Apache-2.0
// ClusterProcess: a real cluster of real processes for a test: its topology file, `baton up`, its processes by name, what the
// kernel knows of them. Its home ends whatever it leaves behind. One thread.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/oracle_engine.h"
#include "launcher/jobs_client.h"
#include "tests/support/test_home.h"

namespace baton::test {

struct ClusterSpec {
  std::string name = "it";
  std::string model = "oracle:";
  std::uint32_t max_model_len = 0;     // 0: the model's own
  std::string kv_memory = "1MiB";      // per worker
  std::vector<std::string> pools = {"name: prefill, role: prefill, threads: 1", "name: decode, role: decode, threads: 1"};
  std::string more;                    // further lines of the file
};

// A cluster of the test model with so many blocks per worker.
ClusterSpec oracle_spec(const OracleOptions& model, std::uint32_t blocks);

class ClusterProcess {
 public:
  // Chooses ports and writes the file; starts nothing.
  ClusterProcess(TestHome& home, const ClusterSpec& spec);

  const std::string& file() const { return file_; }
  const std::string& state() const { return state_; }
  const std::string& jobs() const { return jobs_; }
  const std::string& control() const { return control_; }
  TestHome& home() { return home_; }

  // `baton up FILE --detach --wait`; a failure shows the logs.
  bool up();
  Output down(bool now = false);

  // "launcher", "coordinator", "decode-0", … as of now; 0: not running.
  pid_t pid(const std::string& name) const;
  bool send_signal(const std::string& name, int signal) const;
  // All processes run, the named one under another pid than before, and the coordinator shows all workers as ready.
  bool is_back(const std::string& name, pid_t before, Duration limit);

  // nullptr, and a failure of the test, if nobody answers.
  std::unique_ptr<JobsClient> connect() const;
  // "" if every account is right and every block of every worker is free; asks until then or the limit has passed.
  std::string fsck(Duration limit = std::chrono::seconds(10)) const;
  // What sanitizers and broken invariants left in the logs of this run; "" is what is wanted.
  std::string complaints_in_logs() const;
  std::string logs() const;

 private:
  TestHome& home_;
  ClusterSpec spec_;
  std::string file_;
  std::string state_;
  std::string jobs_;
  std::string control_;
};

std::size_t rss_bytes(pid_t pid);
std::size_t open_files(pid_t pid);

}  // namespace baton::test
