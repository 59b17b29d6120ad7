"""Benchmarks of fev read as suites, and scores written as fev reads them; fev itself is not needed.

    stillroom bench run tasks.yaml            # tasks with fev's keys, told by `dataset_path`
    stillroom bench to-fev DIR scores.csv     # fev.leaderboard("scores.csv", baseline_model="seasonal-naive")

A task of fev's becomes a forecast task with the same windows: series that are too short are left out, and every window
is scored by itself. `eval_metric` chooses no metric here, as all are computed; it is `test_error` in what is written.

Three things differ: a history shorter than the season counts in MASE and SQL by its lag 1, where fev leaves the series
out; the point forecast is always the median, where fev's `predictions` may be another; and fev rounds data to single
precision where it leaves out a series. Relative data files are looked for beside the YAML file.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillroom.bench.tasks import refuse_unknown
from stillroom.core.errors import DataError, RecipeError

if TYPE_CHECKING:
    import pandas as pd

FEV_VERSION = "0.10.0"
"""Whose form this is; fev compares no scores of different forms."""

FIELDS: dict[str, Any] = {
    "dataset_path": None,
    "dataset_config": None,
    "horizon": 1,
    "num_windows": 1,
    "initial_cutoff": None,
    "window_step_size": None,
    "min_context_length": 1,
    "max_context_length": None,
    "seasonality": 1,
    "eval_metric": "MASE",
    "extra_metrics": [],
    "quantile_levels": [],
    "id_column": "id",
    "timestamp_column": "timestamp",
    "target": "target",
    "generate_univariate_targets_from": None,
    "known_dynamic_columns": [],
    "past_dynamic_columns": [],
    "static_columns": [],
    "task_name": None,
}
"""The keys of a task and their defaults, in the order of `fev.Task.to_dict`."""

OLD_NAMES = {
    "num_rolling_windows": "num_windows",
    "rolling_step_size": "window_step_size",
    "cutoff": "initial_cutoff",
    "target_column": "target",
    "multiple_target_columns": "generate_univariate_targets_from",
}
"""Which fev reads too."""

METRICS = {name: name for name in ("MASE", "WQL", "SQL", "MAE", "MSE", "RMSE", "MAPE", "SMAPE")} | {"WAPE": "ND"}
"""fev's name -> ours, of the metrics that are the same."""

CHRONOS = ("autogluon/chronos_datasets", "autogluon/chronos_datasets_extra")
"""Whose configurations are the Chronos names, so that they can also come from STILLROOM_DATA."""


def from_fev(content: Mapping[str, Any], suite: str) -> dict[str, Any]:
    """Write a benchmark of fev's as the content of a suite.

    Raises
    ------
    RecipeError
        For a key or a value that has no meaning here: one sentence that names it.
    """
    tasks: list[dict[str, Any]] = []
    names: list[str] = []
    strange: dict[str, None] = {}
    for position, given in enumerate(content["tasks"], start=1):
        if not isinstance(given, Mapping):
            raise RecipeError(f"suite {suite}: task {position} is not a mapping of keys to values")
        values = {OLD_NAMES.get(str(key), str(key)): value for key, value in given.items()}
        where = f"suite {suite}: task {values.get('task_name') or values.get('dataset_config') or position}"
        refuse_unknown(values, FIELDS, where)
        full = fill(values, where)
        names.append(full["task_name"] or Path(full["dataset_path"]).stem)
        again = names.count(names[-1])
        tasks.append({"id": f"{names[-1]}-{again}" if again > 1 else names[-1], **forecast_task(full, where)})
        strange |= {str(metric): None for metric in full["extra_metrics"] if ours(metric) is None}
    if strange:
        warnings.warn(f"suite {suite}: extra_metrics that are not computed here: {', '.join(strange)}", stacklevel=2)
    return {**content, "tasks": tasks}


