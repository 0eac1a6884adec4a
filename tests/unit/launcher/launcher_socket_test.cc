// SPDX-License-Identifier: Apache-2.0
// The launcher's socket: what it takes, and what it does with those who send anything else.
#include "launcher/launcher_socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <random>
#include <thread>

#include "launcher/exit_code.h"
#include "tests/support/temporary_folder.h"

namespace baton {
namespace {

TEST(ScaleProtocol, ARequestComesBackAsItWas) {
  const ScaleRequest sent{{{"prefill", 0}, {"decode", 1024}}, std::chrono::seconds(7)};
  const std::string line = to_line(sent);
  ASSERT_TRUE(line.ends_with('\n'));
  const auto back = parse_scale_request(std::string_view(line).substr(0, line.size() - 1));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->limit, sent.limit);
  ASSERT_EQ(back->pools.size(), 2u);
  EXPECT_EQ(back->pools[1].pool, "decode");
  EXPECT_EQ(back->pools[1].replicas, 1024u);
}

TEST(ScaleProtocol, ARequestThatIsNoneIsRefusedInWords) {
  const auto refused = [](const std::string& line) {
    const auto request = parse_scale_request(line);
    EXPECT_FALSE(request) << line;
    return request ? std::string() : request.error().message;
  };
  const std::string pools = R"("pools":[{"name":"a","replicas":1}])";
  EXPECT_EQ(refused(R"({"timeout_ms":1,)" + pools + '}'), "\"command\" is not \"scale\"");
  EXPECT_EQ(refused(R"({"command":"scale",)" + pools + '}'), "\"timeout_ms\" is no number from 0 to 86400000");
  EXPECT_EQ(refused(R"({"command":"scale","timeout_ms":-1,)" + pools + '}'), "\"timeout_ms\" is no number from 0 to 86400000");
  EXPECT_EQ(refused(R"({"command":"scale","timeout_ms":1,"pools":[]})"), "\"pools\" is no list of 1 to 256");
  EXPECT_EQ(refused(R"({"command":"scale","timeout_ms":1,"pools":[7]})"), "a pool has no \"name\"");
  EXPECT_EQ(refused(R"({"command":"scale","timeout_ms":1,"pools":[{"name":"a","replicas":1025}]})"), "a pool's \"replicas\" is no number from 0 to 1024");
  EXPECT_EQ(refused(R"({"command":"scale","timeout_ms":1,"pools":[{"name":"a","replicas":1},{"name":"a","replicas":2}]})"), "pool a is named twice");
  for (const std::string& line : {std::string(), std::string("null"), std::string(1, '\0'), std::string("{"), std::string(60'000, '['), std::string(70'000, ' '),
                                  std::string("\xff\xfe"), std::string(R"({"command":"scale","timeout_ms":1e99,"pools":{}})")})
    EXPECT_FALSE(refused(line).empty());
  for (const char* word : {"", "=", "=3", "decode", "decode=", "decode=-1", "decode=1025", "decode=3x", "decode=99999999999999999999"}) EXPECT_FALSE(parse_pool_size(word)) << word;
  EXPECT_EQ(parse_pool_size("decode=0")->replicas, 0u);
}

// Any prefix, any flipped byte: an answer, no crash.
TEST(ScaleProtocol, SurvivesDamage) {
  const std::string line = to_line(ScaleRequest{{{"prefill", 2}, {"decode", 3}}, std::chrono::seconds(7)});
  std::mt19937 random(5);
  for (std::size_t i = 0; i < line.size(); ++i) {
    (void)parse_scale_request(std::string_view(line).substr(0, i));
    for (int k = 0; k < 20; ++k) {
      std::string hurt = line;
      hurt[i] = static_cast<char>(random());
      (void)parse_scale_request(hurt);
      (void)parse_scale_reply(hurt);
    }
  }
}

TEST(ScaleProtocol, LinesComeAsTheyEnd) {
  LineBuffer buffer;
  EXPECT_TRUE(buffer.add("on"));
  EXPECT_FALSE(buffer.next());
  EXPECT_TRUE(buffer.add("e\ntwo\nthr"));
  EXPECT_EQ(buffer.next(), "one");
  EXPECT_EQ(buffer.next(), "two");
  EXPECT_FALSE(buffer.next());
  EXPECT_TRUE(buffer.add(std::string(kScaleLineMax - 3, 'x')));
  EXPECT_FALSE(buffer.add("x"));
}

class LauncherSocketTest : public ::testing::Test {
 protected:
  LauncherSocketTest() {
    std::filesystem::create_directory(folder_);
    EXPECT_EQ(pipe2(also_, O_CLOEXEC), 0);
    const auto opened = socket_.open(folder_, also_[0]);
    EXPECT_TRUE(opened) << opened.error().message;
  }
  ~LauncherSocketTest() override {
    close(also_[0]);
    close(also_[1]);
  }
  int dial() {
    const int folder = open(folder_.c_str(), O_PATH | O_CLOEXEC);
    const int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = "/proc/self/fd/" + std::to_string(folder) + "/launcher.sock";
    std::memcpy(address.sun_path, path.c_str(), path.size());
    EXPECT_EQ(connect(file, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    close(folder);
    return file;
  }
  static void say(int file, const std::string& bytes) { (void)!send(file, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT); }
  static std::string hear(int file) {
    std::string text(4096, '\0');
    const ssize_t count = recv(file, text.data(), text.size(), MSG_DONTWAIT);
    text.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
    return count < 0 ? "nothing" : text;
  }
  // A request is served while all that goes on.
  void expect_it_serves() {
    std::atomic<bool> done{false};
    Result<ScaleReply> reply = fail(ErrorCode::kInternal, "");
    std::string heard;
    std::thread command([&] {
      reply = ask_launcher(folder_, {{{"decode", 3}}, std::chrono::seconds(1)}, [&](const std::string& text) { heard += text; }, [] { return false; });
      done = true;
    });
    while (!done) {
      for (const LauncherSocket::Asked& asked : socket_.turn()) {
        EXPECT_EQ(asked.request.pools.at(0).replicas, 3u);
        socket_.reply(asked.connection, {"half \x01 \n", std::nullopt});
        socket_.reply(asked.connection, {"done", kFailed});
      }
      usleep(500);
    }
    command.join();
    ASSERT_TRUE(reply) << reply.error().message;
    EXPECT_EQ(heard, "half \x01 \n");
    EXPECT_EQ(reply->text, "done");
    EXPECT_EQ(reply->exit_status, kFailed);
  }

  const test::TemporaryFolder above_;
  const std::string folder_ = above_.path() + '/' + std::string(120, 'd');  // longer than an address
  int also_[2];
  LauncherSocket socket_;
};

TEST_F(LauncherSocketTest, OnlyItsUserMayUseIt) {
  struct stat facts {};
  ASSERT_EQ(stat((folder_ + "/launcher.sock").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
  expect_it_serves();
}

TEST_F(LauncherSocketTest, GarbageIsAnsweredAndCutOff) {
  for (const std::string& garbage : {std::string("GET / HTTP/1.1\r\n\r\n"), std::string("\n"), std::string(3, '\0') + '\n', std::string("[[[[[[[[[[\n")}) {
    const int file = dial();
    say(file, garbage);
    EXPECT_TRUE(socket_.turn().empty());
    EXPECT_NE(hear(file).find("this is no request"), std::string::npos);
    EXPECT_EQ(hear(file), "");
    close(file);
  }
  expect_it_serves();
}

TEST_F(LauncherSocketTest, ALineWithoutEndIsCutOff) {
  const int file = dial();
  std::string heard = "nothing";
  for (int i = 0; i < 40 && heard == "nothing"; ++i) {
    say(file, std::string(4096, 'x'));
    EXPECT_TRUE(socket_.turn().empty());
    heard = hear(file);
  }
  EXPECT_NE(heard.find("more than 64 KiB"), std::string::npos) << heard;
  close(file);
  expect_it_serves();
}

TEST_F(LauncherSocketTest, IdleConnectionsGiveWay) {
  std::vector<int> idle;
  for (int i = 0; i < 100; ++i) {
    idle.push_back(dial());
    EXPECT_TRUE(socket_.turn().empty());
  }
  expect_it_serves();
  for (const int file : idle) close(file);
  EXPECT_TRUE(socket_.turn().empty());
}

TEST_F(LauncherSocketTest, WhoHasGoneHearsNothing) {
  const int file = dial();
  say(file, to_line(ScaleRequest{{{"decode", 3}}, std::chrono::seconds(1)}));
  const auto asked = socket_.turn();
  ASSERT_EQ(asked.size(), 1u);
  close(file);
  socket_.reply(asked[0].connection, {"x", std::nullopt});
  EXPECT_TRUE(socket_.turn().empty());
  socket_.reply(asked[0].connection, {"x", kDone});
  expect_it_serves();
}

TEST(LauncherSocket, ACommandSaysWhenNobodyListens) {
  const auto reply = ask_launcher("/nonexistent", {{{"decode", 3}}, std::chrono::seconds(1)}, [](const std::string&) {}, [] { return false; });
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace baton
