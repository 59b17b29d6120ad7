"""Gather other people's published figures into one tidy table, the package's `bench/published/chronos.csv`.

    STILLROOM_DATA=<data folder> python benchmarks/published/collect.py

Reads `forecasting/published/<model>-{in-domain,zero-shot}.csv` of the data folder (copies of the result files in the
chronos-forecasting repository). It knows nothing of our own scores and rounds nothing. In-domain means that the Chronos
models were trained on the earlier part of the data set: `leakage`.
"""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path
from typing import Any

SUITES = {"in-domain": "chronos-benchmark-i", "zero-shot": "chronos-benchmark-ii"}
SOURCE = "https://github.com/amazon-science/chronos-forecasting/tree/main/scripts/evaluation/results"
COLUMNS = ["kind", "suite", "dataset", "model", "MASE", "WQL", "leakage", "source"]
TARGET = Path(__file__).parents[2] / "packages/bench/src/stillroom/bench/published/chronos.csv"


def collect(folder: Path) -> list[dict[str, Any]]:
    """Rows of all published files in `folder`, sorted by suite, data set and model."""
    rows: list[dict[str, Any]] = []
    for ending, suite in SUITES.items():
        for path in folder.glob(f"*-{ending}.csv"):
            with path.open(newline="") as lines:
                for row in csv.DictReader(lines):
                    trained = ending == "in-domain" and row["model"] != "seasonal-naive"
                    ours = {"kind": "forecast", "suite": suite, "leakage": trained, "source": SOURCE}
                    rows.append(row | ours)
    return sorted(rows, key=lambda row: (row["suite"], row["dataset"], row["model"]))


def main() -> None:
    if "STILLROOM_DATA" not in os.environ:
        sys.exit("set STILLROOM_DATA to the data folder, the one that has forecasting/published")
    rows = collect(Path(os.environ["STILLROOM_DATA"]) / "forecasting" / "published")
    with TARGET.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{TARGET}: {len(rows)} rows, {len({row['model'] for row in rows})} models")


if __name__ == "__main__":
    main()
