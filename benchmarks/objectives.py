"""Which objective makes the best student of the same teacher, at equal steps? Labels, KLs, Jensen-Shannon, on policy.

    python benchmarks/objectives.py --journey DIR --out RESULTS.json [--steps 600] [--seeds 0,1,2]

DIR is what `benchmarks/correction.py` left: labels and the exam. The student mini learns from the labels' rows; for the
divergences the teacher mini is in memory and reads its few-shot prompt, the student reads the sentence alone. The table
has exact answers and edit F0.5 on the exam (mean and range over seeds) and seconds of training. Runs go to
DIR/objectives/NAME-SEED, where what was cut short goes on; RESULTS.json and a Markdown table beside it are new.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean

from stillroom.core.runs import write_atomic
from stillroom.demo import student as chapter
from stillroom.language.distill import distill

METRICS = ("exact", "edit_f05")


def objectives(teacher: str) -> dict[str, dict]:
    """The objectives that are compared, as recipes write them."""
    examples = [{"input": one.source, "answer": one.target} for one in chapter.shown()]
    asked = {"teacher": {"model": teacher, "prompt": {"examples": examples}}}
    on_policy = {"fraction": 0.5, "max_new_tokens": 64}
    return {
        "labels": {"name": "labels"},
        "forward_kl": {"name": "forward_kl", **asked},
        "reverse_kl": {"name": "reverse_kl", **asked},
        "jsd": {"name": "jsd", **asked},
        "on-policy": {"name": "jsd", "on_policy": on_policy, **asked},
    }


def measured(arguments) -> list[dict]:
    """Train every objective with every seed; a row each."""
    journey = Path(arguments.journey)
    rows = []
    for name, objective in objectives(arguments.teacher).items():
        for seed in arguments.seeds:
            made = chapter.recipe(
                arguments.student, journey / "labels.jsonl", journey / "exam.jsonl", steps=arguments.steps, seed=seed,
                objective=objective,
            )  # fmt: skip
            done = distill(made, journey / "objectives" / f"{name}-{seed}")
            found = {metric: done.table.value("student", metric) for metric in METRICS}
            seconds = done.run.cost["train_seconds"]
            rows.append({"objective": name, "seed": seed, "steps": arguments.steps, **found, "seconds": seconds})
            print(rows[-1], flush=True)
    return rows


def markdown(rows: list[dict]) -> str:
    """Mean and range over seeds, the best first."""
    by_name: dict[str, list[dict]] = {}
    for row in rows:
        by_name.setdefault(row["objective"], []).append(row)
    lines = ["| objective | exact | edit F0.5 | seconds | seeds |", "|---|---:|---:|---:|---:|"]
    for name, those in sorted(by_name.items(), key=lambda item: -mean(row["exact"] for row in item[1])):
        cells = [_spread([100 * row[metric] for row in those]) for metric in METRICS]
        lines.append(f"| {name} | {' | '.join(cells)} | {mean(row['seconds'] for row in those):.0f} | {len(those)} |")
    return "\n".join(lines) + "\n"


def _spread(values: list[float]) -> str:
    return f"{mean(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--journey", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--teacher", default=chapter.TEACHER)
    parser.add_argument("--student", default=chapter.STUDENT)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=lambda text: [int(part) for part in text.split(",")], default=[0, 1, 2])
    arguments = parser.parse_args()
    rows = measured(arguments)
    write_atomic(arguments.out, json.dumps(rows, indent=1) + "\n")
    table = markdown(rows)
    write_atomic(Path(arguments.out).with_suffix(".md"), table)
    print(table)


if __name__ == "__main__":
    main()
