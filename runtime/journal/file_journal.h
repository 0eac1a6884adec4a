// SPDX-License-Identifier: Apache-2.0
// FileJournal: a journal's file. Appended to, read once when it is opened, rewritten when most of it is dead. Layout: 8 bytes of magic,
// then records, little-endian:
//   u64 check   XXH3 of all that follows in the record, seeded with the record's number from 1 on
//   u32 length  of the value; 0xffffffff: an erasure, no value follows
//   u8  kind, u8 x 3 zero, u64 id: the key
//   value
// Reading stops at the first record that is cut off or does not check: a process killed in the middle of a write has had nothing of it
// acknowledged. What stands behind is cut off, so that new records follow good ones. Values above kValueBytesMax are refused.
// The file has mode 0600: it holds prompts. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "runtime/base/result.h"
#include "runtime/journal/journal.h"

namespace baton {

class FileJournal {
 public:
  static constexpr std::size_t kValueBytesMax = 16u << 20;

  // Reads what is there; makes the file if there is none. kCorrupt: it is no journal.
  static Result<std::unique_ptr<FileJournal>> open(const std::string& path);
  ~FileJournal();
  FileJournal(const FileJournal&) = delete;
  FileJournal& operator=(const FileJournal&) = delete;

  // What the file held when it was opened; moves out.
  JournalRecords take_records() { return std::move(records_); }
  // Into memory; sync() writes. False: the value is above kValueBytesMax.
  bool put(const JournalKey& key, std::string value);
  void erase(const JournalKey& key);
  // Writes what was put since the last call and waits until the disk has it. An error leaves the file as it was before: what is still
  // wanted of it is written by the next call, so a disk that stays full costs the memory of what lives, and no more.
  Result<void> sync();
  std::uint64_t file_bytes() const { return file_bytes_; }
  std::uint64_t live_bytes() const { return live_bytes_; }

 private:
  struct Place {
    std::uint64_t offset = 0;  // of the record
    std::uint64_t bytes = 0;   // all of it
  };
  FileJournal(std::string path, int file) : path_(std::move(path)), file_(file) {}
  Result<void> read();
  void enter(const JournalKey& key, const Place* place);
  Result<void> write_all(int file, std::string_view bytes, std::uint64_t offset);
  Result<void> rewrite();

  std::string path_;
  int file_ = -1;
  JournalRecords records_;
  std::map<JournalKey, Place> live_;
  std::map<JournalKey, std::optional<std::string>> unwritten_;  // nothing: an erasure of what the file has
  std::uint64_t number_ = 0;        // of the last record
  std::uint64_t file_bytes_ = 0;    // written
  std::uint64_t live_bytes_ = 0;
  std::uint64_t rewrite_from_ = 0;  // file_bytes() below which it is not tried again
};

}  // namespace baton
