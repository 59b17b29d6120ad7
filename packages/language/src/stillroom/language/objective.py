"""What a student is to learn from: the `objective` part of a recipe, checked before anything heavy is loaded.

It is data: losses.py turns it into tensors, teachers.py loads the teacher, on_policy.py draws the student's answers.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from stillroom.core.errors import RecipeError
from stillroom.language.prompting import StudentPrompt

Name = Literal["labels", "forward_kl", "reverse_kl", "skewed_forward_kl", "skewed_reverse_kl", "jsd"]
TOP_K = 64  # tokens: what is left beyond them is seldom a hundredth of the probability


class TeacherPart(BaseModel):
    """The teacher whose probabilities the student learns.

    Parameters
    ----------
    model
        A folder, a hub id or a registered name. It must write in the student's tokens (see `vocabulary`).
    prompt
        What the teacher is asked, its examples included; None: the student's own prompt.
    targets
        `live` keeps the teacher in memory and asks it in every step. `stored` asks once a row, before training, and
        keeps the likeliest tokens: cheaper from the second pass over the rows on, and the teacher need not fit beside
        the student.
    top_k
        Stored: how many tokens are kept of each answer token's distribution, beside one bucket for the rest. None: 64.
    store
        Stored: path of the target store; None: in the Run's folder. Runs with the same teacher and rows share one.
    precision
        What the teacher computes in. `bf16` halves its memory, and is faster on GPUs; most CPUs are slower with it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    prompt: StudentPrompt | None = None
    targets: Literal["live", "stored"] = "live"
    top_k: PositiveInt | None = None
    store: str | None = None
    precision: Literal["fp32", "bf16"] = "fp32"


class Hidden(BaseModel):
    """Hidden states of the student that should resemble the teacher's, at the answer tokens.

    Parameters
    ----------
    weight
        Of this loss beside the others.
    layers
        Student's layer: teacher's layer. 0 is the embedding, −1 the last.
    match
        `relations` compares how alike the states of any two tokens are, whatever the widths; `values` compares the
        states themselves, and needs networks of one width. Nothing is projected: see `losses.relations`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    weight: PositiveFloat
    layers: dict[int, int] = Field(default={-1: -1}, min_length=1)
    match: Literal["relations", "values"] = "relations"


class OnPolicyPart(BaseModel):
    """Answers that the student gives itself, for the teacher to judge.

    Parameters
    ----------
    fraction
        Of the steps that learn from the student's answers; the others learn from the stored ones. λ of the paper.
    temperature
        Of the drawing; at 1, the paper's choice, the student is judged on what it would say.
    max_new_tokens
        An answer is cut after so many tokens, and learned from as far as it goes.

    References
    ----------
    Agarwal et al. (2024), On-Policy Distillation of Language Models (GKD), section 3.1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fraction: float = Field(default=1.0, ge=0, le=1)
    temperature: PositiveFloat = 1.0
    max_new_tokens: PositiveInt = 128


class Objective(BaseModel):
    """The `objective` part of a recipe.

    Parameters
    ----------
    name
        `labels`: cross-entropy on the stored answers, no teacher. The others are divergences from the teacher, token by
        token: `forward_kl` covers all that it may say, `reverse_kl` says nothing that it would not, the skewed ones
        bound both, and `jsd` lies between (see `stillroom.core.objectives`).
    temperature
        Divides both sides' logits. The divergence is then weighed by its square, so that gradients keep their size
        (Hinton et al. 2015, section 2).
    beta
        Of `jsd`: 0 is the forward KL, 1 the reverse, 0.5 the symmetric one.
    skew
        Of the skewed ones.
    labels_weight
        Of the cross-entropy on the stored answers, beside a divergence that weighs 1.
    hidden
        See `Hidden`.
    on_policy
        See `OnPolicyPart`.
    rationale
        Weight α of the cross-entropy on rationales, which rows bring as a task of their own (Hsieh et al. 2023,
        Distilling Step-by-Step, section 3.2); None: there are none.
    teacher
        See `TeacherPart`.

    Raises
    ------
    RecipeError
        Things that cannot be meant together.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name = "labels"
    temperature: PositiveFloat = 1.0
    beta: float = Field(default=0.5, ge=0, le=1)
    skew: float = Field(default=0.1, gt=0, lt=1)
    labels_weight: float = Field(default=0.0, ge=0)
    hidden: Hidden | None = None
    on_policy: OnPolicyPart | None = None
    rationale: PositiveFloat | None = None
    teacher: TeacherPart | None = None

    def weights(self) -> dict[str, float]:
        """Return the weight of each named loss, for the trainer."""
        weights = {"labels": 1.0} if self.name == "labels" else {"teacher": self.temperature**2}
        if self.name != "labels" and self.labels_weight:
            weights["labels"] = self.labels_weight
        if self.hidden is not None:
            weights["hidden"] = self.hidden.weight
        if self.rationale is not None:
            weights["rationale"] = self.rationale
        return weights

    @model_validator(mode="after")
    def _meant(self) -> Objective:
        for wrong, sentence in self._contradictions():
            if wrong:
                raise RecipeError(sentence)
        return self

    def _contradictions(self) -> list[tuple[bool, str]]:
        name, teacher = self.name, self.teacher
        by_labels, skewed = name == "labels", name.startswith("skewed")
        stored = teacher is not None and teacher.targets == "stored"
        kept = teacher is not None and not stored and (teacher.top_k is not None or teacher.store is not None)
        return [
            (by_labels and self.temperature != 1, "Labels have no temperature: leave it out, or choose a divergence."),
            (by_labels and self.labels_weight != 0, "The objective `labels` is the labels alone: no labels_weight."),
            (name != "jsd" and self.beta != 0.5, f"The objective {name!r} has no beta: `jsd` has one."),
            (not skewed and self.skew != 0.1, f"The objective {name!r} has no skew: the skewed ones have one."),
            (
                not by_labels and teacher is None,
                f"The objective {name!r} compares with a teacher: name one in objective.teacher, or choose `labels`.",
            ),
            (
                by_labels and self.on_policy is not None,
                "On policy a teacher judges what the student says, and `labels` asks none: choose reverse_kl or jsd.",
            ),
            (
                self.hidden is not None and teacher is None,
                "Hidden states are compared with a teacher's: name one in objective.teacher, or leave hidden out.",
            ),
            (
                by_labels and teacher is not None and self.hidden is None,
                "The objective `labels` asks no teacher: leave objective.teacher out, or choose a divergence.",
            ),
            (
                stored and self.on_policy is not None,
                "What the student will say is not known before, so its targets cannot be stored: ask the teacher live.",
            ),
            (
                stored and self.hidden is not None,
                "Stored targets hold probabilities and no hidden states: ask the teacher live, or leave hidden out.",
            ),
            (
                stored and self.temperature != 1,
                "Stored targets keep the likeliest tokens at temperature 1, and a tail cannot be softened afterwards: "
                "ask the teacher live, or leave the temperature out.",
            ),
            (
                stored and skewed,
                f"The objective {name!r} needs the whole distribution: ask the teacher live, or choose forward_kl, "
                "reverse_kl or jsd.",
            ),
            (kept, "A live teacher keeps nothing: leave top_k and store out, or set targets to `stored`."),
            (
                self.on_policy is not None and self.rationale is not None,
                "On policy the student answers by itself, and a rationale is learned from the teacher's: choose one.",
            ),
        ]
