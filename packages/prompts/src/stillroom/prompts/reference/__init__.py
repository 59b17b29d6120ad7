"""llmlingua 0.2.2's LLMLingua-2 mode, result for result, so that somebody can switch and get the same strings.

Its faults come along, because they decide what is returned: words that the vocabulary lacks are lost, as are newlines
and indentation; XLM-R reads `<unk>` for `<s>` and `</s>`; each chunk is padded to 512 tokens and has a threshold of its
own; `target_token` is no cap; a list of contexts may lose whole contexts. The compressor of this package has none of
them. Left behind are the network call of its constructor, its reseeding of every random generator, and its changes to
the caller's model and tokenizer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cache
from typing import Any

from stillroom.core.errors import RecipeError
from stillroom.prompts.reference import context_filter
from stillroom.prompts.reference.chunks import cut
from stillroom.prompts.reference.contexts import Kept, read, shortened, untouched
from stillroom.prompts.reference.scores import PLACEHOLDERS, with_placeholders
from stillroom.prompts.reference.words import Rules, hidden, is_sentencepiece, special_tokens

__all__ = ["compress"]


def compress(
    model: Any,
    tokenizer: Any,
    context: str | Sequence[str],
    *,
    count: Callable[[str], int],
    rate: float = 0.5,
    target_token: float = -1,
    use_context_level_filter: bool = False,
    use_token_level_filter: bool = True,
    target_context: int = -1,
    context_level_rate: float = 1.0,
    context_level_target_token: float = -1,
    force_context_ids: Collection[int] | None = (),
    return_word_label: bool = False,
    word_sep: str = "\t\t|\t\t",
    label_sep: str = " ",
    token_to_word: str = "mean",
    force_tokens: Sequence[str] = (),
    force_reserve_digit: bool = False,
    drop_consecutive: bool = False,
    chunk_end_tokens: Collection[str] = (".", "\n"),
) -> dict[str, Any]:
    """Return what llmlingua 0.2.2's `compress_prompt_llmlingua2` returns for the same model and options.

    Options and defaults are its own. Its `compress_prompt`, which most people call, differs in one default:
    `use_context_level_filter=True`. `count` stands for its tiktoken, `encoding_for_model("gpt-3.5-turbo")`: it decides
    the counts and, since thresholds weigh words by it, the words. The model must be in evaluation mode, in float32 or
    float16; neither it nor the tokenizer is changed.

    Returns `compressed_prompt`, `compressed_prompt_list`, `origin_tokens`, `compressed_tokens` and the strings `ratio`
    ("2.0x"), `rate` ("50.0%") and `saving`; with `return_word_label` also `fn_labeled_original_prompt`.

    Raises RecipeError or DataError where llmlingua ends in an exception of Python's or numpy's (a rate of 0, more than
    100 forced tokens, a chunk of unknown words only), ModelError for a tokenizer that it has no rules for.

    Source: Pan et al., "LLMLingua-2" (arXiv:2403.12968); the package llmlingua 0.2.2.
    """
    own = with_placeholders(tokenizer)
    rules = _rules(model, own, force_tokens, force_reserve_digit, token_to_word)
    count = cache(count)
    contexts = [context] if isinstance(context, str) else list(context)
    ends = {*chunk_end_tokens, *(rules.placeholders[end] for end in chunk_end_tokens if end in rules.placeholders)}
    chunked = [cut(hidden(text, rules.placeholders), own, ends) for text in contexts]
    tokens = sum(map(count, contexts))

    dropped: dict[int, list[str]] = {}
    if use_context_level_filter and len(contexts) != 1:
        level = context_filter.level_rate(
            len(contexts),
            tokens,
            rate=rate,
            target_token=target_token,
            use_token_level_filter=use_token_level_filter,
            target_context=target_context,
            context_level_rate=context_level_rate,
            context_level_target_token=context_level_target_token,
        )
        dropped = _dropped(model, own, chunked, rules, level, force_context_ids or ())
        if target_token >= 0:
            remaining = sum(count(chunk) for i, chunks in enumerate(chunked) if i not in dropped for chunk in chunks)
            rate = context_filter.share(target_token, remaining)
    elif target_token > 0:
        rate = context_filter.share(target_token, tokens)

    staying = [chunks for i, chunks in enumerate(chunked) if i not in dropped]
    if use_token_level_filter and rate < 1:
        kept = shortened(model, own, staying, rules, 1 - rate, drop_consecutive, count)
    else:
        kept = [untouched(chunks, rules) for chunks in staying]
    result = _counted([one.text for one in kept], tokens, count)
    if return_word_label:
        labelled = _labelled(len(contexts), kept, dropped)
        result["fn_labeled_original_prompt"] = word_sep.join(f"{word}{label_sep}{label}" for word, label in labelled)
    return result


def _rules(model: Any, tokenizer: Any, forced: Sequence[str], digits: bool, token_to_word: str) -> Rules:
    if len(forced) > len(PLACEHOLDERS):
        raise RecipeError(f"llmlingua takes {len(PLACEHOLDERS)} forced tokens at the most; {len(forced)} were given.")
    if token_to_word not in ("mean", "first"):
        raise RecipeError(f"token_to_word is 'mean' or 'first', not {token_to_word!r}.")
    named = zip(forced, PLACEHOLDERS, strict=False)
    return Rules(
        sentencepiece=is_sentencepiece(model, tokenizer),
        special=special_tokens(model, tokenizer),
        forced=frozenset(forced),
        placeholders={text: name for text, name in named if len(tokenizer.tokenize(text)) != 1},
        digits=digits,
        first=token_to_word == "first",
    )


def _dropped(
    model: Any, tokenizer: Any, chunked: list[list[str]], rules: Rules, rate: float, forced: Collection[int]
) -> dict[int, list[str]]:
    """Return the words of each context that the context filter takes out, by its place in the list."""
    words, scores = [], []
    for chunks in read(model, tokenizer, chunked, rules):
        words.append([word for chunk_words, _, _ in chunks for word in rules.shown(chunk_words)])
        scores.append([score for _, _, spread in chunks for score in rules.of_words(spread)])
    return {i: words[i] for i, stays in enumerate(context_filter.stay(scores, rate, forced)) if not stays}


def _labelled(contexts: int, kept: list[Kept], dropped: dict[int, list[str]]) -> Iterator[tuple[str, int]]:
    """Yield each word of the contexts, in their order, and whether it stayed."""
    staying = iter(kept)
    for i in range(contexts):
        if i in dropped:
            yield from ((word, 0) for word in dropped[i])
        else:
            one = next(staying)
            yield from zip(one.words, one.labels, strict=True)


def _counted(texts: list[str], before: int, count: Callable[[str], int]) -> dict[str, Any]:
    after = sum(map(count, texts))
    ratio = before / after if after else 1
    return {
        "compressed_prompt": "\n\n".join(texts),
        "compressed_prompt_list": texts,
        "origin_tokens": before,
        "compressed_tokens": after,
        "ratio": f"{ratio:.1f}x",
        "rate": f"{1 / ratio * 100:.1f}%",
        "saving": f", Saving ${(before - after) * 0.06 / 1000:.1f} in GPT-4.",
    }
