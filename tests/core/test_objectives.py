import pytest
import torch

from stillroom.core import objectives
from stillroom.core.errors import RecipeError
from stillroom.core.objectives import OBJECTIVES, weighted_sum

NAMES = {
    "cross_entropy",
    "forward_kl",
    "reverse_kl",
    "skewed_forward_kl",
    "skewed_reverse_kl",
    "generalized_js",
    "total_variation",
    "sparse_forward_kl",
    "sparse_reverse_kl",
    "sparse_generalized_js",
    "pinball",
    "quantile_match",
    "huber",
    "hidden_alignment",
}


def named_losses():
    return {"pinball": torch.tensor(2.0, requires_grad=True), "match": torch.tensor(3.0, requires_grad=True)}


def test_recipes_find_every_objective_under_its_functions_name():
    assert OBJECTIVES.keys() == NAMES
    assert all(OBJECTIVES[name] is getattr(objectives, name) for name in NAMES)


def test_everything_that_is_exported_is_there():
    assert all(hasattr(objectives, name) for name in objectives.__all__)
    assert set(objectives.__all__) > NAMES


def test_a_weighted_sum_weighs_values_and_gradients():
    losses = named_losses()
    total = weighted_sum(losses, {"pinball": 0.5, "match": 2.0})
    total.backward()
    assert total == 7
    assert losses["pinball"].grad == 0.5
    assert losses["match"].grad == 2


def test_a_loss_without_a_weight_does_not_count():
    losses = named_losses()
    weighted_sum(losses, {"match": 2.0}).backward()
    assert losses["pinball"].grad is None


def test_a_weight_of_zero_keeps_a_nan_out():
    losses = named_losses() | {"broken": torch.tensor(torch.nan)}
    assert weighted_sum(losses, {"pinball": 1.0, "broken": 0.0}) == 2


def test_a_weight_without_a_loss_is_refused_with_the_names_that_are_there():
    with pytest.raises(RecipeError, match=r"no loss 'pinbal' to weigh: there are match, pinball"):
        weighted_sum(named_losses(), {"pinbal": 1.0})


@pytest.mark.parametrize("weights", [{}, {"match": 0.0}])
def test_weights_that_leave_nothing_to_train_on_are_refused(weights):
    with pytest.raises(RecipeError, match="no loss has a weight"):
        weighted_sum(named_losses(), weights)
