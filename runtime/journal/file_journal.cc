// SPDX-License-Identifier: Apache-2.0
#include "runtime/journal/file_journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/base/hash.h"

namespace baton {
namespace {

constexpr std::string_view kMagic = "BATONJ1\n";
constexpr std::size_t kHeadBytes = 24;
constexpr std::uint32_t kErased = 0xffffffffu;
constexpr std::uint64_t kRewriteFrom = 16u << 20;  // dead bytes below that are nobody's concern

Error failure(const std::string& what, const std::string& path) { return {ErrorCode::kIo, what + ' ' + path + ": " + std::strerror(errno)}; }

template <class T>
void put_number(std::string& bytes, T value) {
  char raw[sizeof value];
  std::memcpy(raw, &value, sizeof value);
  bytes.append(raw, sizeof raw);
}
template <class T>
T number_at(std::string_view bytes, std::size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// Of a record without its check.
std::uint64_t check_of(std::string_view rest, std::uint64_t number) { return hash_bytes(rest.data(), rest.size(), number); }

std::string record_of(const JournalKey& key, std::uint32_t length, std::string_view value, std::uint64_t number) {
  std::string rest;
  rest.reserve(kHeadBytes - 8 + value.size());
  put_number(rest, length);
  put_number(rest, static_cast<std::uint32_t>(key.kind));
  put_number(rest, key.id);
  rest.append(value);
  std::string record;
  record.reserve(8 + rest.size());
  put_number(record, check_of(rest, number));
  record += rest;
  return record;
}

Result<std::string> read_all(int file, const std::string& path) {
  struct stat facts {};
  if (fstat(file, &facts) != 0) return tl::unexpected(failure("cannot read", path));
  std::string bytes(static_cast<std::size_t>(facts.st_size), '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = pread(file, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return tl::unexpected(failure("cannot read", path));
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

}  // namespace

Result<std::unique_ptr<FileJournal>> FileJournal::open(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return tl::unexpected(failure("cannot open the journal", path));
  std::unique_ptr<FileJournal> journal(new FileJournal(path, file));
  ::unlink((path + ".new").c_str());  // of a life that was killed while it wrote the file anew
  RETURN_IF_ERROR(journal->read());
  return journal;
}

FileJournal::~FileJournal() { ::close(file_); }

Result<void> FileJournal::read() {
  const auto bytes = read_all(file_, path_);
  if (!bytes) return tl::unexpected(bytes.error());
  if (bytes->size() < kMagic.size() && kMagic.starts_with(*bytes)) {
    // New, or killed before its first record.
    RETURN_IF_ERROR(write_all(file_, kMagic, 0));
    file_bytes_ = kMagic.size();
    return {};
  }
  if (!bytes->starts_with(kMagic)) return fail(ErrorCode::kCorrupt, path_ + " is no journal of baton: move it away");
  std::size_t at = kMagic.size();
  while (bytes->size() - at >= kHeadBytes) {
    const std::string_view head = std::string_view(*bytes).substr(at, kHeadBytes);
    const auto length = number_at<std::uint32_t>(head, 8);
    const std::size_t value = length == kErased ? 0 : length;
    if (value > kValueBytesMax || bytes->size() - at - kHeadBytes < value) break;
    const std::string_view rest = std::string_view(*bytes).substr(at + 8, kHeadBytes - 8 + value);
    if (number_at<std::uint64_t>(head, 0) != check_of(rest, number_ + 1) || number_at<std::uint32_t>(head, 12) > 0xff) break;
    ++number_;
    const JournalKey key{static_cast<std::uint8_t>(number_at<std::uint32_t>(head, 12)), number_at<std::uint64_t>(head, 16)};
    const Place place{at, kHeadBytes + value};
    enter(key, length == kErased ? nullptr : &place);
    if (length == kErased) records_.erase(key);
    else records_[key] = std::string(rest.substr(kHeadBytes - 8));
    at += kHeadBytes + value;
  }
  if (at < bytes->size() && ftruncate(file_, static_cast<off_t>(at)) != 0) return tl::unexpected(failure("cannot cut", path_));
  file_bytes_ = at;
  return {};
}

// Where the file has the key's record now; null: it has none.
void FileJournal::enter(const JournalKey& key, const Place* place) {
  if (const auto old = live_.find(key); old != live_.end()) {
    live_bytes_ -= old->second.bytes;
    live_.erase(old);
  }
  if (place == nullptr) return;
  live_[key] = *place;
  live_bytes_ += place->bytes;
}

bool FileJournal::put(const JournalKey& key, std::string value) {
  if (value.size() > kValueBytesMax) return false;
  unwritten_[key] = std::move(value);
  return true;
}

void FileJournal::erase(const JournalKey& key) {
  if (live_.contains(key)) unwritten_[key] = std::nullopt;
  else unwritten_.erase(key);
}

Result<void> FileJournal::write_all(int file, std::string_view bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t put = pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return tl::unexpected(failure("cannot write", path_));
    bytes.remove_prefix(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
  return {};
}

Result<void> FileJournal::sync() {
  if (!unwritten_.empty()) {
    std::string bytes;
    std::map<JournalKey, Place> places;
    std::uint64_t number = number_;
    for (const auto& [key, value] : unwritten_) {
      const std::string record = record_of(key, value ? static_cast<std::uint32_t>(value->size()) : kErased, value ? *value : std::string(), ++number);
      places[key] = {file_bytes_ + bytes.size(), record.size()};
      bytes += record;
    }
    RETURN_IF_ERROR(write_all(file_, bytes, file_bytes_));
    if (fdatasync(file_) != 0) return tl::unexpected(failure("cannot write", path_));
    for (const auto& [key, value] : unwritten_) enter(key, value ? &places.at(key) : nullptr);
    unwritten_.clear();
    number_ = number;
    file_bytes_ += bytes.size();
  }
  const std::uint64_t dead = file_bytes_ - std::min(file_bytes_, live_bytes_ + kMagic.size());
  if (dead < std::max(kRewriteFrom, live_bytes_) || file_bytes_ < rewrite_from_) return {};
  // All of it is on the disk; that it could be smaller is no reason to promise less, nor to try with every group.
  if (!rewrite()) rewrite_from_ = file_bytes_ + kRewriteFrom;
  return {};
}

// The live records into a new file, which then takes the old one's name: whichever a crash leaves is whole.
Result<void> FileJournal::rewrite() {
  const std::string fresh = path_ + ".new";
  const int file = ::open(fresh.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return tl::unexpected(failure("cannot open", fresh));
  std::string bytes(kMagic);
  std::map<JournalKey, Place> places;
  std::uint64_t number = 0;
  std::uint64_t written = 0;
  Result<void> done;
  for (const auto& [key, place] : live_) {
    std::string value(place.bytes - kHeadBytes, '\0');
    const ssize_t got = pread(file_, value.data(), value.size(), static_cast<off_t>(place.offset + kHeadBytes));
    if (got != static_cast<ssize_t>(value.size())) done = tl::unexpected(failure("cannot read", path_));
    const std::string record = record_of(key, static_cast<std::uint32_t>(value.size()), value, ++number);
    places[key] = {written + bytes.size(), record.size()};
    bytes += record;
    if (bytes.size() > kRewriteFrom && done) {
      done = write_all(file, bytes, written);
      written += bytes.size();
      bytes.clear();
    }
    if (!done) break;
  }
  if (done) done = write_all(file, bytes, written);
  if (done && (fdatasync(file) != 0 || std::rename(fresh.c_str(), path_.c_str()) != 0)) done = tl::unexpected(failure("cannot replace", path_));
  if (!done) {
    ::close(file);
    ::unlink(fresh.c_str());
    return done;
  }
  ::close(file_);
  file_ = file;
  live_ = std::move(places);
  number_ = number;
  file_bytes_ = written + bytes.size();
  return {};
}

}  // namespace baton
