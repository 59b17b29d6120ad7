"""Train a new language model from scratch, on texts and on generated sentences, and ship it as a folder.

The stream is `documents`, the loop the core's trainer, the loss cross-entropy on the next token. Held-out lines and
generated sentences, half of them of lemmas and patterns kept for choosing, select it; no test part is looked at.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from stillroom.core.keys import key
from stillroom.core.objectives import IGNORED_LABEL, cross_entropy
from stillroom.core.recipes import checked
from stillroom.core.runs import Run
from stillroom.core.settings import TrainSettings
from stillroom.core.trainer import DistillTrainer
from stillroom.language.documents import Corpus, Documents, Generated, Lesson, Sentences, chat_ids, document, read
from stillroom.language.grammar.lexicon import Part
from stillroom.language.grammar.mistakes import SHARES
from stillroom.language.scratch import Shape, network, vocabulary

VOCABULARY_LINES = 20_000  # of each corpus: enough for the few merges of a small vocabulary
JUDGED, SHOTS = 192, 4  # sentences that choose, and the corrected ones that each of them follows


class PretrainRecipe(BaseModel):
    """A recipe for `pretrain`.

    Parameters
    ----------
    model
        Sizes of the network.
    base
        A folder whose weights and vocabulary it begins with, in place of `model` and `tokenizer`; None: random ones.
    tokenizer
        A folder whose vocabulary it shares; None: a new one, made of the corpora.
    corpora
        What it reads.
    lessons
        Shares of the kinds of documents (see `documents`).
    mistakes
        How often a sentence to correct has none, one, two, … of them. Many teach more a step; the last steps should
        see as many as there will be.
    tokens
        Of a row; a step sees `train.batch_size` rows.
    train
        The core's settings. `select_by` is `loss` on held-out lines, or, where corrections are among the lessons,
        `few-shot`: the share of the sentences of `exams` that are not corrected exactly after four corrected ones.
    compiled
        Whether `torch.compile` makes the steps faster, which needs a C++ compiler and pays after some hundred of them.
    card
        What the model card says: `title`, `text`, `license`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Shape = Shape()
    base: str | None = None
    tokenizer: str | None = None
    corpora: tuple[Corpus, ...] = Field(min_length=1)
    lessons: dict[Lesson, float] = Field(min_length=1)
    mistakes: tuple[NonNegativeFloat, ...] = Field(default=SHARES, min_length=1)
    tokens: PositiveInt = 512
    train: TrainSettings
    compiled: bool = False
    card: dict[str, str] = Field(default_factory=dict)


def pretrain(recipe: PretrainRecipe | Mapping[str, Any] | str | Path, folder: str | Path) -> Run:
    """Train from scratch, going on where a killed run stopped, and write the model into `folder`.

    It then loads with plain `AutoModelForCausalLM`, and `transformers serve` serves it. Weights are kept in half
    precision, with `"dtype": "float32"` in the config so that they load as what CPUs are fast at.

    Raises
    ------
    RecipeError, DataError, ModelError
        As the recipe, its corpora and its tokenizer have it.
    """
    from stillroom.language.handover import save_model
    from stillroom.language.students import load

    recipe = checked(PretrainRecipe, recipe)
    corpora = [(read(corpus, recipe.mistakes), corpus.weight) for corpus in recipe.corpora]
    learned = [(parts[0], weight) for parts, weight in corpora]
    held_out = [(parts[1], weight) for parts, weight in corpora]
    run = Run.create(
        folder,
        recipe={"family": "language", "verb": "pretrain", **recipe.model_dump(mode="json")},
        seeds={"seed": recipe.train.seed},
        data={"trained_on": [fingerprint(sentences) for sentences, _ in learned]},
    )
    started = time.monotonic()
    tokenizer = _tokenizer(recipe, [sentences for sentences, _ in learned], run.folder)
    model = network(recipe.model, tokenizer, recipe.train.seed) if recipe.base is None else load(recipe.base).model
    if recipe.compiled:
        model.model.compile(dynamic=False)
    rows, tokens = recipe.train.batch_size, recipe.tokens
    judges = Documents(tokenizer, held_out, recipe.lessons, rows=rows, tokens=tokens, seed=-1)
    grammars = sorted({code for corpus in recipe.corpora for code in corpus.grammar})
    asked = exams(tokenizer, grammars) if grammars and "correct" in recipe.lessons else {}
    trainer = DistillTrainer(
        model,
        losses,
        recipe.train,
        run.folder / "checkpoints",
        train_data=Documents(tokenizer, learned, recipe.lessons, rows=rows, tokens=tokens, seed=recipe.train.seed),
        validate=partial(assess, [judges[number] for number in range(8)], asked),
    )
    trainer.train()
    save_model(model, tokenizer, run.folder)
    run.record(
        metrics={"chosen_at": trainer.best},
        cost={"train_seconds": time.monotonic() - started, "parameters": sum(p.numel() for p in model.parameters())},
    )
    run.write_card(
        recipe.card.get("title", "A small language model"),
        recipe.card.get("text", ""),
        license=recipe.card.get("license", "apache-2.0"),
        library_name="transformers",
        pipeline_tag="text-generation",
    )
    return run


