// SPDX-License-Identifier: Apache-2.0
#include "launcher/cli_parts.h"
#include "launcher/commands.h"

namespace baton {

namespace {

void add_penalty_options(CLI::App* submit, SubmitOptions& s) {
  const auto penalty = [] { return number_within(-2.0, 2.0, "a number from -2 to 2"); };
  submit->add_option("--repetition-penalty", s.repetition_penalty, "Divide the logits of tokens in prompt or answer by R if positive, else multiply; 1: off")->capture_default_str()->type_name("R")->check(number_within(1e-6, 100.0, "a number above 0, at most 100"));
  submit->add_option("--presence-penalty", s.presence_penalty, "Lower the logits of tokens in the answer by P")->capture_default_str()->type_name("P")->check(penalty());
  submit->add_option("--frequency-penalty", s.frequency_penalty, "Lower them by F for each time they are there")->capture_default_str()->type_name("F")->check(penalty());
  submit->add_option("--logit-bias", s.logit_bias, "Add BIAS, -100 to 100, to the logit of token ID (repeatable)")->type_name("ID=BIAS")->allow_extra_args(false);
  submit->add_option("--bad-word", s.bad_words, "A text that is not to be generated (repeatable)")->type_name("TEXT")->allow_extra_args(false);
  submit->add_option("--n", s.n, "Choices: that many answers, each drawn on its own")->capture_default_str()->type_name("N")->check(number_within(1, 128, "a whole number from 1 to 128"));
  submit->add_option("--logprobs", s.logprobs, "With --json: each token's log-probability, and those of the N likeliest")->type_name("N")->check(number_within(0, 20, "a whole number from 0 to 20"));
  submit->add_option("--prompt-logprobs", s.prompt_logprobs, "With --json: the same of the prompt's tokens")->type_name("N")->check(number_within(0, 20, "a whole number from 0 to 20"));
}

void add_stop_options(CLI::App* submit, SubmitOptions& s) {
  submit->add_option("--stop", s.stop, "End the answer before this text (repeatable)")->type_name("TEXT")->allow_extra_args(false);
  submit->add_option("--stop-token-id", s.stop_token_ids, "End the answer at this token (repeatable)")->type_name("ID")->allow_extra_args(false)->check(whole_number());
  submit->add_flag("--include-stop", s.include_stop, "Show what ended the answer too");
  submit->add_option("--min-tokens", s.min_tokens, "Do not end before N tokens")->capture_default_str()->type_name("N")->check(whole_number());
}

void add_many_options(CLI::App* submit, SubmitOptions& s) {
  submit->add_flag("--chat", s.chat, "Apply the model's chat template: the prompt is what a user says");
  submit->add_option("--jobs", s.jobs, "Many jobs: a JSON object per line with prompt (or messages, with --chat), id and OpenAI's names; other options are their defaults")->type_name("FILE.jsonl");
  submit->add_option("--concurrency", s.concurrency, "With --jobs: so many at once")->capture_default_str()->type_name("N")->check(number_within(1, 256, "a whole number from 1 to 256"));
  submit->add_option("--out", s.out, "With --jobs: write a JSON object per answer there, in the order in which they end; default: standard output")->type_name("OUT.jsonl");
}

void add_chat_command(CLI::App& app, ChosenCommand& chosen) {
  const auto [chat, chat_options] = add_command(app, chosen, "chat", "Talk to the model",
                       "Examples:\n  baton chat\n  baton chat --system \"Answer in one sentence.\" --temperature 0.7\n"
                       "  printf 'Hello\\nAnd again?\\n' | baton chat      a line is a turn\n"
                       "Ctrl-C ends an answer, Ctrl-D the chat. Under each answer: time to the first token, tokens per second, and how much\n"
                       "of the conversation was cached. The model's file must be on this machine, for its chat template.", run_chat);
  auto& c = chat_options;
  chat->add_option("--system", c.system, "What the model is told first")->type_name("TEXT");
  chat->add_option("--max-tokens", c.max_tokens, "At most N tokens in an answer; default: what the cluster allows")->type_name("N")->check(number_within(1, 1 << 24, "a whole number from 1 to 16777216"));
  chat->add_option("--temperature", c.temperature, "0: always the likeliest token; at most 100")->capture_default_str()->type_name("T")->check(number_within(0.0, 100.0, "a number from 0 to 100"));
  chat->add_option("--top-p", c.top_p, "Keep the smallest set whose probability reaches P; 1: off")->capture_default_str()->type_name("P")->check(number_within(1e-6, 1.0, "a number above 0, at most 1"));
  chat->add_option("--seed", c.seed, "Same seed, same answers")->type_name("S")->check(whole_number());
  add_cluster(chat, c.cluster);
}

}  // namespace

void add_job_commands(CLI::App& app, ChosenCommand& chosen) {
  const auto [submit, submit_options] = add_command(app, chosen, "submit", "Submit a job and stream its tokens",
                         "Examples:\n  baton submit \"The capital of France is\" --max-tokens 32\n"
                         "  baton submit --file prompt.txt --temperature 0.8 --top-p 0.95 --seed 7\n"
                         "  printf Hello | baton submit - --json      the text is taken as it stands, a newline at its end too\n"
                         "  baton submit \"Three fruits:\" --stop 4. --stop $'\\n\\n' --repetition-penalty 1.1\n"
                         "  baton submit \"A name for a boat:\" --n 3 --temperature 1 --bad-word Boaty\n"
                         "  baton submit \"Why is the sky blue?\" --timeline\n"
                         "  baton submit --jobs prompts.jsonl --concurrency 16 --out answers.jsonl\n"
                         "  baton submit \"2 + 2 =\" --max-tokens 1 --logprobs 5 --json\n"
                         "Ctrl-C cancels the job. The summary goes to standard error, the text alone to standard output.", run_submit);
  auto& s = submit_options;
  submit->add_option("prompt", s.prompt, "The prompt; - reads standard input. One that begins with a dash goes last, behind --")->type_name("PROMPT");
  submit->add_option("--file", s.file, "Read the prompt from a file")->type_name("F");
  submit->add_option("--max-tokens", s.max_tokens, "Generate at most N tokens; default: what the cluster allows")->type_name("N")->check(number_within(1, 1 << 24, "a whole number from 1 to 16777216"));
  submit->add_option("--temperature", s.temperature, "0: always the likeliest token; at most 100")->capture_default_str()->type_name("T")->check(number_within(0.0, 100.0, "a number from 0 to 100"));
  submit->add_option("--top-p", s.top_p, "Keep the smallest set whose probability reaches P; 1: off")->capture_default_str()->type_name("P")->check(number_within(1e-6, 1.0, "a number above 0, at most 1"));
  submit->add_option("--top-k", s.top_k, "Keep the K likeliest; 0: off")->capture_default_str()->type_name("K")->check(whole_number());
  submit->add_option("--min-p", s.min_p, "Keep tokens with at least P times the likeliest one's probability; 0: off")->capture_default_str()->type_name("P")->check(number_within(0.0, 1.0, "a number from 0 to 1"));
  submit->add_option("--seed", s.seed, "Same seed, same tokens; default: drawn at admission and reported")->type_name("S")->check(whole_number());
  submit->add_flag("--ignore-eos", s.ignore_eos, "Go on after an end-of-sequence token");
  add_penalty_options(submit, s);
  add_stop_options(submit, s);
  submit->add_option("--cache-salt", s.cache_salt, "Share cached KV only with jobs of this salt, at most 128 printable characters, no spaces; default: with all that give none")->type_name("TEXT");
  submit->add_option("--time-limit", s.time_limit, "Time for all of it, as in 30s; refused if its first token could not come in time; default, and most: scheduling.request_timeout")->type_name("T");
  submit->add_option("--id", s.id, "Name of the job, at most 128 printable characters, no spaces; default: made by the cluster")->type_name("ID");
  add_many_options(submit, s);
  submit->add_flag("--detach", s.detach, "Leave once the job is accepted, and print its name: it goes on, and baton attach gets its answer");
  submit->add_flag("--timeline", s.timeline, "Show where its time went; with --json, timings always has it");
  add_cluster(submit, s.cluster);
  submit->add_flag("--json", s.json, "One JSON object per line: accepted, token…, done or error; with --n also choice_done");

  add_chat_command(app, chosen);
  const auto [attach, attach_options] = add_command(app, chosen, "attach", "Get the answer of a job that was submitted with --detach",
                         "Examples:\n  baton submit \"A long story:\" --detach --id story\n  baton attach story\n  baton attach story --from 100 --json\n"
                         "From its first token, or the one given; then as it comes. Ctrl-C leaves, the job goes on. Answers are kept for 10 minutes\n"
                         "after their end, as far as they fit.", run_attach);
  attach->add_option("id", attach_options.id, "Name of the job")->type_name("ID")->required();
  attach->add_option("--from", attach_options.from, "Begin with that token; the first is 0")->capture_default_str()->type_name("N")->check(whole_number());
  add_cluster(attach, attach_options.cluster);
  attach->add_flag("--json", attach_options.json, "One JSON object per line, as baton submit --json has them");
  const auto [cancel, cancel_options] = add_command(app, chosen, "cancel", "Cancel a job", "Example:\n  baton cancel job-42", run_cancel);
  cancel->add_option("id", cancel_options.id, "Name of the job")->type_name("ID")->required();
  add_cluster(cancel, cancel_options.cluster);
  add_json(cancel, cancel_options.json);
}

}  // namespace baton
