// SPDX-License-Identifier: Apache-2.0
#include "models/tokenizer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "models/tokenizer_factory.h"
#include "models/unicode.h"
#include "tests/support/golden_data.h"
#include "tests/support/tiny_tokenizer.h"

namespace baton {
namespace {

using test::GgufWriter;
using test::TempFile;
using test::TinyTokenizer;
using Ids = std::vector<TokenId>;

constexpr EncodeOptions kPlain{false, false};
constexpr EncodeOptions kTemplated{false, true};

Result<std::unique_ptr<Tokenizer>> load(const GgufWriter& writer) {
  const TempFile file(writer.build());
  const auto gguf = GgufFile::open(file.path());
  if (!gguf) return tl::unexpected<Error>(gguf.error());
  return make_tokenizer(**gguf);
}

std::unique_ptr<Tokenizer> load(const TinyTokenizer& tiny) {
  GgufWriter writer;
  tiny.add_to(writer);
  auto made = load(writer);
  EXPECT_TRUE(made) << made.error().message;
  return made ? std::move(*made) : nullptr;
}

std::string decode(const Tokenizer& tokenizer, const Ids& ids) {
  std::string out;
  for (const TokenId id : ids) out += tokenizer.token_bytes(id, true);
  return out;
}

TinyTokenizer the() {
  TinyTokenizer tiny;
  tiny.merges = {{"h", "e"}, {"t", "he"}, {" ", "the"}, {"a", "a"}, {"aa", "aa"}, {"b", "c"}, {"a", "b"}};
  tiny.controls = {"<|a|>", "<|a|>b", "<|end|>"};
  tiny.user_defined = {"<tool>", "   "};
  return tiny;
}

TEST(Tokenizer, MergesTheMostImportantPairFirstAndTheLeftmostAmongEquals) {
  const auto t = load(the());
  EXPECT_EQ(t->encode("the", kPlain), Ids{257});
  EXPECT_EQ(t->encode("the the", kPlain), (Ids{257, 258}));
  EXPECT_EQ(t->encode("aaa", kPlain), (Ids{259, 'a'}));
  EXPECT_EQ(t->encode("aaaaaaa", kPlain), (Ids{260, 259, 'a'}));
  EXPECT_EQ(t->encode("abc", kPlain), (Ids{'a', 261})) << "b+c ranks before a+b";
  EXPECT_EQ(t->encode("ab", kPlain), Ids{262});
  EXPECT_EQ(t->encode("t\nhe", kPlain), (Ids{'t', '\n', 256})) << "no merge across pieces";
  EXPECT_EQ(t->encode("", kPlain), Ids{});
}

TEST(Tokenizer, EveryByteStringComesBack) {
  const auto t = load(the());
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(decode(*t, t->encode(all, kPlain)), all);
  std::mt19937_64 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::string text(random() % 64, '\0');
    for (char& c : text) c = static_cast<char>(random() % 3 ? random() : "the aab<|>"[random() % 10]);
    EXPECT_EQ(decode(*t, t->encode(text, kPlain)), text);
    EXPECT_EQ(decode(*t, t->encode(text, kTemplated)), text);
  }
}

TEST(Tokenizer, SpecialTokensOnlyWhereTheyAreTrustedUserDefinedOnesAlways) {
  const TinyTokenizer tiny = the();
  const auto t = load(tiny);
  const TokenId a = tiny.first_control(), tool = tiny.first_user_defined();
  EXPECT_EQ(t->encode("<|a|>", kTemplated), Ids{a});
  EXPECT_EQ(t->encode("<|a|>b", kTemplated), Ids{a + 1}) << "the longest";
  EXPECT_EQ(t->encode("x<|end|>the", kTemplated), (Ids{'x', a + 2, 257}));
  EXPECT_EQ(t->encode("<|a|>", kPlain), (Ids{'<', '|', 'a', '|', '>'}));
  EXPECT_EQ(t->encode("<|a|<tool>", kPlain), (Ids{'<', '|', 'a', '|', tool}));
  EXPECT_EQ(t->encode("the<tool>the", kPlain), (Ids{257, tool, 257}));
  EXPECT_EQ(t->encode("a    the", kPlain), (Ids{'a', tool + 1, 258}));
  EXPECT_EQ(t->token_bytes(a, false), "");
  EXPECT_EQ(t->token_bytes(a, true), "<|a|>");
  EXPECT_EQ(t->token_bytes(tool, false), "<tool>");
  EXPECT_EQ(t->token_bytes(-1, true), "");
  EXPECT_EQ(t->token_bytes(1 << 20, true), "");
}

TEST(Tokenizer, BeginsWithBosOnlyWhenTheModelWantsIt) {
  const auto with = [](std::optional<bool> add_bos, const char* pre) {
    TinyTokenizer tiny = the();
    tiny.pre = pre;
    GgufWriter writer;
    tiny.add_to(writer);
    writer.add_uint("tokenizer.ggml.bos_token_id", 263).add_uint("tokenizer.ggml.eos_token_id", 265);
    if (add_bos) writer.add_bool("tokenizer.ggml.add_bos_token", *add_bos);
    return *load(writer);
  };
  EXPECT_EQ(with(true, "gpt-2")->encode("x", {true, false}), (Ids{263, 'x'}));
  EXPECT_EQ(with(true, "gpt-2")->encode("x", {false, false}), Ids{'x'});
  EXPECT_EQ(with(false, "llama-bpe")->encode("x", {true, false}), Ids{'x'});
  EXPECT_EQ(with({}, "gpt-2")->encode("x", {true, false}), Ids{'x'});
  EXPECT_EQ(with({}, "llama-bpe")->encode("x", {true, false}), (Ids{263, 'x'}));
  EXPECT_EQ(with({}, "gpt-2")->bos(), 263);
  EXPECT_EQ(with({}, "gpt-2")->eos(), 265);
  EXPECT_EQ(load(the())->bos(), -1);
}

TEST(Tokenizer, Llama3TakesAWholePieceWhateverTheMergesSay) {
  TinyTokenizer tiny;
  tiny.merges = {{"o", "n"}, {"t", "w"}, {"tw", "o"}, {"w", "on"}};  // no merge leads to "twon"
  auto tokens = tiny.tokens();
  tokens.push_back("twon");
  auto types = tiny.types();
  types.push_back(1);
  for (const char* pre : {"gpt-2", "llama-bpe"}) {
    GgufWriter w;
    w.add_string("tokenizer.ggml.model", "gpt2")
        .add_string("tokenizer.ggml.pre", pre)
        .add_strings("tokenizer.ggml.tokens", tokens);
    w.add_ints("tokenizer.ggml.token_type", types).add_strings("tokenizer.ggml.merges", tiny.merge_lines());
    const auto t = load(w);
    ASSERT_TRUE(t) << t.error().message;
    EXPECT_EQ((*t)->encode("twon", kPlain), pre[0] == 'g' ? (Ids{257, 256}) : Ids{260});
  }
}

struct BadVocabulary {
  const char* name;
  const char* reason;
  GgufWriter writer;
};

std::vector<BadVocabulary> bad_vocabularies() {
  std::vector<BadVocabulary> out;
  const auto add = [&](const char* name, const char* reason, auto change) {
    TinyTokenizer tiny = the();
    std::vector<std::string> tokens = tiny.tokens(), merges = tiny.merge_lines();
    std::vector<std::int32_t> types = tiny.types();
    GgufWriter extra;
    change(tiny, tokens, types, merges, extra);
    extra.add_string("tokenizer.ggml.model", tiny.model).add_string("tokenizer.ggml.pre", tiny.pre);
    extra.add_strings("tokenizer.ggml.tokens", tokens)
        .add_ints("tokenizer.ggml.token_type", types)
        .add_strings("tokenizer.ggml.merges", merges);
    out.push_back({name, reason, extra});
  };
  add("model", "\"llama\" is not supported", [](auto& t, auto&, auto&, auto&, auto&) { t.model = "llama"; });
  add("pre", "smollm, gpt-2, default, qwen2, llama-bpe", [](auto& t, auto&, auto&, auto&, auto&) { t.pre = "tekken"; });
  add("no token", "not 1 to", [](auto&, auto& tokens, auto& types, auto&, auto&) { tokens.clear(), types.clear(); });
  add("duplicate", "are both", [](auto&, auto& tokens, auto&, auto&, auto&) { tokens[300 - 40] = tokens[5]; });
  add("few types", "entries for", [](auto&, auto&, auto& types, auto&, auto&) { types.pop_back(); });
  add("type 0", "type 0", [](auto&, auto&, auto& types, auto&, auto&) { types[3] = 0; });
  add("type 7", "type 7", [](auto&, auto&, auto& types, auto&, auto&) { types[3] = 7; });
  add("type -1", "type -1", [](auto&, auto&, auto& types, auto&, auto&) { types[3] = -1; });
  add("merge of nothing", "not two parts", [](auto&, auto&, auto&, auto& merges, auto&) { merges[1] = ""; });
  add("merge of one", "not two parts", [](auto&, auto&, auto&, auto& merges, auto&) { merges[1] = "the"; });
  add("merge without right", "not two parts", [](auto&, auto&, auto&, auto& merges, auto&) { merges[1] = "a "; });
  add("merge of strangers", "not in the vocabulary", [](auto&, auto&, auto&, auto& merges, auto&) { merges[1] = "zz b"; });
  add("merge to a stranger", "not in the vocabulary", [](auto&, auto&, auto&, auto& merges, auto&) { merges[1] = "z z"; });
  add("long token", "more than the limit",
      [](auto&, auto& tokens, auto&, auto&, auto&) { tokens[7] = std::string(4097, 'x'); });
  add("long special", "more than the limit",
      [](auto&, auto& tokens, auto&, auto&, auto&) { tokens[263] = std::string(129, 'x'); });
  add("bos outside", "behind the vocabulary",
      [](auto&, auto&, auto&, auto&, auto& w) { w.add_uint("tokenizer.ggml.bos_token_id", 268); });
  add("eos outside", "behind the vocabulary",
      [](auto&, auto&, auto&, auto&, auto& w) { w.add_uint("tokenizer.ggml.eos_token_id", ~0u); });
  return out;
}

TEST(Tokenizer, ABadVocabularyIsRefusedWithItsReason) {
  for (const BadVocabulary& bad : bad_vocabularies()) {
    const auto result = load(bad.writer);
    ASSERT_FALSE(result) << bad.name;
    EXPECT_NE(result.error().message.find(bad.reason), std::string::npos) << bad.name << ": " << result.error().message;
  }
  for (const char* missing : {"tokenizer.ggml.model", "tokenizer.ggml.pre", "tokenizer.ggml.tokens",
                              "tokenizer.ggml.token_type", "tokenizer.ggml.merges"}) {
    GgufWriter writer;
    the().add_to(writer);
    std::string bytes = writer.build();
    bytes[bytes.find(missing) + 15] = '_';
    const TempFile file(bytes);
    const auto result = make_tokenizer(**GgufFile::open(file.path()));
    ASSERT_FALSE(result) << missing;
    EXPECT_NE(result.error().message.find(missing), std::string::npos) << result.error().message;
  }
  std::vector<std::string> many((1u << 20) + 1, "x");
  GgufWriter writer;
  writer.add_string("tokenizer.ggml.model", "gpt2")
      .add_string("tokenizer.ggml.pre", "gpt-2")
      .add_strings("tokenizer.ggml.tokens", many);
  const auto result = load(writer.add_strings("tokenizer.ggml.merges", {}));
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("more than 1048576"), std::string::npos) << result.error().message;
}

