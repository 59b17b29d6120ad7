from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.errors import DataError, RecipeError
from stillroom.language.encoding import encode, matched, prompt_ids
from stillroom.language.prompting import StudentPrompt
from stillroom.language.rows import Row

small = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("small_tokenizers.py"))))
ROWS = [Row("He go to school.", "He goes to school."), Row("Elle est allé.", "Elle est allée.")]
PLAIN = StudentPrompt(form="plain")
INST = StudentPrompt(form="[INST] {{ user }} [/INST]")
BOS_INST = StudentPrompt(form="{{ bos_token }}[INST] {{ user }} [/INST]")
END = 2

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).map(lambda text: f"x{text}")


@given(texts, texts)
@settings(max_examples=50, deadline=None)
def test_prompt_and_answer_are_tokenized_apart(asked, said):
    tokenizer = small.made()
    (one,), _ = encode([Row(asked, said)], tokenizer, INST, 10_000)
    assert one.input_ids == [*one.prompt, *one.answer]
    assert one.answer_start == len(one.prompt)
    assert tokenizer.decode(list(one.prompt)) == f"[INST] {asked} [/INST]"
    assert tokenizer.decode(list(one.answer)[:-1]) == said
    assert one.answer[-1] == END


@pytest.mark.parametrize("spaces", ["bytes", "words"])
@pytest.mark.parametrize("around", ["", "begin", "end", "both"])
@pytest.mark.parametrize("prompt", [PLAIN, INST, BOS_INST, StudentPrompt()])
def test_a_model_goes_on_from_the_very_ids_it_was_trained_on(spaces, around, prompt):
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = small.made(small.BOS_CHAT, spaces=spaces, around=around)
    encoded, _ = encode(ROWS, tokenizer, prompt, 200)
    asked = prompt_ids(tokenizer, prompt, ROWS)
    assert [list(one.prompt) for one in encoded] == asked
    import torch

    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    seen = LlamaForCausalLM(config).generate(torch.tensor([asked[0]]), max_new_tokens=3, pad_token_id=0)[0].tolist()
    assert encoded[0].input_ids[: encoded[0].answer_start] == seen[: len(asked[0])]


@pytest.mark.parametrize("around", ["", "begin", "both"])
@pytest.mark.parametrize("prompt", [PLAIN, INST, BOS_INST, StudentPrompt()])
def test_the_first_special_token_is_there_at_most_once_and_no_end_mark_before_the_answer(around, prompt):
    tokenizer = small.made(small.BOS_CHAT, around=around)
    for one in encode(ROWS, tokenizer, prompt, 200)[0]:
        begins = around in ("begin", "both") or prompt in (BOS_INST, StudentPrompt())
        assert list(one.prompt).count(tokenizer.bos_token_id) == begins
        assert one.prompt[-1] != END
        assert list(one.answer).count(END) == 1


@pytest.mark.parametrize("around", ["", "begin", "both"])
@pytest.mark.parametrize("template", [small.CHAT, small.BOS_CHAT])
def test_a_chat_has_the_ids_that_transformers_gives_it_reference(around, template):
    tokenizer = small.made(template, around=around)
    for row, ids in zip(ROWS, prompt_ids(tokenizer, StudentPrompt(), ROWS), strict=True):
        turns = [{"role": "user", "content": row.input}]
        assert ids == tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)


@pytest.mark.parametrize("around", ["begin", "both"])
def test_a_text_has_the_ids_that_its_tokenizer_gives_it_reference(around):
    tokenizer = small.made(around=around, spaces="words")
    asked = prompt_ids(tokenizer, PLAIN, ROWS, kind="seq2seq")
    assert asked == [tokenizer(f"{row.input}\n").input_ids for row in ROWS]


def test_an_encoder_reads_its_end_mark_and_the_answer_is_the_decoders():
    tokenizer = small.made(around="end", spaces="words")
    for one, row in zip(encode(ROWS, tokenizer, PLAIN, 200, kind="seq2seq")[0], ROWS, strict=True):
        assert (one.prompt[-1], one.answer[-1]) == (END, END)
        assert tokenizer.decode(list(one.answer)[:-1]) == row.answer


def test_rows_that_are_too_long_are_left_out_whole_and_reported():
    tokenizer = small.made()
    rows = [Row("short", "short"), Row("long " * 50, "x"), Row("x", "long " * 70)]
    lengths = [len(one) for one in encode(rows, tokenizer, PLAIN, 10_000)[0]]
    encoded, report = encode(rows, tokenizer, PLAIN, 60)
    assert [one.row for one in encoded] == [0]
    assert (report.rows, report.kept, report.too_long, report.pieces, report.longest) == (3, 1, 2, 0, max(lengths))
    assert (report.tokens, report.answer_tokens) == (lengths[0], len(encoded[0].answer))
    assert f"2 of 3 rows have more than 60 tokens (the longest {max(lengths)}) and were left out" in report.sentence()


def test_a_row_of_exactly_the_limit_stays():
    tokenizer = small.made()
    size = len(encode(ROWS[:1], tokenizer, PLAIN, 200)[0][0])
    assert encode(ROWS[:1], tokenizer, PLAIN, size)[1].too_long == 0
    with pytest.raises(DataError, match=f"all 1 rows have more than {size - 1} tokens"):
        encode(ROWS[:1], tokenizer, PLAIN, size - 1)


def test_a_row_that_is_too_long_is_an_error_where_the_recipe_says_so():
    with pytest.raises(DataError, match=r"row 1 has \d+ tokens, more than 30 \(long long"):
        encode([Row("short", "short"), Row("long " * 50, "x")], small.made(), PLAIN, 30, "error")


