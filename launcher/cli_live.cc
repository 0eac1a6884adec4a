// SPDX-License-Identifier: Apache-2.0
// Commands about a cluster that runs, its jobs apart.
#include "launcher/cli_parts.h"
#include "launcher/commands.h"

namespace baton {

namespace {

void add_change_commands(CLI::App& app, ChosenCommand& chosen) {
  const auto [scale, scale_options] = add_command(app, chosen, "scale", "Change the number of a pool's workers while the cluster serves",
                       "Examples:\n  baton scale decode=3                started and ready once the command returns\n"
                       "  baton scale prefill=2 decode=1      first what is to be more, then what is to be less\n"
                       "Of those that are too many the highest-numbered are drained, then ended; no request fails. A pool may have none if another\n"
                       "one can do its work. Asked of the launcher: `baton up` or `baton serve` runs on this machine. Exit status: 2 no such pool, 3 the\n"
                       "topology would have errors, nothing was changed; 4 not ready in time.", run_scale);
  scale->add_option("pools", scale_options.pools, "A pool and how many workers it is to have; several may be given")->type_name("POOL=N")->required();
  scale->add_option("--timeout", scale_options.timeout, "How long all of it may take")->capture_default_str()->type_name("TIME");
  add_cluster(scale, scale_options.cluster);

  const auto [drain, drain_options] = add_command(app, chosen, "drain", "Give a worker no new jobs, move those it has, and wait until it has none",
                       "Examples:\n  baton drain decode-1\n  baton drain decode-1 --undo         it takes jobs again\n"
                       "Streams go on at another worker, with their KV; no request fails. Refused if no other worker could do its work. Exit status: 4 it\n"
                       "still has jobs when the time is up, and goes on draining.", run_drain);
  drain->add_option("worker", drain_options.worker, "Name of the worker, as in baton status")->type_name("WORKER")->required();
  drain->add_flag("--undo", drain_options.undo, "Let it take jobs again");
  drain->add_option("--timeout", drain_options.timeout, "How long to wait")->capture_default_str()->type_name("TIME");
  add_cluster(drain, drain_options.cluster);
  add_json(drain, drain_options.json);

  const auto [role, role_options] = add_command(app, chosen, "role", "Change what a worker does, without starting it again",
                       "Examples:\n  baton role decode-1 prefill\n  baton role both-0 both\n"
                       "Jobs it has go on as they are; those to come are placed by the new role, which it keeps until the coordinator ends. Refused if no\n"
                       "worker would be left to prefill, or to decode.", run_role);
  role->add_option("worker", role_options.worker, "Name of the worker, as in baton status")->type_name("WORKER")->required();
  role->add_option("role", role_options.role, "prefill, decode or both")->type_name("ROLE")->required()->check(CLI::IsMember({"prefill", "decode", "both"}));
  add_cluster(role, role_options.cluster);
  add_json(role, role_options.json);
}

}  // namespace

void add_live_commands(CLI::App& app, ChosenCommand& chosen) {
  add_change_commands(app, chosen);
  const auto [top, top_options] = add_command(app, chosen, "top", "Show the cluster as it is now, each second anew",
                      "Examples:\n  baton top\n  baton top | head -1        off a terminal: once, over one second\n"
                      "Rates are differences of what workers say with their heartbeats. Ctrl-C leaves.", run_top);
  add_cluster(top, top_options.cluster);

  const auto [events, events_options] = add_command(app, chosen, "events", "Show what happened to the cluster: members that joined, left or were lost, jobs placed again",
                         "Examples:\n  baton events\n  baton events -f --json        one object per line, until Ctrl-C\n"
                         "The coordinator keeps the latest 1024 since it started.", run_events);
  events->add_flag("--follow,-f", events_options.follow, "Go on with what happens from now on");
  add_cluster(events, events_options.cluster);
  add_json(events, events_options.json, "One JSON object per line");

  const auto [logs, logs_options] = add_command(app, chosen, "logs", "Show what a process of the cluster wrote",
                       "Examples:\n  baton logs decode-0\n  baton logs coordinator -f --tail 10\n"
                       "From the state folder of the machine where `baton up` ran; NAME is a worker, coordinator, gateway or launcher.", run_logs);
  logs->add_option("name", logs_options.process, "A worker, or coordinator, gateway, launcher")->type_name("NAME")->required();
  logs->add_flag("--follow,-f", logs_options.follow, "Go on with what is written from now on");
  logs->add_option("--tail", logs_options.tail, "Begin with the last N lines")->capture_default_str()->type_name("N")->check(whole_number());
  add_cluster(logs, logs_options.cluster);

  const auto [links, links_options] = add_command(app, chosen, "links", "Show what KV each worker sent to each other, how fast and over what",
                        "Examples:\n  baton links\n  baton links --json\n"
                        "GB/S BUSY is bytes over the time with a transfer under way; LATENCY the mean time of one. Workers count since they started.\n"
                        "A path that could be faster is marked as slow, with the reason.", run_links);
  add_cluster(links, links_options.cluster);
  add_json(links, links_options.json);

  const auto [trace, trace_options] = add_command(app, chosen, "trace", "Show where a job's time went: queue, prefill, transfer, first step, decode",
                        "Examples:\n  baton submit \"Why is the sky blue?\" --id sky; baton trace sky\n  baton trace job-5d1c52bb9a2f1c07 --json\n"
                        "Of a job that runs, what is known by now; of those that have ended, the latest 4096. queue + prefill is the time to first\n"
                        "token; the five add up to the total. Transfer is what prefill did not hide of the KV's way to the decode worker.", run_trace);
  trace->add_option("id", trace_options.id, "Name of the job")->type_name("ID")->required();
  add_cluster(trace, trace_options.cluster);
  add_json(trace, trace_options.json);
}

}  // namespace baton
