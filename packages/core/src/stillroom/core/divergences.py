"""Divergences between the teacher's and the student's distribution over a vocabulary.

For a language model's logits and Chronos-T5's token logits alike. Throughout, p is the teacher's distribution and q the
student's, and
- logits are (..., vocabulary), half precision is computed in float32;
- a mask broadcasts to (...), True counts, and the result is the mean over the places that count, 0 if none does;
- a logit of −inf (a token ruled out) is a probability of e^FLOOR: exact wherever the divergence is finite, and a large
  finite number with a finite gradient where it is not, as in KL(p‖q) with p > 0 = q;
- a temperature divides both sides' logits and nothing else: the T² of Hinton et al. (2015, section 2), which keeps the
  gradients' size, is the objective's weight to choose.
It knows no model, no tokens and no time: shifting labels by one place is the caller's job. Users import these from
`stillroom.core.objectives`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from stillroom.core.errors import ModelError, RecipeError
from stillroom.core.masked import counted, mean, widen

FLOOR = -1e5
"""The log-probability of what cannot be: far below any that finite logits of ordinary size (±1e4) can give."""

IGNORED_LABEL = -100
"""The label that marks a place without one, as everywhere in the Hugging Face libraries."""


def cross_entropy(logits: Tensor, labels: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy of the student with hard or soft labels.

    Parameters
    ----------
    logits
        (..., vocabulary): the student's.
    labels
        Hard: integers (...), `IGNORED_LABEL` where there is none. Soft: probabilities (..., vocabulary).
    mask
        Broadcastable to (...); True counts.

    References
    ----------
    Hinton et al. (2015), Distilling the Knowledge in a Neural Network, section 2.
    """
    if labels.is_floating_point():
        return mean(-(widen(counted(labels, mask, inner=1)) * _log_probs(logits, mask)).sum(-1))
    counts = labels != IGNORED_LABEL if mask is None else (labels != IGNORED_LABEL) & mask.bool()
    return mean(-_log_probs(logits, counts).gather(-1, labels[counts].unsqueeze(-1)))


def forward_kl(
    student_logits: Tensor, teacher_logits: Tensor, mask: Tensor | None = None, temperature: float = 1.0
) -> Tensor:
    """Return KL(p‖q), which asks the student to cover all that the teacher may say.

    Parameters
    ----------
    student_logits, teacher_logits
        (..., vocabulary), the same shape.
    mask
        Broadcastable to (...); True counts.
    temperature
        Divides both sides' logits.

    Raises
    ------
    ModelError
        Student and teacher differ in shape: they do not share a vocabulary, or not a sequence.

    References
    ----------
    Hinton et al. (2015), Distilling the Knowledge in a Neural Network, section 2.
    """
    q, p = _log_prob_pair(student_logits, teacher_logits, mask, temperature)
    return mean(_kl(p, q))


def reverse_kl(
    student_logits: Tensor, teacher_logits: Tensor, mask: Tensor | None = None, temperature: float = 1.0
) -> Tensor:
    """Return KL(q‖p), which asks the student to say nothing that the teacher would not.

    Shapes, mask, temperature and errors as in `forward_kl`.

    References
    ----------
    Gu et al. (2024), MiniLLM: Knowledge Distillation of Large Language Models, section 2; here token by token.
    """
    q, p = _log_prob_pair(student_logits, teacher_logits, mask, temperature)
    return mean(_kl(q, p))


def skewed_forward_kl(
    student_logits: Tensor,
    teacher_logits: Tensor,
    mask: Tensor | None = None,
    temperature: float = 1.0,
    skew: float = 0.1,
) -> Tensor:
    """Return KL(p ‖ skew·p + (1 − skew)·q), a forward KL that cannot exceed log(1/skew).

    Shapes, mask, temperature and errors as in `forward_kl`.

    Parameters
    ----------
    skew
        The teacher's share in the mixture, between 0 and 1; 0.1 is the paper's choice.

    Raises
    ------
    RecipeError
        `skew` is not between 0 and 1.

    References
    ----------
    Ko et al. (2024), DistiLLM: Towards Streamlined Distillation for Large Language Models, section 3.1.
    """
    q, p = _log_prob_pair(student_logits, teacher_logits, mask, temperature)
    return mean(_kl(p, _mixture(p, q, _inner_fraction("skew", skew))))


