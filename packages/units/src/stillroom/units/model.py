"""The UniTS network (Gao et al. 2024, arXiv 2403.00131): one model that fills values and tells classes apart.

A series of any number of variables becomes tokens: patches of values, beside what of them was observed. In front of
each variable's tokens stand the learned prompt tokens of the task and, for a task with classes, a CLS token. A patch
of which nothing was observed is the learned GEN token, a gap and the future alike: to forecast is to fill the last
patches.

Any length, any number of variables, unequal lengths in a batch, values missing anywhere: what is padding or missing
changes nothing. The network knows no data frames, no losses, no thresholds, and no names of variables.

Shapes: n rows, v variables, t time steps, c context tokens, s series tokens (context and horizon), f tokens in front
(prompts, CLS), l = f + s, d the width, h heads of width e.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.utils.generic import ModelOutput

from stillroom.core.errors import DataError, RecipeError
from stillroom.units.config import UnitsConfig
from stillroom.units.scaling import normalised

EPSILON = 1e-6
ROTARY_BASE = 10_000.0  # Su et al. 2021, section 3.2.2
BRANCHES = 4  # of a block, each added to the stream: what one adds is divided by the root of how many there are
FIRST_SHARPNESS = 10.0  # cosines times this are a new task's logits


@dataclass
class UnitsOutput(ModelOutput):
    """What the network says of n rows of v variables over t + horizon time steps; every number is finite.

    Parameters
    ----------
    values
        (n, v, t + horizon), normalised: the real ones are loc + scale · values.
    quantiles
        (n, v, t + horizon, levels), normalised, one a level of `config.quantiles`; not sorted.
    loc, scale
        (n, v, 1), mean and standard deviation of what was observed.
    class_logits
        (n, classes); None for a task without classes.
    hidden
        (n, v, s, d): the series tokens that the heads read.
    token_present
        (n, v, s): False where a token is wholly padding.
    """

    # transformers demands defaults; all but class_logits are always there
    values: Tensor = None  # type: ignore[assignment]
    quantiles: Tensor = None  # type: ignore[assignment]
    loc: Tensor = None  # type: ignore[assignment]
    scale: Tensor = None  # type: ignore[assignment]
    class_logits: Tensor | None = None
    hidden: Tensor = None  # type: ignore[assignment]
    token_present: Tensor = None  # type: ignore[assignment]


class Layout(NamedTuple):
    """Where the tokens of a batch stand; all blocks share it."""

    front: int  # tokens in front of the series tokens
    cos: Tensor  # (l, e / 2)
    sin: Tensor  # (l, e / 2)
    spread: Tensor  # (s, operator_size), or (n, v, s, operator_size) where lengths differ
    present: Tensor | None  # (n, v, l); None: all are
    average: Tensor  # (n, v, s) or (s,): weights of the mean over a variable's present series tokens


class UnitsModel(PreTrainedModel):  # type: ignore[no-untyped-call]
    """One network for every task that its tokens know.

    Parameters
    ----------
    config
        A `UnitsConfig`; its tasks are those the network has tokens for.
    """

    config: UnitsConfig
    config_class = UnitsConfig
    base_model_prefix = ""
    main_input_name = "values"
    _supports_sdpa = True

    def __init__(self, config: UnitsConfig) -> None:
        super().__init__(config)
        self.tokens = Tokens(config)
        self.embed = Residual(2 * config.patch_size, config.d_ff, config.d_model)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.norm = nn.RMSNorm(config.d_model, EPSILON)
        levels = len(config.quantiles)
        self.value_head = Residual(config.d_model, config.d_model, config.patch_size, gain=0.1)
        self.quantile_head = Residual(config.d_model, config.d_model, config.patch_size * levels, gain=0.1)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self, values: Tensor, present: Tensor | None = None, horizon: int = 0, task: str = "forecast"
    ) -> UnitsOutput:
        """Fill the series and the `horizon` steps after them, and tell their classes where the task has some.

        Parameters
        ----------
        values
            (n, v, t) in any units; NaN = missing. An infinite value counts as missing.
        present
            (n, v, t): False where there is no such step or variable: padding, which stands before the first step and
            after the last variable. None: everything is part of a series.
        horizon
            Time steps to forecast.
        task
            One of `config.tasks`.

        Returns
        -------
        UnitsOutput
            Values and quantiles of all t + horizon steps, those observed included.

        Raises
        ------
        DataError
            Nothing to read, or more steps than `config.max_length`.
        RecipeError
            There is no such task.
        """
        self._check(values, present, horizon, task)
        (n, v, t), patch = values.shape, self.config.patch_size
        known = values.float().isfinite()
        if present is not None:
            known = known & present
        loc, scale, normal = normalised(values, known)

        # patches end where the context ends, so that padding before its first step moves none
        room = (-t % patch, horizon + -horizon % patch)
        steps = F.pad(normal, room).unflatten(-1, (-1, patch))  # type: ignore[no-untyped-call]  # (n, v, s, patch)
        seen = F.pad(known, room).unflatten(-1, (-1, patch))  # type: ignore[no-untyped-call]
        context, series = (t + room[0]) // patch, steps.shape[2]
        token_present = None
        if present is not None:
            held = F.pad(present, (room[0], 0)).unflatten(-1, (-1, patch)).any(-1)  # type: ignore[no-untyped-call]  # (n, v, c)
            future = held.any(-1, keepdim=True).expand(n, v, series - context)
            token_present = torch.cat([held, future], dim=-1)  # (n, v, s)

        front, gen, categories = self.tokens(task)
        patches = torch.cat([steps, seen.to(steps.dtype)], dim=-1).to(gen.dtype)
        x = torch.where(seen.any(-1, keepdim=True), self.embed(patches).to(gen.dtype), gen)  # (n, v, s, d)
        x = torch.cat([front.expand(n, v, -1, -1), x], dim=2)  # (n, v, l, d)
        layout = lay_out(self.config, len(front), context, series, token_present, values.device)
        for block in self.blocks:
            x = block(x, layout)
        x = self.norm(x)
        hidden = x[:, :, layout.front :]

        span = slice(room[0], room[0] + t + horizon)
        quantiles = self.quantile_head(hidden).float().unflatten(-1, (patch, -1)).flatten(2, 3)
        class_logits = None
        if categories is not None:
            class_logits = compared(x[:, :, layout.front - 1], categories, token_present)
        return UnitsOutput(
            values=self.value_head(hidden).float().flatten(2)[:, :, span],
            quantiles=quantiles[:, :, span],
            loc=loc,
            scale=scale,
            class_logits=class_logits,
            hidden=hidden,
            token_present=values.new_ones(n, v, series, dtype=torch.bool) if token_present is None else token_present,
        )

    def add_task(self, name: str, classes: Sequence[str] | None = None) -> None:
        """Give the network tokens for another task; no answer to the tasks it has changes.

        Its prompt begins as the mean of the prompts of its kind (with classes, or without), or of all where it is the
        first of its kind. Category tokens are drawn from torch's global state.

        Parameters
        ----------
        name
            How `forward` will be asked for it: letters, digits, - and _.
        classes
            Names of its classes, in the order of `class_logits`; None for a task that fills values.

        Raises
        ------
        RecipeError
            There is such a task, or it has fewer than two different classes.
        """
        kin = [task for task, known in self.config.tasks.items() if (known is None) == (classes is None)]
        _check_free(name)
        self.config.add_task(name, classes)
        self.tokens.add(name, None if classes is None else len(classes), kin)

    def token_parameters(self) -> list[str]:
        """Name the parameters that are tokens: prompts, categories and their sharpness, GEN and CLS."""
        return [name for name, _ in self.named_parameters() if name.startswith("tokens.")]

    def _check(self, values: Tensor, present: Tensor | None, horizon: int, task: str) -> None:
        if values.dim() != 3 or 0 in values.shape:
            raise DataError(
                f"Series of shape {tuple(values.shape)} cannot be read: give (rows, variables, time), none of them 0."
            )
        if present is not None and present.shape != values.shape:
            raise DataError(
                f"present has shape {tuple(present.shape)} and values {tuple(values.shape)}: make them alike."
            )
        if horizon < 0:
            raise DataError(f"The horizon is {horizon}: give 0 or more steps.")
        if values.shape[2] + horizon > self.config.max_length:
            raise DataError(
                f"{values.shape[2]} steps and a horizon of {horizon} are more than the {self.config.max_length} that "
                "this model reads: give it the last steps only."
            )
        if task not in self.config.tasks:
            raise RecipeError(f"This model has no task {task!r}: it has {', '.join(self.config.tasks)}.")

    def _init_weights(self, module: nn.Module) -> None:
        """Begin with unit variance through each layer, so that what blocks add is small and answers are near zero."""
        init = nn.init
        if isinstance(module, nn.Linear):
            init.normal_(module.weight, std=getattr(module, "gain", 1.0) * module.in_features**-0.5)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.RMSNorm):
            init.ones_(module.weight)
        elif isinstance(module, DynamicOperator):
            init.normal_(module.weight, std=module.gain * module.weight.shape[-1] ** -0.5)
        elif isinstance(module, Tokens):
            init.normal_(module.weight)
            init.normal_(module.cls)
            init.constant_(module.sharpness, math.log(FIRST_SHARPNESS))
        elif isinstance(module, nn.ParameterDict):  # prompts and categories
            for token in module.values():
                init.normal_(token)


class Tokens(nn.Module):
    """Every token that is learned as it is: what a new task needs, and all of it."""

    def __init__(self, config: UnitsConfig) -> None:
        super().__init__()
        width = config.d_model
        # GEN, by the name that PEFT asks for in whatever is saved whole beside an adapter
        self.weight = nn.Parameter(torch.empty(width))
        self.cls = nn.Parameter(torch.empty(width))
        self.sharpness = nn.Parameter(torch.empty(1))  # the logarithm of what cosines are multiplied by
        self.prompts = nn.ParameterDict()
        self.categories = nn.ParameterDict()
        for name, classes in config.tasks.items():
            _check_free(name)
            self.prompts[name] = nn.Parameter(torch.empty(config.prompt_tokens, width))
            if classes is not None:
                self.categories[name] = nn.Parameter(torch.empty(len(classes), width))

    def forward(self, task: str) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return what stands in front (f, d), GEN (d,), and the categories (classes, d) where the task has some."""
        gen, front = self.weight, self.prompts[task]
        if task not in self.categories:
            return front, gen, None
        categories = F.normalize(self.categories[task].float(), dim=-1) * self.sharpness.float().exp()
        return torch.cat([front, self.cls[None]]), gen, categories

    def add(self, name: str, classes: int | None, kin: Sequence[str]) -> None:
        """Make the tokens of a task; its prompt is the mean of its kin's, or of all."""
        known = torch.stack([self.prompts[task].detach() for task in kin or self.prompts])
        self.prompts[name] = nn.Parameter(known.mean(dim=0))
        if classes is not None:
            self.categories[name] = nn.Parameter(torch.randn(classes, known.shape[-1]).to(known))