def test_an_encoder_decoder_may_have_as_many_tokens_on_either_side():
    tokenizer = small.made(around="end")
    rows = [Row("word " * 20, "word " * 20)]
    side = len(encode(rows, tokenizer, PLAIN, 10_000, kind="seq2seq")[0][0].prompt)
    assert len(encode(rows, tokenizer, PLAIN, side + 5, kind="seq2seq")[0]) == 1


@pytest.mark.parametrize("around", ["", "begin"])
def test_a_text_without_an_input_is_read_in_pieces_that_are_the_text(around):
    tokenizer = small.made(around=around)
    text = "He goes to school every day. " * 20
    encoded, report = encode([Row("", text)], tokenizer, PLAIN, 50, "chunk")
    front = [1] if around else []
    pieces = [one.input_ids[len(front) :] for one in encoded]
    assert [token for piece in pieces for token in piece] == [*tokenizer(text, add_special_tokens=False).input_ids, END]
    assert all(one.input_ids[: len(front)] == front and len(one) <= 50 for one in encoded)
    assert max(map(len, pieces)) - min(map(len, pieces)) <= 1
    assert (report.pieces, report.kept, report.too_long) == (len(pieces), len(pieces), 1)
    assert "cut into" in report.sentence()


def test_nothing_is_learned_before_the_first_token_is_read():
    tokenizer = small.made()
    (one,), _ = encode([Row("", "some text")], tokenizer, PLAIN, 50)
    assert (len(one.prompt), one.input_ids[-1]) == (1, END)
    assert one.input_ids[:-1] == tokenizer("some text").input_ids


def test_half_a_question_is_not_asked():
    with pytest.raises(RecipeError, match="only texts without an input can be cut into chunks"):
        encode([Row("long " * 50, "x")], small.made(), PLAIN, 30, "chunk")


def test_a_classifier_learns_the_number_of_a_class_or_the_probability_of_each():
    rows = [Row("a", "no"), Row("b", " yes "), Row("c", "no", soft_targets={"yes": 0.25, "no": 0.74})]
    encoded, report = encode(rows, small.made(around="both"), PLAIN, 50, kind="classifier", classes=["no", "yes"])
    assert [one.target for one in encoded[:2]] == [0, 1]
    assert encoded[2].target == pytest.approx((0.74 / 0.99, 0.25 / 0.99))
    assert all((one.prompt[0], one.prompt[-1], len(one.answer)) == (1, END, 0) for one in encoded)
    assert report.answer_tokens == 0


def test_an_answer_that_is_no_class_is_named():
    with pytest.raises(DataError, match="row 0 is 'maybe', which is none of the classes no, yes"):
        encode([Row("a", "maybe")], small.made(), PLAIN, 50, kind="classifier", classes=["no", "yes"])
    with pytest.raises(RecipeError, match="a classifier needs classes"):
        encode(ROWS, small.made(), PLAIN, 50, kind="classifier")


def test_tasks_with_a_prompt_of_their_own_are_asked_by_it():
    tokenizer = small.made()
    rows = [Row("a", "x", task="gec"), Row("a", "x", task="maths")]
    first, second = encode(rows, tokenizer, PLAIN, 50, prompts={"maths": INST})[0]
    assert tokenizer.decode(list(first.prompt)) == "a\n"
    assert tokenizer.decode(list(second.prompt)) == "[INST] a [/INST]"


def test_rationales_are_told_apart():
    rows = [Row("a", "x"), Row("a", "because", prefix="[rationale] ", reasons=True)]
    assert [one.task for one in encode(rows, small.made(), PLAIN, 50)[0]] == [0, 1]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (Row("a", None), r"row 0 has no answer to learn \(a\)"),
        (Row("a", "  "), "row 0 has no answer"),
        (Row("a", "half \ud83d"), "half a character"),
        (Row("half \ud83d", "a"), "half a character"),
    ],
)
def test_a_row_that_cannot_be_learned_is_named(row, sentence):
    with pytest.raises(DataError, match=sentence):
        encode([row], small.made(), PLAIN, 50)


def test_a_row_without_what_the_prompt_asks_for_is_numbered():
    with pytest.raises(DataError, match=r"row 1 \(b\): a row has no 'topic'"):
        encode([Row("a", "x", extra={"topic": ""}), Row("b", "x")], small.made(), StudentPrompt(
            user="{{ topic }}{{ input }}", form="plain"), 50)  # fmt: skip


def test_a_tokenizer_without_an_end_mark_cannot_teach_to_stop():
    tokenizer = small.made()
    tokenizer.eos_token = None
    with pytest.raises(RecipeError, match="no end mark"):
        encode(ROWS, tokenizer, PLAIN, 50)


def test_rows_are_matched_with_those_that_the_teacher_can_read():
    tokenizer = small.made()
    rows = [Row("a", "x"), Row("word " * 10, "y"), Row("c", "z")]
    shots = StudentPrompt(form="plain", examples=({"input": "long " * 8, "answer": "z"},))
    students = encode(rows, tokenizer, PLAIN, 60)[0]
    teachers, report = encode(rows, tokenizer, shots, 60)
    assert report.too_long == 1
    ours, theirs = matched(students, teachers)
    assert [one.row for one in ours] == [one.row for one in theirs] == [0, 2]
    assert all(list(one.answer) == list(other.answer) for one, other in zip(ours, theirs, strict=True))
    with pytest.raises(DataError, match="in other tokens"):
        matched(students, encode([Row("a", "other")] * 3, tokenizer, PLAIN, 60)[0])
    with pytest.raises(DataError, match="no row is short enough"):
        matched(students, [])
