# SPDX-License-Identifier: Apache-2.0
"""Reference tokenization: tests/golden/data/tokenizer.jsonl, pretokenizer.jsonl, char_classes.jsonl, utf8_replace.jsonl.
Versions: see reference_model.py. Command:

    python tools/golden/make_tokenizer.py <SmolLM2-135M-Instruct.Q4_1.gguf> tests/golden/data

tokenizer.jsonl: ids of SmolLM2's tokenizer, special tokens not parsed and (where it differs) parsed. pretokenizer.jsonl: for
each supported tokenizer.ggml.pre the byte lengths of the pieces, by the patterns of the models' own tokenizer.json files.
char_classes.jsonl: the code points of \\p{L}, \\p{N} and \\s in those patterns.
utf8_replace.jsonl: bytes and what Python's decode(errors="replace") makes of them.
"""
import json
import os
import random
import sys

from tokenizers import Regex, pre_tokenizers

import reference_model

SAMPLES = [
    "", " ", "a", "Hello, world!", "Hello world", " Hello", "  Hello  world  ", "hello\nworld", "The quick brown fox jumps over the lazy dog.",
    "I'm you're he'd we'll they've it's don't DON'T I'M YOU'RE 'tis 's't're've'm'll'd''s", "It’s “quoted” — and…so on", "x'sx'S 'ſ '\u017fa", "x'\u017f", "x'\u017fa 'K x'K 'r 're",
    "¡Hola! ¿Cómo estás? Mañana será otro día, señor Núñez.", "Ça va? Où est la bibliothèque? L'été, l'œuvre, aujourd'hui.",
    "Größe, Straße, Übermut, Fußgängerzone, Äpfel", "Zażółć gęślą jaźń. Příliš žluťoučký kůň. Árvíztűrő tükörfúrógép.",
    "Đặng Thị Ngọc Thịnh nói tiếng Việt rất hay.", "İstanbul'da ılık bir gün; ŞĞÜÖÇ şğüöç", "Ævar þór ðegar; Håkon å ø",
    "Η γρήγορη καφέ αλεπού πηδάει πάνω από το τεμπέλικο σκυλί.", "Ἐν ἀρχῇ ἦν ὁ λόγος, καὶ ὁ λόγος ἦν πρὸς τὸν θεόν",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.", "Їжак і ґанок; Беларусь ў; Ђорђе Њ љ", "Ѣ ѳ ѵ Ꙗ",
    "مرحبا بالعالم! كيف حالك؟ ١٢٣٤٥٦٧٨٩٠", "السَّلَامُ عَلَيْكُمْ", "سلام دنیا ۱۲۳۴ می‌خواهم", "اُردو میں لکھیں ہے؟",
    "שלום עולם! מה שלומך?", "בְּרֵאשִׁית בָּרָא אֱלֹהִים", "नमस्ते दुनिया! आप कैसे हैं? १२३४", "क्षत्रिय ज्ञान श्री ड़ ढ़", "বাংলা ভাষা ১২৩", "தமிழ் மொழி ௧௨௩",
    "తెలుగు ೧೨ ಕನ್ನಡ മലയാളം", "ગુજરાતી ਪੰਜਾਬੀ ଓଡ଼ିଆ සිංහල", "สวัสดีชาวโลก ๑๒๓๔ ภาษาไทยไม่มีช่องว่าง", "ລາວ ភាសាខ្មែរ မြန်မာ ၁၂၃", "བོད་སྐད། ༡༢༣", "ქართული ენა ႠႡ", "Հայերեն լեզու",
    "አማርኛ ቋንቋ ፩፪፫", "ᏣᎳᎩ ᐃᓄᒃᑎᑐᑦ ᚠᚢᚦ", "你好，世界！今天天气怎么样？", "繁體中文測試：龍龜鬱", "日本語のテキスト、ひらがなカタカナ漢字。", "ｱｲｳ ＡＢＣ　１２３　全角スペース",
    "안녕하세요 세계! 오늘 날씨 어때요?", "ㄱㄴㄷ ㅏㅑ 각 ᄒᆞᆫ글", "一二三四五六七八九十 〇 ㊀ ㈠ ①②③ ⅣⅫ ½¾ ² ₃", "😀", "😀😃😄 🎉", "👨‍👩‍👧‍👦 family", "👍🏽👍🏿 👩🏾‍🚀", "🏳️‍🌈 🏴‍☠️ 🇩🇪🇫🇷🇯🇵", "❤️ ☺️ ✌🏻 1️⃣2️⃣#️⃣",
    "é é Å Å ñ ñ", "Z̸͑a̷͒l̶g̴̀o̵̊ ̷t̸e̶x̵t̷", "a\u0300\u0301\u0302\u0303\u0304b", "\u0301start with a mark", "ﬁ ﬂ ﬃ Ǆ ǅ ǆ ß ẞ", "𝕳𝖊𝖑𝖑𝖔 𝟙𝟚𝟛 𝒜ℬ", "𐍈 𐤀𐤁 𒀀 𓀀 𠀀𠮷", "\U0001F9FF \U0001FAE0 \U0001FAE8",
    "0", "1", "12", "123", "1234", "12345678901234567890", "3.14159", "-1,234.56e-10", "1 2  3   4", "a1b2c3", "x1 = 10; y2=20", "2024-01-31T12:34:56Z", "192.168.0.1:8080", "0x1F 0b101 0o777", "$100 €200 £300 ¥400", "50% off!!!", "+1 (555) 123-4567", "１２３ ٣٤٥ ४५६", "1st 2nd 3rd", "v1.2.3-rc4", " 1", "  1", "1 ", "1  ", "\n1", "1\n\n2",
    "def f(x):\n    return x + 1\n", "for (int i = 0; i < 10; ++i) {\n\tprintf(\"%d\\n\", i);\n}\n", "if (a && b || !c) { x->y = *p; }", "SELECT * FROM t WHERE a = 'b' AND c >= 10;", "<html><body class=\"x\">text &amp; more</body></html>", "{\"key\": [1, 2.5, null, true], \"s\": \"\\u00e9\"}", "https://example.com/a/b?c=d&e=f#g", "user@example.com", "C:\\Users\\name\\file.txt", "/usr/local/bin", "std::vector<std::pair<int, std::string>> v;", "a = b ** c // d % e", "fn main() -> Result<(), Box<dyn Error>> { Ok(()) }", "#!/bin/sh\nset -eu\necho \"$HOME\" | sed 's/a/b/g'\n", "\\frac{a}{b} \\sum_{i=0}^{n} x_i^2", "| a | b |\n|---|---|\n| 1 | 2 |", "# Title\n\n- item\n  - sub\n\n```cpp\nint x;\n```\n", "camelCase snake_case kebab-case SCREAMING_CASE PascalCase", "@@@ ### $$$ %%% ^^^ &&& *** ((( )))", "...---...", "!?!?!?", "<<<>>>===!==", "~`|\\/", "''''''", "\"\"\"\"", "- - - -", "__init__", "a_b", "_", "--flag=value -x",
    "  ", "   ", "    ", " " * 17, "\t", "\t\t", " \t ", "\n", "\n\n", "\n\n\n", "\r\n", "\r\n\r\n", "\r", "a\r\nb\r\nc", "a \n b", "a\n  b\n    c", "a  \n  b", "trailing   ", "   leading", "a   b", "a\tb", "a\t\tb", " \n", "\n ", " \n ", "  \n\n  ", "\x0b\x0c", "a\x0bb\x0cc", "a\u00a0b", "a\u00a0\u00a0b", "\u00a0", "a\u2003b\u2009c\u200ad", "a\u3000b", "a\u2028b\u2029c", "a\u0085b", "\u1680", "a\u200bb\u200cc\u200dd\ufeffe", "\ufeffBOM", "\u180e x", "a \u00a0 b", "x\n \n \ny", "a.\n\nb", "?!\n", "!\r\n\r\nx", " !\n\n", "abc\n\n\n   def",
    "\x00", "a\x00b", "\x01\x02\x03", "\x1b[31mred\x1b[0m", "\x7f", "\u0080\u009f", "a\u00adb", "\u202eabc\u202c", "\ufffd", "\ufffe\uffff", "\U0010ffff", "\ue000", "\u0378", "\U000e0041",
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_start|>user\nHi<|im_end|>\n", "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "a<|im_end|>b", "<|im_end|><|im_end|>", "<|im_end", "<|im_end|", "|im_end|>", "<|im_start|", "<|IM_END|>", "<|im_end |>", "<<|im_end|>>", "<|im_<|im_end|>end|>", "<repo_name>x", "<reponame>x<file_sep>", "<filename>a.py<gh_stars>100-1000", "<issue_start><issue_comment>text<issue_closed>", "<jupyter_start><jupyter_text>a<jupyter_code>b<jupyter_output>c<jupyter_script>d<empty_output>", "</s><s>[INST]", "<|eot_id|>", " <|im_start|> ", "1<|im_start|>2", "'<|im_end|>s", "Ġhello Ċ ĉ", "Ġ", "ĠĠ", "âĢĻ",
    "a" * 100, "ab" * 200, "aaaaaaaaaab" * 20, " " * 300, "\n" * 100, "0" * 100, "!" * 150, "=" * 80, "-" * 64, "ha" * 50, "的" * 60, "😀" * 30, "é" * 77, "\t" * 33, "the " * 60, "word" * 100, "a " * 90, " a" * 90, "A" * 65, "xyz" * 67, "\u0301" * 40, "<" * 50, "<|" * 40, "'s" * 40, "1a" * 40, "\x00" * 20, "ー" * 40, "w" * 30 + "." * 30,
]
CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'RE", "'Ll", "'x", "'", "''", "'r", "'v", "'l"]
ALPHABET = (list("abcxyzABCZ") + list("0123456789") + list(" \t\n\r  \n") + list(".,;:!?-_'\"()[]{}<>|/\\@#$%^&*+=~`") +
            list("éüßñçøÅΩλжЯбابשमा็กข中国あア한글") + list("²½Ⅳ٣४①") + ["\u0301", "\u200d", "\ufe0f", "\u00a0", "\u3000", "\u2028", "\u0085", "\u200b"] +
            list("😀👍🏽🇩") + ["\x00", "\x1b", "\x7f", "\ue000"] + CONTRACTIONS)
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
          r"\s+(?!\S)|\s+")


