"""Tokens into words by llmlingua's rules, and a probability for each word. It does not know the model.

A word begins where the tokenizer's mark says so, and at every forced token, even in the middle of a written word.
Special tokens are skipped, and the unknown token is one: a word that the vocabulary lacks is lost.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stillroom.core.errors import DataError, ModelError

Probability = np.float32 | float  # which of the two decides the type, and so the last bit, of a percentile
Spread = list[list[Probability]]  # a word: its tokens' probabilities


@dataclass(frozen=True)
class Rules:
    """How tokens become words: the tokenizer's mark, the tokens to skip, what the caller forces to stay."""

    sentencepiece: bool  # "▁" marks the beginning of a word (XLM-R); else "##" marks its continuation (mBERT)
    special: frozenset[str]
    forced: frozenset[str]
    placeholders: Mapping[str, str]  # forced text → the token that stands for it
    digits: bool  # tokens with a digit are forced too
    first: bool  # a word's probability is its first token's, not the mean

    def begins(self, token: str) -> bool:
        """Whether a word begins with this token."""
        if self.sentencepiece:
            # "in" the string of punctuation: runs of neighbours in ASCII order count, such as "()".
            return token in string.punctuation or self._is_forced(token) or token.startswith("▁")
        return self._is_forced(self.bare(token)) or not token.startswith("##")

    def bare(self, token: str) -> str:
        """Return the token without its mark (and without any "#" at its front, for mBERT)."""
        return token.lstrip("▁" if self.sentencepiece else "#")

    def merge(self, tokens: Iterable[str], scores: Iterable[np.float32]) -> tuple[list[str], Spread, Spread]:
        """Return the words, their tokens' probabilities with forced ones at 1, and those that judge a whole context.

        The latter know of no force, but they repeat the probability of a word's first token for its other tokens.
        """
        words: list[str] = []
        with_force: Spread = []
        first_only: Spread = []
        for token, score in zip(tokens, scores, strict=True):
            if token in self.special:
                continue
            begins = self.begins(token)
            text = restored(token, self.placeholders) if begins else self.bare(token)
            if begins:
                words.append(text)
                with_force.append([])
                first_only.append([])
                first = score
            elif words:
                words[-1] += text
            else:
                raise DataError(f"llmlingua fails on a text whose first token, {token!r}, continues a word.")
            forced = (begins and self._is_forced(self.bare(token))) or (self.digits and re.search(r"\d", text))
            with_force[-1].append(1.0 if forced else score)
            first_only[-1].append(first)
        return words, with_force, first_only

    def of_words(self, spread: Spread) -> list[Probability]:
        """Return a probability for each word from those of its tokens, summed in order as Python does."""
        return [scores[0] if self.first else sum(scores) / len(scores) for scores in spread]

    def shown(self, words: Sequence[str]) -> list[str]:
        """Return the words as the word labels show them."""
        return [word.lstrip("▁") for word in words] if self.sentencepiece else list(words)

    def _is_forced(self, token: str) -> bool:
        return token in self.forced or token in self.placeholders.values()


def restored(text: str, placeholders: Mapping[str, str]) -> str:
    """Return the text with each placeholder turned back into what it stands for."""
    for forced, placeholder in placeholders.items():
        text = text.replace(placeholder, forced)
    return text


def hidden(text: str, placeholders: Mapping[str, str]) -> str:
    """Return the text with forced texts turned into their placeholders."""
    for forced, placeholder in placeholders.items():
        text = text.replace(forced, placeholder)
    return text


def special_tokens(model: Any, tokenizer: Any) -> frozenset[str]:
    """Return the tokens that are never words; the padding token is the one that the model's configuration names."""
    named = {
        token
        for role, token in tokenizer.special_tokens_map.items()
        if role not in ("pad_token", "additional_special_tokens")
    }
    if model.config.pad_token_id:  # 0 counts as none, and then the end of the sequence pads
        named.add(tokenizer.convert_ids_to_tokens(model.config.pad_token_id))
    return frozenset(named)


def is_sentencepiece(model: Any, tokenizer: Any) -> bool:
    """Whether "▁" marks words: by the name that llmlingua goes by, else by the kind of the tokenizer.

    Raises ModelError for a tokenizer that llmlingua has no rules for.
    """
    if "bert-base-multilingual-cased" in model.name_or_path:
        return False
    if "xlm-roberta-large" in model.name_or_path:
        return True
    kind = type(getattr(tokenizer, "backend_tokenizer", tokenizer).model).__name__
    if kind not in ("WordPiece", "Unigram"):
        raise ModelError(
            f"llmlingua has rules for WordPiece (mBERT) and Unigram (XLM-R) tokenizers, not for {kind}: "
            "compress without reference=True."
        )
    return kind == "Unigram"
