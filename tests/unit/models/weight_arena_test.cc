// SPDX-License-Identifier: Apache-2.0
#include "models/weight_arena.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace baton {
namespace {

class SharedFile {
 public:
  SharedFile() : descriptor(memfd_create("weights", MFD_CLOEXEC | MFD_ALLOW_SEALING)) {}
  ~SharedFile() { close(descriptor); }
  const int descriptor;
};

constexpr std::size_t kBytes = 100'000;

void ones(std::span<std::byte> to) { std::fill(to.begin(), to.end(), std::byte{1}); }
void never(std::span<std::byte>) { FAIL() << "filled a second time"; }
bool all_ones(std::span<const std::byte> bytes) {
  return bytes.size() == kBytes && std::all_of(bytes.begin(), bytes.end(), [](std::byte byte) { return byte == std::byte{1}; });
}

TEST(WeightArena, PrivateMemoryIsFilledAndAligned) {
  WeightArena arena;
  const auto memory = arena.obtain(1, kBytes, ones);
  ASSERT_TRUE(memory);
  EXPECT_TRUE(all_ones(*memory));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory->data()) % 64, 0u);
  EXPECT_FALSE(arena.shared());
}

TEST(WeightArena, TheFirstFillsAndOthersMapTheSamePages) {
  const SharedFile file;
  WeightArena first(file.descriptor), second(file.descriptor);
  ASSERT_TRUE(all_ones(*first.obtain(7, kBytes, ones)));
  ASSERT_TRUE(all_ones(*second.obtain(7, kBytes, never)));
  EXPECT_TRUE(first.shared());
  EXPECT_TRUE(second.shared());
  const std::byte zero{0};
  EXPECT_LT(pwrite(file.descriptor, &zero, 1, 5000), 0) << "what is shared is sealed";
}

TEST(WeightArena, AnotherModelGetsMemoryOfItsOwn) {
  const SharedFile file;
  WeightArena first(file.descriptor), other(file.descriptor), longer(file.descriptor);
  ASSERT_TRUE(first.obtain(7, kBytes, ones));
  EXPECT_TRUE(all_ones(*other.obtain(8, kBytes, ones)));
  EXPECT_FALSE(other.shared());
  EXPECT_EQ(longer.obtain(7, 3 * (std::size_t{2} << 20), ones)->size(), 3 * (std::size_t{2} << 20));
  EXPECT_FALSE(longer.shared());
}

TEST(WeightArena, AProcessThatDiesWhileFillingLeavesItToTheNext) {
  const SharedFile file;
  const pid_t child = fork();
  if (child == 0) {
    WeightArena arena(file.descriptor);
    (void)arena.obtain(7, kBytes, [](std::span<std::byte> to) {
      std::fill(to.begin(), to.begin() + 10, std::byte{9});
      _exit(0);
    });
    _exit(1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(WEXITSTATUS(status), 0);
  WeightArena next(file.descriptor);
  EXPECT_TRUE(all_ones(*next.obtain(7, kBytes, ones)));
  EXPECT_TRUE(next.shared());
}

TEST(WeightArena, AFileThatCannotBeUsedIsLeftAlone) {
  WeightArena bad(-1);
  EXPECT_TRUE(all_ones(*bad.obtain(1, kBytes, ones)));
  EXPECT_FALSE(bad.shared());
  const int unsealable = memfd_create("weights", MFD_CLOEXEC);
  WeightArena arena(unsealable);
  EXPECT_TRUE(all_ones(*arena.obtain(1, kBytes, ones)));
  EXPECT_FALSE(arena.shared());
  struct stat status {};
  ASSERT_EQ(fstat(unsealable, &status), 0);
  EXPECT_EQ(status.st_size, 0) << "filled for nobody";
  close(unsealable);
}

TEST(WeightArena, AFileOnADiskIsNotWrittenOver) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  ASSERT_EQ(write(fileno(file), "notes", 5), 5);
  WeightArena arena(fileno(file));
  EXPECT_TRUE(all_ones(*arena.obtain(1, kBytes, ones)));
  EXPECT_FALSE(arena.shared());
  char content[16];
  EXPECT_EQ(pread(fileno(file), content, sizeof content, 0), 5);
  std::fclose(file);
}

}  // namespace
}  // namespace baton
