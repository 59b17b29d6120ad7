"""What a leaderboard with intervals costs, ours beside fev's on the same scores, and whether both say the same.

30 models on 100 tasks, one in fifty rows failed, one in twenty leaking and imputed from a named model, 1,000 resamples
of the tasks. Ours ranks by the same metric and aggregates a second one besides, with intervals of ranks too. CPU
seconds of one thread, the best of several rounds in turn. Exits 1 if ours takes more than 0.1 of fev's, or if a skill
or a win rate, or an end of their intervals (both draw the same resamples), differs by more than 1e-9.

    python benchmarks/speed/leaderboard.py [--models 30] [--tasks 100] [--rounds 5] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import fev
import numpy as np
import pandas as pd
from fev.analysis import RESULTS_DTYPES
from threadpoolctl import threadpool_limits

from stillroom.bench.leaderboard import Leaderboard, leaderboard, pairwise
from stillroom.bench.rows import to_frame

BAR = 0.1
EQUAL = 1e-9
RESAMPLES = 1000
SEED = 123
BASELINE, STAND_IN = "seasonal-naive", "model-1"
THEIR_NAMES = {
    f"{name}{end}": f"{ours}{our_end}"
    for name, ours in (("win_rate", "win_rate"), ("skill_score", "skill"))
    for end, our_end in (("", ""), ("_lower", "_low"), ("_upper", "_high"))
}


def make_scores(models: int, tasks: int, seed: int) -> pd.DataFrame:
    """Score rows of a forecast suite, with failures and leakage but for the baseline and the model imputed from."""
    rng = np.random.default_rng(seed)
    names = [BASELINE, *(f"model-{number}" for number in range(1, models))]
    strength, scale = rng.normal(-0.2, 0.2, models), rng.lognormal(0, 1, tasks)
    rows = []
    for model, name in enumerate(names):
        for task in range(tasks):
            clean = name in (BASELINE, STAND_IN)
            failed = not clean and rng.random() < 0.02
            wql, mase = scale[task] * np.exp(strength[model] + rng.normal(0, 0.3, 2))
            rows.append(
                {
                    "task": f"task-{task:03}",
                    "kind": "forecast",
                    "model": name,
                    "status": "failed" if failed else "ok",
                    "metrics": {} if failed else {"WQL": wql, "MASE": mase},
                    "leakage": not clean and rng.random() < 0.05,
                    "inference_seconds": rng.random(),
                }
            )
    return to_frame(rows)


def as_summaries(scores: pd.DataFrame) -> pd.DataFrame:
    """The same rows as fev's evaluation summaries."""
    table = pd.DataFrame({name: [None] * len(scores) for name in RESULTS_DTYPES}, index=scores.index)
    table["dataset_path"] = scores["task"]
    table["model_name"] = scores["model"]
    table["test_error"] = scores["WQL"]
    table["trained_on_this_dataset"] = scores["leakage"]
    table["inference_time_s"] = scores["inference_seconds"]
    table["quantile_levels"] = "[0.1, 0.5, 0.9]"
    table["fev_version"] = fev.__version__
    return table


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of one call, and what it returned."""
    started = time.process_time()
    returned = call()
    return time.process_time() - started, returned


def main() -> int:
    parser = argparse.ArgumentParser(description="A leaderboard with intervals, beside fev's: CPU seconds.")
    parser.add_argument("--models", type=int, default=30)
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5, help="the best of them counts (default 5)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    scores = make_scores(options.models, options.tasks, options.seed)
    summaries = as_summaries(scores)
    rule: dict[str, Any] = {"baseline_model": BASELINE, "leakage_imputation_model": STAND_IN}
    rule |= {"missing_strategy": "impute", "n_resamples": RESAMPLES, "seed": SEED}

    def board() -> Leaderboard:
        return leaderboard(scores, leakage="impute", impute_from=STAND_IN, resamples=RESAMPLES, seed=SEED)

    rows = []
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fev's empty columns
        for name, ours, theirs in (
            ("leaderboard", lambda: board().table.set_index("model"), fev.analysis.leaderboard),
            ("pairwise", lambda: pairwise(board()).set_index(["model", "other"]), fev.analysis.pairwise_comparison),
        ):
            ours()  # imports
            us, them = [], []
            for _ in range(options.rounds):
                taken, mine = seconds(ours)
                us.append(taken)
                taken, other = seconds(lambda theirs=theirs: theirs(summaries, **rule))
                them.append(taken)
            apart = np.abs(mine[[*THEIR_NAMES.values()]].to_numpy() - other.loc[mine.index, [*THEIR_NAMES]].to_numpy())
            row = {"what": name, "stillroom": min(us), "fev": min(them), "ratio": min(us) / min(them)}
            rows.append(row | {"apart": float(apart.max())})
    passed = all(row["ratio"] < BAR and row["apart"] < EQUAL for row in rows)
    if options.json:
        shape = {"models": options.models, "tasks": options.tasks, "resamples": RESAMPLES}
        print(json.dumps({**shape, "bar": BAR, "passed": passed, "rows": rows}))
    else:
        print(f"CPU seconds, {options.models} models x {options.tasks} tasks, {RESAMPLES:,} resamples, one thread")
        for row in rows:
            print(
                f"{row['what']:12} stillroom {row['stillroom']:.4f}, fev {row['fev']:.3f}: {row['ratio']:.4f} of fev's "
                f"time (bar {BAR}); results differ by at most {row['apart']:.0e}"
            )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
