"""Does a network keep packed rows apart? Asked of the network itself, because masks from positions are its own affair.

Llama, Mistral, Qwen and their like do, in transformers 5, where nothing is cached; recurrent networks and those that
ignore positions do not, and an adapter with a learned prompt loses the positions. It knows no data.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stillroom.core.errors import RecipeError
from stillroom.core.evaluating import evaluating

TOKENS = 6  # of each of the two texts
TOLERANCE = 1e-4  # of the largest logit; what a masked token adds is 0 exactly, in every precision


def check(model: Any) -> None:
    """Read two packed texts twice, the first another one the second time: the second must not notice.

    Parameters
    ----------
    model
        A causal language model, with its adapter if it has one.

    Raises
    ------
    RecipeError
        A row sees the one before it, or the network takes no positions.
    """
    device = next(model.parameters()).device
    try:
        with evaluating(model):
            said = [_second(model, start, device) for start in (1, 1 + TOKENS)]
    except (TypeError, ValueError) as error:
        raise RecipeError(f"rows cannot be packed for a {type(model).__name__} ({error}): leave packing out") from error
    if float((said[0] - said[1]).abs().max()) > TOLERANCE * float(said[0].abs().max()):
        raise RecipeError(
            f"rows cannot be packed for this {type(model).__name__}: each would see the one before it; "
            "leave packing out"
        )


def _second(model: Any, start: int, device: torch.device) -> Tensor:
    """Logits of a text behind another one, which begins with token `start`."""
    ids = torch.tensor([[*range(start, start + TOKENS), *range(1, 1 + TOKENS)]], device=device)
    places = torch.arange(TOKENS, device=device).repeat(1, 2)
    logits: Tensor = model(input_ids=ids, position_ids=places, use_cache=False).logits
    return logits[:, -TOKENS:].float()
