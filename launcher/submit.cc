// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>
#include <utility>
#include <variant>

#include "config/units.h"
#include "config/utf8.h"
#include "launcher/commands.h"
#include "launcher/exit_code.h"
#include "launcher/find_cluster.h"
#include "launcher/interrupt.h"
#include "launcher/job_printer.h"
#include "launcher/json_writer.h"
#include "launcher/links.h"
#include "launcher/submit.h"
#include "protocol/validate.h"

namespace baton {
namespace {

constexpr Duration kAnswerLimit = std::chrono::seconds(5);
constexpr std::size_t kPromptBytesMax = std::size_t{8} << 20;

Result<std::string> read_all(std::istream& stream, const std::string& name) {
  std::string text(kPromptBytesMax + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) return fail(ErrorCode::kIo, "cannot read " + name);
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > kPromptBytesMax) return fail(ErrorCode::kInvalidArgument, name + " is longer than " + format_bytes(kPromptBytesMax));
  return text;
}

// The prompt as it is: nothing is trimmed, since every byte of it counts for the model.
Result<std::string> read_prompt(const SubmitOptions& options) {
  if (options.prompt && !options.file.empty()) return fail(ErrorCode::kInvalidArgument, "give a prompt or --file, not both");
  if (!options.file.empty()) {
    if (options.file == "-") return read_all(std::cin, "standard input");
    if (std::filesystem::is_directory(options.file)) return fail(ErrorCode::kInvalidArgument, options.file + " is a folder; --file wants a file");
    std::ifstream stream(options.file, std::ios::binary);
    if (!stream) return fail(ErrorCode::kNotFound, "cannot open " + options.file + ": " + std::strerror(errno));
    return read_all(stream, options.file);
  }
  if (options.prompt && *options.prompt != "-") return *options.prompt;
  if (!options.prompt && isatty(STDIN_FILENO) != 0) return fail(ErrorCode::kInvalidArgument, "a prompt is missing (or --file F, or - for standard input)");
  return read_all(std::cin, "standard input");
}

// "ID=BIAS", as in 1234=-5.5.
Result<TokenBias> parse_bias(const std::string& text) {
  TokenBias bias;
  const char* const end = text.data() + text.size();
  const auto id = std::from_chars(text.data(), end, bias.token);
  const bool separated = id.ec == std::errc() && id.ptr != end && *id.ptr == '=';
  const auto number = separated ? std::from_chars(id.ptr + 1, end, bias.bias) : id;
  if (!separated || number.ec != std::errc() || number.ptr != end)
    return fail(ErrorCode::kInvalidArgument, "--logit-bias wants ID=BIAS, as in 1234=-5.5; what is \"" + printable(text) + "\"?");
  return bias;
}

Result<SamplingParams> sampling_of(const SubmitOptions& options) {
  SamplingParams sampling;
  sampling.temperature = static_cast<float>(options.temperature);
  sampling.top_p = static_cast<float>(options.top_p);
  sampling.top_k = options.top_k;
  sampling.min_p = static_cast<float>(options.min_p);
  sampling.ignore_eos = options.ignore_eos;
  sampling.seed = options.seed.value_or(0);
  sampling.min_tokens = options.min_tokens;
  sampling.max_tokens = options.max_tokens.value_or(std::max(sampling.max_tokens, options.min_tokens));
  sampling.repetition_penalty = static_cast<float>(options.repetition_penalty);
  sampling.presence_penalty = static_cast<float>(options.presence_penalty);
  sampling.frequency_penalty = static_cast<float>(options.frequency_penalty);
  sampling.logprobs = options.logprobs;
  sampling.prompt_logprobs = options.prompt_logprobs;
  if (options.logit_bias.empty() && options.stop_token_ids.empty()) return sampling;
  auto lists = std::make_shared<SamplingLists>();
  for (const std::string& text : options.logit_bias) {
    const auto bias = parse_bias(text);
    if (!bias) return tl::unexpected<Error>(bias.error());
    lists->logit_bias.push_back(*bias);
  }
  lists->stop_token_ids = options.stop_token_ids;
  sampling.lists = std::move(lists);
  return sampling;
}

// A tokenizer knows only text: other bytes would be lost on the way to the model.
Result<void> check_text(const std::string& prompt) {
  const std::size_t bad = find_invalid_utf8(prompt);
  if (bad == std::string::npos) return {};
  char words[80];
  std::snprintf(words, sizeof words, "the prompt is not UTF-8 (byte %zu is 0x%02x)", bad + 1, static_cast<unsigned>(static_cast<unsigned char>(prompt[bad])));
  return fail(ErrorCode::kInvalidArgument, words);
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) text += (i == 0 ? "" : i + 1 == words.size() ? " and " : ", ") + words[i];
  return text;
}

