"""The suites that come with bench, as paths for the entry-point group `stillroom.suites`."""

from pathlib import Path

_here = Path(__file__).parent
chronos_benchmark_i = _here / "chronos-benchmark-i.yaml"
chronos_benchmark_ii = _here / "chronos-benchmark-ii.yaml"
demo_forecast = _here / "demo-forecast.yaml"
