// SPDX-License-Identifier: Apache-2.0
// Mailbox: the queue of one node's turns. Records of any type lie one behind the other in chunks of memory that are used again,
// so that a message between actors of one node costs a move of its value and no allocation, and is handled where it lies. First
// in, first out; a record stays in place until popped, also while later ones are pushed. One thread, owned by a Node.
// Unbounded by itself: the node checks size().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace baton {

// What a record holds. Its address is the type's identity inside this program.
struct RecordType {
  std::uint16_t kind;  // of a message of the wire protocol; 0: something else
  void (*destroy)(void* body);  // null: nothing to do
};
namespace detail {
template <class Body>
constexpr std::uint16_t kind_of_record() {
  if constexpr (requires { Body::kKind; }) return Body::kKind;
  else return 0;
}
template <class Body>
constexpr auto destructor_of_record() -> void (*)(void*) {
  if constexpr (std::is_trivially_destructible_v<Body>) return nullptr;
  else return [](void* body) { static_cast<Body*>(body)->~Body(); };
}
}  // namespace detail
template <class Body>
inline constexpr RecordType kRecordType{detail::kind_of_record<Body>(), detail::destructor_of_record<Body>()};

// From whom to whom inside the node; zeros where that has no meaning.
struct LocalAddress {
  std::uint32_t source_slot = 0;
  std::uint32_t source_generation = 0;
  std::uint32_t destination_slot = 0;
  std::uint32_t destination_generation = 0;
};

class Mailbox {
 public:
  struct alignas(std::max_align_t) Record {
    const RecordType* type;
    LocalAddress address;
    std::uint32_t bytes;  // with this head

    void* body() { return this + 1; }
    template <class Body>
    Body* as() {
      return type == &kRecordType<Body> ? static_cast<Body*>(body()) : nullptr;
    }
  };

  Mailbox() {
    next_chunk();
    read_ = write_;
  }
  ~Mailbox() {
    while (!empty()) pop();
  }
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }

  template <class Body>
  void push(Body&& body, const LocalAddress& address = {}) {
    using Held = std::remove_cvref_t<Body>;
    static_assert(alignof(Held) <= alignof(Record), "records are aligned like max_align_t");
    constexpr std::size_t bytes = sizeof(Record) + (sizeof(Held) + alignof(Record) - 1) / alignof(Record) * alignof(Record);
    static_assert(bytes <= kChunkBytes / 4, "what is this big belongs behind a pointer");
    if (static_cast<std::size_t>(end_ - write_) < bytes) next_chunk();
    new (write_ + sizeof(Record)) Held(std::forward<Body>(body));
    new (write_) Record{&kRecordType<Held>, address, static_cast<std::uint32_t>(bytes)};
    write_ += bytes;
    ++size_;
  }

  // The oldest record; there must be one.
  Record& front() { return *std::launder(reinterpret_cast<Record*>(read_)); }
  void pop() {
    Record& record = front();
    const std::size_t bytes = record.bytes;
    if (record.type->destroy != nullptr) record.type->destroy(record.body());
    read_ += bytes;
    if (--size_ == 0) {
      if (first_ > 0) forget_read();
      read_ = write_ = chunks_.back()->bytes;
    } else if (read_ == chunks_[first_]->used) {
      if (++first_ == kChunksMax) forget_read();
      read_ = chunks_[first_]->bytes;
    }
  }

 private:
  static constexpr std::size_t kChunkBytes = 32u << 10;
  static constexpr std::size_t kChunksMax = 64;  // that are kept for later, or read and not yet taken out of the list
  struct Chunk {
    alignas(std::max_align_t) std::byte bytes[kChunkBytes];
    std::byte* used = nullptr;  // where its records end; null as long as it is the last
  };

  void next_chunk() {
    if (!chunks_.empty()) chunks_.back()->used = write_;
    if (spare_.empty()) {
      chunks_.push_back(std::unique_ptr<Chunk>(new Chunk));
    } else {
      chunks_.push_back(std::move(spare_.back()));
      spare_.pop_back();
    }
    chunks_.back()->used = nullptr;
    write_ = chunks_.back()->bytes;
    end_ = write_ + kChunkBytes;
  }
  // Chunks that have been read become spare ones, the rest is given back.
  void forget_read() {
    for (std::size_t i = 0; i < first_; ++i)
      if (spare_.size() < kChunksMax) spare_.push_back(std::move(chunks_[i]));
    chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }

  // Records lie from read_ in the chunk first_ to write_ in the last one.
  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::vector<std::unique_ptr<Chunk>> spare_;
  std::size_t first_ = 0;
  std::byte* read_ = nullptr;
  std::byte* write_ = nullptr;
  std::byte* end_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace baton