def random_texts(count, longest, seed):
    drawn = random.Random(seed)
    for _ in range(count):
        yield "".join(drawn.choice(ALPHABET) for _ in range(drawn.randint(1, longest)))


def broken_utf8(count, seed):
    """Bytes from the edges of what UTF-8 allows, and good text with bytes missing or changed."""
    drawn = random.Random(seed)
    edges = [0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef,
             0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff]
    for _ in range(count // 2):
        yield bytes(drawn.choice(edges) for _ in range(drawn.randint(1, 12)))
    for _ in range(count // 2):
        raw = bytearray("".join(drawn.choice("aé中😀") for _ in range(drawn.randint(1, 8))).encode())
        at = drawn.randrange(len(raw))
        if drawn.random() < 0.5:
            del raw[at]
        else:
            raw[at] = drawn.choice(edges)
        yield bytes(raw)


def class_ranges(pattern):
    """The code points that a pattern's class has, as [first, last, first, last, ...]."""
    splitter = pre_tokenizers.Split(Regex(pattern), behavior="removed")
    ranges = []
    for base in (base for base in range(0, 0x110000, 256) if not 0xD800 <= base < 0xE000):
        others = set("".join(piece for piece, _ in splitter.pre_tokenize_str("".join(map(chr, range(base, base + 256))))))
        for code in (code for code in range(base, base + 256) if chr(code) not in others):
            if ranges and ranges[-1] == code - 1:
                ranges[-1] = code
            else:
                ranges += [code, code]
    return ranges


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), behavior="isolated")


