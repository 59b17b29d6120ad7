"""The baseline `copy`: every row is answered with its input. A corrector that is no better corrects nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class Copy:
    """Answers with the input, whatever is asked; what a corrector must beat, as most of what it is given is right."""

    def answer(
        self, rows: Sequence[Mapping[str, Any]], *, prompt: Mapping[str, Any] | None, max_new_tokens: int | None
    ) -> list[str | None]:
        """Return the inputs."""
        return [row["input"] for row in rows]