def fill(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Give every key its value, as `fev.Task` does."""
    full = {**FIELDS, **values}
    for name, default in FIELDS.items():
        if isinstance(default, int | list) and not isinstance(full[name], type(default)):
            kind = "a list" if isinstance(default, list) else "a whole number"
            raise RecipeError(f"{where}: {name} must be {kind}, not {full[name]!r}")
    if not isinstance(full["dataset_path"], str):
        raise RecipeError(f"{where}: the key 'dataset_path' is missing")
    path = Path(full["dataset_path"])
    full["task_name"] = str(full["task_name"] or full["dataset_config"] or "/".join(path.parts[-3:-1]))
    for name in ("known_dynamic_columns", "past_dynamic_columns", "static_columns", "quantile_levels"):
        full[name] = sorted(full[name])
    if isinstance(full["target"], list):
        full["target"] = sorted(full["target"])
    if full["window_step_size"] is None:
        full["window_step_size"] = full["horizon"]
    if not isinstance(full["window_step_size"], int):
        raise RecipeError(f"{where}: window_step_size must be a number of steps, not {full['window_step_size']!r}")
    cutoff = full["initial_cutoff"]
    if cutoff is None:
        full["initial_cutoff"] = -full["horizon"] - (full["num_windows"] - 1) * full["window_step_size"]
    elif not isinstance(cutoff, int):
        try:
            full["initial_cutoff"] = datetime.fromisoformat(str(cutoff)).isoformat()
        except ValueError:
            raise RecipeError(
                f"{where}: initial_cutoff must be a number of steps, or a time such as 2024-01-31, not {cutoff!r}"
            ) from None
    return full


def forecast_task(full: dict[str, Any], where: str) -> dict[str, Any]:
    """The keys of a forecast task that means the same, but for its id."""
    levels, metric = full["quantile_levels"], full["eval_metric"]
    if ours(metric) is None:
        raise RecipeError(f"{where}: eval_metric {metric!r} is not one of {', '.join(METRICS)}, without parameters")
    if levels and 0.5 not in levels:
        raise RecipeError(f"{where}: quantile_levels must include 0.5, which the point forecast is taken from")
    if not levels and ours(metric) in ("WQL", "SQL"):
        raise RecipeError(f"{where}: eval_metric {metric!r} needs quantile_levels")
    return {
        "prediction_length": full["horizon"],
        "windows": full["num_windows"],
        "step": full["window_step_size"],
        "offset": full["initial_cutoff"],
        "min_context_length": full["min_context_length"],
        "max_context_length": full["max_context_length"],
        "average_windows": True,
        "season_length": full["seasonality"],
        "quantile_levels": levels or [0.5],
        **data(full, where),
        "fev": full,
    }


def data(full: dict[str, Any], where: str) -> dict[str, Any]:
    """The keys that say where the data is and what its columns mean."""
    path, config, target = full["dataset_path"], full["dataset_config"], full["target"]
    generate = full["generate_univariate_targets_from"]
    if generate is not None and isinstance(target, list):
        raise RecipeError(f"{where}: target and generate_univariate_targets_from both say what to forecast: keep one")
    meanings = ("id_column", "timestamp_column", "known_dynamic_columns", "past_dynamic_columns", "static_columns")
    usual = target == FIELDS["target"] and all(full[name] == FIELDS[name] for name in meanings)
    if path in CHRONOS and config and usual and generate in (None, "__ALL__"):
        return {"dataset": config}
    if config is None and ("://" in path or set(path) & set("*?[")):
        raise RecipeError(f"{where}: dataset_path {path!r} must be a file here: download or join what it names")
    targets = target if generate is None else generate
    if targets != "__ALL__":
        targets = [targets] if isinstance(targets, str) else list(targets)
    return {
        "dataset": f"hub:{path}/{config}" if config else f"./{path}" if Path(path).name == path else path,
        "targets": None if targets == "__ALL__" else targets,
        "univariate": generate is not None,
        "item_id": full["id_column"],
        "timestamp": full["timestamp_column"],
        "past_covariates": full["past_dynamic_columns"],
        "known_covariates": full["known_dynamic_columns"],
        "static_covariates": full["static_columns"],
    }


def ours(metric: Any) -> str | None:
    """Our name of one of fev's metrics; None if there is none, or it has parameters that change it."""
    if isinstance(metric, Mapping):
        if any(value for name, value in metric.items() if name != "name"):
            return None
        metric = metric.get("name")
    return METRICS.get(str(metric).upper())


def to_fev(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Write score rows as the summaries that `fev.leaderboard`, `fev.pivot_table` and `fev.pairwise_comparison` take.

    Parameters
    ----------
    rows
        As `rows.read_rows` gives them. Tasks of other kinds and skipped rows are left out. A failed row has no
        `test_error`: give `missing_strategy="impute"`. `test_error` is the task's `eval_metric`, and WQL for tasks that
        do not come from fev.

    Raises
    ------
    DataError
        If no row is left.
    """
    import pandas as pd

    summaries = []
    for row in rows:
        if row["kind"] != "forecast" or row["status"] == "skipped":
            continue
        task, metrics = row["spec"]["fev"] or as_fev(row["spec"]), row.get("metrics") or {}
        changed = {metric["name"] for metric in task["extra_metrics"] if isinstance(metric, dict) and not ours(metric)}
        summaries.append(
            {
                "model_name": row["model"],
                **task,
                "test_error": metrics.get(ours(task["eval_metric"])),
                "training_time_s": row.get("fit_seconds"),
                "inference_time_s": row.get("inference_seconds"),
                "num_forecasts": row["size"] // task["horizon"],
                "dataset_fingerprint": row["fingerprint"],
                "trained_on_this_dataset": bool(row["leakage"]),
                "fev_version": FEV_VERSION,
                **{theirs: metrics.get(name) for theirs, name in METRICS.items() if theirs not in changed},
            }
        )
    if not summaries:
        raise DataError("there are no scores of forecast tasks, and fev knows no others")
    return pd.DataFrame(summaries)


def as_fev(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Say a forecast task in fev's keys as far as they go, judged by WQL. Its season may be what the data suggest."""
    path, config = spec["dataset"], None
    if path.startswith("hub:"):
        owner, repository, *rest = path.removeprefix("hub:").split("/")
        path, config = f"{owner}/{repository}", "/".join(rest) or None
    step = spec["step"] or spec["prediction_length"]
    targets = spec["targets"] or ("__ALL__" if spec["univariate"] else ["target"])
    single = targets[0] if len(targets) == 1 else list(targets)
    return FIELDS | {
        "dataset_path": path,
        "dataset_config": config,
        "horizon": spec["prediction_length"],
        "num_windows": spec["windows"],
        "initial_cutoff": spec["offset"] or -spec["prediction_length"] - (spec["windows"] - 1) * step,
        "window_step_size": step,
        "min_context_length": spec["min_context_length"] or 1,
        "max_context_length": spec["max_context_length"],
        "seasonality": spec["season_length"],
        "eval_metric": "WQL",
        "extra_metrics": ["MASE"],
        "quantile_levels": list(spec["quantile_levels"]),
        "id_column": spec["item_id"],
        "timestamp_column": spec["timestamp"],
        "target": "target" if spec["univariate"] else single,
        "generate_univariate_targets_from": targets if spec["univariate"] else None,
        "known_dynamic_columns": sorted(spec["known_covariates"]),
        "past_dynamic_columns": sorted(spec["past_covariates"]),
        "static_columns": sorted(spec["static_covariates"]),
        "task_name": spec["id"],
    }
