"""What a student of language learns from: named losses at the tokens of its answers.

    labels      cross-entropy on the stored answers
    teacher     divergence from the teacher's distribution, asked live or stored
    hidden      hidden states that resemble the teacher's
    rationale   cross-entropy on the reasons, where rows say why (Distilling step-by-step)

A batch is a dict of tensors (rows, tokens), labels −100 except at answer tokens:

    input_ids, attention_mask, position_ids, labels    what the student reads; a decoder's own labels with T5
    teacher_input_ids, …, teacher_labels               what the teacher reads where its prompt is another one
    teacher_indices, teacher_log_probs (n, k)          stored: the likeliest k tokens at each of the n answer tokens,
    teacher_tail (n,)                                  row by row, and the rest
    tasks (rows,)                                      1 where the answer is a rationale

Logits are computed at answer tokens only: with a vocabulary of 100,000 those of whole rows would not fit. The module
draws no data, moves no weight, and works on a network with or without an adapter around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from stillroom.core.errors import DataError, ModelError, RecipeError
from stillroom.core.lesson import Losses
from stillroom.core.objectives import (
    IGNORED_LABEL,
    TopK,
    cross_entropy,
    forward_kl,
    generalized_js,
    hidden_alignment,
    reverse_kl,
    skewed_forward_kl,
    skewed_reverse_kl,
    sparse_forward_kl,
    sparse_generalized_js,
    sparse_reverse_kl,
)
from stillroom.language.objective import Objective
from stillroom.language.on_policy import OnPolicy

Kind = Literal["causal", "seq2seq"]
Batch = Mapping[str, Tensor]

RATIONALE = 1  # in `tasks`
STRETCH = 512  # answer tokens whose relations are compared with each other: their number grows with its square


@dataclass(frozen=True, eq=False)
class Answers:
    """What a network says at the n answer tokens of a batch, row by row.

    Parameters
    ----------
    logits
        (n, vocabulary).
    labels
        (n,): the tokens that are there.
    hidden
        By layer, (n, width): 0 is the embedding, −1 the last.
    """

    logits: Tensor
    labels: Tensor
    hidden: dict[int, Tensor]


class Teacher(Protocol):
    """A teacher in memory."""

    def __call__(self, batch: Batch, hidden: Iterable[int] = ()) -> Answers:
        """Say what the teacher says at the answer tokens, from its own prompt if the batch has one."""


def losses_for(objective: Objective, kind: Kind, *, tokenizer: Any = None, seed: int = 0) -> Losses:
    """Return the losses of an objective, as `DistillTrainer` calls them: losses(model, batch, teacher).

    Their names are those of `objective.weights()`, in every batch.

    Parameters
    ----------
    kind
        `causal` or `seq2seq`, the student's.
    tokenizer
        The student's; needed on policy alone, which must know where an answer ends.
    seed
        Of the answers that are drawn on policy.

    Raises
    ------
    RecipeError
        A classifier, whose answers are no tokens.
    """
    if kind not in ("causal", "seq2seq"):
        raise RecipeError(
            f"The objective {objective.name!r} is about tokens, which a {kind} does not write: "
            "a classifier learns from labels and soft targets alone."
        )
    losses: Losses = partial(answer_losses, objective, kind)
    if objective.on_policy is None:
        return losses
    return OnPolicy(losses, objective.on_policy, kind, tokenizer, seed=seed, stored=partial(label_losses, kind))


def answer_losses(objective: Objective, kind: Kind, model: nn.Module, batch: Batch, teacher: Any) -> dict[str, Tensor]:
    """Return the losses that an objective names, of one batch as it is.

    Raises
    ------
    RecipeError
        Neither a teacher nor stored targets, though the objective wants them, or a layer that is not there.
    DataError
        The teacher's answer tokens are not the student's, or rows do not say whether they are rationales.
    ModelError
        Vocabularies or places that do not fit together.
    """
    names, layers = objective.weights(), {} if objective.hidden is None else objective.hidden.layers
    ours = answers(model, batch, kind, hidden=layers)
    counts = None if objective.rationale is None else _of_task(batch, kind) != RATIONALE
    losses = {}
    if "labels" in names:
        losses["labels"] = cross_entropy(ours.logits, ours.labels, counts)
    if counts is not None:
        losses["rationale"] = cross_entropy(ours.logits, ours.labels, ~counts)
    stored = objective.teacher is not None and objective.teacher.targets == "stored"
    if "teacher" in names and stored:
        losses["teacher"] = _stored_divergence(objective)(ours.logits, _stored(batch), counts)
    elif "teacher" in names or layers:
        theirs = _asked(teacher, batch, layers.values(), ours)
        if "teacher" in names:
            losses["teacher"] = _divergence(objective)(*_shared(ours.logits, theirs.logits), counts)
        if objective.hidden is not None:
            pairs = [(ours.hidden[own], theirs.hidden[other]) for own, other in layers.items()]
            alike = _MATCHES[objective.hidden.match]
            losses["hidden"] = torch.stack([alike(own, other, counts) for own, other in pairs]).mean()
    return losses


def label_losses(kind: Kind, model: nn.Module, batch: Batch, teacher: Any = None) -> dict[str, Tensor]:
    """Return `labels` alone: the cross-entropy on the answers of the batch."""
    ours = answers(model, batch, kind)
    return {"labels": cross_entropy(ours.logits, ours.labels)}


def answers(
    model: Any, batch: Batch, kind: Kind, *, whose: str = "", hidden: Iterable[int] = (), memory: Any = None
) -> Answers:
    """Run a network over a batch and return what it says at the answer tokens.

    The network's output layer sees those places only, whatever else the network does with its logits.

    Parameters
    ----------
    model
        A causal language model or a T5, bare or within an adapter.
    whose
        `"teacher_"` reads the tensors of that name instead.
    hidden
        Layers whose states are wanted.
    memory
        Of what the rows begin with, where the batch is without it; see `beginnings.after`.

    Raises
    ------
    RecipeError
        A layer that is not there, or packed rows for an adapter with a learned prompt, which cannot keep them apart.
    DataError
        The batch is made for the other kind of network.
    ModelError
        The network has no output layer over a vocabulary.
    """
    network = bare(model)
    inputs = {name: batch[whose + name] for name in ("input_ids", "attention_mask") if whose + name in batch}
    labels, places = batch[whose + "labels"], batch.get(whose + "position_ids")
    _check_form(batch[whose + "input_ids"], labels, kind)
    if kind == "causal":
        labels = _moved(labels, places, IGNORED_LABEL)
        if places is not None and not _has_learned_prompt(model):
            inputs["position_ids"] = places
        elif places is not None and _packed(places, inputs.get("attention_mask")):
            raise RecipeError(
                "A learned prompt stands before a whole row, and packed rows hold several texts: "
                "switch packing off, or choose an adapter that is not a prompt."
            )
    else:
        inputs["decoder_input_ids"] = network.prepare_decoder_input_ids_from_labels(labels)
    if memory is not None:
        inputs["past_key_values"] = memory
    counts = labels != IGNORED_LABEL

    def at_answers(states: Tensor) -> Tensor:
        return states[:, -counts.shape[1] :][counts]  # a learned prompt may stand before the tokens

    layers = list(hidden)
    head = network.get_output_embeddings()
    if head is None:
        raise ModelError(f"A {type(network).__name__} has no output layer over a vocabulary: give a language model.")
    handle = head.register_forward_pre_hook(lambda _, inputs: (at_answers(inputs[0]).unsqueeze(0), *inputs[1:]))
    try:
        output = model(**inputs, use_cache=False, output_hidden_states=True if layers else None)
    finally:
        handle.remove()
    states = (output.hidden_states if kind == "causal" else output.decoder_hidden_states) if layers else ()
    for layer in layers:
        if not -len(states) <= layer < len(states):
            raise RecipeError(f"There is no layer {layer}: choose from {-len(states)} to {len(states) - 1}.")
    return Answers(output.logits.squeeze(0), labels[counts], {layer: at_answers(states[layer]) for layer in layers})


def relations(hidden: Tensor) -> Tensor:
    """Return how alike the states (n, width) of each two answer tokens are: their cosines, in one row.

    Networks of different widths can be compared by it without a projection, which would have to be trained, saved and
    thrown away. Tokens are compared within stretches of `STRETCH`.

    References
    ----------
    Tung and Mori (2019), Similarity-Preserving Knowledge Distillation, section 3, here with cosines between tokens.
    """
    directions = functional.normalize(hidden.float(), dim=-1)
    return torch.cat([(part @ part.T).flatten() for part in torch.split(directions, STRETCH)])


def bare(model: Any) -> Any:
    """The network inside an adapter, or the network itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _check_form(ids: Tensor, labels: Tensor, kind: Kind) -> None:
    """A decoder's labels begin with the answer, and a causal model's stand at the tokens it reads."""
    learned = labels != IGNORED_LABEL
    if kind == "causal" and ids.shape != labels.shape:
        raise DataError("A causal model reads its answers, and this batch is an encoder-decoder's.")
    if kind == "seq2seq" and bool((learned.any(-1) & ~learned[:, 0]).any()):
        raise DataError("An encoder-decoder does not read its answers, and this batch is a causal model's.")


