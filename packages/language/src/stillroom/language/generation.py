"""Generate answers in batches: what a causal model goes on with after a prompt, what an encoder-decoder makes of it.

Decoding is transformers' own; here are the order, the batches, the limits and the honesty about answers that were cut.
It knows token ids and texts, no rows and no metric.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from stillroom.core.errors import DataError, RecipeError
from stillroom.core.progress import progress
from stillroom.core.seeds import own_random, seed_of

BATCH_TOKENS = {"cpu": 4096, "cuda": 131_072}  # prompt and answer of all rows, padding included; more is no faster
SAID = ("bos_token_id", "decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id")


@dataclass(frozen=True)
class Generated:
    """Answers, in the order of their prompts.

    Parameters
    ----------
    texts
        Without special tokens.
    finished
        Whether the model ended the answer itself; False: it was cut where its room ended, and is not to be taken for
        what the model had to say.
    ids
        The tokens of each answer, the end mark included where it was given.
    tokens
        How many those are.
    seconds
        What it took, from first to last.
    """

    texts: list[str]
    finished: list[bool]
    ids: list[list[int]]
    tokens: int
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        """Answer tokens a second; the reading of prompts is in the time and not in the count."""
        return self.tokens / self.seconds if self.seconds > 0 else 0.0

    def sentence(self) -> str:
        """Say how it went."""
        cut = len(self.finished) - sum(self.finished)
        said = f"{len(self.texts):,} answers, {self.tokens:,} tokens, {self.tokens_per_second:,.0f} tokens/s"
        return f"{said}; {cut:,} of them were cut before they ended" if cut else said


def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str] | Sequence[Sequence[int]],
    *,
    max_new_tokens: int | Sequence[int] | Literal["auto"] = "auto",
    batch_tokens: int | None = None,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    description: str = "generating",
) -> Generated:
    """Answer every prompt.

    Rows of similar length run together, longest first, and come back in their order. Greedy decoding in float32 does
    not depend on what else is in a batch, but for ties within rounding (1e-6).

    Parameters
    ----------
    model
        A causal language model or an encoder-decoder, with or without an adapter; it is put into eval mode for the
        time. Of its own generation config only the special tokens count: no sampling, penalty or length of its own.
    tokenizer
        Its eos ends an answer, as does any that the model's generation config names.
    prompts
        Texts, tokenized as the tokenizer has it (a text that begins with its bos gets no other); or token ids, which
        is how a student is asked with the very ids it was trained on.
    max_new_tokens
        Room for an answer, one for all or one a row, the end mark included. `auto`: half as much again as the prompt,
        and 16, which a rewriting of the prompt's text fits in.
    batch_tokens
        Prompt and answer tokens that run together, padding included; None: what is fast on the model's device.
    temperature, top_p
        0 is greedy. Above it, draw from the softmax of logits over the temperature, from the likeliest tokens that
        together reach `top_p` (Holtzman et al. 2020, section 3.1).
    seed
        Of the drawing. The same call draws the same; another `batch_tokens` draws other answers.
    description
        Of the progress shown.

    Raises
    ------
    DataError
        A prompt without tokens, or one that leaves no room in the model's context.
    RecipeError
        A temperature, top_p or length that cannot be meant.
    """
    if temperature < 0 or not 0 < top_p <= 1:
        raise RecipeError("A temperature is 0 (greedy) or above, and top_p lies above 0 and is 1 at most.")
    started = time.monotonic()
    asked = token_ids(tokenizer, prompts, open_end=not model.config.is_encoder_decoder)
    rooms = _rooms(model, asked, max_new_tokens)
    config = _decoding(model, tokenizer, temperature, top_p)
    budget = batch_tokens or tokens_at_once(model)
    answers: list[list[int]] = [[] for _ in asked]
    with _ready(model, config), progress(description, total=len(asked)) as advance:
        together = batches(asked, rooms, budget, alike=_needs_alike(model), widest=_widest(model))
        for number, rows in enumerate(together):
            few, room = [asked[row] for row in rows], [rooms[row] for row in rows]
            with torch.no_grad(), own_random("generate", seed, number), _own_random_there(model, seed, number):
                told = _answers(model, tokenizer, few, room, config)
            for row, answer in zip(rows, told, strict=True):
                answers[row] = answer
            advance(len(rows))
    ends = set(config.eos_token_id)
    return Generated(
        texts=[
            tokenizer.decode(answer, skip_special_tokens=True, clean_up_tokenization_spaces=False) for answer in answers
        ],
        finished=[bool(answer) and answer[-1] in ends for answer in answers],
        ids=answers,
        tokens=sum(map(len, answers)),
        seconds=time.monotonic() - started,
    )


def context_of(model: Any) -> int | None:
    """Return how many tokens a model reads and writes at most; None where nothing in its config limits it (T5)."""
    limit = getattr(model.config, "max_position_embeddings", None)
    if limit is None:
        return None
    table = getattr(getattr(_network(model).base_model, "embeddings", None), "position_embeddings", None)
    before = getattr(table, "padding_idx", None)
    return int(limit) - (0 if before is None else before + 1)  # RoBERTa counts places from after the padding's


def tokens_at_once(model: Any) -> int:
    """Return how many tokens, padding included, are best read in one batch on the model's device."""
    return BATCH_TOKENS.get(model.device.type, BATCH_TOKENS["cpu"])


