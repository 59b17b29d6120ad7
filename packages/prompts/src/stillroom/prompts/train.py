"""Train a compressor: fit an encoder to tell tokens to keep from tokens to drop, and ship it as a folder.

The encoder is a new small one (`architecture`) or a published one. It learns from people's labels, from rules' soft
ones, or from a bigger compressor (`lecturer`), through the core's trainer; held-out texts choose the weights, and a
killed run goes on from its newest checkpoint. Loss is cross-entropy a token; special tokens and padding do not count.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator
from torch import Tensor, nn

from stillroom.core import halves
from stillroom.core.errors import ModelError
from stillroom.core.objectives import cross_entropy, forward_kl
from stillroom.core.progress import progress
from stillroom.core.recipes import checked, filled_in
from stillroom.core.runs import Run, write_atomic
from stillroom.core.settings import TrainSettings
from stillroom.core.targets import TargetStore
from stillroom.core.trainer import DistillTrainer
from stillroom.prompts.architecture import LABELS, Architecture, fast, network, vocabulary
from stillroom.prompts.evaluate import agreement, labelled, word_scores
from stillroom.prompts.examples import Example
from stillroom.prompts.lecturer import Lecturer
from stillroom.prompts.mixture import Corpus, Documents
from stillroom.prompts.scorer import Scorer
from stillroom.prompts.sources import HeldOut, Source, fingerprint, read

SHORTFALL = "shortfall"  # the metric that selects; lower is better
VOCABULARY_WORDS = 3_000_000  # that a vocabulary is trained on; no corpus gives more than its share, so none crowds out
SURE = 1e-4  # a teacher's certainty ends here: scores are rounded to as much


class Teacher(BaseModel):
    """The `teacher` part of a recipe: a bigger compressor.

    Parameters
    ----------
    model
        A folder or hub id.
    targets
        `live` asks it anew for every batch; `stored` keeps its answers in `store`.
    store
        Path of the target store; None: in the Run's folder. Runs with the same teacher share one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    targets: Literal["live", "stored"] = "live"
    store: str | None = None