class Block(nn.Module):
    """Four branches (paper, section 4.2), each on the normed stream and added to it through a gate: time attention,
    variable attention, the dynamic operator, and a feed-forward network over features.
    """

    def __init__(self, config: UnitsConfig) -> None:
        super().__init__()
        gain = (BRANCHES * config.num_layers) ** -0.5
        self.branches = nn.ModuleDict(
            {
                "time": TimeAttention(config, gain),
                "variables": VariableAttention(config, gain),
                "operator": DynamicOperator(config, gain),
                "features": SwiGLU(config, gain),
            }
        )
        self.norms = nn.ModuleDict({name: nn.RMSNorm(config.d_model, EPSILON) for name in self.branches})
        self.gates = nn.ModuleDict({name: Gate(config.d_model) for name in self.branches})
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        """Return the stream (n, v, l, d) after this block."""
        for name, branch in self.branches.items():
            normed = self.norms[name](x)
            x = x + self.dropout(self.gates[name](normed) * branch(normed, layout))
        return x


class Gate(nn.Module):
    """One number in (0, 1) a token: how much of a branch it takes (paper, section 4.2, the gate module)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = _linear(width, 1, bias=True, gain=0.1)

    def forward(self, x: Tensor) -> Tensor:
        """(…, d) -> (…, 1)."""
        return torch.sigmoid(self.gate(x))


class TimeAttention(nn.Module):
    """Each variable's tokens attend to one another, with rotary positions (Su et al. 2021)."""

    def __init__(self, config: UnitsConfig, gain: float) -> None:
        super().__init__()
        width, self.heads = config.d_model, config.num_heads
        self.q, self.k, self.v = _linear(width, width), _linear(width, width), _linear(width, width)
        self.o = _linear(width, width, gain=gain)

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        """(n, v, l, d) -> (n, v, l, d)."""
        n, v = x.shape[:2]
        x = x.flatten(0, 1)  # (n · v, l, d)
        q, k, values = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for project in (self.q, self.k, self.v)
        )
        q, k = rotated(q, layout.cos, layout.sin), rotated(k, layout.cos, layout.sin)  # (n · v, h, l, e)
        mask = None
        if layout.present is not None:
            mask = layout.present.clone()
            mask[..., : layout.front] = True  # so that no row of the attention is empty
            mask = mask.flatten(0, 1)[:, None, None]  # (n · v, 1, 1, l)
        mixed = F.scaled_dot_product_attention(q, k, values, attn_mask=mask)
        return self.o(mixed.transpose(1, 2).flatten(2)).unflatten(0, (n, v))  # type: ignore[no-any-return]


