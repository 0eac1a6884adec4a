// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/shared_memory_directory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>

namespace baton {
namespace {

class SharedMemoryDirectoryTest : public testing::Test {
 protected:
  SharedMemoryDirectoryTest() {
    std::string name = testing::TempDir() + "shm-XXXXXX";
    base_ = mkdtemp(name.data());
  }
  ~SharedMemoryDirectoryTest() override { std::filesystem::remove_all(base_); }
  std::string base_;
};

TEST_F(SharedMemoryDirectoryTest, IsGoneWithItsOwner) {
  std::optional<SharedMemoryDirectory> own(*SharedMemoryDirectory::create(base_));
  std::ofstream(own->path() + "/segment") << "x";
  own.reset();
  EXPECT_TRUE(std::filesystem::is_empty(base_));
}

TEST_F(SharedMemoryDirectoryTest, WhatTheDeadLeftIsRemovedAndTheLivingAreLeftAlone) {
  const std::string dead = base_ + "/baton-dead00", foreign = base_ + "/somebody";
  std::filesystem::create_directory(dead);
  std::filesystem::create_directory(foreign);
  std::ofstream(dead + "/segment") << "x";
  const auto living = SharedMemoryDirectory::create(base_);
  ASSERT_TRUE(living.has_value());
  EXPECT_FALSE(std::filesystem::exists(dead));
  std::ofstream(living->path() + "/segment") << "x";
  const auto newcomer = SharedMemoryDirectory::create(base_);
  ASSERT_TRUE(newcomer.has_value());
  EXPECT_TRUE(std::filesystem::exists(living->path() + "/segment"));
  EXPECT_TRUE(std::filesystem::exists(foreign));
}

TEST_F(SharedMemoryDirectoryTest, SaysWhereItCouldNotBeMade) {
  const auto none = SharedMemoryDirectory::create(base_ + "/nowhere");
  ASSERT_FALSE(none.has_value());
  EXPECT_NE(none.error().message.find("nowhere"), std::string::npos);
}

}  // namespace
}  // namespace baton
