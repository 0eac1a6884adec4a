# SPDX-License-Identifier: Apache-2.0
"""Reference logits: tests/golden/data/logits.jsonl. Versions: see reference_model.py. Command:

    python tools/golden/make_logits.py <SmolLM2-135M-Instruct.Q4_1.gguf> tests/golden/data/logits.jsonl

One line per prompt, float32 on the CPU, whole prompt in one forward pass without a KV cache. For each stored position: the
64 largest logits of the next token and 256 pseudo-random vocabulary entries (fixed seed), and max|logit| of all entries.
"""
import json
import sys

import numpy
import torch

import reference_model

TOP = 64
RANDOM = 256
PROMPTS = [
    ("english", "The capital of France is Paris, and the river that runs through the city is called the Seine.", 10),
    ("code", "def fibonacci(n):\n    if n < 2:\n        return n\n    return fibonacci(n - 1) + fibonacci(n - 2)\n", 10),
    ("digits", "In 1969, 3 astronauts flew 384400 km; 12 x 12 = 144 and 7 x 8 = 56.", 10),
    ("german", "Im Jahr 1905 veröffentlichte Albert Einstein vier Arbeiten, die die Physik veränderten.", 10),
    ("chinese", "人工智能正在改变世界。机器学习是其中最重要的技术之一。", 10),
    ("chat", "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
             "<|im_start|>user\nWhat is gravity?<|im_end|>\n<|im_start|>assistant\n", 10),
    ("long", " ".join(f"Line {i}: the quick brown fox number {i * 7} jumps over the lazy dog near the {w} gate."
                      for i, w in enumerate(["old", "red", "north", "iron", "small", "last"] * 5)), 16),
    ("one token", "Hello", 1),
]


def positions_to_store(count, wanted):
    """The first, the last, and others spread over the prompt, block edges of 16 among them when it is long."""
    chosen = {0, count - 1}
    if count > 64:
        chosen |= {15, 16, 31, 32, 63, 64}
    for position in numpy.linspace(0, count - 1, wanted).round().astype(int):
        if len(chosen) < min(wanted, count):
            chosen.add(int(position))
    return sorted(chosen)


def main():
    path, output = sys.argv[1:]
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    model = reference_model.load_model(path)
    reference_model.check_against_transformers_loader(model, path)
    tokenizer = reference_model.load_tokenizer(path, parse_special=True)
    stored = 0
    with open(output, "w", encoding="utf-8") as out:
        for name, text, wanted in PROMPTS:
            ids = tokenizer.encode(text).ids
            logits = model(torch.tensor([ids])).logits[0].numpy()
            assert logits.dtype == numpy.float32
            positions = []
            for position in positions_to_store(len(ids), wanted):
                row = logits[position]
                top = numpy.argsort(-row, kind="stable")[:TOP]
                rest = numpy.setdiff1d(numpy.arange(len(row)), top)
                drawn = numpy.random.Generator(numpy.random.PCG64([20250207, stored])).choice(rest, RANDOM, replace=False)
                entries = [int(i) for i in numpy.concatenate([top, drawn])]
                positions.append({"position": position, "max_abs": float(f"{numpy.abs(row).max():.9g}"), "ids": entries,
                                  "values": [float(f"{row[i]:.9g}") for i in entries]})
                stored += 1
            out.write(json.dumps({"name": name, "tokens": ids, "positions": positions}, separators=(",", ":")) + "\n")
    print(f"{stored} positions over {len(PROMPTS)} prompts")


if __name__ == "__main__":
    main()
