"""Small random token classifiers with tokenizers of their own, saved to folders as published checkpoints are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

SENTENCES = [
    "The quick brown fox jumps over the lazy dog, while nobody is watching.",
    "Please do not delete the file before 5 p.m. on Friday; it costs $1,250.00 to restore.",
    "In a meeting, the committee agreed (after a long debate) that prompts should be shorter.",
    "Compression keeps what answers are made of: names, numbers and negations.",
    "Der schnelle braune Fuchs springt über den faulen Hund, ohne müde zu werden.",
    "Le renard brun rapide saute par-dessus le chien paresseux; c'est déjà l'été.",
    "El veloz zorro marrón salta sobre el perro perezoso. ¿Quién lo sabía?",
    "Быстрая коричневая лиса прыгает через ленивую собаку.",
    "الثعلب البني السريع يقفز فوق الكلب الكسول.",
    "השועל החום המהיר קופץ מעל הכלב העצלן.",
    "敏捷的棕色狐狸跳过了懒狗。今天的会议讨论了提示压缩。",
    "素早い茶色の狐がのろまな犬を飛び越える。",
    "빠른 갈색 여우가 게으른 개를 뛰어넘는다.",
    "สุนัขจิ้งจอกสีน้ำตาลกระโดดข้ามสุนัขขี้เกียจ",
]
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
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    if kind == "xlm-roberta":
        special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=500, special_tokens=special, unk_token="<unk>")
    elif kind == "modernbert":
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=500, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        )
    else:
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(vocab_size=500, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    begin, end = ("<s>", "</s>") if kind == "xlm-roberta" else ("[CLS]", "[SEP]")
    pad, unknown, mask = ("<pad>", "<unk>", "<mask>") if kind == "xlm-roberta" else ("[PAD]", "[UNK]", "[MASK]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {end} $B {end}",
        special_tokens=[(begin, tokenizer.token_to_id(begin)), (end, tokenizer.token_to_id(end))],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token=begin, sep_token=end, pad_token=pad, unk_token=unknown,
        mask_token=mask, bos_token=begin, eos_token=end, model_max_length=64,
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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """All of these wait in `make test-slow`: two of them depend on the vocabulary that a process happens to train."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.slow)
