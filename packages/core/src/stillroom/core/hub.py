"""Is the Hugging Face hub there? Asked once a process, because its clients retry each file for half a minute.

It fetches nothing itself, and needs huggingface_hub, which comes with transformers and with datasets.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


@cache
def answers() -> bool:
    """Ask the hub for a sign of life, once, without retries; False too where HF_HUB_OFFLINE says so."""
    from httpx import HTTPError
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_session().head(constants.ENDPOINT, timeout=5)
    except HTTPError:
        return False
    return True


@contextmanager
def cache_only_without_network() -> Iterator[None]:
    """Where the hub does not answer, let the body see its local cache alone."""
    if answers():
        yield
        return
    from huggingface_hub import constants

    switches: list[Any] = [constants]
    if "datasets" in sys.modules:  # it keeps a switch of its own
        switches.append(sys.modules["datasets"].config)
    before = [switch.HF_HUB_OFFLINE for switch in switches]
    try:
        for switch in switches:
            switch.HF_HUB_OFFLINE = True
        yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.HF_HUB_OFFLINE = value