def skewed_reverse_kl(
    student_logits: Tensor,
    teacher_logits: Tensor,
    mask: Tensor | None = None,
    temperature: float = 1.0,
    skew: float = 0.1,
) -> Tensor:
    """Return KL(q ‖ skew·q + (1 − skew)·p), a reverse KL that cannot exceed log(1/skew).

    Shapes, mask, temperature and errors as in `forward_kl`; `skew` is the student's share in the mixture, and the rest
    as in `skewed_forward_kl`.
    """
    q, p = _log_prob_pair(student_logits, teacher_logits, mask, temperature)
    return mean(_kl(q, _mixture(q, p, _inner_fraction("skew", skew))))


def generalized_js(
    student_logits: Tensor,
    teacher_logits: Tensor,
    mask: Tensor | None = None,
    temperature: float = 1.0,
    beta: float = 0.5,
) -> Tensor:
    """Return the generalised Jensen-Shannon divergence β·KL(p‖m) + (1 − β)·KL(q‖m) with m = β·p + (1 − β)·q.

    β is the teacher's share. At its ends, where the formula is zero whatever the student says, it means its limit per
    unit of β: β = 0 is the forward KL, β = 1 the reverse. This is the convention of trl's `GKDTrainer`, and the value
    jumps at both ends: near β = 0 the divergence is about β·KL(p‖q), not KL(p‖q).

    Shapes, mask, temperature and errors as in `forward_kl`.

    Parameters
    ----------
    beta
        From 0 to 1; 0.5 is the symmetric Jensen-Shannon divergence.

    Raises
    ------
    RecipeError
        `beta` is outside [0, 1].

    References
    ----------
    Agarwal et al. (2024), On-Policy Distillation of Language Models (GKD), section 2, equation 1.
    """
    q, p = _log_prob_pair(student_logits, teacher_logits, mask, temperature)
    return mean(_js(q, p, beta))


def total_variation(
    student_logits: Tensor, teacher_logits: Tensor, mask: Tensor | None = None, temperature: float = 1.0
) -> Tensor:
    """Return half of Σ|p − q|: the probability, from 0 to 1, on which student and teacher disagree.

    Shapes, mask, temperature and errors as in `forward_kl`.

    References
    ----------
    Wen et al. (2023), f-Divergence Minimization for Sequence-Level Knowledge Distillation, the TVD variant.
    """
    q, p = _log_prob_pair(student_logits, teacher_logits, mask, temperature)
    return mean((p.exp() - q.exp()).abs().sum(-1) / 2)


class TopK(NamedTuple):
    """A teacher's distribution, kept as its k likeliest tokens and one bucket for all the others."""

    indices: Tensor
    """(..., k) int64, likeliest first."""
    log_probs: Tensor
    """(..., k): log p of these tokens under the whole distribution, not renormalised."""
    tail_log_prob: Tensor
    """(...): log of what is left for all other tokens together; about `FLOOR` where k is the whole vocabulary."""


def top_k(logits: Tensor, k: int) -> TopK:
    """Return the teacher's k likeliest tokens with their log-probabilities and that of the rest.

    Dropping the rest and renormalising would teach the student to be surer than the teacher is; the tail bucket keeps
    the total honest.

    Parameters
    ----------
    logits
        (..., vocabulary): the teacher's.
    k
        From 1 to the size of the vocabulary.

    Raises
    ------
    RecipeError
        `k` is less than 1 or more than the vocabulary holds.

    References
    ----------
    Anshumann et al. (2025), Sparse Logit Sampling: Accelerating Knowledge Distillation in LLMs, on the bias of top-k
    without its residual.
    """
    if not 1 <= k <= logits.shape[-1]:
        raise RecipeError(f"k = {k} cannot be: choose one from 1 to {logits.shape[-1]}, the size of the vocabulary")
    log_probs = _log_probs(logits)
    kept, indices = log_probs.topk(k, dim=-1)
    return TopK(indices, kept, _tail(log_probs, indices))


