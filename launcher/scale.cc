// SPDX-License-Identifier: Apache-2.0
// `baton scale`: asked of the launcher, which has the processes.
#include <cstdio>

#include "config/units.h"
#include "launcher/commands.h"
#include "launcher/exit_code.h"
#include "launcher/find_cluster.h"
#include "launcher/interrupt.h"
#include "launcher/launcher_socket.h"

namespace baton {

int run_scale(const ScaleOptions& options) {
  ScaleRequest request;
  const auto limit = parse_duration(options.timeout);
  if (!limit) {
    std::fprintf(stderr, "baton scale: --timeout: %s\n", limit.error().message.c_str());
    return kBadUsage;
  }
  request.limit = *limit;
  for (const std::string& word : options.pools) {
    auto size = parse_pool_size(word);
    if (!size) {
      std::fprintf(stderr, "baton scale: %s\n", size.error().message.c_str());
      return kBadUsage;
    }
    request.pools.push_back(std::move(*size));
  }
  const auto entry = find_cluster(options.cluster);
  if (!entry) return complain("scale", entry.error());
  if (entry->launcher == 0)
    return complain("scale", {ErrorCode::kUnavailable, "no launcher runs " + entry->name + ", so nobody could start or end its workers; `baton up` starts it"});
  catch_interrupts();
  const auto reply = ask_launcher(entry->state, request, [](const std::string& text) { std::fprintf(stderr, "  %s\n", text.c_str()); }, interrupted);
  if (!reply && reply.error().code == ErrorCode::kCancelled) {
    complain("scale", reply.error());
    return kInterrupted;
  }
  if (!reply) return complain("scale", reply.error());
  if (*reply->exit_status == kDone) std::printf("%s\n", reply->text.c_str());
  else std::fprintf(stderr, "baton scale: %s\n", reply->text.c_str());
  return *reply->exit_status;
}

}  // namespace baton