def token_ids(tokenizer: Any, prompts: Sequence[str] | Sequence[Sequence[int]], *, open_end: bool) -> list[list[int]]:
    """Return the ids of prompts, which may be ids already; an open end has no end mark, so that it can be gone on from.

    Raises DataError when one has no tokens.
    """
    found = []
    prompt: Any  # a list of texts or of ids, and not of both
    for number, prompt in enumerate(prompts):
        if isinstance(prompt, str):
            own = bool(tokenizer.bos_token) and prompt.startswith(tokenizer.bos_token)
            ids = list(tokenizer(prompt, add_special_tokens=not own, verbose=False).input_ids)
            if open_end and ids[-1:] == [tokenizer.eos_token_id]:
                ids.pop()
        else:
            ids = [int(token) for token in prompt]
        if not ids:
            raise DataError(f"prompt {number} has no tokens: there is nothing to answer")
        found.append(ids)
    return found


def _rooms(model: Any, asked: list[list[int]], wanted: int | Sequence[int] | Literal["auto"]) -> list[int]:
    """Room for each answer, as much as is wanted and the context has left."""
    if wanted == "auto":
        rooms = [len(prompt) * 3 // 2 + 16 for prompt in asked]
    else:
        rooms = [wanted] * len(asked) if isinstance(wanted, int) else [int(room) for room in wanted]
    if len(rooms) != len(asked) or min(rooms, default=1) < 1:
        raise RecipeError("max_new_tokens is 'auto', one number above 0, or one a prompt.")
    context = context_of(model)
    if context is None:
        return rooms
    learned = _learned_prompt(model)
    for number, prompt in enumerate(asked):
        before = learned + (0 if model.config.is_encoder_decoder else len(prompt))
        if before >= context or len(prompt) > context:
            raise DataError(
                f"prompt {number} has {len(prompt):,} tokens and the model reads and writes {context:,} in all: "
                "shorten it, or leave it out"
            )
        rooms[number] = min(rooms[number], context - before)
    return rooms


def _decoding(model: Any, tokenizer: Any, temperature: float, top_p: float) -> Any:
    """How to decode: as asked here, and of the model's own config the special tokens."""
    from transformers import GenerationConfig

    own = model.generation_config
    ends = own.eos_token_id if isinstance(own.eos_token_id, list) else [own.eos_token_id]
    ends = sorted({end for end in (*ends, tokenizer.eos_token_id) if end is not None})
    drawn = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0}
    return GenerationConfig(  # type: ignore[no-untyped-call]
        **{name: getattr(own, name, None) for name in SAID},
        eos_token_id=ends,
        pad_token_id=tokenizer.pad_token_id,
        use_cache=True,
        **(drawn if temperature else {"do_sample": False}),
    )


