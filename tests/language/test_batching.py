from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.batches import BatchStream
from stillroom.core.errors import DataError, RecipeError
from stillroom.core.objectives import IGNORED_LABEL
from stillroom.language.batching import POOL, Batched, by_length, causal, classified, packed, seq2seq
from stillroom.language.encoding import Encoded
from stillroom.language.mixing import Mixture

PAD = 0


def rows_of(sizes, tasks=None):
    """Rows whose ids tell which row they are of: row n has the ids 1000 (n + 1) and on."""
    return [
        Encoded(
            [1000 * (n + 1) + place for place in range(asked)],
            [1000 * (n + 1) + asked + place for place in range(said)],
            n,
            tasks[n] if tasks else 0,
        )
        for n, (asked, said) in enumerate(sizes)
    ]


def some(count=40, seed=0, longest=9):
    random = np.random.default_rng(seed)
    return rows_of(random.integers(1, longest, size=(count, 2)).tolist())


def answers_in(batch, whose=""):
    return batch[whose + "labels"][batch[whose + "labels"] != IGNORED_LABEL].tolist()


sizes = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=25)


@given(sizes, st.integers(1, 5), st.sampled_from([None, 12, 40]), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_a_pass_has_every_token_of_every_row_once(sizes, size, packing, turn):
    rows = rows_of(sizes)
    batches = Batched(rows, size=size, pad=PAD, packing=packing)
    first = sum(batches.batches_of(before) for before in range(turn))
    found: Counter = Counter()
    learned: Counter = Counter()
    for index in range(first, first + batches.batches_of(turn)):
        batch = batches[index]
        assert len(batch["input_ids"]) <= size
        assert packing is None or batch["input_ids"].shape[1] <= packing
        found.update(batch["input_ids"][batch["input_ids"] != PAD].tolist())
        learned.update(answers_in(batch))
    assert found == Counter(token for one in rows for token in one.input_ids)
    assert learned == Counter(token for one in rows for token in one.answer)


@given(sizes, st.integers(1, 4), st.sampled_from([None, 12, 30]), st.lists(st.integers(0, 200), max_size=8))
@settings(max_examples=40, deadline=None)
def test_a_batch_is_a_function_of_its_number_alone(sizes, size, packing, asked):
    rows = rows_of(sizes)
    one = Batched(rows, size=size, pad=PAD, packing=packing, seed=3)
    for index in asked:
        fresh = Batched(rows, size=size, pad=PAD, packing=packing, seed=3)
        batch, again = one[index], fresh[index]
        assert batch.keys() == again.keys()
        assert all(torch.equal(batch[name], again[name]) for name in batch)
        assert batch["number"].tolist() == [index]


def test_the_order_is_another_in_each_pass_and_for_each_seed():
    rows = some()
    batches, other = Batched(rows, size=4, pad=PAD), Batched(rows, size=4, pad=PAD, seed=1)
    a_pass = batches.batches_of()
    assert a_pass == 10
    first = [batches[number]["input_ids"].tolist() for number in range(a_pass)]
    assert first != [batches[number]["input_ids"].tolist() for number in range(a_pass, 2 * a_pass)]
    assert first != [other[number]["input_ids"].tolist() for number in range(a_pass)]


def test_the_trainers_stream_resumes_in_the_middle():
    data = Batched(some(), size=3, pad=PAD, packing=20)
    whole = iter(BatchStream(data, batch_size=1))
    everything = [next(whole)["input_ids"].tolist() for _ in range(40)]
    rest = iter(BatchStream(Batched(some(), size=3, pad=PAD, packing=20), batch_size=1, start=25))
    assert [next(rest)["input_ids"].tolist() for _ in range(15)] == everything[25:]
    halves = [iter(BatchStream(data, batch_size=1, rank=rank, world=2)) for rank in range(2)]
    assert [next(halves[n % 2])["input_ids"].tolist() for n in range(40)] == everything


def test_batches_go_to_worker_processes():
    batches = Batched(some(), size=3, pad=PAD, order=Mixture(["a"] * 20 + ["b"] * 20))
    copy = pickle.loads(pickle.dumps(batches))
    assert copy[17]["input_ids"].tolist() == batches[17]["input_ids"].tolist()


def test_the_order_of_a_mixture_is_followed():
    rows = some(30)
    order = Mixture(["a"] * 10 + ["b"] * 20, {"a": 3.0, "b": 1.0})
    batches = Batched(rows, size=5, pad=PAD, order=order)
    drawn = [int(row[0]) // 1000 - 1 for n in range(batches.batches_of()) for row in batches[n]["input_ids"]]
    assert sorted(drawn) == sorted(order(0).tolist())
    assert sum(row < 10 for row in drawn) == 23  # three quarters of 30, rounded


def test_rows_of_like_lengths_are_together():
    rows = some(1000, longest=60)
    batches = Batched(rows, size=8, pad=PAD)
    wasted = [float((batches[n]["attention_mask"] == 0).float().mean()) for n in range(batches.batches_of())]
    alone = causal(rows[:64], PAD)["attention_mask"]
    assert np.mean(wasted) < 0.06 < float((alone == 0).float().mean())


@given(st.lists(st.integers(1, 50), min_size=1, max_size=300), st.integers(1, 9))
def test_groups_hold_each_place_once_and_only_the_last_is_short(lengths, size):
    groups = by_length(np.array(lengths), size, np.random.default_rng(0))
    assert sorted(place for group in groups for place in group) == list(range(len(lengths)))
    assert sorted(map(len, groups))[1:] == [size] * (len(groups) - 1)
    for group in groups:
        assert max(group) // (POOL * size) == min(group) // (POOL * size)


def test_packing_leaves_little_empty():
    rows = some(2000, longest=40)
    batches = Batched(rows, size=4, pad=PAD, packing=256)
    filled = [int((batches[n]["input_ids"] != PAD).sum()) for n in range(batches.batches_of())]
    sequences = [len(batches[n]["input_ids"]) for n in range(batches.batches_of())]
    assert sum(filled) / (sum(sequences) * 256) > 0.95


def test_a_causal_model_learns_the_answer_and_reads_the_prompt():
    batch = causal(rows_of([(2, 1), (1, 3)]), PAD)
    assert batch["input_ids"].tolist() == [[1000, 1001, 1002, PAD], [2000, 2001, 2002, 2003]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3]] * 2
    assert batch["labels"].tolist() == [[-100, -100, 1002, -100], [-100, 2001, 2002, 2003]]


def test_packed_rows_begin_at_position_zero_and_so_does_what_fills_up():
    first, second, third = rows_of([(2, 1), (1, 2), (1, 1)])
    batch = packed([[first, second], [third]], PAD)
    assert batch["input_ids"].tolist() == [[1000, 1001, 1002, 2000, 2001, 2002], [3000, 3001, *[PAD] * 4]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1, 2], [0, 1, 0, 1, 2, 3]]
    assert batch["labels"].tolist() == [[-100, -100, 1002, -100, 2001, 2002], [-100, 3001, *[-100] * 4]]
    assert "attention_mask" not in batch


