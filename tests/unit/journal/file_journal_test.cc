// SPDX-License-Identifier: Apache-2.0
// A journal's file: what was synced is found again, whatever happens to its end.
#include "runtime/journal/file_journal.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <vector>

#include "runtime/journal/journal_thread.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_outbox.h"

namespace baton {
namespace {

using test::TemporaryFolder;

class FileJournalTest : public ::testing::Test {
 protected:
  std::unique_ptr<FileJournal> open() {
    auto journal = FileJournal::open(path_);
    EXPECT_TRUE(journal.has_value()) << journal.error().message;
    return std::move(*journal);
  }
  std::string bytes() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write(const std::string& bytes) const { std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes; }

  const TemporaryFolder folder_;
  const std::string path_ = folder_.path() + "/journal";
};

TEST_F(FileJournalTest, WhatWasPutAndNotErasedIsFoundAgain) {
  {
    const auto journal = open();
    EXPECT_TRUE(journal->take_records().empty());
    journal->put({1, 7}, "seven");
    journal->put({1, 8}, "eight");
    journal->put({2, 7}, "");
    journal->put({1, 7}, "seven again");
    journal->erase({1, 8});
    journal->erase({1, 99});  // was never there
    ASSERT_TRUE(journal->sync());
    journal->put({1, 9}, "not synced");
  }
  const JournalRecords expected = {{{1, 7}, "seven again"}, {{2, 7}, ""}};
  EXPECT_EQ(open()->take_records(), expected);
  struct stat facts {};
  ASSERT_EQ(stat(path_.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u) << "it holds prompts";
}

// A process dies in the middle of a write: what was complete before is kept, what follows can be written and read.
TEST_F(FileJournalTest, EveryCutOfItsEndLosesOnlyWhatIsCut) {
  std::vector<std::size_t> ends;
  {
    const auto journal = open();
    for (std::uint64_t id = 1; id <= 3; ++id) {
      journal->put({1, id}, std::string(id * 5, static_cast<char>('a' + id)));
      ASSERT_TRUE(journal->sync());
      ends.push_back(bytes().size());
    }
  }
  const std::string whole = bytes();
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    write(whole.substr(0, size));
    const auto complete = static_cast<std::size_t>(std::ranges::count_if(ends, [size](std::size_t end) { return end <= size; }));
    {
      const auto journal = open();
      EXPECT_EQ(journal->take_records().size(), complete) << "of " << size << " bytes";
      journal->put({9, 9}, "after");
      ASSERT_TRUE(journal->sync());
    }
    const JournalRecords after = open()->take_records();
    EXPECT_EQ(after.size(), complete + 1) << "of " << size << " bytes";
    EXPECT_TRUE(after.contains({9, 9}));
  }
}

TEST_F(FileJournalTest, AFlippedByteEndsWhatIsBelieved) {
  {
    const auto journal = open();
    for (std::uint64_t id = 1; id <= 3; ++id) journal->put({1, id}, "value " + std::to_string(id));
    ASSERT_TRUE(journal->sync());
  }
  const std::string whole = bytes();
  for (std::size_t at = 8; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    write(damaged);
    for (const auto& [key, value] : open()->take_records()) EXPECT_EQ(value, "value " + std::to_string(key.id)) << "byte " << at;
  }
  for (std::size_t at = 0; at < 8; ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    write(damaged);
    const auto refused = FileJournal::open(path_);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::kCorrupt);
  }
}

TEST_F(FileJournalTest, MostlyDeadItIsWrittenAnewAndLosesNothing) {
  const std::string big(64 * 1024, 'x');
  std::uint64_t largest = 0;
  {
    const auto journal = open();
    journal->put({1, 1}, "stays");
    for (std::uint64_t round = 0; round < 2000; ++round) {
      journal->put({2, round}, big);
      if (round >= 4) journal->erase({2, round - 4});
      ASSERT_TRUE(journal->sync());
      largest = std::max(largest, journal->file_bytes());
    }
    EXPECT_EQ(std::filesystem::file_size(path_), journal->file_bytes());
  }
  EXPECT_LT(largest, 40u << 20) << "of 125 MiB that were put";
  const JournalRecords kept = open()->take_records();
  EXPECT_EQ(kept.size(), 5u);
  EXPECT_EQ(kept.at({1, 1}), "stays");
  EXPECT_EQ(kept.at({2, 1999}), big);
  EXPECT_FALSE(std::filesystem::exists(path_ + ".new"));
}

// What was put and erased while the disk was full is nobody's any more.
TEST_F(FileJournalTest, AFullDiskKeepsWhatWasWrittenAndWritesWhatIsStillWantedLater) {
  const auto journal = open();
  journal->put({1, 1}, "before");
  ASSERT_TRUE(journal->sync());
  rlimit usual{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &usual), 0);
  const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit full{journal->file_bytes() + 10, usual.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  for (std::uint64_t id = 2; id < 40; ++id) {
    journal->put({1, id}, std::string(1000, 'x'));
    EXPECT_FALSE(journal->sync());
    if (id > 2) journal->erase({1, id});
  }
  journal->erase({1, 1});
  EXPECT_FALSE(journal->sync());
  const std::uint64_t before = journal->file_bytes();
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &usual), 0);
  std::signal(SIGXFSZ, ignored);
  ASSERT_TRUE(journal->sync());
  EXPECT_LT(journal->file_bytes() - before, 1200u) << "one record and one erasure";
  const JournalRecords expected = {{{1, 2}, std::string(1000, 'x')}};
  EXPECT_EQ(open()->take_records(), expected);
}

TEST_F(FileJournalTest, AValueThatIsTooLargeIsNotTaken) {
  EXPECT_FALSE(open()->put({1, 1}, std::string(FileJournal::kValueBytesMax + 1, 'x')));
}

// Turns of the loop, run by the test.
class Turns final : public Executor {
 public:
  void post(std::uint32_t, std::function<void(Outbox&)> turn) override {
    {
      const std::lock_guard lock(mutex_);
      turns_.push_back(std::move(turn));
    }
    more_.notify_one();
  }
  void run(std::size_t count) {
    for (; count > 0; --count) {
      std::unique_lock lock(mutex_);
      more_.wait(lock, [this] { return !turns_.empty(); });
      const auto turn = std::move(turns_.front());
      turns_.erase(turns_.begin());
      lock.unlock();
      turn(out_);
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable more_;
  std::vector<std::function<void(Outbox&)>> turns_;
  TestOutbox out_;
};

TEST_F(FileJournalTest, TheThreadSaysInOrderWhatIsDurable) {
  Turns turns;
  std::vector<std::uint64_t> durable;
  {
    JournalThread journal(open(), turns, 0, [](const std::string& why) { FAIL() << why; });
    for (std::uint64_t id = 1; id <= 200; ++id)
      journal.put({1, id}, "job", [&durable, id](bool ok, Outbox&) {
        EXPECT_TRUE(ok);
        durable.push_back(id);
      });
    turns.run(200);
    for (std::uint64_t id = 1; id <= 200; ++id) EXPECT_EQ(durable[id - 1], id);
    journal.erase({1, 100});
  }
  EXPECT_EQ(open()->take_records().size(), 199u) << "the end writes what is left";
}

}  // namespace
}  // namespace baton
