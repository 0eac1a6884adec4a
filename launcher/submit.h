// SPDX-License-Identifier: Apache-2.0
// What the ways to submit jobs share: options made a job, checked with the edge's own rules.
#pragma once

#include "launcher/chat_prompt.h"
#include "launcher/commands.h"
#include "launcher/state_folder.h"
#include "protocol/messages.h"
#include "runtime/base/result.h"

namespace baton {

// Everything but the prompt. kInvalidArgument: wrong usage.
Result<ClientSubmit> job_without_prompt(const SubmitOptions& options);

// The template of the model that a cluster was started with.
Result<ChatPrompt> chat_prompt_of(const ClusterEntry& entry);

// `submit --jobs`.
int run_submit_jobs(const SubmitOptions& options);

}  // namespace baton
