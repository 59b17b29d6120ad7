from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stillroom.teacher.spool import Spool

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(st.tuples(TEXT, TEXT, TEXT)), st.lists(st.integers(0, 5), max_size=4))
def test_lines_come_back_in_their_order_as_often_as_wanted_and_between_two_writes(lines, reads):
    spool, written = Spool(), []
    for number, line in enumerate(lines):
        spool.put(*line)
        written.append(line)
        if number in reads:
            assert list(spool) == written
            next(iter(spool))  # one that is given up half-way
    assert list(spool) == list(spool) == lines
