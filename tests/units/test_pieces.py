"""Long series in pieces."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stillroom.units.pieces import Piece, pieces


@given(steps=st.integers(1, 500), longest=st.integers(1, 64), overlap=st.sampled_from([0.0, 0.1, 0.25, 0.5]))
def test_every_step_belongs_to_one_piece_that_sees_both_its_sides(steps, longest, overlap):
    cut = pieces(steps, longest, overlap)
    assert (cut[0].start, cut[0].first, cut[-1].last, cut[-1].stop) == (0, 0, steps, steps)
    assert all(before.last == after.first for before, after in pairwise(cut))
    half = int(overlap * longest) // 2
    for piece in cut:
        assert piece.stop - piece.start == min(steps, longest)
        assert piece.first < piece.last
        assert piece.start == 0 or piece.first - piece.start >= half
        assert piece.stop == steps or piece.stop - piece.last >= half
        assert piece.owned.sum() == piece.last - piece.first


def test_a_short_series_is_one_piece():
    assert pieces(8, 8, 0.25) == [Piece(0, 8, 0, 8)]
    assert pieces(9, 8, 0.25) == [Piece(0, 8, 0, 4), Piece(1, 9, 4, 9)]
