from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch

from stillroom.core.batches import Batches
from stillroom.core.stored import StoredTargets
from stillroom.core.targets import TargetStore


class Numbers(Batches):
    """Ten batches; those of the task `other` are none of the teacher's business."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return {"values": torch.arange(3.0) + index, "task": "other" if index == 4 else "double"}


@dataclass
class Doubling:
    factor: float = 2.0
    kind: str = "doubles"
    asked: list[float] = field(default_factory=list)

    @property
    def identity(self):
        return {"factor": self.factor}

    def __call__(self, batch):
        self.asked.append(batch["values"][0].item())
        return {"doubled": self.factor * batch["values"]} if batch["task"] == "double" else {}


@pytest.fixture
def store(tmp_path):
    with TargetStore(tmp_path / "targets.sqlite") as store:
        yield store


def test_a_teacher_is_asked_once_for_a_batch_whoever_asks_and_in_which_run(store):
    assert StoredTargets(Numbers(), Doubling(), store).capture(6) == 6
    teacher = Doubling()
    again = StoredTargets(Numbers(), teacher, store)
    assert again.capture(6) == 0
    torch.testing.assert_close(again[5]["doubled"], 2 * again[5]["values"])
    assert teacher.asked == []
    torch.testing.assert_close(again[7]["doubled"], 2 * again[7]["values"])  # beyond what was captured
    again[7]
    assert teacher.asked == [7.0]


def test_a_capture_that_was_cut_short_goes_on(store):
    StoredTargets(Numbers(), Doubling(), store).capture(3)
    assert StoredTargets(Numbers(), Doubling(), store).capture(10) == 7


def test_a_batch_that_the_teacher_says_nothing_of_stays_as_it_is_and_is_not_asked_again(store):
    teacher = Doubling()
    stored = StoredTargets(Numbers(), teacher, store)
    stored.capture(10)
    assert set(stored[4]) == {"values", "task"}
    assert len(teacher.asked) == 10


def test_another_teacher_has_other_answers(store):
    StoredTargets(Numbers(), Doubling(), store).capture(2)
    third = StoredTargets(Numbers(), Doubling(3.0), store)
    assert third.capture(2) == 2
    torch.testing.assert_close(third[1]["doubled"], 3 * third[1]["values"])
