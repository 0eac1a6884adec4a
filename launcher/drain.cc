// SPDX-License-Identifier: Apache-2.0
// `baton drain` and `baton role`: asked of the coordinator, which decides.
#include <cstdio>

#include "config/topology.h"
#include "config/units.h"
#include "launcher/commands.h"
#include "launcher/exit_code.h"
#include "launcher/find_cluster.h"
#include "launcher/json_writer.h"
#include "launcher/supervisor.h"

namespace baton {
namespace {

constexpr Duration kAnswerLimit = std::chrono::seconds(10);

// Prints what was answered; the exit status.
int show(const char* command, const std::string& worker, const ClusterCommandDone& done, Duration took, bool as_json) {
  if (!as_json && !done.ok) return complain(command, {done.code, done.message});
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(took);
  if (as_json) {
    JsonWriter json;
    json.begin_object().member("worker", worker).member("ok", done.ok).member("message", done.message).member("took_ms", milliseconds.count()).end_object();
    std::printf("%s\n", json.take().c_str());
  } else {
    std::printf("%s (%s)\n", done.message.c_str(), format_duration(milliseconds).c_str());
  }
  return done.ok ? kDone : kFailed;
}

}  // namespace

int run_drain(const DrainOptions& options) {
  const auto limit = parse_duration(options.timeout);
  if (!limit) {
    std::fprintf(stderr, "baton drain: --timeout: %s\n", limit.error().message.c_str());
    return kBadUsage;
  }
  auto cluster = connect_cluster(options.cluster);
  if (!cluster) return complain("drain", cluster.error());
  ClusterCommand command;
  command.action = options.undo ? ClusterAction::kUndrain : ClusterAction::kDrain;
  command.worker = options.worker;
  const Time begun = launcher_now();
  const auto done = cluster->client->command(command, options.undo ? kAnswerLimit : *limit);
  if (done) return show("drain", options.worker, *done, launcher_now() - begun, options.json);
  if (options.undo || !cluster->client->status(kAnswerLimit)) return complain("drain", done.error());
  std::fprintf(stderr, "baton drain: %s still has jobs after %s and goes on draining; `baton status` shows them, `baton drain %s --undo` takes it back\n", options.worker.c_str(),
               options.timeout.c_str(), options.worker.c_str());
  return kNotReadyInTime;
}

int run_role(const RoleOptions& options) {
  ClusterCommand command;
  command.action = ClusterAction::kRole;
  command.worker = options.worker;
  command.role = options.role == "prefill" ? Role::kPrefill : options.role == "decode" ? Role::kDecode : Role::kBoth;
  auto cluster = connect_cluster(options.cluster);
  if (!cluster) return complain("role", cluster.error());
  const Time begun = launcher_now();
  const auto done = cluster->client->command(command, kAnswerLimit);
  if (!done) return complain("role", done.error());
  return show("role", options.worker, *done, launcher_now() - begun, options.json);
}

}  // namespace baton
