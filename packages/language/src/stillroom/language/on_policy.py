"""On policy: the student answers the prompts of a batch by itself, and is judged on what it said.

Trained on the teacher's answers alone, a student meets at work what it never met in training: its own beginnings. Here
a fraction of the steps replaces the answers of the batch by answers drawn from the student, for the student's prompt
and the teacher's alike, and the losses are computed there; drawing itself has no gradient (GKD, algorithm 1). The
module knows no loss: it is given one.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from stillroom.core.errors import DataError, RecipeError
from stillroom.core.lesson import Losses
from stillroom.core.objectives import IGNORED_LABEL
from stillroom.core.seeds import seed_of
from stillroom.language.generation import generate
from stillroom.language.objective import OnPolicyPart

Batch = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class OnPolicy:
    """Losses of `losses` on the stored answers, or, in a fraction of the steps, on the student's own.

    What is drawn depends on `seed` and on the batch's `number`, a tensor of one integer; a batch without one draws from
    torch's generator, which checkpoints keep. A resumed run draws the same answers either way.

    Parameters
    ----------
    losses
        Called as losses(model, batch, teacher), with the batch or the one rebuilt.
    part
        How often, and how answers are drawn.
    kind
        `causal` or `seq2seq`, the student's.
    tokenizer
        The student's, for the token that ends an answer.
    stored
        Losses that stay with the stored answers: cross-entropy on what the student said would teach it nothing. They
        replace those of the same name, where `losses` has them.

    References
    ----------
    Agarwal et al. (2024), On-Policy Distillation of Language Models (GKD), algorithm 1. Gu et al. (2024), MiniLLM,
    also follows the effect of a token on those after it; here, as in GKD, each token is judged where it stands.
    """

    losses: Losses
    part: OnPolicyPart
    kind: str
    tokenizer: Any
    seed: int = 0
    stored: Losses = field(default=lambda model, batch, teacher: {})

    def __post_init__(self) -> None:
        if getattr(self.tokenizer, "eos_token_id", None) is None:
            raise RecipeError(
                "On policy the student must end its answers: give a tokenizer with an `eos_token`, "
                "or leave on_policy out of the objective."
            )

    def __call__(self, model: nn.Module, batch: Batch, teacher: Any) -> dict[str, Tensor]:
        """Return the named losses of a batch."""
        chance, seed = self._draws(batch)
        if chance >= self.part.fraction:
            return self.losses(model, batch, teacher)
        own = respond(model, batch, self.part, self.kind, self.tokenizer, seed, teacher)
        named = self.losses(model, own, teacher)
        if "labels" in named:
            named |= self.stored(model, batch, teacher)
        return named

    def _draws(self, batch: Batch) -> tuple[float, int]:
        """A number in [0, 1) that decides, and the seed of the drawing."""
        if "number" in batch:
            number = int(batch["number"])
            return seed_of("on policy", self.seed, number) / 2**32, seed_of("answers", self.seed, number)
        return torch.rand(()).item(), int(torch.randint(2**31, ()))


def respond(
    model: Any, batch: Batch, part: OnPolicyPart, kind: str, tokenizer: Any, seed: int, teacher: Any = None
) -> dict[str, Tensor]:
    """Return the batch with answers drawn from the student in place of its own, one text a row.

    Labels are the tokens that were drawn, the end mark included where the student came to it. What belonged to the old
    answers (stored targets, tasks) is gone.

    Parameters
    ----------
    seed
        Of the drawing; the random state outside is not moved.
    teacher
        Of its `positions` and its `kind` depends how long an answer may be.

    Raises
    ------
    DataError
        A text without a prompt, no room for an answer, or another number of prompts for the teacher.
    """
    asked, told, teacher_kind = prompts(batch, kind), [], getattr(teacher, "kind", kind)
    if not asked:
        return dict(batch)
    if "teacher_input_ids" in batch:
        told = prompts(batch, teacher_kind, "teacher_")
        if len(told) != len(asked):
            raise DataError(f"The student is asked {len(asked)} times and the teacher {len(told)}: ask both the same.")
    room = min(part.max_new_tokens, _room(told or asked, teacher_kind, getattr(teacher, "positions", None)))
    said = draw(model, asked, room, part.temperature, tokenizer, seed)
    own = _batch(asked, said, kind, "")
    if told:
        own |= _batch(told, said, teacher_kind, "teacher_")
    return own


def prompts(batch: Batch, kind: str, whose: str = "") -> list[Tensor]:
    """Return the tokens before each answer, text by text: a packed row holds several, a row without an answer none."""
    ids, labels = batch[whose + "input_ids"], batch[whose + "labels"]
    mask, places = batch.get(whose + "attention_mask"), batch.get(whose + "position_ids")
    read = torch.ones_like(ids, dtype=torch.bool) if mask is None or mask.dim() != 2 else mask.bool()
    found = []
    for row in range(len(ids)):
        if kind == "seq2seq":
            if (labels[row] != IGNORED_LABEL).any():
                found.append(ids[row][read[row]])
            continue
        tokens, answers = ids[row][read[row]], labels[row][read[row]] != IGNORED_LABEL
        starts = [0] if places is None else (places[row][read[row]] == 0).nonzero().flatten().tolist()
        for begin, end in zip(starts, [*starts[1:], len(tokens)], strict=True):
            first = answers[begin:end].nonzero().flatten()
            if len(first):
                found.append(tokens[begin : begin + int(first[0])])
    if not all(map(len, found)):
        raise DataError("A text without a prompt cannot be answered: leave such rows, or on_policy, out.")
    return found


def draw(model: Any, asked: Sequence[Tensor], room: int, temperature: float, tokenizer: Any, seed: int) -> list[Tensor]:
    """Return an answer of at most `room` tokens to each prompt, drawn from the student's whole distribution.

    It answers as it would at work, without dropout. There is no gradient.
    """
    ids = [prompt.tolist() for prompt in asked]
    said = generate(
        model, tokenizer, ids, max_new_tokens=room, temperature=temperature, seed=seed, description="answering"
    )
    torch.clear_autocast_cache()  # older torch hands on weights that were cast without gradients (pytorch#165068)
    return [torch.tensor(answer, device=asked[0].device) for answer in said.ids]


def _room(asked: Sequence[Tensor], kind: str, positions: int | None) -> int:
    """Tokens that an answer to any of the prompts may have; an encoder-decoder's stand apart from its prompt."""
    if positions is None:
        return sys.maxsize
    room = positions - (max(map(len, asked)) if kind == "causal" else 0)
    if room < 1:
        raise DataError(
            f"Some prompt fills the {positions:,} tokens that the teacher reads, and leaves no room for an answer: "
            "leave it out, or show fewer examples."
        )
    return room


def _batch(asked: Sequence[Tensor], said: Sequence[Tensor], kind: str, whose: str) -> dict[str, Tensor]:
    """Prompts and answers as the losses read them, padded on the right."""
    if kind == "causal":
        read = [torch.cat(pair) for pair in zip(asked, said, strict=True)]
        labels = [torch.cat([torch.full_like(p, IGNORED_LABEL), a]) for p, a in zip(asked, said, strict=True)]
    else:
        read, labels = list(asked), list(said)
    found = {
        "input_ids": _padded(read, 0),
        "attention_mask": _padded([torch.ones_like(one) for one in read], 0),
        "labels": _padded(labels, IGNORED_LABEL),
    }
    if kind == "causal":
        ids = found["input_ids"]
        found["position_ids"] = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    return {whose + name: values for name, values in found.items()}


def _padded(rows: Sequence[Tensor], filler: int) -> Tensor:
    return nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=filler)
