"""A compression policy as a file: what `calibrate` found to be safe, and for which prompt.

It does not know how it was found.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from stillroom.core.errors import RecipeError
from stillroom.core.recipes import checked
from stillroom.core.runs import write_atomic
from stillroom.teacher.prompt import Prompt


class PolicyFile(BaseModel):
    """How far a prompt may be compressed.

    Parameters
    ----------
    rate
        Of the parts that leave it to the job; 1 keeps them as they are.
    compressor
        By which it was found.
    prompt_hash
        Of the prompt that it was found for.
    found
        What was measured, for people to read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: float = Field(gt=0, le=1)
    compressor: str
    prompt_hash: str
    found: dict[str, Any] = Field(default_factory=dict)


def write(policy: PolicyFile, path: Path) -> None:
    """Write a policy, as JSON, which is YAML."""
    write_atomic(path, json.dumps(policy.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n")


def read(path: Path, prompt: Prompt) -> tuple[float, str]:
    """Return rate and compressor of a policy that was found for this prompt.

    Raises
    ------
    RecipeError
        It is no policy, or one of another prompt.
    """
    policy = checked(PolicyFile, path)
    if policy.prompt_hash != prompt.digest():
        raise RecipeError(f"{path} was found for another prompt: run `stillroom teacher calibrate` with this one")
    return policy.rate, policy.compressor
