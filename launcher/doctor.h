// SPDX-License-Identifier: Apache-2.0
// `baton doctor`: what of this machine matters to Baton, each with a verdict and, if something is to be done, what. Looks and
// changes nothing. Main thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace baton {

enum class Verdict : std::uint8_t { kOk, kWarn, kFail };  // kFail: Baton cannot run here
std::string_view to_string(Verdict verdict);

struct Finding {
  Verdict verdict = Verdict::kOk;
  std::string what;    // "memory"
  std::string found;   // "23.5GiB, 22GiB available"
  std::string advice;  // empty: nothing to do
};

// The verdicts as functions of what was read, so that tests need no other machine.
Finding judge_cpu(std::string_view cpuinfo);
Finding judge_quota(std::string_view cpu_max, std::uint32_t cores);  // of cgroup v2: "max 100000", "50000 100000"; "": none
Finding judge_shm(std::uint64_t bytes, std::uint64_t wanted);
Finding judge_ptrace(std::string_view scope);  // of /proc/sys/kernel/yama/ptrace_scope; "": no Yama
Finding judge_memory(std::uint64_t total, std::uint64_t available);
Finding judge_congestion(std::string_view name);

std::vector<Finding> examine_machine();

}  // namespace baton
