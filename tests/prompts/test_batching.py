"""Every chunk is in one batch, framed and padded by its own length alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.prompts.batching import Frame, batches

FRAME = Frame((101, 102), (103,), 100)


def gathered(lengths: list[int], frame: Frame = FRAME, step: int = 4, budget: int = 40, widest: int = 26):
    ends = np.cumsum(lengths)
    return list(
        batches(np.arange(ends[-1]), ends - lengths, ends, frame, widest=widest, step=step, budget=budget)
    )  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 23), min_size=1, max_size=30), st.integers(1, 8), st.integers(1, 90))
def test_every_token_is_in_one_row_framed_and_padded(lengths, step, budget):
    found = gathered(lengths, step=step, budget=budget)
    rows = {}
    for batch in found:
        count, width = batch.ids.shape
        assert count * width <= max(budget, width)
        assert width % step == 0 or width == 26
        np.testing.assert_array_equal(batch.ids[batch.inside], batch.places)
        for row, mask in zip(batch.ids, batch.mask, strict=True):
            assert mask.tolist() == sorted(mask, reverse=True)
            assert width - mask.sum() < step
            assert set(row[~mask]) <= {100}
            assert row[mask][[0, 1, -1]].tolist() == [101, 102, 103]
            rows[int(row[2])] = row[mask][2:-1].tolist()
    begins = np.cumsum(lengths) - lengths
    assert rows == {int(begin): list(range(begin, begin + n)) for begin, n in zip(begins, lengths, strict=True)}


def test_the_width_of_a_chunk_depends_on_the_chunk_alone():
    alone = gathered([9])[0].ids
    beside = next(batch.ids for batch in gathered([23, 9, 9, 1]) if batch.ids.shape[1] == alone.shape[1])
    assert beside.shape == (2, 12)
    assert alone.shape == (1, 12)


def test_the_widest_come_first():
    widths = [batch.ids.shape[1] for batch in gathered([3, 20, 9, 1])]
    assert widths == sorted(widths, reverse=True)


def test_a_frame_may_be_empty():
    batch = gathered([3], Frame((), (), 0))[0]
    assert batch.ids.tolist() == [[0, 1, 2, 0]]
    assert batch.mask.tolist() == [[True, True, True, False]]