PRE_TOKENIZERS = {
    "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), split(GPT2)]),
    "gpt-2": split(GPT2),
    "qwen2": split(LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")),
    "llama-bpe": split(LLAMA3),
}


def main():
    path, folder = sys.argv[1:]
    plain = reference_model.load_tokenizer(path, parse_special=False)
    special = reference_model.load_tokenizer(path, parse_special=True)
    texts = list(dict.fromkeys(SAMPLES + list(random_texts(160, 60, 1))))
    with open(os.path.join(folder, "tokenizer.jsonl"), "w", encoding="ascii") as out:
        for text in texts:
            line = {"text": text, "ids": plain.encode(text, add_special_tokens=False).ids}
            parsed = special.encode(text, add_special_tokens=False).ids
            if parsed != line["ids"]:
                line["special_ids"] = parsed
            out.write(json.dumps(line, separators=(",", ":")) + "\n")
    print(f"tokenizer: {len(texts)} texts")
    pieces = list(dict.fromkeys(SAMPLES + list(random_texts(900, 40, 2))))
    with open(os.path.join(folder, "pretokenizer.jsonl"), "w", encoding="ascii") as out:
        for text in pieces:
            line = {"text": text}
            for name, splitter in PRE_TOKENIZERS.items():
                line[name] = [len(piece.encode()) for piece, _ in splitter.pre_tokenize_str(text)]
                assert sum(line[name]) == len(text.encode())
            out.write(json.dumps(line, separators=(",", ":")) + "\n")
    print(f"pretokenizer: {len(pieces)} texts")
    with open(os.path.join(folder, "char_classes.jsonl"), "w", encoding="ascii") as out:
        for pattern in [r"\p{L}", r"\p{N}", r"\s"]:
            out.write(json.dumps({"class": pattern, "ranges": class_ranges(pattern)}, separators=(",", ":")) + "\n")
    with open(os.path.join(folder, "utf8_replace.jsonl"), "w", encoding="ascii") as out:
        for raw in broken_utf8(400, 3):
            line = {"hex": raw.hex(), "text": raw.decode("utf-8", errors="replace")}
            out.write(json.dumps(line, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
