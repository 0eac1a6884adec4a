// SPDX-License-Identifier: Apache-2.0
// A hand-over is cut at every one of its events: the same simulated jobs run again and again, each time up to one event more, and then
// the data network, a control link, or one of the processes fails for a while. Every token is held against the model; once the job has
// ended and a lease and five seconds have passed, nothing may be left. BATON_SIM_CUTS cuts (10,000 by default); a failure names the seed,
// the event and the cut.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "tests/support/sim_leftovers.h"
#include "tests/support/sim_users.h"
#include "tests/support/verdict.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

enum class Cut : std::uint8_t { kData, kBetweenWorkers, kPrefillFromCoordinator, kDecodeFromCoordinator, kKillPrefill, kKillDecode, kFreezePrefill, kFreezeDecode, kKillCoordinator, kCuts };
constexpr std::array<const char*, static_cast<std::size_t>(Cut::kCuts)> kCutNames = {"data network",  "link of the workers", "link prefill-coordinator", "link decode-coordinator", "prefill killed",
                                                                                     "decode killed", "prefill frozen",      "decode frozen",            "coordinator killed"};
enum class Stage : std::uint8_t { kBeforeGrant, kNothingLanded, kPartLanded, kAllLanded, kAcknowledged, kStages };
constexpr std::array<const char*, static_cast<std::size_t>(Stage::kStages)> kStageNames = {"before_grant", "at_0", "between", "at_100", "acknowledged"};

class HandOver {
 public:
  explicit HandOver(std::uint64_t seed) : heap_(seed), cluster_(heap_, options()), users_(cluster_, options().model, wishes()) {
    heap_.run_until(Time{} + milliseconds(20));  // all have joined
  }

  bool step() { return heap_.step(); }
  bool all_ended() const { return users_.all_ended(); }
  std::uint64_t landed() { return cluster_.fabric().landed_bytes(); }
  std::uint64_t transferred() const { return users_.transferred(); }

  // `all`: what lands where nothing is cut.
  Stage stage(std::uint64_t all) {
    const std::uint64_t now = landed();
    if (cluster_.worker(kDecode)->account().transfers == 0) return now == 0 ? Stage::kBeforeGrant : Stage::kAcknowledged;
    return now == 0 ? Stage::kNothingLanded : now < all ? Stage::kPartLanded : Stage::kAllLanded;
  }

  void cut(Cut what) {
    SimWorld& world = cluster_.world();
    switch (what) {
      case Cut::kData: return cluster_.cut_data(kPrefill, kDecode);
      case Cut::kBetweenWorkers: return world.partition(kPrefill, kDecode, false);
      case Cut::kPrefillFromCoordinator: return world.partition(kPrefill, "coordinator", false);
      case Cut::kDecodeFromCoordinator: return world.partition(kDecode, "coordinator", true);
      case Cut::kKillPrefill: return cluster_.kill_worker(kPrefill);
      case Cut::kKillDecode: return cluster_.kill_worker(kDecode);
      case Cut::kFreezePrefill: return cluster_.pause_worker(kPrefill);
      case Cut::kFreezeDecode: return cluster_.pause_worker(kDecode);
      case Cut::kKillCoordinator: return cluster_.kill_control(milliseconds(30));
      case Cut::kCuts: return;
    }
  }

  // "" if every job ended with its tokens and nothing is left.
  std::string end_well(Duration cut_lasts) {
    heap_.run_until(heap_.now() + cut_lasts);
    cluster_.world().heal();
    cluster_.heal_data();
    cluster_.resume_worker(kPrefill);
    cluster_.resume_worker(kDecode);
    const bool live = cluster_.world().run_while_not([this] { return users_.all_ended(); }, seconds(60));
    heap_.run_until(heap_.now() + options().transfer_time_limit + seconds(5));
    std::string wrong = live ? "" : "not every job ended:" + users_.unfinished();
    if (users_.failed() != 0) wrong += ' ' + std::to_string(users_.failed()) + " jobs failed";
    for (const std::string& complaint : users_.complaints()) wrong += "; " + complaint;
    for (const std::string& left : sim_leftovers(cluster_)) wrong += "; " + left;
    return wrong;
  }

