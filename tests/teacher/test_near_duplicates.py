from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.errors import MissingError, RecipeError
from stillroom.teacher.near_duplicates import NearDuplicates, jaccard, shingles

QUESTION = "Where is the parcel that I ordered from you last week?"


def variations(count: int, seed: int = 0) -> list[str]:
    """Texts of which each is one of a few, with some of its words replaced: every similarity occurs."""
    chance = np.random.default_rng(seed)
    words = np.array([f"word{number}" for number in range(400)])
    bases = [chance.choice(words, size=24) for _ in range(12)]
    texts = []
    for number in range(count):
        text = bases[number % len(bases)].copy()
        places = chance.choice(len(text), size=chance.integers(0, 6), replace=False)
        text[places] = chance.choice(words, size=len(places))
        texts.append(" ".join(text))
    return texts


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.9, 1.0])
def test_nearest_equals_brute_force_but_for_one_in_a_hundred_it_overlooks_reference(threshold):
    texts = variations(400)
    cut = [shingles(text) for text in texts]
    seen = NearDuplicates(threshold)
    pairs = found = 0
    for number, text in enumerate(texts):
        similar = [jaccard(cut[number], other) for other in cut[:number]]
        nearest = seen.nearest(text)
        pairs += max(similar, default=0) >= threshold
        if nearest is not None:
            assert similar[int(nearest)] >= threshold  # no false positive
            found += similar[int(nearest)] == max(similar)
        seen.add(str(number), text)
    assert pairs >= 30
    assert found >= 0.99 * pairs


def test_the_promised_recall_holds_at_the_threshold_itself_reference():
    found = 0
    for seed in range(300):
        words = [f"{seed}w{place}" for place in range(18)]
        other = [*words[:16], "x", "y"]  # 15 pairs of 17 are shared with 17: 15/19
        assert 0.78 < jaccard(shingles(" ".join(words)), shingles(" ".join(other))) < 0.8
        seen = NearDuplicates(threshold=15 / 19, seed=seed)
        seen.add("first", " ".join(words))
        found += seen.nearest(" ".join(other)) == "first"
    assert found >= 298


def test_case_punctuation_and_spacing_make_no_difference():
    seen = NearDuplicates(1.0)
    seen.add("a", QUESTION)
    assert seen.nearest("  where is the parcel, that I ordered from you...  LAST week") == "a"
    assert seen.nearest(QUESTION.replace("week", "month")) is None


def test_the_most_similar_is_named_and_the_first_of_equals():
    seen = NearDuplicates(0.3)
    seen.add("far", QUESTION + " Please answer soon, I am waiting for it.")
    seen.add("near", QUESTION + " Please!")
    seen.add("equal", QUESTION + " Please.")
    assert seen.nearest(QUESTION) == "near"
    assert len(seen) == 3


@pytest.mark.parametrize("text", ["hello", "Hello!", "", "?!", "👍", "\ud800"])
def test_texts_without_two_words_are_near_only_to_their_like(text):
    seen = NearDuplicates()
    for other in ("goodbye", "!?", "👎", QUESTION):
        seen.add(other, other)
    assert seen.nearest(text) is None
    seen.add("itself", text)
    assert seen.nearest(text) == "itself"


def test_scripts_without_spaces_are_compared_by_characters():
    chinese = "我上周订购的包裹现在在哪里，为什么还没有送到我家"
    seen = NearDuplicates()
    seen.add("zh", chinese)
    assert seen.nearest(chinese.replace("家", "店")) == "zh"
    assert seen.nearest("请问你们的退货政策是什么，我可以退钱吗，谢谢你们") is None
    assert shingles("私の荷物 parcel") == {"私 の", "の 荷", "荷 物", "物 parcel"}


def test_vowel_signs_do_not_cut_words():
    assert shingles("मेरा पार्सल कहाँ है") == {"मेरा पार्सल", "पार्सल कहाँ", "कहाँ है"}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(), max_size=8), st.text())
def test_what_is_found_is_near_and_a_text_is_near_to_itself(texts, text):
    seen = NearDuplicates()
    for other in texts:
        seen.add(other, other)
    nearest = seen.nearest(text)
    assert nearest is None or jaccard(shingles(nearest), shingles(text)) >= 0.7
    seen.add("itself", text)
    assert seen.nearest(text) is not None


def test_other_processes_find_the_same():
    program = """
import json, sys
from stillroom.teacher.near_duplicates import NearDuplicates
seen, found = NearDuplicates(0.6), []
for number, text in enumerate(json.load(sys.stdin)):
    found.append(seen.nearest(text))
    seen.add(str(number), text)
print(json.dumps(found))
"""
    texts = json.dumps(variations(150))
    run = [subprocess.run([sys.executable, "-c", program], input=texts, text=True, capture_output=True) for _ in "ab"]
    assert run[0].stdout == run[1].stdout
    assert any(json.loads(run[0].stdout))


@pytest.mark.parametrize("threshold", [0.0, 0.05, 1.1, float("nan")])
def test_thresholds_that_cannot_be_kept_are_refused(threshold):
    with pytest.raises(RecipeError, match=r"between 0.1 and 1"):
        NearDuplicates(threshold)


def test_without_datasketch_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasketch", None)
    with pytest.raises(MissingError, match=r"stillroom-teacher\[minhash\]"):
        NearDuplicates()
