"""When is a score the same score? When everything that could change it is the same: that is its key.

Not in the key: seconds, memory, the machine, the number of workers.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from stillroom.core import targets

if TYPE_CHECKING:
    from stillroom.bench.kinds import Kind
    from stillroom.bench.lineage import Lineage


def row_key(kind: Kind, spec: Any, fingerprint: str, lineage: Lineage, options: dict[str, Any], seed: int) -> str:
    """Hash of task spec, data, weights, adapter, inference options, seed and metric version."""
    return targets.key(
        kind=kind.name,
        metrics=kind.version,
        task=spec.model_dump(mode="json"),
        data=fingerprint,
        weights=lineage.weights,
        adapter=lineage.adapter,
        options=options,
        seed=seed,
    )


def stem(task: str, model: str) -> str:
    """File name of a row: readable, and unlike that of any other pair."""
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", f"{task}--{model}").strip("-")[:80]
    return f"{readable}-{hashlib.sha256(repr((task, model)).encode()).hexdigest()[:8]}"