 private:
  static constexpr const char* kPrefill = "worker/prefill-0";
  static constexpr const char* kDecode = "worker/decode-0";

  // Several chunks, several blocks a chunk, pieces that take a while.
  static SimClusterOptions options() {
    SimClusterOptions options;
    SimPool prefill, decode;
    prefill.name = "prefill";
    prefill.role = Role::kPrefill;
    prefill.limits.max_num_batched_tokens = 32;
    decode.name = "decode";
    decode.role = Role::kDecode;
    options.pools = {prefill, decode};
    options.model.block_tokens = 8;
    options.model.max_model_len = 512;
    options.coordinator.cluster_name = "sim";
    options.coordinator.supervisor_key = "sim";
    options.coordinator.request_time_limit = seconds(50);
    options.coordinator.heartbeat_interval = milliseconds(50);
    options.coordinator.heartbeat_miss = 4;
    options.coordinator.recovery_time = milliseconds(200);
    options.fabric.bytes_per_second = 2'000'000;
    options.fabric.pieces_in_flight = 2;
    return options;
  }
  static SimUsersOptions wishes() {
    SimUsersOptions users;
    users.jobs = 1;
    users.prompt_max = 120;
    users.tokens_max = 16;
    users.over = milliseconds(1);
    users.from = milliseconds(20);
    users.cancel_in = 0;
    users.reattach = true;
    return users;
  }

  EventHeap heap_;
  SimCluster cluster_;
  SimUsers users_;
};

// One seed without a cut: how many events it takes from here to the end, and what lands. Nothing if its job needs no hand-over.
struct Undisturbed {
  std::uint64_t events = 0;
  std::uint64_t landed = 0;
};
std::optional<Undisturbed> undisturbed(std::uint64_t seed) {
  HandOver run(seed);
  Undisturbed found;
  while (!run.all_ended() && run.step()) ++found.events;
  found.landed = run.landed();
  if (run.transferred() == 0 || found.landed == 0) return std::nullopt;
  EXPECT_EQ(run.end_well({}), "") << "seed " << seed;
  return found;
}

TEST(TransferCuts, AtEveryEventCostNoTokenAndLeaveNothing) {
  const char* const wanted = std::getenv("BATON_SIM_CUTS");
  const std::uint64_t cuts = wanted == nullptr ? 10'000 : std::strtoull(wanted, nullptr, 10);
  constexpr std::array kLasts = {milliseconds(5), milliseconds(150), milliseconds(1500)};  // unnoticed, a hand-over's time, lost
  std::array<std::uint64_t, static_cast<std::size_t>(Stage::kStages)> at{};
  std::uint64_t done = 0, failing = 0, seeds = 0;
  for (std::uint64_t seed = 1; done < cuts; ++seed) {
    const auto whole = undisturbed(seed);
    if (!whole) continue;
    ++seeds;
    for (std::uint64_t event = 0; event < whole->events && done < cuts; ++event) {
      const auto what = static_cast<Cut>((event + seed) % static_cast<std::uint64_t>(Cut::kCuts));
      HandOver run(seed);
      for (std::uint64_t i = 0; i < event; ++i) run.step();
      ++at[static_cast<std::size_t>(run.stage(whole->landed))];
      run.cut(what);
      const std::string wrong = run.end_well(kLasts[(event + seed / 9) % kLasts.size()]);
      EXPECT_EQ(wrong, "") << "seed " << seed << ", event " << event << " of " << whole->events << ", " << kCutNames[static_cast<std::size_t>(what)];
      failing += !wrong.empty();
      ++done;
    }
  }
  std::string line = "transfer cuts: cuts=" + std::to_string(done) + " failing=" + std::to_string(failing) + " hand_overs=" + std::to_string(seeds);
  for (std::size_t stage = 0; stage < at.size(); ++stage) line += std::string(" ") + kStageNames[stage] + '=' + std::to_string(at[stage]);
  test::report_verdict(line.c_str());
  EXPECT_TRUE(cuts < 1000 || std::all_of(at.begin(), at.end(), [](std::uint64_t count) { return count > 0; }));
}

}  // namespace
}  // namespace baton