// What was asked for and has no effect as the rest stands: allowed, but said.
void note_idle_options(const SubmitOptions& options) {
  std::vector<std::string> idle;
  if (!options.json && options.logprobs) idle.emplace_back("--logprobs");
  if (!options.json && options.prompt_logprobs) idle.emplace_back("--prompt-logprobs");
  std::string note = idle.empty() ? "" : joined(idle) + (idle.size() == 1 ? " shows" : " show") + " nothing without --json";
  idle.clear();
  if (options.temperature == 0) {
    if (options.top_k != 0) idle.emplace_back("--top-k");
    if (options.top_p != 1) idle.emplace_back("--top-p");
    if (options.min_p != 0) idle.emplace_back("--min-p");
    if (options.seed) idle.emplace_back("--seed");
  }
  if (!idle.empty()) note += (note.empty() ? "" : "; ") + joined(idle) + (idle.size() == 1 ? " changes" : " change") + " nothing at temperature 0, where the likeliest token is taken";
  if (!note.empty()) std::fprintf(stderr, "baton submit: note: %s\n", note.c_str());
}

}  // namespace

// Checked here with the edge's own rules, so that a wrong value costs no connection and is wrong usage.
Result<ClientSubmit> job_without_prompt(const SubmitOptions& options) {
  RETURN_IF_ERROR(validate_label("--id", options.id));
  RETURN_IF_ERROR(validate_label("--cache-salt", options.cache_salt));
  auto sampling = sampling_of(options);
  if (!sampling) return tl::unexpected<Error>(sampling.error());
  ClientSubmit job;
  job.tag = 1;
  job.id = options.id;
  job.sampling = std::move(*sampling);
  job.seed_given = options.seed.has_value();
  job.max_tokens_given = options.max_tokens.has_value();
  job.n = options.n;
  job.stop = options.stop;
  job.include_stop = options.include_stop;
  job.bad_words = options.bad_words;
  job.cache_salt = options.cache_salt;
  if (!options.time_limit.empty()) {
    const auto limit = parse_duration(options.time_limit);
    if (!limit || *limit <= Duration{}) return fail(ErrorCode::kInvalidArgument, "--time-limit wants a duration, as in 500ms, 30s or 5m; what is \"" + printable(options.time_limit) + "\"?");
    job.time_limit_ns = static_cast<std::uint64_t>(limit->count());
  }
  RETURN_IF_ERROR(validate(job));
  return job;
}

Result<ChatPrompt> chat_prompt_of(const ClusterEntry& entry) {
  const auto topology = topology_of(entry);
  if (!topology) return fail(ErrorCode::kIo, "cannot read the topology of " + entry.name + ", which says where its model is: " + entry.state + "/topology.yaml");
  return ChatPrompt::load(*topology);
}

