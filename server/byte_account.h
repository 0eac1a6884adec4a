// SPDX-License-Identifier: Apache-2.0
// ByteAccount: how many bytes several requests hold together, and the most they may. ByteShare: one request's part of it, given back
// when the request ends, and keeping the account alive until then. One thread.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

namespace baton {

class ByteAccount {
 public:
  explicit ByteAccount(std::size_t most) : most_(most) {}
  ByteAccount(const ByteAccount&) = delete;
  ByteAccount& operator=(const ByteAccount&) = delete;
  std::size_t held() const { return held_; }

 private:
  friend class ByteShare;
  const std::size_t most_;
  std::size_t held_ = 0;
};

class ByteShare {
 public:
  explicit ByteShare(std::shared_ptr<ByteAccount> account) : account_(std::move(account)) {}
  ~ByteShare() { release(); }
  ByteShare(const ByteShare&) = delete;
  ByteShare& operator=(const ByteShare&) = delete;

  // False: all together would hold too much; nothing is taken then.
  bool take(std::size_t bytes) {
    if (bytes > account_->most_ - account_->held_) return false;
    account_->held_ += bytes;
    held_ += bytes;
    return true;
  }
  void give(std::size_t bytes) {  // at most what was taken
    account_->held_ -= bytes;
    held_ -= bytes;
  }
  void release() { give(held_); }

 private:
  const std::shared_ptr<ByteAccount> account_;
  std::size_t held_ = 0;
};

}  // namespace baton
