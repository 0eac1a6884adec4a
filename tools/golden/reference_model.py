# SPDX-License-Identifier: Apache-2.0
"""The independent implementation behind tests/golden/data: SmolLM2-135M-Instruct, loaded from the GGUF file with Hugging
Face code only (no code of this project, none of llama.cpp).

Made with python 3.11.7, torch 2.15.0 (CPU), transformers 5.23.0, tokenizers 0.23.3, gguf 0.19.0, numpy 2.4.6,
accelerate 1.15.0 (transformers asks for it to read GGUF).
Not a command itself: make_logits.py, make_greedy.py and make_tokenizer.py import it.

Weights are dequantized to float32 by the gguf package. A GGUF of the llama family stores the rows of q and k permuted, so
that RoPE turns neighbouring pairs (2i, 2i+1); Hugging Face turns halves (i, i + d/2), so the rows are put back here.
`check_against_transformers_loader` compares every tensor, and some logits, with what transformers' own GGUF loader makes of the file.
"""
import os

import gguf
import numpy
import tokenizers
import torch
import transformers

MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
NAMES = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}


def field(reader, name):
    return reader.fields[name].contents()


def load_config(reader):
    return transformers.LlamaConfig(
        vocab_size=len(field(reader, "tokenizer.ggml.tokens")),
        hidden_size=field(reader, "llama.embedding_length"),
        intermediate_size=field(reader, "llama.feed_forward_length"),
        num_hidden_layers=field(reader, "llama.block_count"),
        num_attention_heads=field(reader, "llama.attention.head_count"),
        num_key_value_heads=field(reader, "llama.attention.head_count_kv"),
        max_position_embeddings=field(reader, "llama.context_length"),
        rms_norm_eps=field(reader, "llama.attention.layer_norm_rms_epsilon"),
        rope_parameters={"rope_type": "default", "rope_theta": field(reader, "llama.rope.freq_base")},
        hidden_act="silu", attention_bias=False, mlp_bias=False, tie_word_embeddings=True,
        attn_implementation="eager", dtype=torch.float32)


def hugging_face_name(name):
    if name == "token_embd.weight":
        return "model.embed_tokens.weight"
    if name == "output_norm.weight":
        return "model.norm.weight"
    _, layer, part, suffix = name.split(".")
    return f"model.layers.{layer}.{NAMES[part]}.{suffix}"


def unpermute(weights, heads):
    rows, columns = weights.shape
    return weights.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def load_model(path):
    reader = gguf.GGUFReader(path)
    config = load_config(reader)
    state = {}
    for tensor in reader.tensors:
        weights = gguf.dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32)
        if ".attn_q." in tensor.name:
            weights = unpermute(weights, config.num_attention_heads)
        if ".attn_k." in tensor.name:
            weights = unpermute(weights, config.num_key_value_heads)
        state[hugging_face_name(tensor.name)] = torch.from_numpy(numpy.ascontiguousarray(weights))
    state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model = transformers.LlamaForCausalLM(config)
    model.load_state_dict(state, strict=True)
    return model.float().eval()


def check_against_transformers_loader(model, path):
    other = transformers.AutoModelForCausalLM.from_pretrained(
        os.path.dirname(path), gguf_file=os.path.basename(path), dtype=torch.float32, attn_implementation="eager")
    mine, theirs = model.state_dict(), other.state_dict()
    assert mine.keys() == theirs.keys()
    for name in mine:
        assert torch.equal(mine[name], theirs[name]), name
    ids = torch.arange(100, 164)[None]
    assert torch.equal(model(ids).logits, other(ids).logits), "the configurations differ"
    print(f"all {len(mine)} tensors, and the logits of 64 ids, equal those of transformers' own GGUF loader")


def load_tokenizer(path, parse_special):
    """Byte-level BPE with the pre-tokenizer of SmolLM2's tokenizer.json: every digit alone, then GPT-2's pattern."""
    reader = gguf.GGUFReader(path)
    tokens = field(reader, "tokenizer.ggml.tokens")
    merges = [tuple(merge.split(" ")) for merge in field(reader, "tokenizer.ggml.merges")]
    types = field(reader, "tokenizer.ggml.token_type")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
        tokenizers.pre_tokenizers.Digits(individual_digits=True),
        tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    if parse_special:
        tokenizer.add_special_tokens([
            tokenizers.AddedToken(token, special=True, normalized=False)
            for token, kind in zip(tokens, types) if kind == gguf.TokenType.CONTROL])
    assert tokenizer.get_vocab_size() == len(tokens)
    return tokenizer


def load_chat_tokenizer(path):
    reader = gguf.GGUFReader(path)
    wrapped = transformers.PreTrainedTokenizerFast(tokenizer_object=load_tokenizer(path, True))
    wrapped.chat_template = field(reader, "tokenizer.chat_template")
    return wrapped
