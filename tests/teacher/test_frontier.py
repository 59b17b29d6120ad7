"""The picture of a calibration, looked at through its pixels."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest

from stillroom.core.errors import DataError
from stillroom.teacher.agreement import Agreement
from stillroom.teacher.calibration import Calibration, Variant
from stillroom.teacher.frontier import CHOSEN, draw


def variant(rate, usd, mean=1.0, low=1.0, high=1.0, verdict="safe", tokens=100.0):
    agreement = {} if verdict == "full" else {"exact": Agreement(300, mean, low, high)}
    return Variant(rate, agreement, 0, 0, usd, tokens, verdict)


FOUND = Calibration(
    0.5, "", (
        variant(1, 0.42, verdict="full"), variant(0.7, 0.33, 0.997, 0.982, 0.9999), variant(0.5, 0.26, 0.997, 0.981, 1),
        variant(0.33, 0.2, 0.93, 0.9, 0.955, "harmful"),
    ), "exact", 0.02, 300, 0, None, "", 0.3, None,
)  # fmt: skip


def pixels(found):
    matplotlib = pytest.importorskip("matplotlib.image")
    return matplotlib.imread(BytesIO(draw(found)))[..., :3]


def accented(image):
    colour = np.array([int(CHOSEN[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return int((np.abs(image - colour).max(axis=2) < 0.02).sum())


def test_the_same_calibration_is_the_same_picture():
    assert draw(FOUND) == draw(FOUND)


def test_only_what_is_chosen_has_the_colour():
    assert accented(pixels(FOUND)) > 50
    assert accented(pixels(replace(FOUND, chosen=0.9))) == 0


def test_what_costs_nothing_is_drawn_over_its_tokens():
    free = replace(
        FOUND, table=tuple(replace(one, usd_per_1000=0.0, prompt_tokens=1000 * one.rate) for one in FOUND.table)
    )
    assert accented(pixels(free)) > 50
    assert draw(free) != draw(FOUND)


def test_the_teacher_s_agreement_with_itself_is_a_line():
    assert draw(replace(FOUND, self_agreement=Agreement(300, 0.95, 0.92, 0.97))) != draw(FOUND)


def test_without_usage_there_is_nothing_to_draw():
    silent = (replace(one, usd_per_1000=None, prompt_tokens=None) for one in FOUND.table)
    with pytest.raises(DataError, match="the API says nothing of the tokens it used"):
        draw(replace(FOUND, table=tuple(silent)))
