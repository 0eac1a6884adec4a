// SPDX-License-Identifier: Apache-2.0
#include "launcher/check_model.h"
#include "launcher/commands.h"
#include "launcher/environment.h"
#include "launcher/exit_code.h"
#include "launcher/start_cluster.h"

namespace baton {

int run_up(const UpOptions& options) {
  const auto loaded = load_or_explain(options.topology, start_options(options.set), "; nothing was started");
  if (!loaded || !check_model("up", loaded->topology)) return kBadConfiguration;
  return start_cluster(*loaded, {"up", options.set, options.detach, options.dry_run, options.wait});
}

}  // namespace baton
