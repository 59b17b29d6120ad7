"""What the folder of a model or a hub id says of itself in small JSON files, before anything is loaded.

It knows no family, and never asks the network.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def record(path: Path) -> dict[str, Any]:
    """Return what a small JSON file holds, or nothing where there is none that can be read as an object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def cached_config(hub_id: str) -> dict[str, Any] | None:
    """Return the `config.json` of a hub id that is in the local cache; None where it is not."""
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(hub_id, "config.json")
    return record(Path(cached)) if isinstance(cached, str) else None