namespace {

Result<ClientSubmit> make_job(const SubmitOptions& options) {
  auto prompt = read_prompt(options);
  if (!prompt) return tl::unexpected<Error>(prompt.error());
  if (prompt->empty()) return fail(ErrorCode::kInvalidArgument, "the prompt is empty");
  RETURN_IF_ERROR(check_text(*prompt));
  auto job = job_without_prompt(options);
  if (job) job->prompt = std::move(*prompt);
  return job;
}

// What the user says, as the model was taught to be spoken to.
Result<void> apply_template(const ClusterEntry& entry, ClientSubmit& job) {
  const auto chat = chat_prompt_of(entry);
  if (!chat) return tl::unexpected<Error>(chat.error());
  auto ids = chat->ids(boost::json::array{boost::json::object{{"role", "user"}, {"content", job.prompt}}});
  if (!ids) return tl::unexpected<Error>(ids.error());
  job.prompt.clear();
  job.prompt_ids = std::move(*ids);
  return {};
}

int submit_detached(JobsClient& client, const ClientSubmit& job, bool json) {
  const auto accepted = client.submit_detached(job, interrupted);
  if (!accepted) return interrupted() ? kInterrupted : complain("submit", accepted.error());
  if (json) std::printf("%s\n", JsonWriter().begin_object().member("event", "accepted").member("id", accepted->id).end_object().take().c_str());
  else std::printf("%s\n", accepted->id.c_str());
  std::fprintf(stderr, "baton submit: it runs on; baton attach %s shows its answer, baton cancel %s ends it\n", accepted->id.c_str(), accepted->id.c_str());
  return kDone;
}

}  // namespace

int run_submit(const SubmitOptions& options) {
  if (!options.jobs.empty()) return run_submit_jobs(options);
  if (!options.out.empty()) {
    complain("submit", Error{ErrorCode::kInvalidArgument, "--out is for --jobs; redirect the output of one job with >"});
    return kBadUsage;
  }
  auto job = make_job(options);
  if (!job) {
    complain("submit", job.error());
    return job.error().code == ErrorCode::kInvalidArgument ? kBadUsage : kFailed;
  }
  note_idle_options(options);
  auto cluster = connect_cluster(options.cluster);
  if (!cluster) return complain("submit", cluster.error());
  if (options.chat)
    if (const auto applied = apply_template(cluster->entry, *job); !applied) return complain("submit", applied.error());

  catch_interrupts();  // `| head` closes our output: the job is cancelled then, as after Ctrl-C

  if (options.detach) return submit_detached(*cluster->client, *job, options.json);
  JobPrinter printer(options.json, *job);
  if (options.timeline) printer.show_timeline();
  const Result<void> done = cluster->client->submit(
      *job, [&](const JobsClient::Event& event) { std::visit([&](const auto& each) { printer.on(each); }, event); },
      [&] { return interrupted() || printer.output_closed(); });
  if (!done) complain("submit", done.error());
  if (interrupted() || printer.output_closed()) return kInterrupted;
  return !done || printer.failed() ? kFailed : kDone;
}

int run_attach(const AttachOptions& options) {
  auto cluster = connect_cluster(options.cluster);
  if (!cluster) return complain("attach", cluster.error());
  catch_interrupts();
  JobPrinter printer(options.json, ClientSubmit{});
  const Result<void> done = cluster->client->attach(
      options.id, options.from, [&](const JobsClient::Event& event) { std::visit([&](const auto& each) { printer.on(each); }, event); },
      [&] { return interrupted() || printer.output_closed(); });
  if (!done) complain("attach", done.error());
  if (interrupted() || printer.output_closed()) return kInterrupted;
  return !done || printer.failed() ? kFailed : kDone;
}

int run_cancel(const CancelOptions& options) {
  auto cluster = connect_cluster(options.cluster);
  if (!cluster) return complain("cancel", cluster.error());
  const auto found = cluster->client->cancel(options.id, kAnswerLimit);
  if (!found) return complain("cancel", found.error());
  if (options.json) std::printf("{\"found\":%s}\n", *found ? "true" : "false");
  else if (*found) std::printf("cancelled\n");
  if (!*found && !options.json) std::fprintf(stderr, "baton cancel: no job \"%s\" is waiting or running\n", options.id.c_str());
  return *found ? kDone : kFailed;
}

}  // namespace baton
