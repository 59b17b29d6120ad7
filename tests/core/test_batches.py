from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, IterableDataset

from stillroom.core.batches import Batches, BatchStream
from stillroom.core.errors import DataError


class Numbered(Batches):
    def __getitem__(self, index):
        return {"index": torch.tensor([index])}


class Around(Numbered):
    def __len__(self):
        return 3


class Noisy(Batches):
    """Draws from the global generators, as careless data do."""

    def __getitem__(self, index):
        return {"index": torch.cat([torch.rand(1), torch.tensor([np.random.rand()])])}  # noqa: NPY002


class Rows(IterableDataset):
    """A stream of numbered rows that starts over the same way."""

    def __init__(self, length):
        self.length = length

    def __iter__(self):
        return iter(range(self.length))


def taken(stream, count):
    return [batch["index"].tolist() if isinstance(batch, dict) else batch.tolist() for batch in islice(stream, count)]


def kinds(length):
    return {"batches": Numbered(), "rows": list(range(length)), "stream": Rows(length)}


def test_ready_batches_come_in_order_and_round_again_when_they_have_a_length():
    assert taken(BatchStream(Numbered(), batch_size=1), 5) == [[0], [1], [2], [3], [4]]
    assert taken(BatchStream(Around(), batch_size=1), 5) == [[0], [1], [2], [0], [1]]


@given(length=st.integers(1, 40), batch_size=st.integers(1, 9), passes=st.integers(1, 3), seed=st.integers(0, 9))
def test_each_pass_over_the_rows_sees_each_row_once_in_another_order(length, batch_size, passes, seed):
    stream = BatchStream(list(range(length)), batch_size=batch_size, seed=seed)
    rows = [row for batch in taken(stream, -(-length * passes // batch_size)) for row in batch]
    orders = [rows[start : start + length] for start in range(0, length * passes, length)]
    assert all(sorted(order) == list(range(length)) for order in orders)
    assert length < 10 or passes < 2 or orders[0] != orders[1]


@given(
    kind=st.sampled_from(["batches", "rows", "stream"]),
    start=st.integers(0, 12),
    world=st.integers(1, 4),
    length=st.integers(1, 25),
    batch_size=st.integers(1, 5),
)
def test_processes_share_one_stream_and_a_later_start_is_its_rest(kind, start, world, length, batch_size):
    data = kinds(length)[kind]
    whole = taken(BatchStream(data, batch_size=batch_size), (start + 4) * world)
    for rank in range(world):
        own = BatchStream(data, batch_size=batch_size, start=start, rank=rank, world=world)
        assert taken(own, 4) == whole[start * world + rank :: world][:4]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more workers than cores
@pytest.mark.parametrize("kind", ["batches", "rows"])
def test_the_number_of_workers_changes_nothing(kind):
    def loaded(workers):
        stream = BatchStream(kinds(25)[kind], batch_size=4, start=3, rank=1, world=2)
        return taken(DataLoader(stream, batch_size=None, num_workers=workers), 9)

    assert loaded(2) == loaded(3) == loaded(0)


def test_what_data_draw_from_the_global_generators_depends_on_the_batch_alone():
    whole = taken(BatchStream(Noisy(), batch_size=1, seed=5), 6)
    torch.manual_seed(123)
    np.random.seed(123)  # noqa: NPY002
    before = torch.get_rng_state()
    assert taken(BatchStream(Noisy(), batch_size=1, seed=5, start=4), 2) == whole[4:]
    assert torch.equal(torch.get_rng_state(), before)
    assert taken(BatchStream(Noisy(), batch_size=1, seed=6), 6) != whole
    assert max(Counter(map(tuple, whole)).values()) == 1


@pytest.mark.parametrize("data", [[], Rows(0), (row for row in ())], ids=["rows", "stream", "generator"])
def test_nothing_to_train_on_is_said(data):
    with pytest.raises(DataError):
        taken(BatchStream(data, batch_size=2), 1)


def test_a_generator_that_ran_dry_is_said():
    with pytest.raises(DataError, match="cannot start over"):
        taken(BatchStream((row for row in range(3)), batch_size=2), 2)
