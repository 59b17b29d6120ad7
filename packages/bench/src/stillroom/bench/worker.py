"""One model on one task, from the names of both to a score. `python -m stillroom.bench.worker` is the child process.

The child reads one job as a JSON line on stdin and answers with one JSON object on what was its stdout; everything a
model prints goes to stderr, which the parent keeps as the log. Stdin stays open as a lifeline: when the parent dies,
however it dies, the child reads end-of-file and leaves.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
import time
import traceback
from dataclasses import asdict, dataclass
from importlib import metadata
from io import BytesIO
from pathlib import Path
from typing import Any

from stillroom.core import lifeline
from stillroom.core.memory import peak_memory


@dataclass(frozen=True)
class Job:
    """What a child must know: plain values, so that it travels as JSON."""

    task: dict[str, Any]
    model: str
    seed: int
    predictions: str
    """Where the predictions are written, as Parquet."""

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))


def execute(job: Job) -> dict[str, Any]:
    """Run one job to its outcome: columns of a score row. Whatever the model raises becomes `failed` with the reason;
    the traceback goes to stderr.
    """
    outcome: dict[str, Any] = {"status": "failed"}
    try:
        outcome |= _score(job)
        outcome["status"] = "ok"
    except Exception as error:  # any model may raise anything; the other rows must go on
        traceback.print_exc()
        outcome["reason"] = one_line(f"{type(error).__name__}: {error}")
    outcome["versions"] = versions()
    return outcome


def _score(job: Job) -> dict[str, Any]:
    import numpy as np
    import pandas  # noqa: F401 — every kind answers in a frame: imported here, it is no model's inference time

    from stillroom.bench.kinds import Stopwatch, kind_of
    from stillroom.bench.tasks import read_task
    from stillroom.core.registry import resolve_model
    from stillroom.core.runs import write_atomic

    spec = read_task(job.task, f"task {job.task.get('id')}")
    kind = kind_of(spec.kind)
    data = kind.load(spec)
    start = time.perf_counter()
    model = resolve_model(job.model).load()
    loaded = time.perf_counter()
    random.seed(job.seed)
    np.random.seed(job.seed)  # noqa: NPY002 — models of others draw from the global generator
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(job.seed)
    fitting = Stopwatch()
    predictions = kind.predict(model, spec, data, fitting)
    predicted = time.perf_counter()
    metrics = {name: float(value) for name, value in kind.score(spec, data, predictions).items()}
    buffer = BytesIO()
    predictions.to_parquet(buffer, index=False)
    write_atomic(Path(job.predictions), buffer.getvalue())
    return {
        "metrics": metrics,
        "predictions_sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),  # so that only these are ever rescored
        "notes": one_line(str(getattr(model, "notes", None) or "")) or None,
        "load_seconds": loaded - start,
        "fit_seconds": fitting.seconds,
        "inference_seconds": predicted - loaded - fitting.seconds,
        "cost_usd": float(getattr(model, "cost_usd", 0.0)),  # of models that pay for what they say
        "tokens": int(getattr(model, "tokens", 0)),
        "parameters": count_parameters(model),
    }


def count_parameters(model: Any) -> int | None:
    """Parameters of a torch module, or of the one that the model holds as `.model`; None when there is neither."""
    for candidate in (model, getattr(model, "model", None)):
        if callable(getattr(candidate, "parameters", None)):
            return sum(parameter.numel() for parameter in candidate.parameters())  # type: ignore[union-attr]
    return None


def versions() -> dict[str, str]:
    """Python and the installed packages whose modules took part in the outcome."""
    taking_part = {name.partition(".")[0] for name in sys.modules}
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package, module in {
        "aeon": "aeon",
        "chronos-forecasting": "chronos",
        "gluonts": "gluonts",
        "numpy": "numpy",
        "pandas": "pandas",
        "peft": "peft",
        "scikit-learn": "sklearn",
        "statsforecast": "statsforecast",
        "torch": "torch",
        "transformers": "transformers",
    }.items():
        if module in taking_part:
            found[package] = metadata.version(package)
    found |= {name: metadata.version(name) for name in ("stillroom-core", "stillroom-series", "stillroom-bench")}
    return found


def one_line(text: str, longest: int = 300) -> str:
    """The text without line breaks, cut where a table could not show it any more."""
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def main() -> None:
    """Answer one job."""
    job = Job(**json.loads(lifeline.first_line()))
    answer = os.dup(1)
    os.dup2(2, 1)
    lifeline.leave_with_parent()
    outcome = execute(job) | {"peak_memory_mb": peak_memory()}
    sys.stdout.flush()
    sys.stderr.flush()
    with os.fdopen(answer, "w") as file:
        json.dump(outcome, file)
    os._exit(0)  # the answer is given: libraries that hang or crash while they are torn down no longer matter


if __name__ == "__main__":
    main()
