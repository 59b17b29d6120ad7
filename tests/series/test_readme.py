import re
from pathlib import Path

import numpy as np
import pandas as pd

README = Path(__file__).parents[2] / "packages" / "series" / "README.md"


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    days = np.tile(pd.date_range("2024-01-01", periods=60), 2)
    frame = pd.DataFrame({"shop": np.repeat(["a", "b"], 60), "day": days, "sold": np.arange(120.0), "price": 1.0})
    frame.to_csv(tmp_path / "sales.csv", index=False)
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    exec(example, {})
    assert capsys.readouterr().out.count("\n") == 3


def test_the_sets_of_statsmodels_are_all_named():
    from stillroom.series.bundled import names

    assert ", ".join(names()) in README.read_text()
