"""Language models by name: which folders and hub ids are ours, and how what is loaded answers rows.

What a training of ours left is asked as it was trained: with its recipe's prompt, and its room for an answer. Importing
this module imports neither torch nor transformers: loading a model does. It knows no right answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stillroom.core.errors import ModelError
from stillroom.core.folders import HUB_ID, cached_config, record
from stillroom.core.protocols import Generator
from stillroom.core.recipes import checked
from stillroom.core.registry import ModelFamily
from stillroom.language.prompting import StudentPrompt

if TYPE_CHECKING:
    from stillroom.language.answering import Answered
    from stillroom.language.rows import Row
    from stillroom.language.students import Student

WRITERS = ("ForCausalLM", "LMHeadModel")
BOTH_SIDES = "ForConditionalGeneration"
CLASSIFIERS = "ForSequenceClassification"
OTHERS = ("chronos_config", "chronos_pipeline_class")
"""What only other families' configs say: Chronos-T5 is a T5ForConditionalGeneration as well."""


@dataclass(frozen=True)
class Habit:
    """What a model is used to, from the recipe that trained it.

    Parameters
    ----------
    prompt
        What it is asked where nobody says otherwise.
    prompts
        Of tasks that have one of their own.
    max_new_tokens
        Room for an answer.
    two_tasks
        Whether it also learned to give reasons, and must be told that it is to answer (see `rationale`).
    """

    prompt: StudentPrompt = field(default_factory=StudentPrompt)
    prompts: Mapping[str, StudentPrompt] = field(default_factory=dict)
    max_new_tokens: int | Literal["auto"] = "auto"
    two_tasks: bool = False


@dataclass(eq=False)
class Answerer:
    """A language model or a classifier that answers rows; a `core.protocols.Generator`.

    Parameters
    ----------
    student
        The model.
    habit
        What it is used to.
    notes
        What is to be said of the last answers: how many were cut before they ended.
    """

    student: Student
    habit: Habit = field(default_factory=Habit)
    notes: str | None = None

    @property
    def model(self) -> Any:
        """The network."""
        return self.student.model

    def answer(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        prompt: Mapping[str, Any] | None = None,
        max_new_tokens: int | None = None,
    ) -> list[str | None]:
        """Return its answers, decoded greedily; None where one was cut before it ended.

        Raises
        ------
        RecipeError
            A prompt that cannot be meant, or a chat for a model without a chat template.
        DataError
            A row without what the prompt asks for, or one that leaves no room in the model's context.
        """
        asked = None if prompt is None else checked(StudentPrompt, prompt)
        said = self.ask([_row(row) for row in rows], asked, max_new_tokens)
        cut = sum(text is None for text in said.texts)
        self.notes = f"{cut} of {len(rows)} answers were cut before they ended" if cut else None
        return said.texts

    def ask(
        self, rows: Sequence[Row], prompt: StudentPrompt | None = None, max_new_tokens: int | None = None
    ) -> Answered:
        """Return its answers and how it went; without a prompt it is asked what it is used to. Raises as `answer`."""
        from stillroom.language.answering import answer
        from stillroom.language.rationale import to_answer

        return answer(
            self.student,
            to_answer(rows) if self.habit.two_tasks else rows,
            prompt or self.habit.prompt,
            prompts=self.habit.prompts if prompt is None else None,
            max_new_tokens=max_new_tokens or self.habit.max_new_tokens,
        )

    def prompt_of_form(self, form: str | None) -> StudentPrompt | None:
        """Return the prompt it is used to in another form; None for None."""
        if form is None:
            return None
        return checked(StudentPrompt, {**self.habit.prompt.model_dump(exclude_defaults=True), "form": form})


def claims(source: str) -> bool:
    """Say whether a folder or hub id writes text, from `config.json`, an adapter's manifest or `run.json` alone.

    Ours are causal language models, encoder-decoders, adapters on either or on a classifier, and what a recipe of this
    package trained. A hub id must be in the local cache; write `language:OWNER/NAME` for others.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        if (recipe := record(folder / "run.json").get("recipe")) is not None:
            return isinstance(recipe, dict) and recipe.get("family") == "language"
        network = str(record(folder / "stillroom_adapter.json").get("architecture", ""))
        return _writes(record(folder / "config.json")) or network.endswith((*WRITERS, BOTH_SIDES, CLASSIFIERS))
    if not HUB_ID.fullmatch(source):
        return False
    return _writes(cached_config(source) or {})


def load(source: str | Path, *, device: str = "cpu") -> Answerer:
    """Load a model that answers rows: a folder, a hub id, an adapter of ours, or what a Run kept.

    A Run whose gate kept no student gives its base, asked as the student would be.

    Raises
    ------
    ModelError
        No such model, or a Run whose training has not ended. Otherwise as `students.load`.
    """
    from stillroom.language import students

    folder = Path(source).expanduser()
    run = record(folder / "run.json")
    recipe = run.get("recipe")
    habit, student = Habit(), None
    if isinstance(recipe, dict) and recipe.get("family") == "language":
        habit = habit_of(recipe)
        if not run.get("metrics"):
            raise ModelError(f"The training in {folder} has not ended: run it again, and it goes on where it stopped.")
        if not any((folder / name).is_file() for name in ("config.json", "stillroom_adapter.json")):
            part = recipe["student"]
            student = students.load(
                part["model"], part.get("kind", "auto"), classes=part.get("classes"), seed=recipe["train"]["seed"]
            )
    student = student or students.load(source)
    if student.model.device.type != device:
        student.model.to(device)
    return Answerer(student, habit)


def habit_of(recipe: Mapping[str, Any]) -> Habit:
    """Return what a student is used to that was trained by a recipe of `distill`; of another verb, a plain chat."""
    if recipe.get("verb") != "distill":
        return Habit()
    return Habit(
        prompt=checked(StudentPrompt, recipe.get("prompt") or {}),
        prompts={
            source.get("task", ""): checked(StudentPrompt, source["prompt"])
            for source in recipe.get("data") or ()
            if source.get("prompt")
        },
        max_new_tokens=recipe.get("max_new_tokens") or "auto",
        two_tasks=(recipe.get("objective") or {}).get("rationale") is not None,
    )


def _row(values: Mapping[str, Any]) -> Row:
    from stillroom.language.rows import Row

    others = {name: value for name, value in values.items() if name not in ("input", "task", "group")}
    return Row(values["input"], task=str(values.get("task") or ""), group=str(values.get("group") or ""), extra=others)


def _writes(config: Mapping[str, Any]) -> bool:
    if any(name in config for name in OTHERS):
        return False
    network = str((config.get("architectures") or [""])[0])
    return network.endswith(WRITERS) or (network.endswith(BOTH_SIDES) and bool(config.get("is_encoder_decoder")))


family = ModelFamily(load=load, claims=claims, can=(Generator,))
