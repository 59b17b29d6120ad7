from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.series.mixture import coarser
from stillroom.series.overlap import DISTINCT, WIDTH, Index, fingerprints

seeds = st.integers(0, 2**32)


def walk(seed, length=300):
    return np.random.default_rng(seed).standard_normal(length).cumsum()


@settings(max_examples=30, deadline=None)
@given(seed=seeds, first=st.integers(0, 200), length=st.integers(WIDTH, 100))
def test_a_copy_and_any_stretch_of_it_are_found_whole(seed, first, length):
    series = walk(seed)
    index = Index.of([walk(seed + 1), series])
    assert index.shared(series) == 1.0
    assert index.shared(series[first : first + length]) == 1.0


@settings(max_examples=30, deadline=None)
@given(seed=seeds, scale=st.floats(1e-3, 1e6), shift=st.floats(-1e4, 1e4))
def test_a_copy_in_another_unit_and_with_another_zero_is_found(seed, scale, shift):
    series = walk(seed)
    assert Index.of([series]).shared(series * scale + shift) > 0.9  # a value on the edge of a rounding may fall off


def test_a_copy_within_a_longer_series_is_found():
    series = walk(1, 60)
    assert Index.of([np.concatenate([walk(2), series, walk(3)])]).shared(series) == 1.0


def test_a_coarser_copy_is_found_when_the_coarser_versions_are_indexed():
    fine = walk(1, 24 * 60)
    daily = fine.reshape(-1, 24).mean(axis=1)
    assert Index.of([fine]).shared(daily) == 0.0
    assert Index.of(coarser(fine, (1, 24), 30)).shared(daily) == 1.0


def test_a_single_precision_copy_is_found():
    series = walk(1)
    assert Index.of([series.astype(np.float32)]).shared(series) > 0.95


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_series_that_have_nothing_to_do_with_each_other_share_nothing(seed):
    index = Index.of(walk((seed, number)) for number in range(20))
    assert index.shared(walk((seed, 20))) == 0.0


SILENT = {
    "counts": np.random.default_rng(0).poisson(0.8, 500).astype(float),
    "a plateau": np.repeat([0.0, 1.0, 5.0], 100),
    "a constant": np.full(100, 3.0),
    "a line": np.linspace(2.0, 90.0, 100),
    "a line downwards": np.arange(100.0, 0.0, -1.0),
    "too short": np.random.default_rng(0).standard_normal(WIDTH - 1),
    "never whole": np.where(np.arange(200) % WIDTH == 0, np.nan, np.random.default_rng(0).standard_normal(200)),
    "nothing": np.empty(0),
}


@pytest.mark.parametrize("series", SILENT.values(), ids=SILENT)
def test_what_looks_alike_everywhere_says_nothing(series):
    with np.errstate(all="raise"):
        hashes = fingerprints(series)
    assert (len(hashes), hashes.dtype) == (0, np.uint64)
    assert Index.of([series, walk(1)]).shared(series) == 0.0


def test_windows_around_a_gap_are_left_out_and_the_others_kept():
    series = walk(1, 100)
    holed = series.copy()
    holed[40] = np.nan
    kept = np.concatenate([fingerprints(series[:40]), fingerprints(series[41:])])
    np.testing.assert_array_equal(fingerprints(holed), np.unique(kept))
    assert len(fingerprints(series)) == 100 - WIDTH + 1


def test_a_window_tells_from_a_number_of_distinct_values_on():
    steps = np.resize([0.0, 1.0, 0.3, 0.8, 0.1, 0.6, 0.5], WIDTH)
    assert len(set(steps)) == DISTINCT - 1
    assert len(fingerprints(steps)) == 0
    steps[-1] = 0.9
    assert len(fingerprints(steps)) == 1


def test_fingerprints_are_sorted_and_unique():
    hashes = fingerprints(np.tile(walk(1, 50), 4))
    np.testing.assert_array_equal(hashes, np.unique(hashes))


@pytest.mark.parametrize("every", [1, 4, 64])
def test_a_thinned_index_says_the_same_of_a_long_series(every):
    series = [walk(seed, 5000) for seed in range(3)]
    index, whole = Index.of(series, every=every), Index.of(series)
    np.testing.assert_array_equal(index.hashes, whole.hashes[whole.hashes % np.uint64(every) == 0])
    assert len(whole.hashes) / every / 1.5 < len(index.hashes) < len(whole.hashes) / every * 1.5
    assert index.shared(series[1]) == 1.0
    assert index.shared(np.concatenate([series[0], walk(9, 5000)])) == pytest.approx(0.5, abs=0.15)
    assert index.shared(walk(9, 5000)) == 0.0


@pytest.mark.parametrize("every", [1, 16])
def test_an_index_is_saved_and_read_back(every, tmp_path):
    index = Index.of([walk(1), walk(2)], every=every)
    index.save(tmp_path / "index.npz")
    again = Index.load(tmp_path / "index.npz")
    np.testing.assert_array_equal(again.hashes, index.hashes)
    assert (again.every, again.hashes.dtype) == (every, np.uint64)
    assert again.shared(walk(2)) == 1.0


def test_an_index_of_nothing_shares_nothing():
    assert Index.of([]).shared(walk(1)) == 0.0


@settings(max_examples=20, deadline=None)
@given(seed=seeds, known=st.integers(WIDTH, 200))
def test_the_share_is_that_of_the_windows_that_are_known(seed, known):
    series = walk(seed, 200)
    expected = np.isin(fingerprints(series), fingerprints(series[:known])).mean()
    assert Index.of([series[:known]]).shared(series) == expected