class VariableAttention(nn.Module):
    """Variables attend to one another by one map a head for all tokens (paper, section 4.2).

    Queries and keys are averaged over a variable's present series tokens, so the map costs variables² alone.
    """

    def __init__(self, config: UnitsConfig, gain: float) -> None:
        super().__init__()
        width, self.heads = config.d_model, config.num_heads
        self.q, self.k, self.v = _linear(width, width), _linear(width, width), _linear(width, width)
        self.o = _linear(width, width, gain=gain)

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        """(n, v, l, d) -> (n, v, l, d)."""
        # the projections are linear: the mean goes first, and they work on one token a variable
        mean = (layout.average.to(x.dtype)[..., None, :] @ x[:, :, layout.front :]).squeeze(-2)  # (n, v, d)
        q, k = (project(mean).unflatten(-1, (self.heads, -1)).transpose(1, 2) for project in (self.q, self.k))
        scores = (q @ k.mT).float() * q.shape[-1] ** -0.5  # (n, h, v, v)
        values = self.v(x)
        if layout.present is not None:
            exists = layout.present.any(-1)[:, None, None]  # (n, 1, 1, v)
            scores = scores.masked_fill(~exists, torch.finfo(scores.dtype).min)
            values = values * layout.present[..., None]
        weights = scores.softmax(dim=-1).to(values.dtype)
        split = values.unflatten(-1, (self.heads, -1)).permute(0, 3, 1, 2, 4)  # (n, h, v, l, e)
        mixed = (weights @ split.flatten(3)).unflatten(-1, split.shape[3:])
        if layout.present is not None:
            # where variables have unequal lengths, a token takes from those that are there
            there = weights.float() @ layout.present[:, None].float()  # (n, h, v, l)
            there = torch.where(there > 0, there.clamp(min=EPSILON), 1.0)
            mixed = mixed / there[..., None].to(mixed.dtype)
        return self.o(mixed.permute(0, 2, 3, 1, 4).flatten(3))  # type: ignore[no-any-return]