class TrainRecipe(BaseModel):
    """A recipe for `train`.

    Parameters
    ----------
    base
        A published encoder, by folder or hub id; or
    architecture
        the sizes of a new one.
    corpora
        What it learns from.
    held_out
        What chooses the weights: `shortfall` is the weighted mean of 1 − F1 over their rates.
    tokens
        Padded tokens a batch.
    sentences
        See `mixture.Corpus`: by default 1 to 6, and now and then as many as fill the model's window.
    lowercase
        Share of the documents that lose their capitals.
    batches
        Distinct batches, after which they come round again; None: each is new. For a teacher whose answers are stored.
    teacher
        None: the labels of the corpora teach.
    weights
        Of the losses `labels` and `teacher`; by default the teacher's alone if there is one.
    train
        The core's settings; `select_by` is always `shortfall`, and `batch_size` means nothing here.
    card
        What the model card says: `title`, `text`, `license`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: str | None = None
    architecture: Architecture | None = None
    corpora: tuple[Source, ...] = Field(min_length=1)
    held_out: tuple[HeldOut, ...] = Field(min_length=1)
    tokens: PositiveInt = 4096
    sentences: tuple[PositiveInt, ...] = Field(default=(1, 1, 2, 2, 3, 4, 6, 16), min_length=1)
    lowercase: float = Field(default=0.0, ge=0, le=1)
    batches: PositiveInt | None = None
    teacher: Teacher | None = None
    weights: dict[Literal["labels", "teacher"], float] = Field(default_factory=dict)
    train: TrainSettings
    card: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _selected_by_f1(cls, recipe: Any) -> Any:
        train = recipe.get("train") if isinstance(recipe, Mapping) else None
        if not isinstance(train, Mapping):
            return recipe
        return {**recipe, "train": {"select_by": SHORTFALL, **train}}

    @model_validator(mode="after")
    def _possible(self) -> TrainRecipe:
        if (self.base is None) == (self.architecture is None):
            raise ValueError("a recipe has either a base or an architecture")
        if self.train.select_by != SHORTFALL:
            raise ValueError(f"select_by is always {SHORTFALL}: say in held_out what counts")
        if self.teacher is None and "teacher" in self.weights:
            raise ValueError("weights.teacher needs a teacher")
        if self.teacher is not None and self.train.workers:
            raise ValueError("a teacher is asked while batches are made, in this process: train.workers must be 0")
        return self


def train(recipe: TrainRecipe | Mapping[str, Any] | str | Path, folder: str | Path) -> Run:
    """Train, going on where a killed run stopped, and write the model into `folder`.

    The folder loads with `Compressor.from_pretrained`, and with transformers as a token classifier (0 drop, 1 keep).
    Weights are kept in half precision, with `"dtype": "float32"` in the config so that they load as what CPUs are fast
    at.

    Raises
    ------
    RecipeError, MissingError, DataError, ModelError
        As the recipe, its corpora and its models have it.
    """
    recipe = checked(TrainRecipe, recipe)
    with progress("reading corpora", total=len(recipe.corpora) + len(recipe.held_out)) as advance:
        corpora, held_out = [], []
        for source in recipe.corpora:
            corpora.append(Corpus(read(source), source.weight, source.sentences or recipe.sentences))
            advance()
        for judge in recipe.held_out:
            held_out.append((judge, read(judge)))
            advance()
    run = Run.create(
        folder,
        recipe={"family": "prompts", "verb": "train", **recipe.model_dump(mode="json")},
        seeds={"seed": recipe.train.seed},
        data={
            "trained_on": _prints(recipe.corpora, [corpus.examples for corpus in corpora]),
            "held_out": _prints(recipe.held_out, [examples for _, examples in held_out]),
        },
    )
    started = time.monotonic()
    model, tokenizer = _student(recipe, corpora, run.folder)
    scorer = Scorer.of(model, tokenizer)
    teacher = None if recipe.teacher is None else _teacher(recipe.teacher, run.folder)
    trainer = DistillTrainer(
        model,
        losses,
        recipe.train,
        run.folder / "checkpoints",
        train_data=Documents(
            corpora,
            scorer,
            tokens=recipe.tokens,
            lowercase=recipe.lowercase,
            teacher=teacher,
            count=recipe.batches,
            seed=recipe.train.seed,
        ),
        validate=partial(assess, scorer, [Judged(scorer, judge, examples) for judge, examples in held_out]),
        weights={str(name): weight for name, weight in recipe.weights.items()}
        or {"labels" if teacher is None else "teacher": 1.0},
    )
    trainer.train()
    halves.save_pretrained(model, run.folder)
    tokenizer.save_pretrained(run.folder)
    run.record(
        metrics={"chosen_at": trainer.best},
        cost={"train_seconds": time.monotonic() - started, "parameters": sum(p.numel() for p in model.parameters())},
    )
    front = {"license": recipe.card["license"]} if "license" in recipe.card else {}
    run.write_card(
        recipe.card.get("title", "A prompt compressor"),
        recipe.card.get("text", ""),
        library_name="transformers",
        pipeline_tag="token-classification",
        **front,
    )
    return run


def losses(model: nn.Module, batch: dict[str, Tensor], teacher: None = None) -> dict[str, Tensor]:
    """Return `labels`, the cross-entropy with hard or soft labels, and, where a teacher spoke, `teacher`, its KL.

    Means over the tokens that have a label; the batch is one of `Documents`.
    """
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    known = batch["labels"] >= 0
    named = {"labels": cross_entropy(logits, _two(batch["labels"]), known)}
    if "teacher" in batch:
        said = batch["teacher"].clamp(SURE, 1 - SURE)
        named["teacher"] = forward_kl(logits, _two(said).log(), batch["teacher"] >= 0)
    return named


def _two(keep: Tensor) -> Tensor:
    return torch.stack((1 - keep, keep), dim=-1)


class Judged:
    """A held-out corpus, cut into words and tokens once."""

    def __init__(self, scorer: Scorer, judge: HeldOut, examples: list[Example]) -> None:
        self.label, self.rates, self.examples = judge.label, judge.rates, examples
        self.words = [labelled(example) for example in examples]
        self.tokens = scorer.tokenize([example.text for example in examples])


def assess(scorer: Scorer, held_out: Sequence[Judged], model: nn.Module) -> dict[str, float]:
    """Return each held-out corpus' F1 at each of its rates, and `shortfall`."""
    found: dict[str, float] = {}
    short = total = 0.0
    for judge in held_out:
        scores = word_scores(scorer, judge.words, judge.tokens)
        reached = agreement(scores, judge.examples, judge.rates)
        found |= {f"{judge.label} {rate}": value for rate, value in reached.items()}
        short += sum(weight * (1 - reached[str(rate)]) for rate, weight in judge.rates.items())
        total += sum(judge.rates.values())
    return {SHORTFALL: short / total, **found}


