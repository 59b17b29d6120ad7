"""Category tokens that begin where their classes are: a network tells new classes apart before any training.

A class's token becomes the mean of its series' CLS tokens, so that a series is of the class whose mean is nearest. It
trains nothing and judges nothing.

References
----------
Snell et al. (2017), Prototypical Networks for Few-shot Learning, section 2.3, here with cosines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from stillroom.units.asking import answers

TELLING = 1e-6
"""The least distance of a class's mean from the mean of all means that is a direction and no rounding error."""


def begin_at_means(network: Any, task: str, series: Sequence[np.ndarray], labels: np.ndarray) -> None:
    """Set the category tokens of a task, in place.

    Parameters
    ----------
    network
        A `UnitsModel` that has the task.
    series
        Arrays (variables, time), NaN = missing, as the network will be shown them.
    labels
        The number of each one's class, (items,). A class without any series, or with the mean of all, keeps its token.
    """
    tokens = network.tokens
    drawn = tokens.categories[task].detach()
    classes, width = drawn.shape
    axes = torch.eye(width, device=network.device)
    tokens.categories[task] = nn.Parameter(axes)  # cosines with the axes are the direction itself
    found = torch.zeros(len(series), width)
    for places, said in answers(network, series, task=task):
        found[torch.from_numpy(places)] = said.class_logits.float().cpu()
    means = torch.zeros(classes, width)
    for number in np.unique(labels).tolist():
        means[number] = found[torch.from_numpy(labels == number)].mean(dim=0)
    there = means.any(dim=-1, keepdim=True)
    middle = (means * there).sum(dim=0) / there.sum().clamp(min=1)
    means = (means - middle) * there  # what all classes have in common tells none of them
    told = means.norm(dim=-1, keepdim=True) > TELLING
    means = nn.functional.normalize(means, dim=-1) * width**0.5  # as long as tokens that are drawn, to train as fast
    tokens.categories[task] = nn.Parameter(torch.where(told.to(axes.device), means.to(axes), drawn))