def batches(
    asked: Sequence[Sequence[int]],
    rooms: Sequence[int],
    budget: int,
    *,
    alike: bool = False,
    widest: int | None = None,
) -> Iterator[list[int]]:
    """Yield the numbers of the rows that run together: longest first, within a budget of tokens, padding included.

    Parameters
    ----------
    alike
        Rows of one length together only, so that nothing is padded.
    widest
        No batch of several rows is wider, prompt and room: a short row with much room would carry a long one along.
    """
    batch: list[int] = []
    longest = room = 0
    for row in sorted(range(len(asked)), key=lambda row: (-len(asked[row]), -rooms[row])):
        wider = max(longest, len(asked[row])) + max(room, rooms[row])
        too_wide = (len(batch) + 1) * wider > budget or (widest is not None and wider > widest)
        if batch and (too_wide or (alike and len(asked[row]) != longest)):
            yield batch
            batch, longest, room = [], 0, 0
        batch.append(row)
        longest, room = max(longest, len(asked[row])), max(room, rooms[row])
    if batch:
        yield batch


def padded(rows: Sequence[Sequence[int]], padding: int, *, left: bool = False) -> tuple[Tensor, Tensor]:
    """Return ids and mask, both (rows, longest). A causal model goes on at the right, so it is padded at the left."""
    width = max(map(len, rows))
    ids, mask = torch.full((len(rows), width), padding), torch.zeros(len(rows), width, dtype=torch.long)
    for number, row in enumerate(rows):
        place = slice(width - len(row), width) if left else slice(0, len(row))
        ids[number, place], mask[number, place] = torch.tensor(row), 1
    return ids, mask


def _answers(model: Any, tokenizer: Any, asked: list[list[int]], rooms: list[int], config: Any) -> list[list[int]]:
    """The new tokens of one batch, each answer up to its end mark or its room."""
    from transformers import StoppingCriteriaList

    both = model.config.is_encoder_decoder
    ids, mask = padded(asked, tokenizer.pad_token_id, left=not both)
    ids, mask = ids.to(model.device), mask.to(model.device)
    before = 1 if both else ids.shape[1]
    limits = torch.tensor(rooms, device=model.device) + before
    full: Callable[..., Tensor] = lambda told, scores, **_: told.shape[1] >= limits  # noqa: E731
    config.max_new_tokens = max(rooms)
    told = model.generate(
        input_ids=ids, attention_mask=mask, generation_config=config, stopping_criteria=StoppingCriteriaList([full])
    )
    ends = set(config.eos_token_id)
    return [_cut(row[before : before + room], ends) for row, room in zip(told.tolist(), rooms, strict=True)]


def _cut(answer: list[int], ends: set[int]) -> list[int]:
    stop = next((place for place, token in enumerate(answer) if token in ends), len(answer))
    return answer[: stop + 1]


def _network(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _learned_prompt(model: Any) -> int:
    return int(model.active_peft_config.num_virtual_tokens) if _has_learned_prompt(model) else 0


def _has_learned_prompt(model: Any) -> bool:
    return bool(getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False))


def _widest(model: Any) -> int | None:
    """How wide a batch may be: places that a model does not have crash some."""
    context = context_of(model)
    return None if context is None or model.config.is_encoder_decoder else context - _learned_prompt(model)


def _needs_alike(model: Any) -> bool:
    """Whether padding would come between a learned prompt and the tokens: PEFT counts it as distance between them."""
    return _has_learned_prompt(model) and not model.config.is_encoder_decoder


@contextmanager
def _ready(model: Any, config: Any) -> Iterator[None]:
    """Put the model into eval mode, and its own generation config aside: transformers would fill ours up from it."""
    network = _network(model)
    training, own = model.training, network.generation_config
    model.eval()
    network.generation_config = type(own)(pad_token_id=config.pad_token_id)
    try:
        with warnings.catch_warnings():  # rows are alike in length there, so PEFT's own places are right
            warnings.filterwarnings("ignore", message="Position ids are not supported")
            yield
    finally:
        network.generation_config = own
        model.train(training)


@contextmanager
def _own_random_there(model: Any, seed: int, number: int) -> Iterator[None]:
    """What `own_random` does, on the model's GPU."""
    if model.device.type != "cuda":
        yield
        return
    with torch.random.fork_rng([model.device]):
        torch.cuda.manual_seed(seed_of("generate", seed, number))
        yield