def _student(recipe: TrainRecipe, corpora: Sequence[Corpus], folder: Path) -> tuple[Any, Any]:
    """The model with its starting weights, and its tokenizer; a vocabulary is made once a run."""
    if recipe.architecture is None:
        return _published(str(recipe.base), recipe.train.seed)
    from tokenizers import Tokenizer

    place = folder / "checkpoints" / "vocabulary.json"
    if not place.exists():
        write_atomic(place, vocabulary(_shares(corpora), recipe.architecture.vocab_size).to_str(pretty=False))
    tokenizer = fast(Tokenizer.from_file(str(place)), recipe.architecture.max_position_embeddings)
    return network(recipe.architecture, tokenizer, recipe.train.seed), tokenizer


def _published(source: str, seed: int) -> tuple[Any, Any]:
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    from stillroom.core.hub import cache_only_without_network

    try:
        with cache_only_without_network(), torch.random.fork_rng([]):
            torch.manual_seed(seed)  # the head is new
            model = AutoModelForTokenClassification.from_pretrained(
                source, num_labels=2, trust_remote_code=False, dtype=torch.float32, ignore_mismatched_sizes=True
            )
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{source} cannot be loaded as an encoder: {str(error).splitlines()[0]}") from error
    if not tokenizer.is_fast:
        raise ModelError(f"{source} has no fast tokenizer (tokenizer.json), which says where tokens lie in a text.")
    for name, value in LABELS.items():
        setattr(model.config, name, value)
    return model, tokenizer


def _teacher(teacher: Teacher, folder: Path) -> Lecturer:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    scorer = Scorer.from_pretrained(teacher.model, device)
    if teacher.targets == "live":
        return Lecturer(scorer)
    return Lecturer(scorer, TargetStore(filled_in(teacher.store) if teacher.store else folder / "targets.db"))


def _shares(corpora: Sequence[Corpus]) -> Iterator[str]:
    """The texts that a vocabulary is made of: of each corpus the first, up to its share of the words."""
    total = sum(corpus.weight for corpus in corpora)
    for corpus in corpora:
        words = 0
        for example in corpus.examples:
            if words > VOCABULARY_WORDS * corpus.weight / total:
                break
            words += len(example.keep)
            yield example.text


def _prints(sources: Iterable[Source], read: Iterable[Sequence[Example]]) -> dict[str, dict[str, Any]]:
    """What was read, by name: how many texts and words, and a hash of them."""
    found: dict[str, dict[str, Any]] = {}
    for number, (source, examples) in enumerate(zip(sources, read, strict=True)):
        name = source.label if source.label not in found else f"{source.label} ({number})"
        words = sum(len(example.keep) for example in examples)
        found[name] = {"texts": len(examples), "words": words, "sha256": fingerprint(examples)}
    return found
