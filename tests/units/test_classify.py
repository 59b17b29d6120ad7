"""Classes, learned in two ways, from whatever there is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stillroom.core.errors import DataError, RecipeError
from stillroom.core.recipes import checked
from stillroom.units import classify
from stillroom.units.classify import Lesson, fit, of_task, probabilities
from stillroom.units.windows import few_of_each

NAN = np.nan
RIDGE = Lesson(head="ridge")
SHORT = Lesson(head="tokens", steps=4, batch_size=4)


def right(network, learned, series, labels):
    found = probabilities(network, learned, series)
    return (learned.classes[found.argmax(axis=1)] == labels).mean()


@pytest.fixture(scope="module")
def known(network, make_shapes):
    series, labels = make_shapes(24, 40)
    return fit(network, series, labels, RIDGE)


def test_a_ridge_on_frozen_features_tells_slow_waves_from_fast_ones(network, known, make_shapes):
    assert known.head == "ridge"
    assert known.classes.tolist() == ["fast", "slow"]
    assert right(network, known, *make_shapes(40, 40, seed=1)) == 1.0


def test_probabilities_sum_to_one_and_do_not_depend_on_the_batch(network, known, make_shapes):
    series, _ = make_shapes(9, 33, seed=2)
    found = probabilities(network, known, series)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    for row, one in zip(found, series, strict=True):
        np.testing.assert_allclose(probabilities(network, known, [one])[0], row, atol=1e-4)


def test_tokens_begin_at_the_means_of_their_classes_and_are_no_worse_for_training(network, make_shapes):
    series, labels = make_shapes(60, 40)
    learned = fit(network, series, labels, SHORT)
    assert learned.head == "tokens"
    assert learned.held_out["tokens"] >= 0.9
    assert right(network, learned, *make_shapes(40, 40, seed=1)) >= 0.9


def test_training_of_tokens_moves_tokens_alone(network, make_shapes):
    series, labels = make_shapes(12, 24)
    before = dict(network.named_parameters())
    for moves in ("tokens", "all"):
        lesson = Lesson(head="tokens", moves=moves, steps=12, batch_size=8, learning_rate=3e-3)
        after = fit(network, series, labels, lesson).network.named_parameters()
        moved = {name for name, weight in after if name not in before or (weight != before[name]).any()}
        own = {"tokens.cls", "tokens.sharpness"}
        new = {f"tokens.prompts.{classify.TASK}", f"tokens.categories.{classify.TASK}"}
        assert own | new <= moved
        assert (moved == own | new) == (moves == "tokens")


def test_the_same_seed_learns_the_same(network, make_shapes):
    series, labels = make_shapes(12, 24)
    first, again = (probabilities(network, fit(network, series, labels, SHORT), series) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_nobodys_random_state_moves(network, make_shapes):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    fit(network, *make_shapes(12, 24), Lesson(head="ridge"))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002


def test_with_enough_items_the_better_way_is_taken_and_ridge_where_they_are_equal(network, make_shapes):
    learned = fit(network, *make_shapes(classify.ENOUGH, 40), Lesson(steps=2, batch_size=4))
    assert set(learned.held_out) == {"ridge", "tokens"}
    expected = "tokens" if learned.held_out["tokens"] > learned.held_out["ridge"] else "ridge"
    assert learned.head == expected


def test_with_few_items_nothing_is_kept_back(network, make_shapes):
    learned = fit(network, *make_shapes(classify.ENOUGH - 2, 24), Lesson())
    assert learned.head == "ridge"
    assert learned.held_out is None


def test_a_class_of_few_items_keeps_them_all_to_learn_from():
    numbers = np.array([0] * 50 + [1] * 4 + [2])
    learn, judge = classify._kept_back(numbers, 0)
    assert sorted([*learn, *judge]) == list(range(55))
    assert np.bincount(numbers[judge], minlength=3).tolist() == [10, 0, 0]
    many = classify._kept_back(np.arange(10_000) % 2, 0)[1]
    assert len(many) == classify.JUDGES


@pytest.mark.parametrize("lesson", [RIDGE, SHORT])
def test_unequal_lengths_missing_values_and_a_class_of_one_item_are_learned(network, make_shapes, make_walk, lesson):
    series, labels = make_shapes(11, 40, variables=2)
    series = [one[:, : 40 - 2 * number] for number, one in enumerate(series)]
    series[3][0] = NAN
    series[4][:, 5:9] = NAN
    series[5][1] = 7.0
    labels[-1] = "odd"
    learned = fit(network, series, labels, lesson)
    found = probabilities(network, learned, [*series, make_walk(0, 2, 1), np.full((2, 5), NAN), make_walk(1, 2, 400)])
    assert found.shape == (14, 3)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-9)


@pytest.mark.parametrize("lesson", [Lesson(), RIDGE, SHORT])
def test_a_single_class_is_certain(network, make_shapes, lesson):
    series, _ = make_shapes(3, 20)
    learned = fit(network, series, ["all"] * 3, lesson)
    assert learned.head == "only"
    assert probabilities(network, learned, series).tolist() == [[1.0]] * 3


def test_two_items_are_enough(network, make_shapes):
    series, labels = make_shapes(2, 40)
    assert right(network, fit(network, series, labels, RIDGE), series, labels) == 1.0


def test_steps_that_a_file_pads_series_with_change_nothing(network, known, make_shapes):
    series, _ = make_shapes(3, 30, seed=3)
    padded = [np.concatenate([one, np.full((1, 17), NAN)], axis=1) for one in series]
    np.testing.assert_array_equal(probabilities(network, known, padded), probabilities(network, known, series))


@pytest.mark.parametrize(
    "labels", [[3, 1, 3, 1], ["b", "a", "b", "a"], [True, False, True, False], [0.5, 0.25, 0.5, 0.25]]
)
def test_classes_are_in_numpys_order_whatever_they_are(network, make_shapes, labels):
    learned = fit(network, make_shapes(4, 20)[0], labels, RIDGE)
    assert learned.classes.tolist() == np.unique(labels).tolist()


def test_a_task_of_the_model_answers_without_learning(network, make_walk):
    found = of_task(network, "gestures", [make_walk(0, 2, 20), make_walk(1, 3, 9, 0.3)])
    assert found.shape == (2, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    with pytest.raises(RecipeError, match="no classes for the task 'forecast': those with classes are gestures"):
        of_task(network, "forecast", [make_walk(0, 1, 9)])
    with pytest.raises(RecipeError, match="no classes for the task 'nobody'"):
        of_task(network, "nobody", [make_walk(0, 1, 9)])


def test_a_known_task_answers_in_the_order_of_the_labels_and_learns_nothing(network, make_walk):
    series = [make_walk(seed, 2, 20) for seed in range(3)]
    learned = fit(network, series, ["still", "left", "right"], Lesson(head="known", task="gestures"))
    assert learned.head == "known"
    assert learned.network is None
    assert learned.classes.tolist() == ["left", "right", "still"]
    np.testing.assert_array_equal(probabilities(network, learned, series), of_task(network, "gestures", series))


def test_classes_that_are_numbers_find_their_own_columns(make_network, make_walk):
    network = make_network(tasks={"digits": ["1", "10", "2"]})  # as names are sorted, and not as numbers are
    series = [make_walk(seed, 1, 20) for seed in range(3)]
    learned = fit(network, series, [10, 2, 1], Lesson(head="known", task="digits"))
    found = of_task(network, "digits", series)
    np.testing.assert_array_equal(probabilities(network, learned, series), found[:, [0, 2, 1]])


def test_a_task_that_the_model_has_not_or_with_other_classes_is_said_in_one_sentence(network, make_shapes):
    series, labels = make_shapes(4, 20)
    with pytest.raises(RecipeError, match="no classes for the task 'waves': those with classes are gestures"):
        fit(network, series, labels, Lesson(head="known", task="waves"))
    with pytest.raises(RecipeError, match="Nothing names a task to answer by: those with classes are gestures"):
        fit(network, series, labels, Lesson(head="known"))
    with pytest.raises(DataError, match="has the classes left, right, still, and these series fast, slow"):
        fit(network, series, labels, Lesson(head="known", task="gestures"))


@pytest.mark.parametrize("head", ["ridge", "tokens"])
def test_of_a_share_nothing_else_is_seen(network, make_shapes, head):
    series, labels = make_shapes(40, 24)
    lesson = Lesson(head=head, share=0.1, steps=4, batch_size=4)
    some = few_of_each(np.unique(labels, return_inverse=True)[1], 0.1, 0)
    garbled = [one if place in some else np.full((1, 24), 1e6 * place) for place, one in enumerate(series)]
    other, _ = make_shapes(5, 24, seed=1)
    found, expected = (
        probabilities(network, fit(network, given, labels, lesson), other) for given in (garbled, series)
    )
    np.testing.assert_array_equal(found, expected)
    assert found.shape == (5, 2)


def test_lessons_that_cannot_be_meant_are_refused_in_one_sentence():
    for parts, message in (
        ({"task": "gestures"}, "under head: known alone, not under head: auto"),
        ({"head": "known", "share": 0.2}, "leave share out"),
        ({"share": 0}, "share"),
        ({"head": "knwon"}, "head"),
    ):
        with pytest.raises(RecipeError, match=message):
            checked(Lesson, parts)


def test_what_cannot_be_learned_is_said_in_one_sentence(network, known, make_walk):
    series = [make_walk(seed, 1, 9) for seed in range(3)]
    with pytest.raises(DataError, match="3 series need as many labels"):
        fit(network, series, ["a", "b"], RIDGE)
    with pytest.raises(DataError, match="1 labels are missing"):
        fit(network, series, [0.0, NAN, 1.0], RIDGE)
    with pytest.raises(DataError, match="all names or all numbers"):
        fit(network, series, np.array(["a", None, 1], dtype=object), RIDGE)
    with pytest.raises(DataError, match="Series 1 has 2 variables instead of 1"):
        fit(network, [series[0], make_walk(0, 2, 9)], ["a", "b"], RIDGE)
    with pytest.raises(DataError, match="Series 0 has 2 variables instead of 1"):
        probabilities(network, known, [make_walk(0, 2, 9)])