def test_an_end_mark_is_learned_even_where_it_also_fills_up():
    row = Encoded([5, 6], [7, PAD], 0)
    assert causal([row, Encoded([5] * 5, [PAD], 1)], PAD)["labels"][0].tolist() == [-100, -100, 7, PAD, -100, -100]


def test_an_encoder_decoder_reads_and_writes_apart():
    batch = seq2seq(rows_of([(2, 1), (1, 3)]), PAD)
    assert batch["input_ids"].tolist() == [[1000, 1001], [2000, PAD]]
    assert batch["attention_mask"].tolist() == [[1, 1], [1, 0]]
    assert batch["labels"].tolist() == [[1002, -100, -100], [2001, 2002, 2003]]


def test_classes_are_numbers_or_where_any_row_is_unsure_probabilities():
    rows = [Encoded([1, 2], [], 0, target=2), Encoded([3], [], 1, target=0)]
    batch = classified(rows, PAD)
    assert (batch["labels"].tolist(), batch["labels"].dtype) == ([2, 0], torch.int64)
    assert batch["input_ids"].tolist() == [[1, 2], [3, PAD]]
    unsure = Encoded([4], [], 2, target=(0.5, 0.25, 0.25))
    batches = Batched([*rows, unsure], size=1, pad=PAD, kind="classifier")
    said = {int(batches[n]["input_ids"][0, 0]): batches[n]["labels"][0].tolist() for n in range(3)}
    assert said == {1: [0, 0, 1], 3: [1, 0, 0], 4: [0.5, 0.25, 0.25]}
    assert batches[0]["labels"].dtype == torch.float32