def sparse_forward_kl(student_logits: Tensor, teacher: TopK, mask: Tensor | None = None) -> Tensor:
    """Return KL(p‖q) between the distributions over the teacher's top k tokens and the tail bucket.

    Equals `forward_kl` at k = vocabulary, and is never larger for a smaller k (the data-processing inequality). There
    is no temperature: a tail bucket cannot be softened afterwards.

    Parameters
    ----------
    student_logits
        (..., vocabulary).
    teacher
        `top_k` of the teacher's logits, or the same from a store, with the student's (...).
    mask
        Broadcastable to (...); True counts.

    Raises
    ------
    ModelError
        Student and teacher do not share a sequence.
    """
    q, p = _bucket_pair(student_logits, teacher, mask)
    return mean(_kl(p, q))


def sparse_reverse_kl(student_logits: Tensor, teacher: TopK, mask: Tensor | None = None) -> Tensor:
    """Return KL(q‖p) between the distributions over the teacher's top k tokens and the tail bucket.

    Arguments and errors as in `sparse_forward_kl`.
    """
    q, p = _bucket_pair(student_logits, teacher, mask)
    return mean(_kl(q, p))


def sparse_generalized_js(
    student_logits: Tensor, teacher: TopK, mask: Tensor | None = None, beta: float = 0.5
) -> Tensor:
    """Return `generalized_js` between the distributions over the teacher's top k tokens and the tail bucket.

    Arguments and errors as in `sparse_forward_kl`, `beta` as in `generalized_js`.
    """
    q, p = _bucket_pair(student_logits, teacher, mask)
    return mean(_js(q, p, beta))


def _log_probs(logits: Tensor, mask: Tensor | None = None, temperature: float = 1.0) -> Tensor:
    """Return the log-probabilities (n, vocabulary) at the places that count, none of them below `FLOOR`."""
    return torch.log_softmax(widen(counted(logits, mask, inner=1)) / temperature, dim=-1).clamp(min=FLOOR)


def _log_prob_pair(
    student_logits: Tensor, teacher_logits: Tensor, mask: Tensor | None, temperature: float
) -> tuple[Tensor, Tensor]:
    if student_logits.shape != teacher_logits.shape:
        raise ModelError(
            f"the student's logits are {tuple(student_logits.shape)}, the teacher's {tuple(teacher_logits.shape)}: "
            "choose a student and a teacher that share one vocabulary, and give both the same sequence"
        )
    return _log_probs(student_logits, mask, temperature), _log_probs(teacher_logits, mask, temperature)


def _bucket_pair(student_logits: Tensor, teacher: TopK, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return log q and log p (n, k + 1) over the teacher's k tokens and the tail."""
    if student_logits.shape[:-1] != teacher.indices.shape[:-1]:
        raise ModelError(
            f"the student's logits are at {tuple(student_logits.shape[:-1])} places, the teacher's top k at "
            f"{tuple(teacher.indices.shape[:-1])}: give both the same sequence"
        )
    log_probs, indices = _log_probs(student_logits, mask), counted(teacher.indices, mask, inner=1)
    q = torch.cat([log_probs.gather(-1, indices), _tail(log_probs, indices).unsqueeze(-1)], dim=-1)
    p = torch.cat([teacher.log_probs, teacher.tail_log_prob.unsqueeze(-1)], dim=-1)
    return q, widen(counted(p, mask, inner=1)).clamp(min=FLOOR)


def _tail(log_probs: Tensor, indices: Tensor) -> Tensor:
    """Return the log of all probability outside `indices`, summed rather than taken as 1 − Σ, which cancels."""
    return log_probs.scatter(-1, indices, FLOOR).logsumexp(-1)


def _kl(log_a: Tensor, log_b: Tensor) -> Tensor:
    return (log_a.exp() * (log_a - log_b)).sum(-1)


def _js(log_q: Tensor, log_p: Tensor, beta: float) -> Tensor:
    if beta == 0:
        return _kl(log_p, log_q)
    if beta == 1:
        return _kl(log_q, log_p)
    log_m = _mixture(log_p, log_q, _inner_fraction("beta", beta))
    return beta * _kl(log_p, log_m) + (1 - beta) * _kl(log_q, log_m)


def _mixture(log_a: Tensor, log_b: Tensor, share: float) -> Tensor:
    """Return log(share · a + (1 − share) · b)."""
    return torch.logaddexp(log_a + math.log(share), log_b + math.log1p(-share))


def _inner_fraction(name: str, value: float) -> float:
    if not 0 < value < 1:
        raise RecipeError(f"{name} = {value} cannot be: choose one between 0 and 1")
    return value
