// SPDX-License-Identifier: Apache-2.0
#include "config/units.h"

#include <gtest/gtest.h>

#include "config/address.h"
#include "config/suggest.h"
#include "config/utf8.h"

namespace baton {
namespace {

TEST(Units, ReadsSizes) {
  EXPECT_EQ(parse_bytes("512MiB").value(), 512ull << 20);
  EXPECT_EQ(parse_bytes("1.5GiB").value(), 3ull << 29);
  EXPECT_EQ(parse_bytes("2KB").value(), 2000u);
  EXPECT_EQ(parse_bytes("7B").value(), 7u);
  EXPECT_EQ(parse_bytes("0").value(), 0u);
  for (const char* bad : {"", "512", "MiB", "-1MiB", "1 MiB", "1..5MiB", "1.MiB", "1e3MiB", "0x10MiB", "99999999999TiB", "9999999999999999999B", "1MiBB"})
    EXPECT_FALSE(parse_bytes(bad)) << bad;
  EXPECT_EQ(parse_bytes("512mb").error().message, "did you mean \"512MB\"?");
  EXPECT_EQ(parse_bytes("512mib").error().message, "did you mean \"512MiB\"?");
}

TEST(Units, ReadsDurations) {
  EXPECT_EQ(parse_duration("200ms").value(), std::chrono::milliseconds(200));
  EXPECT_EQ(parse_duration("10m").value(), std::chrono::minutes(10));
  EXPECT_EQ(parse_duration("1.25s").value(), std::chrono::milliseconds(1250));
  EXPECT_EQ(parse_duration("30us").value(), std::chrono::microseconds(30));
  EXPECT_EQ(parse_duration("0").value(), Duration{0});
  for (const char* bad : {"10", "1d", "s", "999999999999999999h", "1m30s", "-1s", "1.s"}) EXPECT_FALSE(parse_duration(bad)) << bad;
}

TEST(Units, WritesWhatItReads) {
  for (const char* text : {"512MiB", "1.5GiB", "7B", "0", "1TiB"}) EXPECT_EQ(format_bytes(parse_bytes(text).value()), text);
  for (const char* text : {"200ms", "10m", "1.25s", "30us", "0", "2h"}) EXPECT_EQ(format_duration(parse_duration(text).value()), text);
  EXPECT_EQ(format_bytes(18'245'222), "17.4MiB");
}

TEST(Units, WholeNumbersHaveNoSignsAndNoOverflow) {
  EXPECT_EQ(parse_unsigned("18446744073709551615").value(), ~0ull);
  for (const char* bad : {"", "+1", "-1", "1.0", "18446744073709551616", "1 ", "0x1"}) EXPECT_FALSE(parse_unsigned(bad)) << bad;
}

TEST(Addresses, ReadsHostAndPort) {
  EXPECT_EQ(parse_tcp_address("tcp://127.0.0.1:7070").value(), (SocketAddress{"127.0.0.1", 7070}));
  EXPECT_EQ(parse_tcp_address("tcp://[::1]:7070").value(), (SocketAddress{"::1", 7070}));
  for (const char* bad : {"127.0.0.1:7070", "tcp://127.0.0.1", "tcp://:1", "tcp://a:0", "tcp://a:65536", "tcp://a b:1", "tcp://a:+1", "ipc:///x", "tcp://::1:3"})
    EXPECT_FALSE(parse_tcp_address(bad)) << bad;
}

TEST(Addresses, KnowsLoopback) {
  for (const char* host : {"127.0.0.1", "127.9.9.9", "localhost", "::1"}) EXPECT_TRUE(is_loopback(host)) << host;
  for (const char* host : {"0.0.0.0", "*", "::", "10.0.0.1", "127.evil.example.org", "127.0.0.1.example.org", "128.0.0.1"}) EXPECT_FALSE(is_loopback(host)) << host;
}

TEST(Utf8, FindsWhatIsNot) {
  for (const char* good : {"", "abc", "gr\xc3\xb6\xc3\x9f" "e", "\xe6\xa8\xa1", "\xf0\x9f\x98\x80"}) EXPECT_EQ(find_invalid_utf8(good), std::string_view::npos) << good;
  for (const char* bad : {"a\x80", "a\xc0\x80", "a\xc3", "a\xed\xa0\x80", "a\xf4\x90\x80\x80", "a\xe0\x80\x80", "a\xff"}) EXPECT_EQ(find_invalid_utf8(bad), 1u);
  EXPECT_EQ(printable("a\x1b[2J\tb\xc2\x9b" "c"), "a [2J b c");
  EXPECT_EQ(printable("caf\xe9"), "caf?");
}

TEST(Suggest, FindsTheNearestWord) {
  const std::vector<std::string> words = {"replicas", "role", "threads", "tensor_parallel_size"};
  EXPECT_EQ(nearest("replica", words), "replicas");
  EXPECT_EQ(nearest("Rloe", words), "role");
  EXPECT_EQ(nearest("tensor", words), "tensor_parallel_size");
  EXPECT_EQ(nearest("banana", words), "");
  EXPECT_EQ(edit_distance("abcd", "abdc"), 1u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(nearest(std::string(10000, 'x'), words), "");
}

}  // namespace
}  // namespace baton
