"""A new, small token classifier: a WordPiece vocabulary of one's own texts and an encoder of stated sizes.

The network starts with random weights; it knows nothing of training. Code points that the vocabulary has not met
become `[UNK]`, so a compressor made here reads the languages of its corpora and no others.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ALPHABET = 400  # characters: Latin with its accents, digits, punctuation; what is rarer is a word's own business
LONGEST_WORD = 64  # characters; German needs more than BERT's, and URLs are no words
TWICE = 3  # times that a piece must be met


class Architecture(BaseModel):
    """The sizes of a new network, by the names of `config.json`.

    Parameters
    ----------
    model_type
        "distilbert", "bert" or "modernbert".
    vocab_size
        Pieces of the vocabulary; with `hidden_size` most of the parameters of a small model: 16,000 x 128 = 2 M.
    max_position_embeddings
        Tokens that the network reads at once, special ones included.
    dropout
        In embeddings and hidden layers; attention has none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model_type: Literal["distilbert", "bert", "modernbert"] = "distilbert"
    vocab_size: PositiveInt = 16_000
    hidden_size: PositiveInt = 128
    num_hidden_layers: PositiveInt = 4
    num_attention_heads: PositiveInt = 4
    intermediate_size: PositiveInt = 512
    max_position_embeddings: PositiveInt = 512
    dropout: float = Field(default=0.05, ge=0, lt=1)


def vocabulary(texts: Iterable[str], size: int) -> Any:
    """Train a cased WordPiece vocabulary; returns a `tokenizers.Tokenizer` that frames a text with [CLS] and [SEP]."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=LONGEST_WORD))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        special_tokens=SPECIAL,
        limit_alphabet=ALPHABET,
        min_frequency=TWICE,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def fast(tokenizer: Any, longest: int) -> Any:
    """Wrap a trained vocabulary as transformers does, so that `save_pretrained` writes what `from_pretrained` reads."""
    from transformers import PreTrainedTokenizerFast

    pad, unknown, begin, end, mask = SPECIAL
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, pad_token=pad, unk_token=unknown, cls_token=begin, sep_token=end, mask_token=mask,
        model_max_length=longest, model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def network(sizes: Architecture, tokenizer: Any, seed: int = 0) -> Any:
    """Return a token classifier with the labels drop and keep, drawn from `seed`; the global state is not moved."""
    import torch
    from transformers import AutoModelForTokenClassification

    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return AutoModelForTokenClassification.from_config(_config(sizes, tokenizer))  # type: ignore[no-untyped-call]


LABELS: dict[str, Any] = {"id2label": {0: "drop", 1: "keep"}, "label2id": {"drop": 0, "keep": 1}}


def _config(sizes: Architecture, tokenizer: Any) -> Any:
    from transformers import BertConfig, DistilBertConfig, ModernBertConfig

    known = {
        "vocab_size": len(tokenizer),  # a small corpus may fill less than was asked for
        "pad_token_id": tokenizer.pad_token_id,
        "max_position_embeddings": sizes.max_position_embeddings,
        **LABELS,
    }
    if sizes.model_type == "distilbert":
        return DistilBertConfig(
            dim=sizes.hidden_size,
            n_layers=sizes.num_hidden_layers,
            n_heads=sizes.num_attention_heads,
            hidden_dim=sizes.intermediate_size,
            dropout=sizes.dropout,
            attention_dropout=0.0,
            seq_classif_dropout=sizes.dropout,
            **known,
        )
    shape = {
        name: getattr(sizes, name)
        for name in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    }
    if sizes.model_type == "bert":
        return BertConfig(
            hidden_dropout_prob=sizes.dropout,
            attention_probs_dropout_prob=0.0,
            **shape,
            **known,
        )
    ends = {"bos_token_id": tokenizer.cls_token_id, "eos_token_id": tokenizer.sep_token_id}
    return ModernBertConfig(
        embedding_dropout=sizes.dropout,
        mlp_dropout=sizes.dropout,
        classifier_dropout=sizes.dropout,
        cls_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id,
        **ends,
        **shape,
        **known,
    )
