"""Let bitsandbytes be imported without a look at the network.

On CPUs with AVX512-BF16 its import asks the `kernels` package, where that is installed, to download compiled code from
a hub and run it, and warns where it is not. Nothing here runs code from a hub unasked, so it is imported, once, as if
`kernels` were not there. PEFT and transformers' Trainer import bitsandbytes as soon as it is installed.
"""

from __future__ import annotations

import logging
import sys
from importlib.util import find_spec
from typing import Any


def import_bitsandbytes() -> None:
    """Import it if it is installed and not imported yet; call this before importing PEFT or the Trainer."""
    if "bitsandbytes" in sys.modules or find_spec("bitsandbytes") is None:
        return
    modules: dict[str, Any] = sys.modules
    absent = object()
    kernels = modules.get("kernels", absent)
    logger = logging.getLogger("bitsandbytes.backends.cpu.ops")
    level = logger.level
    modules["kernels"] = None  # importing it now fails as if it were not installed
    logger.setLevel(logging.ERROR)
    try:
        import bitsandbytes  # noqa: F401
    finally:
        logger.setLevel(level)
        if kernels is absent:
            del modules["kernels"]
        else:
            modules["kernels"] = kernels
