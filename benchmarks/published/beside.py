"""Set our scores beside the published ones, on exactly the data sets that all of them have.

    stillroom bench run chronos-benchmark-ii --model forecaster --out scores
    python benchmarks/published/beside.py scores [--json]

Relative score: geometric mean over data sets of score / seasonal naive's score, each table with its own seasonal naive.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

METRICS = ["WQL", "MASE"]


def relative(table: pd.DataFrame, datasets: list[str], baseline: str) -> pd.DataFrame:
    """One row a model: relative WQL and MASE over `datasets`; models that lack one are left out."""
    rows = {}
    naive = table[table["model"] == baseline].set_index("dataset").loc[datasets, METRICS]
    for model, scores in table.groupby("model"):
        scores = scores.set_index("dataset")[METRICS]
        if set(datasets) <= set(scores.index):
            rows[model] = np.exp(np.log(scores.loc[datasets] / naive).mean())
    return pd.DataFrame(rows).T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a folder that `stillroom bench run` wrote")
    parser.add_argument("--suite", default="chronos-benchmark-ii")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    ours = pd.read_parquet(arguments.folder / "scores.parquet")
    ours = ours[ours["status"] == "ok"]
    published = pd.read_csv(Path(__file__).with_name("chronos.csv"))
    published = published[published["suite"] == arguments.suite]
    datasets = sorted(set.intersection(*(set(part) for _, part in ours.groupby("model")["dataset"])))
    datasets = [name for name in datasets if name in set(published["dataset"])]
    if not datasets:
        parser.error(f"no data set of {arguments.folder} has published scores in {arguments.suite}")
    table = pd.concat(
        [
            relative(ours, datasets, "seasonal-naive").assign(source="here"),
            relative(published, datasets, "seasonal-naive").assign(source="published"),
        ]
    ).sort_values("WQL")
    if arguments.json:
        rows = table.rename_axis("model").reset_index().to_dict("records")
        print(json.dumps({"datasets": datasets, "models": rows}, indent=1))
    else:
        print(f"{len(datasets)} data sets: {', '.join(datasets)}\n")
        print(table.to_string(float_format="{:.3f}".format))


if __name__ == "__main__":
    main()
