// SPDX-License-Identifier: Apache-2.0
// ApiKeys: who may ask, from a file of keys: one key, or name:key, per line; '#' begins a comment line. The file must be its
// owner's alone (0600). Only hashes are kept, and a given key is compared with all of them in a time that does not depend on
// it. Immutable.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"

namespace baton {

inline constexpr std::size_t kApiKeysMax = 10'000;
inline constexpr std::size_t kApiKeyBytesMin = 8;
inline constexpr std::size_t kApiKeyBytesMax = 512;

class ApiKeys {
 public:
  // Errors name the file and the line, never a key.
  static Result<ApiKeys> load(const std::string& path);
  static Result<ApiKeys> parse(std::string_view text, const std::string& source);

  // Which key an Authorization header ("Bearer KEY") gives; nullopt: none, or one that is not known.
  std::optional<std::size_t> find(std::string_view authorization) const;
  std::size_t size() const { return keys_.size(); }
  // What that key's requests have for a cache_salt where `own` is the one they ask for ("": none): equal only for the same key and the
  // same `own`. 64 hexadecimal digits, of SHA-256; the key does not follow from them.
  std::string cache_salt(std::size_t key, std::string_view own) const;
  const std::string& name(std::size_t key) const { return keys_[key].name; }  // "key 3" where the file gives none

 private:
  struct Key {
    std::string name;
    std::string hash;
    std::string salt;
  };
  std::vector<Key> keys_;
};

}  // namespace baton
