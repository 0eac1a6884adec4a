// SPDX-License-Identifier: Apache-2.0
#include "server/api_keys.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "runtime/base/sha256.h"
#include "server/http_text.h"

namespace baton {
namespace {

constexpr std::size_t kFileBytesMax = 8u << 20;

// Of two purposes the hashes are different ones: salts leave this process.
std::string hash_of(std::string_view purpose, std::string_view key) {
  Sha256 sum;
  sum.update(purpose);
  sum.update("\n");
  sum.update(key);
  return sum.finish();
}

std::string hash_of(std::string_view key) { return hash_of("baton api key", key); }

// Looks at every byte, whatever it finds.
bool equal_in_constant_time(std::string_view a, std::string_view b) {
  unsigned char differences = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) differences |= static_cast<unsigned char>(a[i] ^ b[i]);
  return differences == 0;
}

Result<std::string> read_private_file(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return fail(ErrorCode::kNotFound, path + ": cannot be opened: " + std::strerror(errno));
  struct stat facts {};
  std::string text;
  Result<std::string> result = fail(ErrorCode::kIo, path + ": cannot be read");
  if (fstat(file, &facts) != 0 || !S_ISREG(facts.st_mode)) {
    result = fail(ErrorCode::kInvalidArgument, path + ": is no file");
  } else if ((facts.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    result = fail(ErrorCode::kInvalidArgument, path + ": others may read these keys; run `chmod 600 " + path + '`');
  } else if (static_cast<std::size_t>(facts.st_size) > kFileBytesMax) {
    result = fail(ErrorCode::kInvalidArgument, path + ": is larger than " + std::to_string(kFileBytesMax) + " bytes");
  } else {
    text.resize(static_cast<std::size_t>(facts.st_size));
    const ssize_t got = pread(file, text.data(), text.size(), 0);
    if (got >= 0) {
      text.resize(static_cast<std::size_t>(got));
      result = std::move(text);
    }
  }
  close(file);
  return result;
}

}  // namespace

Result<ApiKeys> ApiKeys::load(const std::string& path) {
  const auto text = read_private_file(path);
  if (!text) return tl::unexpected<Error>(text.error());
  return parse(*text, path);
}

Result<ApiKeys> ApiKeys::parse(std::string_view text, const std::string& source) {
  ApiKeys keys;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.size(), text.find('\n'));
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(text.size(), end + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    line = trim_blanks(line);
    if (line.empty() || line.front() == '#') continue;
    const auto wrong = [&](const std::string& why) {
      return fail(ErrorCode::kInvalidArgument, source + ':' + std::to_string(number) + ": " + why);
    };
    const std::size_t colon = line.find(':');
    const std::string_view key = trim_blanks(colon == std::string_view::npos ? line : line.substr(colon + 1));
    std::string name = colon == std::string_view::npos ? "key " + std::to_string(keys.size() + 1)
                                                       : std::string(trim_blanks(line.substr(0, colon)));
    if (key.size() < kApiKeyBytesMin || key.size() > kApiKeyBytesMax)
      return wrong("a key has " + std::to_string(kApiKeyBytesMin) + " to " + std::to_string(kApiKeyBytesMax) +
                   " characters; `openssl rand -hex 32` makes a good one");
    if (!std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7f; }))
      return wrong("a key is made of visible ASCII characters, without spaces");
    if (name.empty() || name.size() > 64) return wrong("the name before the colon has 1 to 64 characters");
    const std::string hash = hash_of(key);
    for (const Key& other : keys.keys_) {
      if (other.name == name) return wrong("a second key is named " + name);
      if (other.hash == hash) return wrong("this key is there twice; the other is named " + other.name);
    }
    if (keys.size() >= kApiKeysMax) return wrong("more than " + std::to_string(kApiKeysMax) + " keys");
    keys.keys_.push_back({std::move(name), hash, hash_of("baton cache salt of a key", key)});
  }
  if (keys.keys_.empty())
    return fail(ErrorCode::kInvalidArgument, source + ": has no key; write one per line, as KEY or NAME:KEY");
  return keys;
}

std::string ApiKeys::cache_salt(std::size_t key, std::string_view own) const {
  return hash_of("baton cache salt", keys_[key].salt + '\n' + std::string(own));
}

std::optional<std::size_t> ApiKeys::find(std::string_view authorization) const {
  constexpr std::string_view kScheme = "Bearer ";
  if (authorization.size() <= kScheme.size() || !equal_ignoring_case(authorization.substr(0, kScheme.size()), kScheme))
    return std::nullopt;
  const std::string_view key = trim_blanks(authorization.substr(kScheme.size()));
  if (key.size() > kApiKeyBytesMax) return std::nullopt;
  const std::string hash = hash_of(key);
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < keys_.size(); ++i)
    if (equal_in_constant_time(keys_[i].hash, hash)) found = i;
  return found;
}

}  // namespace baton
