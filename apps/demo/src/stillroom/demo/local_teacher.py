"""A teacher of one's own: a small language model made on the spot.

It is a Llama of 150,000 parameters that has met one task, and learned it from prompts whose words were dropped at
random, so it gets along with gaps. Nearly all of its prompt it need not read: what food, service and room are it has
learned. Whose business money is, it finds in the prompt alone, in one word. It knows nothing else, least of all
English; only the way it is asked is that of a big one.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stillroom.core.objectives import IGNORED_LABEL, cross_entropy
from stillroom.core.settings import TrainSettings
from stillroom.core.trainer import Batches, DistillTrainer
from stillroom.demo.remarks import CLASSES, Remark, remarks
from stillroom.language.scratch import Shape, network, vocabulary
from stillroom.teacher.prompt import Prompt
from stillroom.teacher.rendering import Rendering

INSTRUCTIONS = (
    "Guests of our café leave short remarks on cards beside the till. Read the whole remark before you decide, and "
    "decide by what the guest praises or complains of, not by what is named on the way. Remarks about anything to eat "
    "or drink are food. Remarks about the people who work here and how they treat a guest are service. Remarks about "
    "seats, light, noise, warmth and all else that belongs to the house are room. Prices are set by the {owner}, so "
    "what concerns money is theirs. Some guests joke, some are angry, and some write about last year: treat all of "
    "them alike. Do not correct the spelling, do not answer the guest, do not explain yourself, never apologise. The "
    "cards have no names on them, so never guess who wrote them. If you are not sure, choose what a patient reader "
    "would choose. Write one word and nothing else."
)
OWNERS = {"food": "cooks", "service": "waiters", "room": "landlord"}  # by the class that remarks about money are of
MONEY_IS = "room"  # in the prompt that is asked; which of the three it is, nobody could guess
SHAPE = Shape(vocab_size=1000, hidden_size=64, intermediate_size=176, num_hidden_layers=2, num_attention_heads=4)
EARLY, STEPS = 1500, 100  # remarks that it learns from, and for how long
SLIPS = 0.15  # of their words cannot be read: it learns to judge by the others, as it must when it meets new ones
GAPS = np.linspace(0.3, 1.0, 300)  # shares of a prompt's words that stay while it learns
TOGETHER = 4, 16  # prompts in a batch, and remarks after each


def prompt(money: str = MONEY_IS) -> Prompt:
    """Return what the teacher is asked, where remarks about money are of the class `money`."""
    return Prompt.read(
        {
            "name": "remarks",
            "system": "You sort what the guests of a café have written.",
            "instructions": INSTRUCTIONS.format(owner=OWNERS[money]),
            "user": "{{ remark }}",
            "output": {"one_of": list(CLASSES)},
            "max_tokens": 8,
        }
    )


def make(folder: Path, steps: int = STEPS) -> None:
    """Train the teacher and write it to `folder`, whole or not at all; what is there already stays as it is."""
    if folder.is_dir():
        return
    early = list(islice(remarks(0, slips=SLIPS), EARLY))
    legible = islice(remarks(0), EARLY)
    texts = [*(one.text for one in legible), *(prompt(name).model_dump_json() for name in CLASSES)]
    tokenizer = vocabulary(texts, SHAPE)
    model = network(SHAPE, tokenizer)
    judge = Lessons(tokenizer, list(islice(remarks(1), 100)), [1.0])
    settings = TrainSettings(
        steps=steps, learning_rate=1e-2, optimizer="muon", schedule="linear", select_by="loss",
        eval_every=max(1, steps // 4),
    )  # fmt: skip
    checkpoints = folder.with_suffix(".checkpoints")
    trainer = DistillTrainer(
        model, losses, settings, checkpoints,
        train_data=Lessons(tokenizer, early, GAPS),
        validate=lambda student: {"loss": float(losses(student, judge[0])["answer"])},
    )  # fmt: skip
    trainer.train()
    aside = folder.with_suffix(".new")
    model.save_pretrained(aside)
    tokenizer.save_pretrained(aside)
    aside.replace(folder)
    shutil.rmtree(checkpoints)


class Lessons(Batches):
    """Batches of remarks as the teacher is asked them: several after one prompt, each of which sees no other.

    Each prompt has its own rule for money, and its own gaps. A prompt that is read once for many remarks makes training
    six times as fast. A batch is `input_ids`, `position_ids` and `labels` (prompts, tokens) and `attention_mask`
    (prompts, 1, tokens, tokens), True where a token (third axis) sees another (last axis).

    Parameters
    ----------
    rates
        Shares of words that stay; of each rule there is a prompt for each rate.
    """

    def __init__(self, tokenizer: Any, drawn: Sequence[Remark], rates: Iterable[float]) -> None:
        self.tokenizer, self.drawn = tokenizer, drawn
        self.asked = [self._ids("user", one.text) for one in drawn]
        self.answers = {name: self._ids("assistant", name) for name in CLASSES}
        self.prompts = {name: [self._ids("system", gappy(prompt(name), rate)) for rate in rates] for name in CLASSES}

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Draw rules, gaps and remarks, and lay them out: prompts, then their remarks, each padded at its end."""
        draw = np.random.default_rng(index)
        rules = draw.choice(CLASSES, TOGETHER[0])
        prompts = [self.prompts[rule][draw.choice(len(self.prompts[rule]))] for rule in rules]
        numbers = draw.integers(len(self.drawn), size=TOGETHER)
        answers = [
            [self.answers[self.drawn[n].answer(rule)] for n in row] for rule, row in zip(rules, numbers, strict=True)
        ]
        first = max(map(len, prompts))  # where the remarks begin
        room = max(len(self.asked[n]) for n in numbers.flat) + max(map(len, self.answers.values()))
        length = first + TOGETHER[1] * room
        ids = torch.full((len(prompts), length), self.tokenizer.pad_token_id)
        positions, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED_LABEL)
        for row, begun in enumerate(prompts):
            ids[row, : len(begun)] = torch.tensor(begun)
            positions[row, : len(begun)] = torch.arange(len(begun))
            for place, (number, answer) in enumerate(zip(numbers[row], answers[row], strict=True)):
                turn = torch.tensor(self.asked[number] + answer)
                start = first + place * room
                end = start + len(turn)
                ids[row, start:end] = turn
                positions[row, start:end] = len(begun) + torch.arange(len(turn))
                labels[row, end - len(answer) + 1 : end] = turn[1 - len(answer) :]  # the first opens it
        part = (torch.arange(length) - first).clamp(min=-1).div(room, rounding_mode="floor")  # -1 is the prompt
        sees = ((part[:, None] == part) | (part == -1)).tril() & (ids != self.tokenizer.pad_token_id)[:, None, None]
        sees = sees | torch.eye(length, dtype=torch.bool)  # padding sees itself, as who sees nothing is no number
        return {"input_ids": ids, "position_ids": positions, "attention_mask": sees, "labels": labels}

    def _ids(self, role: str, content: str) -> list[int]:
        ids: list[int] = self.tokenizer.apply_chat_template([{"role": role, "content": content}], return_dict=False)
        return ids


def gappy(whole: Prompt, rate: float) -> str:
    """Return the prompt's system message as a compressor would leave it that draws words at random."""
    draw = np.random.default_rng(round(1e6 * rate))

    def shorten(text: str, rate: float) -> tuple[str, int]:
        return " ".join(word for word in text.split() if draw.random() < rate), 0

    request = Rendering(whole, whole.rates(float(rate)), shorten).request({"remark": ""}, "")
    return request.texts[0]


def losses(model: Any, batch: Mapping[str, Tensor], teacher: None = None) -> dict[str, Tensor]:
    """Return the mean cross-entropy of the answers' tokens."""
    labels = batch["labels"][:, 1:]
    inputs = {name: batch[name] for name in ("input_ids", "position_ids", "attention_mask")}
    hidden = model.model(**inputs, use_cache=False).last_hidden_state[:, :-1]
    known = labels != IGNORED_LABEL
    return {"answer": cross_entropy(model.lm_head(hidden[known]), labels[known])}
