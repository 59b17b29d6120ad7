"""Gather other people's published figures into one tidy table, `chronos.csv`.

    STILLROOM_DATA=<data folder> python benchmarks/published/collect.py

Reads `forecasting/published/<model>-{in-domain,zero-shot}.csv` of the data folder (copies of the result files in the
chronos-forecasting repository). It knows nothing of our own scores and rounds nothing.
"""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

SUITES = {"in-domain": "chronos-benchmark-i", "zero-shot": "chronos-benchmark-ii"}
SOURCE = "https://github.com/amazon-science/chronos-forecasting/tree/main/scripts/evaluation/results"
COLUMNS = ["suite", "dataset", "model", "MASE", "WQL", "source"]


def collect(folder: Path) -> list[dict[str, str]]:
    """Rows of all published files in `folder`, sorted by suite, data set and model."""
    rows = []
    for ending, suite in SUITES.items():
        for path in folder.glob(f"*-{ending}.csv"):
            with path.open(newline="") as lines:
                rows += [{**row, "suite": suite, "source": SOURCE} for row in csv.DictReader(lines)]
    return sorted(rows, key=lambda row: (row["suite"], row["dataset"], row["model"]))


def main() -> None:
    if "STILLROOM_DATA" not in os.environ:
        sys.exit("set STILLROOM_DATA to the data folder, the one that has forecasting/published")
    rows = collect(Path(os.environ["STILLROOM_DATA"]) / "forecasting" / "published")
    target = Path(__file__).with_name("chronos.csv")
    with target.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{target}: {len(rows)} rows, {len({row['model'] for row in rows})} models")


if __name__ == "__main__":
    main()
