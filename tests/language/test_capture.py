"""A teacher is asked once a row, whatever happens, and what is kept teaches as it would itself."""

from __future__ import annotations

import multiprocessing
import runpy
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from stillroom.core.errors import CorruptError, DataError
from stillroom.core.targets import TargetStore
from stillroom.language.batching import Batched
from stillroom.language.capture import capture
from stillroom.language.encoding import Encoded
from stillroom.language.losses import losses_for
from stillroom.language.objective import Objective

CHILD = str(Path(__file__).with_name("capturing_child.py"))
ours = runpy.run_path(CHILD)
ROWS, teacher = ours["ROWS"], ours["teacher"]


@pytest.fixture
def store(tmp_path):
    with TargetStore(tmp_path / "targets.sqlite") as store:
        yield store


def t5():
    from transformers import T5Config, T5ForConditionalGeneration

    from stillroom.language.teachers import LanguageTeacher

    torch.manual_seed(1)
    config = T5Config(
        vocab_size=64, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, decoder_start_token_id=0, pad_token_id=0
    )
    return LanguageTeacher(T5ForConditionalGeneration(config), None, "seq2seq")


def losses_of(targets, name):
    part = {"model": "t", "targets": targets}
    return losses_for(Objective(name=name, teacher=part), "causal")


@pytest.mark.parametrize("name", ["forward_kl", "reverse_kl", "jsd"])
@pytest.mark.parametrize(("exact", "nearness"), [(True, 1e-5), (False, 1e-3)])
def test_all_tokens_kept_teach_what_the_live_teacher_does(name, exact, nearness, store):
    live, student = teacher(), teacher().model
    with torch.no_grad():
        student.lm_head.weight.mul_(-0.5)
    kept = capture(live, ROWS, store, 64, exact=exact)
    batch = Batched(ROWS, size=8, pad=0, targets=kept)[3]
    wanted = losses_of("live", name)(student, batch, live)["teacher"]
    assert wanted > 0.1
    torch.testing.assert_close(
        losses_of("stored", name)(student, batch, None)["teacher"], wanted, rtol=0, atol=nearness
    )


def test_stored_targets_teach_a_packed_row_too(store):
    student, kept = teacher().model, capture(teacher(), ROWS, store, 64, exact=True)
    batch = Batched(ROWS, size=3, pad=0, packing=16, targets=kept)[0]
    loss = losses_of("stored", "forward_kl")(student, batch, None)["teacher"]
    assert abs(loss) < 1e-5


def test_few_tokens_kept_say_a_little_less(store):
    live, student = teacher(), teacher().model
    with torch.no_grad():
        student.lm_head.weight.mul_(-0.5)
    batch = Batched(ROWS, size=8, pad=0, targets=capture(live, ROWS, store, 8))[0]
    few = losses_of("stored", "forward_kl")(student, batch, None)["teacher"]
    whole = losses_of("live", "forward_kl")(student, batch, live)["teacher"]
    assert 0 < few < whole


@pytest.mark.parametrize("make", [teacher, t5])
def test_what_is_kept_of_a_row_does_not_depend_on_the_rows_beside_it(make, store, tmp_path):
    together = capture(make(), ROWS, store, 8, exact=True)
    with TargetStore(tmp_path / "alone.sqlite") as other:
        alone = capture(make(), ROWS[:5], other, 8, exact=True, tokens=1)
        for number in range(5):
            one, two = together[number], alone[number]
            assert one["teacher_indices"].shape == (3, 8)
            assert one["teacher_tail"].shape == (3,)
            np.testing.assert_array_equal(one["teacher_indices"], two["teacher_indices"])
            np.testing.assert_allclose(one["teacher_log_probs"], two["teacher_log_probs"], atol=1e-5)


def test_the_probabilities_kept_of_a_token_add_up_to_one(store):
    for said in capture(teacher(), ROWS, store, 8):
        total = np.exp(said["teacher_log_probs"]).sum(-1) + np.exp(said["teacher_tail"])
        np.testing.assert_allclose(total, 1, atol=1e-3)


def test_the_same_question_is_asked_once(store):
    asked = teacher()
    first = capture(asked, ROWS + ROWS[:10], store, 8)
    assert asked.asked == len(ROWS)
    assert first.addresses[:10] == first.addresses[-10:]
    again = capture(asked, list(reversed(ROWS)), store, 8)
    assert asked.asked == len(ROWS)
    assert again.addresses == first.addresses[: len(ROWS)][::-1]


def test_another_prompt_answer_teacher_or_number_of_tokens_is_another_question(store):
    row = Encoded([3, 4], [5, 2], 0)
    capture(teacher(), [row], store, 8)
    for asked, other, k in (
        (teacher(), Encoded([3], [4, 5, 2], 0), 8),  # the same tokens, cut elsewhere
        (teacher(), Encoded([3, 4], [6, 2], 0), 8),
        (teacher(), row, 9),
    ):
        capture(asked, [other], store, k)
        assert asked.asked == 1
    changed = teacher()
    with torch.no_grad():
        changed.model.lm_head.weight[0, 0] += 1
    capture(changed, [row], store, 8)
    assert changed.asked == 1


@pytest.mark.parametrize(("row", "what"), [(Encoded([], [5, 2], 7), "prompt"), (Encoded([3], [], 7), "answer")])
def test_a_row_with_nothing_to_ask_is_named(row, what, store):
    with pytest.raises(DataError, match=f"row 7 has no {what}"):
        capture(teacher(), [*ROWS, row], store, 8)


def test_a_store_that_lost_an_answer_says_so(store, tmp_path):
    kept = capture(teacher(), ROWS[:1], store, 8)
    with TargetStore(tmp_path / "empty.sqlite") as empty, pytest.raises(CorruptError, match="capture again"):
        type(kept)(empty, kept.addresses)[0]


def test_a_capture_that_is_killed_asks_only_for_what_is_missing(tmp_path):
    path = tmp_path / "targets.sqlite"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["stillroom.language.teachers", "transformers.models.llama.modeling_llama"])
    order = {"store": str(path), "seconds": 0.05}
    child = context.Process(target=runpy.run_path, args=(CHILD, {"ORDER": order}, "child"))
    child.start()
    with TargetStore(path) as store:
        deadline = time.monotonic() + 60
        while len(store.keys("top_k")) < 6:
            assert time.monotonic() < deadline, "the child asks nothing"
            time.sleep(0.01)
        child.kill()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        known, asked = len(store.keys("top_k")), teacher()
        assert 6 <= known < len(ROWS)
        kept = capture(asked, ROWS, store, 8, tokens=12)
        assert asked.asked == len(ROWS) - known
        store.check()
        fresh = tmp_path / "fresh.sqlite"
        with TargetStore(fresh) as other:
            for one, two in zip(kept, capture(teacher(), ROWS, other, 8, tokens=12), strict=True):
                for name, values in one.items():
                    np.testing.assert_allclose(values, two[name], atol=1e-2)
