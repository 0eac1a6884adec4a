// SPDX-License-Identifier: Apache-2.0
// What scripts and people read: JSON lines, tables, summaries.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "launcher/announcer.h"
#include "launcher/cluster.h"
#include "launcher/job_printer.h"
#include "launcher/json_writer.h"
#include "launcher/table.h"
#include "launcher/timeline.h"

namespace baton {
namespace {

// A stream that keeps what is written into it.
class Kept {
 public:
  Kept() : stream_(std::tmpfile()) {}
  ~Kept() { std::fclose(stream_); }
  std::FILE* stream() { return stream_; }
  std::string text() {
    std::string read(static_cast<std::size_t>(std::ftell(stream_)), '\0');
    std::rewind(stream_);
    EXPECT_EQ(std::fread(read.data(), 1, read.size(), stream_), read.size());
    return read;
  }

 private:
  std::FILE* stream_;
};

ClientDone done() {
  ClientDone made;
  made.reason = FinishReason::kLength;
  made.prompt_tokens = 3;
  made.completion_tokens = 5;
  made.ttft_ns = 81'500'000;
  made.total_ns = 281'500'000;
  made.prefill_worker = "prefill-0";
  made.decode_worker = "decode-0";
  made.kv_bytes_moved = 3'670'016;
  made.transport = "shm";
  made.kv_bytes_known = true;
  JobTimeline& t = made.timeline;
  t.state = JobState::kDone;
  t.queue_ns = 1'500'000;
  t.prefill_ns = 80'000'000;
  t.transfer_ns = 10'000'000;
  t.first_step_ns = 50'000'000;
  t.decode_ns = 140'000'000;
  t.kv_ns = 25'000'000;
  t.apart = true;
  return made;
}

ClientSubmit submitted(std::uint32_t n = 1) {
  ClientSubmit made;
  made.n = n;
  return made;
}

TEST(JsonWriter, NestsSeparatesAndEscapes) {
  JsonWriter json;
  json.begin_object().member("a", 1).member("b", "x\"\\\n\x01").key("c").begin_array().value(true).null().value(1.5).end_array();
  json.key("d").begin_object().end_object().member("e", -7).end_object();
  EXPECT_EQ(json.take(), "{\"a\":1,\"b\":\"x\\\"\\\\\\n\\u0001\",\"c\":[true,null,1.5],\"d\":{},\"e\":-7}");
}

TEST(JsonWriter, AlwaysWritesUtf8AndFiniteNumbers) {
  JsonWriter json;
  json.begin_array().value("gr\xc3\xbc\xff!").value(std::nan("")).value(INFINITY).end_array();
  EXPECT_EQ(json.take(), "[\"gr\xc3\xbc\xef\xbf\xbd!\",null,null]");
}

TEST(DescribeReady, TheSmallerSideIsTheCapacity) {
  const auto worker = [](PoolRole role, std::uint32_t blocks) {
    WorkerStatus made;
    made.role = static_cast<decltype(made.role)>(role);
    made.blocks_total = blocks;
    return made;
  };
  StatusReport report;
  report.block_tokens = 16;
  report.max_model_len = 8192;
  report.workers = {worker(PoolRole::kPrefill, 100), worker(PoolRole::kDecode, 100), worker(PoolRole::kDecode, 100)};
  EXPECT_EQ(describe_capacity(report), "1600 tokens of KV in all (prefill 1600, decode 3200), 1600 a job at most");
  report.workers = {worker(PoolRole::kBoth, 1000)};
  EXPECT_EQ(describe_capacity(report), "16000 tokens of KV in all, 8192 a job at most");
}

TEST(JobPrinter, WritesOneJsonObjectPerLine) {
  Kept out, messages;
  JobPrinter printer(true, submitted(), out.stream(), messages.stream());
  ClientAccepted accepted;
  accepted.id = "job-1";
  printer.on(accepted);
  printer.on(ClientTokens{1, {{0, 42, "Hi"}, {1, 43, " there"}}});
  printer.on(done());
  ClientError error;
  error.code = ErrorCode::kResourceExhausted;
  error.message = "the queue is full";
  printer.on(error);
  EXPECT_EQ(out.text(),
            "{\"event\":\"accepted\",\"id\":\"job-1\"}\n"
            "{\"event\":\"token\",\"index\":0,\"id\":42,\"text\":\"Hi\"}\n"
            "{\"event\":\"token\",\"index\":1,\"id\":43,\"text\":\" there\"}\n"
            "{\"event\":\"done\",\"finish_reason\":\"length\",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5,\"total_tokens\":8},"
            "\"timings\":{\"queue_ms\":1.5,\"prefill_ms\":80,\"transfer_ms\":10,\"first_step_ms\":50,\"decode_ms\":140,\"ttft_ms\":81.5,\"total_ms\":281.5,"
            "\"prefill_waiting_ms\":0,\"prefill_computing_ms\":0,\"kv_transfer_ms\":25,\"kv_missed\":false,\"two_workers\":true,\"preemptions\":0,"
            "\"tokens_per_second\":20},\"prefill_worker\":\"prefill-0\","
            "\"decode_worker\":\"decode-0\",\"kv_bytes_moved\":3670016,\"transport\":\"shm\"}\n"
            "{\"event\":\"error\",\"code\":\"resource_exhausted\",\"message\":\"the queue is full\"}\n");
  EXPECT_EQ(messages.text(), "");
  EXPECT_TRUE(printer.failed());
}

TEST(JobPrinter, StreamsTextAndEndsWithASummary) {
  Kept out, messages;
  JobPrinter printer(false, submitted(), out.stream(), messages.stream());
  printer.on(ClientAccepted{});
  printer.on(ClientTokens{1, {{0, 1, "Hel"}, {1, 2, "lo"}}});
  ClientDone last = done();
  last.tail = "!";
  printer.on(last);
  EXPECT_EQ(out.text(), "Hello!\n");
  EXPECT_EQ(messages.text(),
            "\n[TTFT 81.5 ms, 20.0 tokens/s, 3 prompt + 5 generated tokens (length); prefill on prefill-0, decode on decode-0, 3.5MiB of KV moved over shm]\n");
  EXPECT_FALSE(printer.failed());
}

TEST(JobPrinter, ShowsWhereTheTimeWent) {
  Kept out, messages;
  JobPrinter printer(false, submitted(), out.stream(), messages.stream());
  printer.show_timeline();
  printer.on(done());
  const std::string text = messages.text();
  EXPECT_EQ(text.substr(text.find("]\n") + 2),
            "queue               1.5 ms   0.5%  #\n"
            "prefill            80.0 ms  28.4%  #######\n"
            "transfer           10.0 ms   3.6%  #  the hand-over took 25.0 ms in all; prefill hid the rest\n"
            "first step         50.0 ms  17.8%  #####\n"
            "decode            140.0 ms  49.7%  ############\n"
            "total             281.5 ms         TTFT 81.5 ms\n");
}

TEST(Timeline, SaysWhyThereWasNoTransferAndShowsAttempts) {
  JobTimeline t = done().timeline;
  t.apart = false;
  EXPECT_NE(render_timeline(t).find("one worker: no KV moved"), std::string::npos);
  t.apart = t.missed = true;
  EXPECT_NE(render_timeline(t).find("the KV did not come; the decode worker computed the prompt itself"), std::string::npos);
  EXPECT_EQ(render_timeline(t).find("attempt"), std::string::npos);
  t.attempts = {{1, 1'000'000, "p-0", "d-0"}, {2, 90'000'000, "p-0", "d-1"}};
  EXPECT_NE(render_timeline(t).find("attempt 2 after 90.0 ms: prefill on p-0, decode on d-1\n"), std::string::npos);
  t.preemptions = 2;
  EXPECT_NE(render_timeline(t).find("preempted 2 times: an older job needed the blocks"), std::string::npos);
  t.state = JobState::kQueued;
  EXPECT_EQ(render_timeline(t).find("prefill  "), std::string::npos) << "it has not begun";
}

TEST(JobPrinter, ReportsTheSeedOfADraw) {
  ClientSubmit job = submitted();
  job.sampling.temperature = 1;
  ClientAccepted accepted;
  accepted.id = "job-1";
  accepted.seed = 18446744073709551615u;
  for (const bool json : {false, true}) {
    Kept out, messages;
    JobPrinter printer(json, job, out.stream(), messages.stream());
    printer.on(accepted);
    printer.on(done());
    if (json) EXPECT_TRUE(out.text().starts_with("{\"event\":\"accepted\",\"id\":\"job-1\",\"seed\":18446744073709551615}\n"));
    else EXPECT_NE(messages.text().find("(length), seed 18446744073709551615; prefill on"), std::string::npos);
  }
}

// One token has no time between tokens.
TEST(JobPrinter, OfOneTokenThereIsNoRate) {
  Kept out, messages;
  JobPrinter printer(false, submitted(), out.stream(), messages.stream());
  ClientDone last = done();
  last.completion_tokens = 1;
  printer.on(last);
  EXPECT_NE(messages.text().find("[TTFT 81.5 ms, 3 prompt + 1 generated token (length);"), std::string::npos);
}

TEST(JobPrinter, AddsLogprobsAndWhatStoppedTheAnswer) {
  Kept out, messages;
  ClientSubmit job = submitted();
  job.sampling.logprobs = 2;
  JobPrinter printer(true, job, out.stream(), messages.stream());
  ClientTokens prompt;
  prompt.prompt = {{1, 9, "b", -0.5F, {}}};
  printer.on(prompt);
  printer.on(ClientTokens{1, {{0, 42, "Hi", -0.25F, {{42, -0.25F, "Hi"}, {43, -1.5F, "\xff"}}}}});
  ClientDone last = done();
  last.reason = FinishReason::kStop;
  last.stop = "!";
  last.kv_bytes_known = false;
  printer.on(last);
  const std::string text = out.text();
  EXPECT_TRUE(text.starts_with("{\"event\":\"prompt_logprobs\",\"tokens\":[{\"index\":1,\"id\":9,\"text\":\"b\",\"logprob\":-0.5,\"top_logprobs\":[]}]}\n"
                               "{\"event\":\"token\",\"index\":0,\"id\":42,\"text\":\"Hi\",\"logprob\":-0.25,\"top_logprobs\":"
                               "[{\"id\":42,\"text\":\"Hi\",\"logprob\":-0.25},{\"id\":43,\"text\":\"\xef\xbf\xbd\",\"logprob\":-1.5}]}\n"
                               "{\"event\":\"done\",\"finish_reason\":\"stop\",\"stop\":\"!\",\"usage\":"))
      << text;
  EXPECT_NE(text.find("\"kv_bytes_moved\":null"), std::string::npos);
}

TEST(JobPrinter, ShowsSeveralChoicesOneAfterTheOther) {
  const auto events = [](JobPrinter& printer) {
    ClientTokens first{1, {{0, 1, "one"}}, 0};
    ClientTokens second{1, {{0, 2, "two"}}, 1};
    printer.on(first);
    printer.on(second);
    printer.on(ClientChoiceDone{1, 1, FinishReason::kStop, "!", 1, {}, 7});
    printer.on(ClientTokens{1, {{1, 3, " more"}}, 0});
    printer.on(ClientChoiceDone{1, 0, FinishReason::kLength, "", 2, {}, -1});
    printer.on(done());
  };
  Kept out, messages, lines, nothing;
  JobPrinter people(false, submitted(2), out.stream(), messages.stream());
  events(people);
  EXPECT_EQ(out.text(), "[choice 1, stop]\ntwo!\n[choice 0, length]\none more\n");
  JobPrinter programs(true, submitted(2), lines.stream(), nothing.stream());
  events(programs);
  EXPECT_TRUE(lines.text().starts_with("{\"event\":\"token\",\"choice\":0,\"index\":0,\"id\":1,\"text\":\"one\"}\n"
                                       "{\"event\":\"token\",\"choice\":1,\"index\":0,\"id\":2,\"text\":\"two\"}\n"
                                       "{\"event\":\"choice_done\",\"choice\":1,\"finish_reason\":\"stop\",\"stop_token_id\":7,\"tail\":\"!\",\"completion_tokens\":1}\n"))
      << lines.text();
}

TEST(JobPrinter, DoesNotSayThatNoKvMovedWhereNobodyKnows) {
  ClientDone cancelled = done();
  cancelled.reason = FinishReason::kCancelled;
  cancelled.kv_bytes_moved = 0;
  cancelled.kv_bytes_known = false;
  cancelled.transport.clear();
  Kept out, messages, lines, nothing;
  JobPrinter(false, submitted(), out.stream(), messages.stream()).on(cancelled);
  EXPECT_NE(messages.text().find("(cancelled); prefill on prefill-0, decode on decode-0]\n"), std::string::npos);
  JobPrinter(true, submitted(), lines.stream(), nothing.stream()).on(cancelled);
  EXPECT_NE(lines.text().find("\"kv_bytes_moved\":null"), std::string::npos);
}

TEST(JobPrinter, NoticesThatNobodyReads) {
  std::FILE* full = std::fopen("/dev/full", "w");
  ASSERT_NE(full, nullptr);
  Kept messages;
  JobPrinter printer(false, submitted(), full, messages.stream());
  printer.on(ClientTokens{1, {{0, 1, "text"}}});
  EXPECT_TRUE(printer.output_closed());
  std::fclose(full);
}

TEST(Table, AlignsColumnsAndPutsNumbersToTheRight) {
  EXPECT_EQ(render_table({{"NAME", "N"}, {"größe", "7"}, {"b", "100"}}), "NAME     N\ngröße    7\nb      100\n");
  EXPECT_EQ(render_table({}), "");
}

TEST(Announcer, WordsAndExitStatusTravelThroughThePipe) {
  int ends[2], signals[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(pipe(signals), 0);
  {
    Announcer announcer(ends[1]);
    announcer.out("");
    announcer.finish(4);
    testing::internal::CaptureStderr();
    announcer.err("for the log");
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "for the log");
  }
  EXPECT_EQ(relay_announcements(ends[0], signals[0], [] {}), 4);
  for (const int each : {ends[0], signals[0], signals[1]}) close(each);
}

TEST(Announcer, ALauncherThatVanishesIsAFailure) {
  int ends[2], signals[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(pipe(signals), 0);
  { Announcer announcer(ends[1]); }
  EXPECT_EQ(relay_announcements(ends[0], signals[0], [] {}), 1);
  for (const int each : {ends[0], signals[0], signals[1]}) close(each);
}

// What the shell makes of the line, as its words.
std::string words_of(const std::string& line) {
  std::string out;
  std::FILE* shell = popen(("curl() { for word in \"$@\"; do printf '[%s]' \"$word\"; done; }; BATON_API_KEY=secret; " + line).c_str(), "r");
  for (int c = std::fgetc(shell); c != EOF; c = std::fgetc(shell)) out += static_cast<char>(c);
  pclose(shell);
  return out;
}

TEST(Ready, TheCurlLineCanBePasted) {
  Topology topology;
  topology.model.served_model_name = {"it's \"mine\" $HOME"};
  topology.gateway = GatewaySection{"0.0.0.0:8000", {}};
  topology.security.api_keys_file = "/keys";
  const std::string text = describe_ready(topology, {}, Duration{0});
  const std::size_t at = text.find("curl http");
  ASSERT_NE(at, std::string::npos) << text;
  EXPECT_EQ(words_of(text.substr(at, text.find('\n', at) - at)),
            "[http://127.0.0.1:8000/v1/chat/completions][-H][Authorization: Bearer secret][-H][Content-Type: application/json][-d]"
            "[{\"model\":\"it's \\\"mine\\\" $HOME\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}]");
  topology.gateway.reset();
  EXPECT_EQ(describe_ready(topology, {}, Duration{0}).find("curl"), std::string::npos);
}

}  // namespace
}  // namespace baton