class DynamicOperator(nn.Module):
    """A learned linear map over the series tokens of each variable, at any number of tokens (paper, section 4.2).

    Each head's weight (operator_size, operator_size) is interpolated bilinearly to (s, s) and divided by the root of
    s / operator_size, so that noise leaves with the variance it came with at every length. Bilinear interpolation is
    A W Aᵀ for the same A on both sides, so the cost grows with s and not with s².
    """

    def __init__(self, config: UnitsConfig, gain: float) -> None:
        super().__init__()
        size, self.gain = config.operator_size, gain
        self.weight = nn.Parameter(torch.empty(config.num_heads, size, size))

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        """(n, v, l, d) -> (n, v, l, d), zero in front."""
        spread = layout.spread.to(x.dtype)
        coarse = spread.mT @ x[:, :, layout.front :]  # (n, v, size, d)
        coarse = coarse.unflatten(-1, (len(self.weight), -1)).transpose(2, 3)  # type: ignore[no-untyped-call]  # (n, v, h, size, e)
        mixed = (self.weight @ coarse).transpose(2, 3).flatten(3)  # (n, v, size, d)
        return F.pad(spread @ mixed, (0, 0, layout.front, 0))


class SwiGLU(nn.Module):
    """A feed-forward network with a gated inner layer (Shazeer 2020)."""

    def __init__(self, config: UnitsConfig, gain: float) -> None:
        super().__init__()
        self.wi = _linear(config.d_model, 2 * config.d_ff)
        self.wo = _linear(config.d_ff, config.d_model, gain=gain)

    def forward(self, x: Tensor, _: Layout) -> Tensor:
        """(…, d) -> (…, d)."""
        opening, inner = self.wi(x).chunk(2, dim=-1)
        return self.wo(F.silu(opening) * inner)  # type: ignore[no-any-return]


