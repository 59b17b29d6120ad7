import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from stillroom.core.errors import DataError
from stillroom.teacher.judge import against_humans, prompt, requests, verdicts
from stillroom.teacher.prompt import Prompt
from stillroom.teacher.rendering import Rendering


def table(answers):
    return [{"row_id": row, "input": f"question {row}", "answer": answer} for row, answer in answers.items()]


def judged(rows, judge):
    """Return the label table of a judge, which is a function of the first and the second answer."""
    return [{**row, "answer": judge(row["first"], row["second"])} for row in rows]


def longer(first, second):
    return "tie" if len(first) == len(second) else "first" if len(first) > len(second) else "second"


answers = st.text("x", min_size=1, max_size=4)
both = st.dictionaries(st.text("rs/", min_size=1, max_size=3), st.tuples(answers, answers), min_size=1)


@given(both)
def test_swapped_tables_have_mirrored_verdicts(rows):
    assume(any(one != other for one, other in rows.values()))
    a, b = (table({row: pair[side] for row, pair in rows.items()}) for side in (0, 1))
    forth, back = (verdicts(judged(requests(*tables), longer)) for tables in ((a, b), (b, a)))
    mirror = {"a": "b", "b": "a", "tie": "tie"}
    assert back.verdicts == {row: mirror[verdict] for row, verdict in forth.verdicts.items()}
    assert back.win_rate.mean == pytest.approx(1 - forth.win_rate.mean)
    assert back.win_rate.low == pytest.approx(1 - forth.win_rate.high)
    assert forth.position_bias == back.position_bias == 0
    expected = [longer(*pair) for pair in rows.values() if pair[0] != pair[1]]
    assert forth.win_rate.mean == pytest.approx(expected.count("first") / len(expected))


def test_a_judge_that_always_takes_the_first_wins_nothing_for_either():
    a, b = table({"1": "x", "2": "y"}), table({"1": "z", "2": "z"})
    found = verdicts(judged(requests(a, b), lambda first, second: "first"))
    assert set(found.verdicts.values()) == {"inconsistent"}
    assert (found.win_rate.mean, found.position_bias, found.first) == (0.5, 1.0, 1.0)


def test_a_tie_in_one_order_alone_is_inconsistent():
    found = verdicts([{"row_id": "1/ab", "answer": "tie"}, {"row_id": "1/ba", "answer": "first"}])
    assert found.verdicts == {"1": "inconsistent"}


def test_a_win_of_every_one_of_few_rows_is_not_certain():
    a, b = table({str(row): "xx" for row in range(20)}), table({str(row): "x" for row in range(20)})
    win_rate = verdicts(judged(requests(a, b), longer)).win_rate
    assert (win_rate.rows, win_rate.mean) == (20, 1.0)
    assert win_rate.low < 0.84


def test_rows_without_two_answers_are_neither_asked_about_nor_judged():
    asked = list(requests(table({"1": "x", "2": None, "3": "z"}), table({"1": "y", "2": "y"}), instructions="Rhyme."))
    assert [row["row_id"] for row in asked] == ["1/ab", "1/ba"]
    assert [(row["first"], row["second"]) for row in asked] == [("x", "y"), ("y", "x")]
    found = verdicts([
        {"row_id": "1/ab", "answer": "first"}, {"row_id": "1/ba", "answer": "second"},
        {"row_id": "2/ab", "answer": "first"}, {"row_id": "2/ba", "answer": None},
        {"row_id": "3/ab", "answer": "first"},
    ])  # fmt: skip
    assert (found.verdicts, found.unanswered) == ({"1": "a"}, 2)


def test_the_prompt_shows_both_answers_and_the_task_if_it_is_known():
    rendering = Rendering(Prompt.read(prompt()))
    tables = table({"1": "<b>one</b>"}), table({"1": "two {{ input }}"})
    for instructions in (None, "Rhyme."):
        row = next(requests(*tables, instructions=instructions))
        system, user = rendering.request(row, "m").body["messages"]
        assert "exactly one of: first, second, tie" in system["content"]
        places = [user["content"].index(text) for text in ("question 1", "<b>one</b>", "two {{ input }}")]
        assert places == sorted(places)
        assert ("The task was: Rhyme." in user["content"]) == (instructions is not None)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "tie"]), st.sampled_from(["a", "b", "tie"])), min_size=1))
def test_agreement_with_people_equals_scikit_learn_s_reference(pairs):
    judge = {str(row): verdict for row, (verdict, _) in enumerate(pairs)}
    people = [{"row_id": str(row), "preference": mark} for row, (_, mark) in enumerate(pairs)]
    agreement, kappa = against_humans(judge, people)
    assert agreement.mean == pytest.approx(sum(a == b for a, b in pairs) / len(pairs))
    expected = cohen_kappa_score(*zip(*pairs, strict=True)) if len({*sum(pairs, ())}) > 1 else math.nan
    assert kappa == pytest.approx(expected, nan_ok=True)


def test_an_inconsistent_verdict_is_a_tie_to_people():
    agreement, _ = against_humans({"1": "inconsistent", "2": "a"}, [{"row_id": 1, "preference": "tie"}])
    assert (agreement.rows, agreement.mean) == (1, 1.0)


def test_what_cannot_be_judged_is_refused_in_a_sentence():
    with pytest.raises(DataError, match="no row is answered in both"):
        next(requests(table({"1": "x"}), table({"2": "x"})))
    with pytest.raises(DataError, match="row 1 has another input"):
        next(requests(table({"1": "x"}), [{"row_id": "1", "input": "other", "answer": "y"}]))
    with pytest.raises(DataError, match="row 1 is no answer of a judge"):
        verdicts([{"row_id": "1", "answer": "first"}])
    with pytest.raises(DataError, match="row 1/ab is no answer of a judge"):
        verdicts([{"row_id": "1/ab", "answer": "the first one"}])
    with pytest.raises(DataError, match="no row is judged in both orders"):
        verdicts([{"row_id": "1/ab", "answer": "first"}])
    with pytest.raises(DataError, match="row 1 is marked 'A'"):
        against_humans({"1": "a"}, [{"row_id": "1", "preference": "A"}])
    with pytest.raises(DataError, match="row 1 is marked twice"):
        against_humans({"1": "a"}, [{"row_id": "1", "preference": "a"}] * 2)


def test_equal_answers_are_not_asked_about():
    a, b = table({"x": "same", "y": "one"}), table({"x": "same", "y": "other"})
    assert {row["row_id"] for row in requests(a, b)} == {"y/ab", "y/ba"}
    with pytest.raises(DataError, match="nothing to judge"):
        list(requests(a, a))
