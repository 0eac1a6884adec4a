// SPDX-License-Identifier: Apache-2.0
#include "server/api_keys.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/support/test_home.h"

namespace baton::test {
namespace {

std::string complaint(const std::string& text) {
  const auto keys = ApiKeys::parse(text, "keys");
  return keys ? "" : keys.error().message;
}

TEST(ApiKeys, AreFoundByTheirWholeText) {
  const auto keys = ApiKeys::parse("# ours\n\n alice : alice-key-1 \r\nbob-key-22\nc:d:e-f-g-h-i", "keys");
  ASSERT_TRUE(keys) << keys.error().message;
  ASSERT_EQ(keys->size(), 3u);
  EXPECT_EQ(keys->name(*keys->find("Bearer alice-key-1")), "alice");
  EXPECT_EQ(keys->name(*keys->find("bearer bob-key-22")), "key 2");
  EXPECT_EQ(keys->name(*keys->find("Bearer d:e-f-g-h-i")), "c");
  for (const char* wrong : {"", "Bearer", "Bearer ", "alice-key-1", "Basic alice-key-1", "Bearer alice-key-",
                            "Bearer alice-key-11", "Bearer ALICE-KEY-1", "Bearer alice:alice-key-1"})
    EXPECT_FALSE(keys->find(wrong)) << wrong;
  EXPECT_FALSE(keys->find("Bearer " + std::string(100'000, 'x')));
}

TEST(ApiKeys, WrongLinesAreNamedAndTheKeysInThemAreNot) {
  EXPECT_NE(complaint("").find("has no key"), std::string::npos);
  EXPECT_NE(complaint("# nothing\n").find("has no key"), std::string::npos);
  EXPECT_NE(complaint("good-key-1\nshort\n").find("keys:2: a key has 8 to 512 characters"), std::string::npos);
  EXPECT_NE(complaint("two words here\n").find("keys:1: a key is made of visible ASCII"), std::string::npos);
  EXPECT_NE(complaint("a:good-key-1\na:good-key-2\n").find("keys:2: a second key is named a"), std::string::npos);
  EXPECT_NE(complaint("a:good-key-1\nb:good-key-1\n").find("keys:2: this key is there twice; the other is named a"),
            std::string::npos);
  EXPECT_NE(complaint(":good-key-1\n").find("keys:1: the name before the colon"), std::string::npos);
  EXPECT_NE(complaint(std::string(600, 'x')).find("keys:1: a key has 8 to 512"), std::string::npos);
  for (const char* text : {"good-key-1\nshort\n", "a:good-key-1\nb:good-key-1\n"})
    EXPECT_EQ(complaint(text).find("good-key"), std::string::npos);
}

TEST(ApiKeys, TheFileIsItsOwnersAlone) {
  const TestHome home;
  const std::string path = home.path() + "/keys";
  EXPECT_NE(ApiKeys::load(path).error().message.find("cannot be opened"), std::string::npos);
  write_text(path, "good-key-1\n");
  ASSERT_EQ(chmod(path.c_str(), 0640), 0);
  EXPECT_NE(ApiKeys::load(path).error().message.find("chmod 600"), std::string::npos);
  ASSERT_EQ(chmod(path.c_str(), 0600), 0);
  EXPECT_TRUE(ApiKeys::load(path));
  EXPECT_NE(ApiKeys::load(home.path()).error().message.find("is no file"), std::string::npos);
}

TEST(ApiKeys, SaltsDependOnTheKeyAndOnTheRequestsOwn) {
  const auto keys = ApiKeys::parse("alice:alice-key-1\nbob-key-22\n", "keys");
  ASSERT_TRUE(keys);
  const std::string alice = keys->cache_salt(0, ""), bob = keys->cache_salt(1, "");
  EXPECT_NE(alice, bob);
  EXPECT_NE(keys->cache_salt(0, "mine"), alice);
  EXPECT_NE(keys->cache_salt(0, "mine"), keys->cache_salt(1, "mine"));
  EXPECT_EQ(alice.size(), 64u);
  EXPECT_EQ(alice.find("alice"), std::string::npos);
  const auto others = ApiKeys::parse("bob-key-22\nnew:alice-key-1\n", "keys");
  EXPECT_EQ(others->cache_salt(1, ""), alice) << "of the key, not of its name or place";
}

}  // namespace
}  // namespace baton::test