class Residual(nn.Module):
    """A network of one hidden layer beside a straight one: what reads patches, and what writes them."""

    def __init__(self, inputs: int, hidden: int, outputs: int, gain: float = 1.0) -> None:
        super().__init__()
        self.hidden = _linear(inputs, hidden, bias=True)
        self.output = _linear(hidden, outputs, bias=True, gain=gain)
        self.straight = _linear(inputs, outputs, bias=True, gain=gain)

    def forward(self, x: Tensor) -> Tensor:
        """(…, inputs) -> (…, outputs)."""
        return self.output(F.silu(self.hidden(x))) + self.straight(x)  # type: ignore[no-any-return]


def lay_out(
    config: UnitsConfig, front: int, context: int, series: int, token_present: Tensor | None, device: torch.device
) -> Layout:
    """Say where `front` tokens and `series` ones, of which the first `context` are past, stand (see `Layout`)."""
    # counted from the end of the context, so that padding moves none; position 0 is no rotation, as in front
    positions = F.pad(torch.arange(series, device=device) - context, (front, 0))
    cos, sin = rotations(positions, config.d_model // config.num_heads)
    number = torch.arange(series, device=device)
    if token_present is None:
        spread = interpolation(number, torch.full_like(number, series), config.operator_size)
        return Layout(front, cos, sin, spread, None, torch.full((series,), 1 / series, device=device))
    count = token_present.sum(-1, keepdim=True)  # (n, v, 1)
    spread = interpolation(token_present.cumsum(-1) - 1, count, config.operator_size) * token_present[..., None]
    # in front of a variable that is padding, nothing is present either
    present = torch.cat([(count > 0).expand(-1, -1, front), token_present], dim=-1)
    return Layout(front, cos, sin, spread, present, token_present / count.clamp(min=1))


def rotations(positions: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Return cosines and sines (l, width / 2) of the angles by which a head's pairs of features turn."""
    pairs = torch.arange(width // 2, device=positions.device)
    angles = positions[:, None] * ROTARY_BASE ** (-2 / width * pairs)
    return angles.cos(), angles.sin()


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair of features, one from either half of the last axis of (…, l, e), by its token's angle."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1).to(x.dtype)


def interpolation(index: Tensor, count: Tensor, size: int) -> Tensor:
    """Return the rows of A for tokens number `index` of `count`: A W Aᵀ is W (size, size), resized to (count, count).

    Resized bilinearly, pixels' centres on pixels' centres, and divided by the root of count / size.

    Parameters
    ----------
    index, count
        (…, s), broadcastable.

    Returns
    -------
    Tensor
        (…, s, size); each row has at most two entries that are not 0.
    """
    count = count.clamp(min=1)
    centre = ((index + 0.5) * size / count - 0.5).clamp(0, size - 1)
    columns = torch.arange(size, device=index.device)
    weights = (1 - (centre[..., None] - columns).abs()).clamp(min=0)
    return weights * (size / count[..., None]) ** 0.25  # A stands on both sides of W


def compared(cls: Tensor, categories: Tensor, token_present: Tensor | None) -> Tensor:
    """Compare the mean of the present variables' CLS tokens (n, v, d) with the categories: logits (n, classes)."""
    if token_present is None:
        mean = cls.float().mean(dim=1)
    else:
        exists = token_present.any(-1, keepdim=True)  # (n, v, 1)
        mean = (cls.float() * exists).sum(dim=1) / exists.sum(dim=1).clamp(min=1)
    return (F.normalize(mean, dim=-1)[:, None] * categories).sum(-1)  # a product of matrices may round to bfloat16


def _linear(inputs: int, outputs: int, bias: bool = False, gain: float = 1.0) -> nn.Linear:
    """A linear layer that knows how large it begins; see `UnitsModel._init_weights`."""
    layer: Any = nn.Linear(inputs, outputs, bias=bias)
    layer.gain = gain
    return layer  # type: ignore[no-any-return]


def _check_free(task: str) -> None:
    """Refuse the names of torch's own methods: a parameter of that name would hide the method."""
    if hasattr(nn.ParameterDict(), str(task)):
        raise RecipeError(f"A task cannot be named {task!r}, which torch uses itself: give it another name.")
