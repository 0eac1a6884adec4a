# SPDX-License-Identifier: Apache-2.0
"""Reference greedy decoding: tests/golden/data/greedy.jsonl. Versions: see reference_model.py. Command:

    python tools/golden/make_greedy.py <SmolLM2-135M-Instruct.Q4_1.gguf> tests/golden/data/greedy.jsonl

One line per prompt: 48 greedy tokens in float32 with a KV cache, not stopped by end-of-sequence. Then one pass over prompt
and answer without a cache gives each step's log-probability and its gap to the runner-up, and must choose the same ids.
"""
import json
import sys

import torch

import reference_model

STEPS = 48
RAW = [
    "The capital of France is",
    "Once upon a time, in a small village by the sea,",
    "def quicksort(items):\n    \"\"\"Sorts a list.\"\"\"\n",
    "#include <stdio.h>\n\nint main(void) {\n",
    "The three laws of motion are:\n1.",
    "Water boils at 100 degrees Celsius, which is",
    "1, 1, 2, 3, 5, 8, 13, 21,",
    "Q: What is the largest planet in the solar system?\nA:",
    "In 1969, Neil Armstrong",
    "SELECT name, age FROM users WHERE",
    "{\"name\": \"Alice\", \"age\": 30, \"city\":",
    "La capitale de la France est",
    "Die Hauptstadt von Deutschland ist",
    "La capital de España es",
    "Столица России —",
    "日本の首都は",
    "中国的首都是",
    "Η πρωτεύουσα της Ελλάδας είναι",
    "عاصمة مصر هي",
    "भारत की राजधानी",
    "대한민국의 수도는",
    "Photosynthesis is the process by which",
    "Dear Sir or Madam,\n\nI am writing to",
    "A",
    "\n\n",
    "The quick brown fox jumps over the lazy dog. " * 12,
    "Emoji: 😀 🎉 🚀 mean",
]
CHAT = [
    "What is gravity?",
    "Write a haiku about the sea.",
    "Give me three tips for staying healthy.",
    "What is 12 plus 30?",
    "Translate 'good morning' to French.",
    "Explain recursion to a child.",
    "Who wrote Romeo and Juliet?",
    "Write a Python function that reverses a string.",
    "Bonjour, comment ça va ?",
    "¿Cuál es la capital de México?",
    "Was ist der Sinn des Lebens?",
    "Как дела?",
    "你好，请介绍一下你自己。",
    "自己紹介をしてください。",
    "List the colors of the rainbow.",
    "Summarize: The cat sat on the mat. The dog came in. The cat ran away.",
    "Tell me a joke.",
]
CONVERSATIONS = [
    [{"role": "system", "content": "You answer in one short sentence."},
     {"role": "user", "content": "Why is the sky blue?"}],
    [{"role": "user", "content": "My name is Ada."}, {"role": "assistant", "content": "Nice to meet you, Ada!"},
     {"role": "user", "content": "What is my name?"}],
    [{"role": "system", "content": "You are a pirate."}, {"role": "user", "content": "Where is the treasure?"},
     {"role": "assistant", "content": "Arr, it be buried on the island!"}, {"role": "user", "content": "Which island?"}],
]


def greedy(model, prompt):
    cache, step, ids = None, torch.tensor([prompt]), []
    for _ in range(STEPS):
        output = model(step, past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        ids.append(int(output.logits[0, -1].argmax()))
        step = torch.tensor([[ids[-1]]])
    logprobs = torch.log_softmax(model(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1:-1].double(), -1)
    top = logprobs.topk(2)
    assert top.indices[:, 0].tolist() == ids, "with and without a cache the choice differs: drop this prompt"
    return {"prompt_ids": prompt, "ids": ids, "logprobs": [round(v, 6) for v in top.values[:, 0].tolist()],
            "gaps": [round(v, 6) for v in (top.values[:, 0] - top.values[:, 1]).tolist()]}


def main():
    path, output = sys.argv[1:]
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    model = reference_model.load_model(path)
    tokenizer = reference_model.load_chat_tokenizer(path)
    work = [("raw", text, None) for text in RAW]
    for messages in [[{"role": "user", "content": text}] for text in CHAT] + CONVERSATIONS:
        work.append(("chat", tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True), messages))
    smallest = float("inf")
    with open(output, "w", encoding="utf-8") as out:
        for kind, text, messages in work:
            line = {"kind": kind, "text": text} | ({"messages": messages} if messages else {})
            line |= greedy(model, tokenizer(text, add_special_tokens=False)["input_ids"])
            smallest = min(smallest, *line["gaps"])
            out.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(f"{len(work)} prompts, smallest gap {smallest}")


if __name__ == "__main__":
    main()
