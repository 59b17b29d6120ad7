"""The suites that come with bench, for the group `stillroom.suites`: paths, and one that is put together."""

from pathlib import Path
from typing import Any

_here = Path(__file__).parent
chronos_benchmark_i = _here / "chronos-benchmark-i.yaml"
chronos_benchmark_ii = _here / "chronos-benchmark-ii.yaml"
demo_classify = _here / "demo-classify.yaml"
demo_detect = _here / "demo-detect.yaml"
demo_forecast = _here / "demo-forecast.yaml"
demo_impute = _here / "demo-impute.yaml"
imputation_ett = _here / "imputation-ett.yaml"
nab = _here / "nab.yaml"
telemetry = _here / "telemetry.yaml"
ucr_small = _here / "ucr-small.yaml"


def demo_all() -> dict[str, Any]:
    """The first two tasks of every installed suite whose name begins with `demo-`: of every kind there is."""
    from stillroom.bench.tasks import load_suite
    from stillroom.core import registry

    names = [name for name in registry.names("stillroom.suites") if name.startswith("demo-") and name != "demo-all"]
    return {
        "description": "One or two tasks of every installed kind, without a network",
        "tasks": [task.model_dump(mode="json") for name in names for task in load_suite(name).tasks[:2]],
    }
