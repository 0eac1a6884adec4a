// SPDX-License-Identifier: Apache-2.0
#include "launcher/load_progress.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace baton {
namespace {

class LoadProgressTest : public testing::Test {
 protected:
  LoadProgressTest() { std::filesystem::create_directories(state_ + "/progress"); }
  ~LoadProgressTest() override { std::filesystem::remove_all(state_); }
  const std::string state_ = testing::TempDir() + "baton_load_progress";
};

TEST_F(LoadProgressTest, IsReadAsItWasSaid) {
  EXPECT_FALSE(read_load_progress(state_, "w"));
  LoadProgress progress(state_, "w");
  EXPECT_FALSE(read_load_progress(state_, "w")) << "nothing was said yet";
  for (const LoadState state : {LoadState{LoadPhase::kRead, 0}, LoadState{LoadPhase::kLayOut, 100}, LoadState{LoadPhase::kLayOut, 7}, LoadState{LoadPhase::kJoin, 0}}) {
    progress.say(state);
    EXPECT_EQ(read_load_progress(state_, "w"), state);
  }
  forget_load_progress(state_, "w");
  EXPECT_FALSE(read_load_progress(state_, "w"));
}

TEST_F(LoadProgressTest, WhatCannotBeWrittenOrReadIsNoFailure) {
  LoadProgress nowhere(state_ + "/no/such/folder", "w");
  nowhere.say({LoadPhase::kRead, 1});
  for (const char* text : {"", "1", "9 050   ", "1 999   ", "x y     ", "-1 000  "}) {
    std::ofstream(state_ + "/progress/bad") << text;
    EXPECT_FALSE(read_load_progress(state_, "bad")) << text;
  }
}

TEST(RenderLoadProgress, ALinePerWorker) {
  EXPECT_EQ(render_load_progress({{"prefill-0", LoadState{LoadPhase::kLayOut, 60}}, {"decode-0", std::nullopt}}),
            "  prefill-0  [############............]  50 %  lays out weights\n"
            "  decode-0   [........................]   0 %  starts\n");
  EXPECT_EQ(render_load_progress({{"w", LoadState{LoadPhase::kJoin, 0}}}), "  w  [######################..]  95 %  joins\n");
  EXPECT_EQ(render_load_progress({}), "");
}

}  // namespace
}  // namespace baton
