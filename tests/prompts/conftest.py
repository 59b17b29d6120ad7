"""Small random token classifiers with tokenizers of their own, saved to folders as published checkpoints are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

TOKENIZERS = Path(__file__).parent / "tokenizers"
SENTENCES = (TOKENIZERS / "sentences.txt").read_text(encoding="utf-8").splitlines()
KINDS = ("bert", "distilbert", "xlm-roberta", "modernbert")


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> dict[str, Path]:
    """A folder with a random two-label token classifier for each of `KINDS`."""
    root = tmp_path_factory.mktemp("models")
    return {kind: make_model(kind, root / kind) for kind in KINDS}


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    """A sentence in each of several languages and scripts: what the tokenizers were trained on."""
    return SENTENCES


@pytest.fixture(scope="session")
def unicode_texts():
    """A hypothesis strategy: texts of words, white space, punctuation, emoji, CJK, right-to-left script and marks."""
    from hypothesis import strategies as st

    letters = st.text("abcXYZ019éßñ_-'", min_size=1, max_size=8)
    blank = st.sampled_from([" ", " ", " ", "  ", "\n", "\n\n", "\t", "\r\n", "\u3000", "\u2028", "\xa0"])
    marks = st.sampled_from([*".,;:!?()[]\"'-…。、「」", "—", "...", "\u0301", "\u200d", "\ufe0f", "\u200f", "\u200b"])
    scripts = st.text("你好世界日本語のカタﾞ여우תשלוםمرحباภาษาไทก็", min_size=1, max_size=4)
    emoji = st.sampled_from(["😀", "👍🏽", "👨\u200d👩\u200d👧", "🇩🇪", "🇩🇪🇫🇷", "❤\ufe0f", "1\ufe0f\u20e3", "e\u0301"])
    anything = st.text(max_size=4)  # without surrogates, hypothesis's own choice of characters
    pieces = st.one_of(letters, letters, letters, blank, blank, marks, scripts, emoji, anything)
    return st.lists(pieces, max_size=40).map("".join)


@pytest.fixture(scope="session")
def scorers(models):
    """The same models, loaded."""
    from stillroom.prompts.scorer import Scorer

    return {kind: Scorer.from_pretrained(folder) for kind, folder in models.items()}


def make_model(kind: str, folder: Path, *, seed: int = 0, labels: int = 2) -> Path:
    """Save a random token classifier whose probabilities spread over (0, 1)."""
    from transformers import AutoModelForTokenClassification

    tokenizer = make_tokenizer(kind)
    torch.manual_seed(seed)
    model = AutoModelForTokenClassification.from_config(_config(kind, tokenizer, labels))
    with torch.no_grad():
        model.classifier.weight.normal_(0.0, 0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_tokenizer(kind: str):
    from transformers import PreTrainedTokenizerFast

    file = {"xlm-roberta": "unigram", "modernbert": "bpe"}.get(kind, "wordpiece")
    begin, end, pad, unknown, mask = (
        ("<s>", "</s>", "<pad>", "<unk>", "<mask>")
        if file == "unigram"
        else ("[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]")
    )
    return PreTrainedTokenizerFast(
        tokenizer_file=str(TOKENIZERS / f"{file}.json"), cls_token=begin, sep_token=end, pad_token=pad,
        unk_token=unknown, mask_token=mask, bos_token=begin, eos_token=end, model_max_length=64,
    )  # fmt: skip


def _config(kind: str, tokenizer, labels: int):
    from transformers import BertConfig, DistilBertConfig, ModernBertConfig, XLMRobertaConfig

    shape = {"vocab_size": len(tokenizer), "num_labels": labels, "pad_token_id": tokenizer.pad_token_id}
    ends = {"bos_token_id": tokenizer.cls_token_id, "eos_token_id": tokenizer.sep_token_id}
    wide = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    if kind == "distilbert":
        return DistilBertConfig(
            **shape, dim=32, n_layers=2, n_heads=2, hidden_dim=64, max_position_embeddings=64, initializer_range=0.4
        )
    if kind == "xlm-roberta":
        return XLMRobertaConfig(**shape, **ends, **wide, max_position_embeddings=66, initializer_range=0.4)
    if kind == "modernbert":
        return ModernBertConfig(
            **shape, **ends, **wide, cls_token_id=tokenizer.cls_token_id, sep_token_id=tokenizer.sep_token_id,
            max_position_embeddings=64, initializer_range=0.4, local_attention=16, reference_compile=False,
        )  # fmt: skip
    return BertConfig(**shape, **wide, max_position_embeddings=64, initializer_range=0.4)
