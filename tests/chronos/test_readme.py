from __future__ import annotations

import re
from pathlib import Path

from typer.main import get_command

from stillroom.chronos.cli import app
from stillroom.chronos.recipe import AdaptRecipe

README = Path(__file__).parents[2] / "packages" / "chronos" / "README.md"


def test_every_command_and_option_in_the_readme_exists():
    commands = get_command(app).commands
    lines = re.findall(r"^stillroom chronos (\w+) (.*)$", README.read_text(), re.MULTILINE)
    assert {name for name, _ in lines} == set(commands)
    for name, rest in lines:
        options = {option for parameter in commands[name].params for option in parameter.opts}
        assert set(re.findall(r"--[\w-]+", rest)) <= options


def test_the_recipe_in_the_readme_is_one():
    import yaml

    (block,) = re.findall(r"```yaml\n(.*?)```", README.read_text(), re.DOTALL)
    assert AdaptRecipe.of(yaml.safe_load(block)).train.learning_rate == 1e-3
