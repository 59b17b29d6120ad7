from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from stillroom.units import masks
from stillroom.units.masks import KINDS, blocks, draw, patches, points, tail

observed = arrays.arrays(bool, st.tuples(st.integers(1, 4), st.integers(1, 40)))
ratios = st.floats(0.1, 0.6)
seeds = st.integers(0, 2**32)
HIDERS = {
    "points": points,
    "blocks": blocks,
    "patches": lambda seen, ratio, rng, **options: patches(seen, ratio, rng, patch_size=8, **options),
    "tail": lambda seen, ratio, rng, together=False: tail(seen, ratio),
}


def random(seed=0):
    return np.random.default_rng(seed)


def everything(variables=3, steps=96):
    return np.ones((variables, steps), dtype=bool)


def runs(row):
    return [len(list(group)) for gone, group in groupby(row.tolist()) if gone]


@settings(max_examples=150, deadline=None)
@given(seen=observed, ratio=ratios, seed=seeds, together=st.booleans(), kind=st.sampled_from(KINDS))
def test_only_observed_values_are_hidden_and_one_of_each_variable_is_left(seen, ratio, seed, together, kind):
    before = seen.copy()
    hidden = HIDERS[kind](seen, ratio, random(seed), together=together)
    assert hidden.shape == seen.shape
    assert hidden.dtype == bool
    assert not (hidden & ~seen).any()
    assert ((seen & ~hidden).any(axis=1) == seen.any(axis=1)).all()
    np.testing.assert_array_equal(seen, before)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_hidden_depends_on_the_generator_alone(kind):
    one, same, other = (HIDERS[kind](everything(), 0.3, random(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert kind == "tail" or (one != other).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ratio", [0.1, 0.25, 0.6])
def test_the_ratio_is_kept_on_average(kind, ratio):
    shares = [HIDERS[kind](everything(4, 120), ratio, random(seed)).mean() for seed in range(150)]
    assert np.mean(shares) == pytest.approx(ratio, abs=0.02)


@pytest.mark.parametrize("kind", ["points", "blocks", "patches"])
def test_together_means_the_same_steps_of_every_variable_and_else_each_has_its_own(kind):
    same = HIDERS[kind](everything(), 0.4, random(), together=True)
    assert (same == same[0]).all()
    own = HIDERS[kind](everything(), 0.4, random())
    assert (own[0] != own[1]).any()


def test_a_variable_that_has_nothing_else_is_shown_even_if_all_are_hidden_together():
    seen = everything(2, 40)
    seen[1, 5:] = False
    for seed in range(30):
        hidden = points(seen, 0.6, random(seed), together=True)
        assert (seen & ~hidden).any(axis=1).all()


def test_blocks_have_the_length_asked_for():
    hidden = blocks(everything(20, 96), 0.25, random(), length=12)
    lengths = [length for row in hidden for length in runs(row)]
    assert lengths
    assert all(length % 12 == 0 for length in lengths)  # two may touch


def test_blocks_are_between_four_and_sixty_four_steps_and_no_longer_than_the_ratio_allows():
    seen = {min(runs(blocks(everything(1, 400), 0.6, random(seed))[0])) for seed in range(200)}
    assert min(seen) == 4
    assert 40 < max(seen) <= 64
    short = {length for seed in range(50) for length in runs(blocks(everything(1, 24), 0.25, random(seed))[0])}
    assert short
    assert max(short) <= 6


def test_patches_are_hidden_whole_and_end_where_the_series_ends():
    hidden = patches(everything(4, 83), 0.4, random(), patch_size=8)
    assert hidden.any()
    whole = hidden[:, 3:].reshape(4, 10, 8)
    assert (whole.any(axis=2) == whole.all(axis=2)).all()
    assert all(len(set(row[:3])) == 1 for row in hidden.tolist())


def test_the_tail_is_the_last_steps_of_all_variables():
    np.testing.assert_array_equal(tail(everything(2, 10), 0.3), [[False] * 7 + [True] * 3] * 2)


@settings(max_examples=100, deadline=None)
@given(seen=observed, seed=seeds, kind=st.sampled_from(KINDS))
def test_a_draw_hides_something_wherever_two_values_are_observed(seen, seed, kind):
    hidden = draw(seen, random(seed), kinds={kind: 1.0}, patch_size=8)
    assert hidden.any() == (seen.sum(axis=1) > 1).any()
    assert ((seen & ~hidden).any(axis=1) == seen.any(axis=1)).all()


def test_kinds_are_drawn_by_their_weights(monkeypatch):
    counts = dict.fromkeys(KINDS, 0)

    def counted(kind, hider):
        def hide(*given, **options):
            counts[kind] += 1
            return hider(*given, **options)

        return hide

    for kind in KINDS:
        monkeypatch.setattr(masks, kind, counted(kind, getattr(masks, kind)))
    for seed in range(400):
        draw(everything(1, 96), random(seed), kinds={"points": 1, "patches": 3, "tail": 4, "blocks": 2}, patch_size=8)
    shares = {kind: count / sum(counts.values()) for kind, count in counts.items()}
    assert shares == pytest.approx({"points": 0.1, "patches": 0.3, "tail": 0.4, "blocks": 0.2}, abs=0.08)


def test_the_shares_that_draws_hide_reach_from_a_tenth_to_six_tenths():
    shares = [draw(everything(1, 200), random(seed), kinds={"points": 1.0}, patch_size=8).mean() for seed in range(200)]
    assert 0.1 <= min(shares) < 0.15
    assert 0.55 < max(shares) <= 0.6
