"""Tokens of a job, counted here and by a server that is then asked for real."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.core.errors import DataError, MissingError
from stillroom.teacher import estimates
from stillroom.teacher.estimates import MIXED, bytes_by_four, estimate, ways
from stillroom.teacher.labelling import label
from stillroom.teacher.plan import Counts, cheapest, plans
from stillroom.teacher.prices import PICO, Price
from stillroom.teacher.sampling import Sample
from stillroom.teacher.testing import Script, ScriptedServer
from stillroom.teacher.testing.answers import count

EXAMPLES = [{"input": {"text": "Is 3 even?"}, "output": "no"}, {"input": {"text": "Is 4 even?"}, "output": "yes"}]
PROMPT = {"instructions": "Say whether the number is even, please, and think.", "examples": EXAMPLES}


def halve(text: str, rate: float) -> tuple[str, int]:
    words = text.split()
    kept = words[: round(rate * len(words))]
    return " ".join(kept), len(words) - len(kept)


def test_the_count_equals_a_server_s_bill(store, make_job, api, some_rows):
    """The scripted server counts words and signs, and 4 for a message; it opens the answer for nothing."""
    rows = some_rows(30)
    with ScriptedServer(Script(answer="yes")) as server:
        for job in (make_job(PROMPT), make_job(PROMPT, rate=0.5, shorten=halve)):
            found = estimate(rows, job, count)
            before = server.bill().prompt_tokens
            label(rows, job, store, api(server))
            counts = found.counts
            prefix = counts.prefix if job.rate is None else counts.compressed_prefix
            billed = server.bill().prompt_tokens - before
            assert counts.rows * prefix + counts.rest == billed + 3 * len(rows)
        assert counts.compressed_prefix < counts.prefix
        assert counts.compressed_rest is None


def test_texts_of_rows_are_compressed_on_a_sample_and_scaled(make_job):
    rows = [{"row_id": number, "text": f"{number} " + "word " * (20 + number % 7)} for number in range(500)]
    job = make_job({"user": {"text": "{{ text }}", "compress": 0.5}}, shorten=halve)
    whole, part = (estimate(rows, job, count, sample=sample) for sample in (500, 50))
    assert (whole.sampled, part.sampled) == (500, 50)
    exact = sum(count(halve(row["text"], 0.5)[0]) for row in rows)
    assert whole.counts.compressed_rest == exact + 500 * estimates.OWN_TOKENS
    assert part.counts.compressed_rest == pytest.approx(whole.counts.compressed_rest, rel=0.02)
    assert whole.counts.compressed_prefix is None
    assert estimate(reversed(rows), job, count, sample=50) == part


def test_what_rows_have_in_common_after_the_messages_is_prefix(make_job, some_rows):
    long = "Is the number in this question even? Answer with care. "
    plain, wordy = (estimate(some_rows(20), make_job({"user": text + "{{ text }}"}), count) for text in ("", long))
    assert wordy.counts.rest == plain.counts.rest
    assert wordy.counts.prefix == plain.counts.prefix + count(long)


def test_a_completed_text_has_its_prefix_too(make_job, some_rows):
    prompt = {**PROMPT, "endpoint": "completions", "template": "[INST] {{ system }} [/INST] {{ user }}"}
    counts = estimate(some_rows(20), make_job(prompt, rate=0.5, shorten=halve), count).counts
    assert counts.prefix > counts.compressed_prefix > 10
    system = "Say whether the number is even, please, and think.\n\nAnswer with exactly one of: yes, no."
    assert counts.prefix + counts.rest // 20 == pytest.approx(count(f"[INST] {system} [/INST] Is 10 even?"), abs=1)


def test_rows_that_cost_nothing_are_left_out(store, make_job, api, some_rows):
    job = make_job(PROMPT)
    with ScriptedServer(Script(answer="yes")) as server:
        label(some_rows(10), job, store, api(server))
        label(some_rows(5, 10), replace(job, rate=0.5, shorten=halve), store, api(server))
    rows = [*some_rows(20), *some_rows(4, 16), {"row_id": "odd"}]
    found = estimate(rows, replace(job, rate=0.5, shorten=halve), count, store)
    assert (found.rows, found.stored, found.repeated, found.misfits, found.counts.rows) == (25, 15, 4, 1, 5)
    assert found.counts.completion == 5  # "yes" is one token
    assert found.completion == "the mean of 5 labels in the store"
    done = estimate(some_rows(10), job, count, store)
    assert done.counts == Counts(0, 0, 0, 0)


def test_an_answer_is_as_long_as_given_or_as_the_examples_or_as_it_may_be(make_job, some_rows):
    rows = some_rows(10)
    given_length = estimate(rows, make_job(PROMPT), count, completion_tokens=7)
    assert (given_length.counts.completion, given_length.completion) == (70, "as given")
    shown = estimate(rows, make_job(PROMPT), count)
    assert (shown.counts.completion, shown.completion[:38]) == (10, "the mean of the prompt's 2 examples, r")
    most = estimate(rows, make_job(), count)
    assert (most.counts.completion, most.completion) == (80, "max_tokens, the most there can be")


def test_a_first_row_that_does_not_fit_is_refused(make_job):
    with pytest.raises(DataError, match="row 0 has no 'text'"):
        estimate([{"question": "?"}], make_job(), count)


def test_the_best_mix_of_a_cached_prefix_and_compressed_texts_is_among_the_ways():
    price = Price(input=1, cached_input=0.1, output=4, cache_minimum=1024)
    counts = Counts(1000, 2100, 400_000, 0, compressed_prefix=1000, compressed_rest=200_000)
    found = ways(counts, price)
    best = cheapest(found)
    assert best.name == MIXED
    assert best.cost / PICO == pytest.approx((999 * 2048 * 0.1 + 999 * 52 + 2100 + 200_000) / 10**6)
    assert [one for one in found if one.name != MIXED] == plans(counts, price)
    assert ways(replace(counts, compressed_rest=None), price) == plans(replace(counts, compressed_rest=None), price)


def test_a_counter_says_its_name_and_what_it_lacks(monkeypatch, tmp_path):
    pytest.importorskip("stillroom.prompts")
    own, name = estimates.counter()
    assert (own("Is 4 even?"), name) == (4, "stillroom-prompts' estimate")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    with pytest.raises(MissingError, match="tiktoken"):
        estimates.counter("tiktoken:o200k_base")
    monkeypatch.setitem(sys.modules, "stillroom.prompts", None)  # as where it is not installed
    assert estimates.counter() == (bytes_by_four, "UTF-8 bytes / 4")
    with pytest.raises(MissingError, match="or leave out --counter to count bytes / 4"):
        estimates.counter("tiktoken:o200k_base")


@given(st.text())
def test_bytes_by_four_count_every_text_that_is_not_empty(text):
    assert bytes_by_four(text) == -(-len(text.encode()) // 4)
    assert bool(bytes_by_four(text)) == bool(text)


@given(st.sets(st.integers(0, 2**64), min_size=1), st.integers(1, 20), st.randoms())
def test_a_sample_holds_the_smallest_hashes_in_whatever_order_they_come(digests, size, random):
    mixed = [*digests, *digests]
    random.shuffle(mixed)
    sample = Sample(size)
    for digest in mixed:
        sample.add(f"{digest:x}", digest)
    assert list(sample) == sorted(digests)[:size]
    assert len(sample) == min(size, len(digests))