def _moved(values: Tensor, places: Tensor | None, nothing: int) -> Tensor:
    """Move each token's value to the place that predicts it, the one before; a text's first token has no such place."""
    following = values[:, 1:]
    if places is not None:
        following = following.masked_fill(places[:, 1:] == 0, nothing)
    return functional.pad(following, (0, 1), value=nothing)


def _packed(places: Tensor, mask: Tensor | None) -> bool:
    begins = places[:, 1:] == 0
    return bool((begins if mask is None or mask.dim() != 2 else begins & mask[:, 1:].bool()).any())


def _has_learned_prompt(model: Any) -> bool:
    return bool(getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False))


def _of_task(batch: Batch, kind: Kind) -> Tensor:
    """The task (n,) of each answer token."""
    if "tasks" not in batch:
        raise DataError(
            "No row says whether it is a label or a rationale: give rows with a `rationale`, "
            "or leave `rationale` out of the objective."
        )
    labels = batch["labels"]
    tasks = batch["tasks"].reshape(len(labels), -1).expand_as(labels)
    if kind == "causal":
        places = batch.get("position_ids")
        labels, tasks = _moved(labels, places, IGNORED_LABEL), _moved(tasks, places, 0)
    return tasks[labels != IGNORED_LABEL]


def _stored(batch: Batch) -> TopK:
    if "teacher_indices" not in batch:
        raise RecipeError("The batches bring no stored targets: capture them first, or ask the teacher live.")
    return TopK(batch["teacher_indices"].long(), batch["teacher_log_probs"].float(), batch["teacher_tail"].float())