TEST(Tokenizer, MutatedVocabulariesAreRefusedOrUsable) {
  GgufWriter writer;
  the().add_to(writer);
  const std::string whole = writer.build();
  std::mt19937_64 random(20250207);
  int usable = 0;
  for (int round = 0; round < 1500; ++round) {
    std::string bytes = whole;
    for (std::uint64_t edits = 1 + random() % 4; edits > 0; --edits)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    const TempFile file(bytes);
    const auto gguf = GgufFile::open(file.path());
    if (!gguf) continue;
    const auto t = make_tokenizer(**gguf);
    if (!t) continue;
    ++usable;
    for (const TokenId id : (*t)->encode("the <|a|>b aaaa \xff 12", {true, true}))
      EXPECT_LT(id, static_cast<TokenId>((*t)->vocab_size()));
  }
  EXPECT_GT(usable, 50);
}

// A tokenizer whose token i is the byte string given, for cutting texts into arbitrary tokens.
class PiecesTokenizer final : public Tokenizer {
 public:
  std::vector<std::string> pieces;
  std::vector<TokenId> encode(std::string_view, const EncodeOptions&) const override { return {}; }
  std::string token_bytes(TokenId id, bool) const override { return pieces[static_cast<std::size_t>(id)]; }
  std::uint32_t vocab_size() const override { return static_cast<std::uint32_t>(pieces.size()); }
  TokenId bos() const override { return -1; }
  TokenId eos() const override { return -1; }
};

