// SPDX-License-Identifier: Apache-2.0
// A whole model file with one byte of its header changed, through everything that reads headers: the file, the decoder's loader
// and the tokenizer. Each load works or says which file is wrong and why, at once, and asks for no more memory than the file is
// worth. Counts what is asked of the heap, hence operator new.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <new>

#include "models/gguf_contents.h"
#include "models/registry.h"
#include "models/tokenizer_factory.h"
#include "tests/support/tiny_llama.h"
#include "tests/support/tiny_tokenizer.h"

namespace {
std::atomic<std::size_t> largest_request{0};

void* counted(std::size_t bytes) noexcept {
  if (bytes > largest_request) largest_request = bytes;
  return std::malloc(bytes == 0 ? 1 : bytes);
}

void* counted_or_throw(std::size_t bytes) {
  void* memory = counted(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
}  // namespace

// All forms of one family: memory of one that is left out (std::stable_sort's, by nothrow) would be freed by another's.
void* operator new(std::size_t bytes) { return counted_or_throw(bytes); }
void* operator new[](std::size_t bytes) { return counted_or_throw(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return counted(bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return counted(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

namespace baton {
namespace {

struct Outcome {
  bool loads = false;
  std::string why;
};

Outcome load_all(const std::string& path) {
  const auto file = GgufFile::open(path);
  if (!file) return {false, file.error().message};
  if (const auto model = examine_model(**file); !model) return {false, model.error().message};
  if (const auto tokenizer = make_tokenizer(**file); !tokenizer) return {false, tokenizer.error().message};
  return {true, ""};
}

std::string model_with_tokenizer() {
  return test::build_tiny_llama({.more = [](test::GgufWriter& writer) {
    test::TinyTokenizer tokenizer;
    tokenizer.merges = {{"t", "h"}, {"th", "e"}};
    tokenizer.add_to(writer);
  }});
}

TEST(GgufLoadHostile, AnyHeaderByteMayBeWrongWithoutHarm) {
  const std::string whole = model_with_tokenizer();
  const std::size_t header = parse_gguf(std::as_bytes(std::span(whole)))->header_bytes;
  const test::TempFile file(whole);
  const int descriptor = ::open(file.path().c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(descriptor, 0);
  int loaded = 0, refused = 0;
  largest_request = 0;
  for (std::size_t at = 0; at < header; ++at) {
    for (const char value : {char{0}, static_cast<char>(0xff), static_cast<char>(whole[at] ^ (1 << (at % 8)))}) {
      if (value == whole[at]) continue;
      ASSERT_EQ(::pwrite(descriptor, &value, 1, static_cast<off_t>(at)), 1);
      const auto begin = std::chrono::steady_clock::now();
      const Outcome outcome = load_all(file.path());
      EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1)) << "byte " << at;
      ++(outcome.loads ? loaded : refused);
      EXPECT_TRUE(outcome.loads || outcome.why.find(file.path()) != std::string::npos)
          << "byte " << at << " = " << int{static_cast<unsigned char>(value)} << ": " << outcome.why;
    }
    ASSERT_EQ(::pwrite(descriptor, &whole[at], 1, static_cast<off_t>(at)), 1);
  }
  ::close(descriptor);
  EXPECT_LT(largest_request.load(), 16 * whole.size() + (1u << 20));
  EXPECT_GT(loaded, 100) << "nothing gets past the header";
  EXPECT_GT(refused, 1000);
}

TEST(GgufLoadHostile, NoPartOfAFileIsTakenForAModel) {
  const std::string whole = model_with_tokenizer();
  const std::size_t header = parse_gguf(std::as_bytes(std::span(whole)))->header_bytes;
  const test::TempFile file(whole);
  std::size_t size = whole.size() - 1;
  while (size > 0) {  // behind the header in steps: a missing tensor is as missing by 1 byte as by 97
    ASSERT_EQ(::truncate(file.path().c_str(), static_cast<off_t>(size)), 0);
    const Outcome outcome = load_all(file.path());
    EXPECT_FALSE(outcome.loads) << size;
    EXPECT_NE(outcome.why.find(file.path()), std::string::npos) << outcome.why;
    size -= size > header + 97 ? 97 : 1;
  }
}

}  // namespace
}  // namespace baton
