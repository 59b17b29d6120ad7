"""Small real networks of the families that students come from, with random weights, made on the spot."""

from __future__ import annotations

from functools import cache
from pathlib import Path

WIDTH = 64  # 4-bit layers hold 64 numbers a block
TEXTS = ["we wrote a letter to them.", "they writes a letters to us.", "he is in the garden.", "garden the in is he."]


@cache
def tokenizer():
    from stillroom.language.scratch import Shape, vocabulary

    return vocabulary(TEXTS * 4, Shape(vocab_size=300))


def network(name: str, seed: int = 0, **changed):
    """A network in eval mode, without dropout unless it is changed, whose outputs depend on their inputs."""
    import torch
    import transformers as hf

    tokens = {
        "vocab_size": len(tokenizer()),
        "pad_token_id": tokenizer().pad_token_id,
        "eos_token_id": tokenizer().eos_token_id,
        "bos_token_id": None,
    }
    shape = {
        **tokens,
        "hidden_size": WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "initializer_range": 0.2,
        "max_position_embeddings": 128,
    }
    wide = {**shape, "intermediate_size": 2 * WIDTH}
    bert = {**wide, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    gpt2 = {
        **tokens,
        "n_embd": WIDTH,
        "n_layer": 2,
        "n_head": 4,
        "n_positions": 128,
        "initializer_range": 0.2,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
    }
    t5 = {
        **tokens,
        "d_model": WIDTH,
        "d_kv": 32,
        "num_heads": 4,
        "d_ff": 2 * WIDTH,
        "num_layers": 2,
        "num_decoder_layers": 1,
        "decoder_start_token_id": tokenizer().pad_token_id,
        "dropout_rate": 0.0,
        "initializer_factor": 3.0,
        "tie_word_embeddings": False,
    }
    made = {
        "llama": (hf.LlamaForCausalLM, hf.LlamaConfig, {**wide, "num_key_value_heads": 2}),
        "qwen3": (hf.Qwen3ForCausalLM, hf.Qwen3Config, {**wide, "num_key_value_heads": 2, "head_dim": 32}),
        "gpt2": (hf.GPT2LMHeadModel, hf.GPT2Config, gpt2),
        "neox": (hf.GPTNeoXForCausalLM, hf.GPTNeoXConfig, wide),
        "falcon": (hf.FalconForCausalLM, hf.FalconConfig, shape),
        "t5": (hf.T5ForConditionalGeneration, hf.T5Config, t5),
        "bert-mlm": (hf.BertForMaskedLM, hf.BertConfig, bert),
        "bert": (hf.BertForSequenceClassification, hf.BertConfig, {**bert, "num_labels": 3}),
        "deberta": (hf.DebertaV2ForSequenceClassification, hf.DebertaV2Config, {**bert, "num_labels": 3}),
        "distilbert": (
            hf.DistilBertForSequenceClassification,
            hf.DistilBertConfig,
            {
                **tokens,
                "dim": WIDTH,
                "hidden_dim": 2 * WIDTH,
                "n_layers": 2,
                "n_heads": 4,
                "num_labels": 3,
                "dropout": 0.0,
                "attention_dropout": 0.0,
                "seq_classif_dropout": 0.0,
            },
        ),
        "llama-classifier": (
            hf.LlamaForSequenceClassification,
            hf.LlamaConfig,
            {**wide, "num_key_value_heads": 2, "num_labels": 3},
        ),
    }
    kind, config, settings = made[name]
    torch.manual_seed(seed)
    return kind(config(**{**settings, **changed})).eval()


def saved(name: str, folder: Path, seed: int = 0) -> Path:
    """A folder with a network and the tokenizer, as people publish them."""
    network(name, seed).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def prompts(count: int = 12, longest: int = 20, seed: int = 0) -> list[list[int]]:
    """Token ids of several lengths."""
    from random import Random

    random = Random(seed)
    return [[random.randrange(5, len(tokenizer())) for _ in range(random.randint(2, longest))] for _ in range(count)]