TEST(StreamDetokenizer, AnySplitOfAnyBytesConcatenatesToTheWholesDecode) {
  std::mt19937_64 random(3);
  for (const test::GoldenUtf8& golden : test::load_golden_utf8()) {
    for (int round = 0; round < 20; ++round) {
      PiecesTokenizer tokenizer;
      for (std::size_t at = 0; at < golden.bytes.size();) {
        const std::size_t length = round == 0 ? 1 : random() % 4;
        tokenizer.pieces.push_back(golden.bytes.substr(at, length));
        at += tokenizer.pieces.back().size();
      }
      StreamDetokenizer stream(tokenizer);
      std::string text;
      for (std::size_t i = 0; i < tokenizer.pieces.size(); ++i) {
        const std::string piece = stream.push(static_cast<TokenId>(i));
        EXPECT_EQ(replace_invalid_utf8(piece), piece) << "a piece is not UTF-8";
        text += piece;
      }
      EXPECT_EQ(text + stream.flush(), golden.text);
      EXPECT_EQ(stream.flush(), "");
    }
  }
}

TEST(StreamDetokenizer, HoldsBackOnlyWhatMayStillBecomeACharacter) {
  PiecesTokenizer tokenizer;
  tokenizer.pieces = {"a\xF0\x9F", "\x98", "\x80z", "\xE2\x82", "x", "\xC3"};
  StreamDetokenizer stream(tokenizer);
  EXPECT_EQ(stream.push(0), "a");
  EXPECT_EQ(stream.push(1), "");
  EXPECT_EQ(stream.push(2), "\xF0\x9F\x98\x80z");
  EXPECT_EQ(stream.push(3), "");
  EXPECT_EQ(stream.push(4), "\xEF\xBF\xBDx");
  EXPECT_EQ(stream.push(5), "");
  EXPECT_EQ(stream.flush(), "\xEF\xBF\xBD");
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double kSecondsAllowed = 10.0;  // instrumented code
constexpr std::size_t kHostileBytes = 1 << 18;
#else
constexpr double kSecondsAllowed = 1.0;
constexpr std::size_t kHostileBytes = 1 << 20;
#endif

std::string repeated(std::string_view unit, std::size_t bytes) {
  std::string out;
  while (out.size() < bytes) out += unit;
  return out;
}

TEST(TokenizerTime, AMegabyteOfAnythingTakesAtMostASecond) {
  const auto path = test::golden_model_path();
  if (!path) GTEST_SKIP() << test::golden_model_missing();
  const auto t = std::move(*make_tokenizer(**GgufFile::open(*path)));
  std::mt19937_64 random(9);
  std::string letters(kHostileBytes, ' '), noise(kHostileBytes, ' ');
  for (char& c : letters) c = static_cast<char>('a' + random() % 26);
  for (char& c : noise) c = static_cast<char>(random());
  std::vector<std::pair<const char*, std::string>> texts = {{"one letter", repeated("a", kHostileBytes)},
                                                            {"two letters", repeated("ab", kHostileBytes)},
                                                            {"spaces", repeated(" ", kHostileBytes)},
                                                            {"newlines", repeated("\n", kHostileBytes)},
                                                            {"spaces and a letter", repeated(" ", kHostileBytes) + "a"},
                                                            {"random letters", letters},
                                                            {"random bytes", noise},
                                                            {"marks", repeated("\xCC\x81", kHostileBytes)},
                                                            {"almost special", repeated("<|im_star", kHostileBytes)},
                                                            {"special", repeated("<|im_start|>", kHostileBytes)},
                                                            {"digits", repeated("1234567890", kHostileBytes)},
                                                            {"lead bytes", repeated("\xF0", kHostileBytes)},
                                                            {"quotes", repeated("'", kHostileBytes)},
                                                            {"the", repeated(" the", kHostileBytes)},
                                                            {"Han", repeated("\xE7\x9A\x84", kHostileBytes)},
                                                            {"thethe", repeated("the", kHostileBytes)},
                                                            {"CRLF", repeated("\r\n ", kHostileBytes)}};
  for (const auto& [name, text] : texts) {
    const auto start = std::chrono::steady_clock::now();
    const std::size_t tokens = t->encode(text, {true, true}).size();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    EXPECT_LE(seconds, kSecondsAllowed) << name;
    EXPECT_LE(tokens, text.size());
    std::printf("%-20s %8zu tokens %.3f s\n", name, tokens, seconds);
  }
}

}  // namespace
}  // namespace baton