def _asked(teacher: Teacher | None, batch: Batch, layers: Iterable[int], ours: Answers) -> Answers:
    if teacher is None:
        raise RecipeError("This objective asks a teacher, and there is none: give one, or choose `labels`.")
    theirs = teacher(batch, hidden=layers)
    if not torch.equal(theirs.labels, ours.labels):
        raise DataError(
            "The teacher and the student do not read the same answers: `teacher_labels` must hold the tokens of "
            "`labels`, row by row."
        )
    return theirs


def _shared(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Cut both sides' logits to the tokens that both have; see `vocabulary.check`."""
    size = min(student.shape[-1], teacher.shape[-1])
    return student[..., :size], teacher[..., :size]


def _divergence(objective: Objective) -> Callable[..., Tensor]:
    own = {"jsd": {"beta": objective.beta}, "skewed_forward_kl": {"skew": objective.skew}}
    own["skewed_reverse_kl"] = own["skewed_forward_kl"]
    return partial(_LIVE[objective.name], temperature=objective.temperature, **own.get(objective.name, {}))


def _stored_divergence(objective: Objective) -> Callable[..., Tensor]:
    own = {"beta": objective.beta} if objective.name == "jsd" else {}
    return partial(_STORED[objective.name], **own)


def _alike_in_relations(student: Tensor, teacher: Tensor, mask: Tensor | None) -> Tensor:
    if mask is not None:
        student, teacher = student[mask], teacher[mask]
    return hidden_alignment(relations(student), relations(teacher))


_MATCHES: dict[str, Callable[..., Tensor]] = {"values": hidden_alignment, "relations": _alike_in_relations}
_LIVE: dict[str, Callable[..., Tensor]] = {
    "forward_kl": forward_kl,
    "reverse_kl": reverse_kl,
    "skewed_forward_kl": skewed_forward_kl,
    "skewed_reverse_kl": skewed_reverse_kl,
    "jsd": generalized_js,
}
_STORED: dict[str, Callable[..., Tensor]] = {
    "forward_kl": sparse_forward_kl,
    "reverse_kl": sparse_reverse_kl,
    "jsd": sparse_generalized_js,
}
