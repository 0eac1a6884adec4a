// SPDX-License-Identifier: Apache-2.0
// The coordinator's journal, as a file of any bytes, or as one that was written properly and then cut or damaged: it opens or says that
// it is none; what it holds is what some moment of its writing held; what is written behind is found again.
#include "runtime/journal/file_journal.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "runtime/base/check.h"
#include "tests/fuzz/target.h"
#include "tests/support/temporary_folder.h"

namespace baton::fuzz {
namespace {

std::uint8_t take(std::string_view& bytes) {
  if (bytes.empty()) return 0;
  const auto first = static_cast<std::uint8_t>(bytes.front());
  bytes.remove_prefix(1);
  return first;
}

void write_file(const std::string& path, std::string_view bytes) { std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size())); }

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// What the journal held after each of these writes, from none on.
std::vector<JournalRecords> write_journal(const std::string& path, std::string_view bytes) {
  std::vector<JournalRecords> held(1);
  const auto journal = FileJournal::open(path);
  CHECK(journal.has_value(), "a new file");
  while (!bytes.empty() && held.size() < 12) {
    const std::uint8_t what = take(bytes);
    const JournalKey key{static_cast<std::uint8_t>(what >> 6), static_cast<std::uint64_t>(what >> 3 & 7)};
    JournalRecords next = held.back();
    if ((what & 1) != 0) {
      next.erase(key);
      (*journal)->erase(key);
    } else {
      const std::string value(bytes.substr(0, take(bytes) % 64));
      next[key] = value;
      CHECK((*journal)->put(key, value));
    }
    CHECK((*journal)->sync().has_value());
    held.push_back(std::move(next));
  }
  return held;
}

// Cut at a place, or with one byte changed, or as it is.
void damage(std::string& file, std::string_view& bytes) {
  const std::uint8_t how = take(bytes);
  const std::size_t at = (take(bytes) | static_cast<std::size_t>(take(bytes)) << 8) % file.size();
  if (how % 3 == 1) file.resize(at);
  if (how % 3 == 2) file[at] = static_cast<char>(file[at] ^ (how | 1));
}

}  // namespace

void run_journal(std::string_view bytes) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path() + "/journal";
  const bool properly = (take(bytes) & 1) != 0;
  std::vector<JournalRecords> held;
  if (properly) {
    std::string_view harm = bytes.substr(0, 3);
    held = write_journal(path, bytes.substr(harm.size()));
    std::string file = read_file(path);
    damage(file, harm);
    write_file(path, file);
  } else {
    write_file(path, bytes);
  }
  JournalRecords found;
  {
    const auto journal = FileJournal::open(path);
    if (!journal) {
      CHECK(journal.error().code == ErrorCode::kCorrupt && !journal.error().message.empty());
      return;
    }
    found = (*journal)->take_records();
    if (properly) CHECK(std::find(held.begin(), held.end(), found) != held.end(), "a moment of its writing");
    const JournalKey key{7, 7};
    found[key] = "behind";
    CHECK((*journal)->put(key, "behind") && (*journal)->sync().has_value());
  }
  const auto again = FileJournal::open(path);
  CHECK(again.has_value() && (*again)->take_records() == found, "what was written behind is found, and all before it");
}

}  // namespace baton::fuzz
