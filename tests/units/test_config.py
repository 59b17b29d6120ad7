import json

import pytest

from stillroom.core.errors import RecipeError
from stillroom.units.config import TASKS, UnitsConfig


def test_a_plain_config_has_the_tasks_that_fill_and_no_classes():
    assert UnitsConfig().tasks == dict.fromkeys(TASKS)


def test_two_configs_share_no_tasks():
    first = UnitsConfig()
    first.add_task("gestures", ["left", "right"])
    assert "gestures" not in UnitsConfig().tasks
    given = {"gestures": ["left", "right"]}
    UnitsConfig(tasks=given).add_task("sounds", ["high", "low"])
    assert given == {"gestures": ["left", "right"]}


@pytest.mark.parametrize("way", ["dict", "json", "folder"])
def test_a_config_comes_back_as_it_was(way, tmp_path):
    sizes = {
        "patch_size": 4,
        "d_model": 24,
        "num_heads": 3,
        "operator_size": 7,
        "quantiles": (0.05, 0.5),
        "dropout": 0.1,
    }
    config = UnitsConfig(**sizes, max_length=99, tasks={"forecast": None, "gestures": ["left", "right"]})
    if way == "dict":
        back = UnitsConfig.from_dict(config.to_dict())
    elif way == "json":
        back = UnitsConfig.from_dict(json.loads(config.to_json_string()))
    else:
        config.save_pretrained(tmp_path)
        back = UnitsConfig.from_pretrained(tmp_path)
    for name in (*sizes, "num_layers", "d_ff", "prompt_tokens", "max_length", "tasks"):
        assert getattr(back, name) == getattr(config, name), name


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"num_layers": 0}, "num_layers is 0: give a whole number above 0"),
        ({"patch_size": 8.0}, "patch_size is 8.0: give a whole number"),
        ({"d_model": 20, "num_heads": 3}, "d_model 20 does not make 3 heads of an even width"),
        ({"d_model": 15, "num_heads": 3}, "even width"),
        ({"quantiles": []}, "levels ascend and lie strictly between 0 and 1"),
        ({"quantiles": [0.5, 0.1]}, "levels ascend"),
        ({"quantiles": [0.5, 0.5]}, "levels ascend"),
        ({"quantiles": [0.5, 1.0]}, "levels ascend"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"tasks": {"a.b": None}}, "cannot be named 'a.b': take letters"),
        ({"tasks": {"": None}}, "cannot be named ''"),
        ({"tasks": {"coin": ["heads"]}}, "'coin' needs the names of two or more different classes"),
        ({"tasks": {"coin": ["heads", "heads"]}}, "different classes"),
        ({"tasks": {"coin": "ht"}}, "different classes"),
    ],
)  # fmt: skip
def test_what_makes_no_network_is_refused_in_a_sentence(wrong, sentence):
    with pytest.raises(RecipeError, match=sentence):
        UnitsConfig(**wrong)


def test_a_task_is_added_once():
    config = UnitsConfig(tasks={})
    config.add_task("coin", (1, 2))
    assert config.tasks == {"coin": ["1", "2"]}
    with pytest.raises(RecipeError, match="There is a task 'coin' already"):
        config.add_task("coin", ["heads", "tails"])