def targets_of(rows, k=2):
    """Stored targets whose numbers are the answer tokens themselves."""
    return [
        {
            "teacher_indices": np.stack([np.array(one.answer)] * k, axis=1),
            "teacher_log_probs": np.stack([np.array(one.answer, dtype=np.float32)] * k, axis=1),
            "teacher_tail": np.array(one.answer, dtype=np.float32),
        }
        for one in rows
    ]


@pytest.mark.parametrize(("kind", "packing"), [("causal", None), ("causal", 24), ("seq2seq", None)])
def test_what_is_known_of_answer_tokens_comes_in_their_order(kind, packing):
    rows = some()
    batches = Batched(rows, size=4, pad=PAD, kind=kind, packing=packing, targets=targets_of(rows))
    for number in range(2 * batches.batches_of()):
        batch = batches[number]
        assert batch["teacher_indices"][:, 1].tolist() == answers_in(batch)
        assert batch["teacher_log_probs"].shape == (len(answers_in(batch)), 2)
        assert batch["teacher_tail"].tolist() == answers_in(batch)


@pytest.mark.parametrize("packing", [None, 24])
def test_a_teacher_with_another_prompt_reads_the_same_answers_in_the_same_order(packing):
    rows = some()
    teachers = [Encoded([7] * 20 + list(one.prompt), one.answer, one.row) for one in rows]
    batches = Batched(rows, size=4, pad=PAD, packing=packing, teachers=teachers)
    for number in range(batches.batches_of()):
        batch = batches[number]
        assert answers_in(batch, "teacher_") == answers_in(batch)
        assert (batch["teacher_input_ids"][:, :20] == 7).all()
        assert batch["teacher_attention_mask"].sum() == (batch["teacher_input_ids"] != PAD).sum()


def test_a_teacher_may_be_of_another_kind():
    rows = some(8)
    batch = Batched(rows, size=8, pad=PAD, teachers=rows, teacher_kind="seq2seq")[0]
    assert answers_in(batch, "teacher_") == answers_in(batch)
    assert batch["teacher_labels"].shape[1] == max(len(one.answer) for one in rows)


@pytest.mark.parametrize(("kind", "packing"), [("causal", None), ("causal", 24), ("seq2seq", None)])
def test_every_answer_token_knows_its_task(kind, packing):
    rows = rows_of([(3, 2)] * 20, tasks=[n % 2 for n in range(20)])
    batches = Batched(rows, size=3, pad=PAD, kind=kind, packing=packing)
    for number in range(batches.batches_of()):
        batch = batches[number]
        assert batch["tasks"].shape == (batch["labels"].shape if packing else (len(batch["labels"]),))
        tasks = batch["tasks"].reshape(len(batch["labels"]), -1).expand_as(batch["labels"])
        known = tasks[batch["labels"] != IGNORED_LABEL].tolist()
        assert known == [(token // 1000 - 1) % 2 for token in answers_in(batch)]


def test_rows_of_one_task_need_not_say_so():
    assert "tasks" not in Batched(some(), size=4, pad=PAD)[0]


def test_data_that_do_not_fit_together_are_refused():
    rows = some(5)
    with pytest.raises(DataError, match="have no rows"):
        Batched([], size=4, pad=PAD)
    with pytest.raises(DataError, match="a packed sequence only 3"):
        Batched(rows, size=4, pad=PAD, packing=3)
    with pytest.raises(RecipeError, match="rows of a seq2seq cannot be packed"):
        Batched(rows, size=4, pad=PAD, packing=100, kind="seq2seq")
    with pytest.raises(DataError, match="there are 4 teachers for 5 rows"):
        Batched(rows, size=4, pad=PAD, teachers=rows[:4])
    with pytest.raises(DataError, match="another answer to row 0"):
        Batched(rows, size=4, pad=PAD, teachers=rows[::-1])
    with pytest.raises(DataError, match="there are 4 targets for 5 rows"):
        Batched(rows, size=4, pad=PAD, targets=targets_of(rows[:4]))
    short = [{name: values[:-1] for name, values in one.items()} for one in targets_of(rows)]
    with pytest.raises(DataError, match="capture the targets again"):
        Batched(rows, size=4, pad=PAD, targets=short)[0]