def losses(model: nn.Module, batch: Mapping[str, Tensor], teacher: None = None) -> dict[str, Tensor]:
    """Return the mean cross-entropy of the tokens that are learned; the batch is one of `Documents`."""
    logits, labels = answers(model, batch)
    return {"next_token": cross_entropy(logits, labels)}


def answers(model: Any, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return logits (n, vocabulary) and labels (n,) at the n tokens that have a label."""
    labels = batch["labels"][:, 1:]
    hidden = model.model(input_ids=batch["input_ids"], use_cache=False).last_hidden_state[:, :-1]
    known = labels != IGNORED_LABEL
    return model.lm_head(hidden[known]), labels[known]


def exams(tokenizer: Any, languages: Sequence[str]) -> dict[str, list[dict[str, Tensor]]]:
    """Return sentences to correct: `few-shot` after corrected ones, and `zero-shot` alone.

    Every other one has lemmas and a pattern that are kept for choosing, the rest those that are learned.
    """
    random = Random("exams")
    shown = [Generated([code]).draw(random) for code in islice(cycle(languages), SHOTS)]
    before = [token for piece, _ in document(tokenizer, "correct", shown) for token in piece]
    found: dict[str, list[dict[str, Tensor]]] = {"few-shot": [], "zero-shot": []}
    for number, code in enumerate(islice(cycle(languages), JUDGED)):
        part: Part = "choose" if number // len(languages) % 2 else "train"
        source, right = Generated([code], part).draw(random)
        answer = [*tokenizer(right).input_ids, tokenizer.eos_token_id]
        for name, shots in (("few-shot", before), ("zero-shot", [])):
            prompt = [*shots, *chat_ids(tokenizer, source)]
            labels = [IGNORED_LABEL] * len(prompt) + answer
            found[name].append({"input_ids": torch.tensor([prompt + answer]), "labels": torch.tensor([labels])})
    return found


def assess(
    held_out: Sequence[Mapping[str, Tensor]], asked: Mapping[str, Sequence[Mapping[str, Tensor]]], model: nn.Module
) -> dict[str, float]:
    """Return `loss` on held-out documents, and the share of the exams' sentences that are not answered exactly.

    An answer is what greedy decoding would give if and only if each of its tokens is the likeliest after those before
    it: one forward pass tells, and nothing need be generated.
    """
    with torch.compiler.set_stance("force_eager"):  # each sentence has a length of its own
        found = {"loss": sum(float(losses(model, batch)["next_token"]) for batch in held_out) / len(held_out)}
        for name, rows in asked.items():
            right = 0
            for row in rows:
                logits, labels = answers(model, row)
                right += bool((logits.argmax(-1) == labels).all())
            found[name] = 1 - right / len(rows)
    return found


def fingerprint(sentences: Sentences) -> str:
    """Return a hash of what a corpus gives."""
    random = Random(0)
    return key(drawn=[list(sentences.draw(random)) for _ in range(100)])[:16]


def _tokenizer(recipe: PretrainRecipe, corpora: Sequence[Sentences], folder: Path) -> Any:
    """The recipe's, or a new one that is made once a run."""
    from transformers import AutoTokenizer

    from stillroom.language.students import tokenizer_of

    if (known := recipe.base or recipe.tokenizer) is not None:
        return tokenizer_of(known)
    place = folder / "checkpoints" / "tokenizer"
    if not place.exists():
        random = Random(0)
        texts = (corpus.draw(random)[1] for corpus in corpora for _ in range(VOCABULARY_LINES))
        aside = place.with_suffix(".new")
        vocabulary(texts, recipe.model).save_pretrained(aside)
        aside.replace(place)
    return AutoTokenizer.from_pretrained(place)
