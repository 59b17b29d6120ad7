"""Chapter 4: a long prompt loses half its tokens; what stays, what that saves, and what it costs to find out."""

from __future__ import annotations

import importlib
import pkgutil
import time
from typing import Any

from stillroom.demo.tour import Result, Table, Tour

ABOUT = (
    "Compress a long prompt, the descriptions of all data sets that come with statsmodels, to half of its tokens, and "
    "hold what it takes against what it saves."
)
TAKES = "less than a minute"
RATES = (0.7, 0.5, 0.33)
RATE = 0.5
SHOWN = "co2"  # the data set whose description is printed before and after
PRICED = "gpt-4o-mini"
CALLS = 1000
READER: dict[str, Any] = {"hidden_size": 512, "intermediate_size": 1376, "num_hidden_layers": 8}


def run(tour: Tour, model: str = "compressor", sets: int | None = None) -> Result:
    """Compress at several rates; `sets` takes the descriptions of the first so many data sets."""
    from stillroom.prompts.family import find
    from stillroom.teacher.prices import dollars, price_of, usd

    compressor = find(model)
    described = descriptions(sets)
    text = "\n\n".join(described.values())
    rows: list[list[str]] = []
    numbers: dict[float, dict[str, Any]] = {}
    for rate in RATES:
        began = time.process_time()
        left = compressor.compress(text, rate=rate, counter="estimate")
        seconds = time.process_time() - began
        numbers[rate] = {"tokens": left.compressed_tokens, "seconds": seconds, "text": left.text}
    before = left.original_tokens
    price = price_of(PRICED)
    language_model = reader()
    whole_seconds = reading_seconds(language_model, before)
    for rate, found in numbers.items():
        found["read_seconds"] = reading_seconds(language_model, found["tokens"])
        found["usd"] = usd(CALLS * (price.cost(before, 0) - price.cost(found["tokens"], 0)))
        rows.append(
            [
                f"{rate:g}", f"{found['tokens']:,}", f"{found['tokens'] / before:.1%}", f"${found['usd']:.2f}",
                f"{found['seconds']:.2f}", f"{whole_seconds - found['read_seconds']:.2f}",
            ]
        )  # fmt: skip
    half = numbers[RATE]
    shown = next(iter(described)) if SHOWN not in described else SHOWN
    excerpt = compressor.compress(described[shown], rate=RATE)
    whole = dollars(CALLS * price.cost(before, 0))
    return Result(
        "Compressing a prompt",
        [
            f"The prompt describes {len(described)} data sets in {before:,} tokens (an estimate, since {PRICED}'s own "
            f"tokenizer is not here); {CALLS:,} calls with it cost {whole} at {PRICED}'s price. Half of it costs half, "
            f"and takes {half['seconds']:.1f} s of a core to find, once: a text is compressed the same in every call.",
            f"Before: {' '.join(described[shown].split())}",
            f"After, at {RATE:g}: {' '.join(excerpt.text.split())}",
            "Nothing is rewritten: what stays are the text's own words in their order. Numbers with their units, code, "
            "addresses and negations are protected, and come on top. Whether answers stay as good is another "
            "question: `stillroom teacher calibrate` asks it of your own rows.",
        ],
        [
            Table(
                f"At three rates; CPU seconds of one thread. Saved reading: by a language model of "
                f"{sum(one.numel() for one in language_model.parameters()) / 1e6:.0f} M parameters, on this machine",
                ["rate", "tokens", "of all", f"saved in {CALLS:,} calls", "compressing", "saved reading"],
                rows,
            )
        ],
        {"original_tokens": before, "priced_as": PRICED, "read_seconds": whole_seconds, "rates": numbers},
        [_written(tour, text, half["text"])],
    )


def descriptions(sets: int | None = None) -> dict[str, str]:
    """Return what statsmodels says of its data sets, by name; `sets` takes the first so many."""
    import statsmodels.datasets

    found: dict[str, str] = {}
    for module in pkgutil.iter_modules(statsmodels.datasets.__path__):
        if module.ispkg and module.name != "tests" and len(found) != sets:
            data = importlib.import_module(f"statsmodels.datasets.{module.name}.data")
            parts = [getattr(data, name, "").strip() for name in ("TITLE", "DESCRLONG", "SOURCE", "NOTE")]
            found[module.name] = "\n".join(part.removeprefix("::").strip("\n") for part in parts if part)
    return found


def reader() -> Any:
    """Return a small language model with random weights: what they are makes no difference to the time it takes."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(vocab_size=8000, num_attention_heads=8, max_position_embeddings=32_768, **READER)
    ).eval()  # type: ignore[no-untyped-call]


def reading_seconds(model: Any, tokens: int) -> float:
    """Return the CPU seconds that a language model takes to read a prompt of so many tokens."""
    import torch

    with torch.inference_mode():
        began = time.process_time()
        model(input_ids=torch.zeros((1, tokens), dtype=torch.long), logits_to_keep=1)
        return time.process_time() - began


def _written(tour: Tour, before: str, after: str) -> str:
    from stillroom.core.runs import write_atomic

    folder = tour.folder("compress")
    write_atomic(folder / "prompt.txt", before)
    write_atomic(folder / "compressed.txt", after)
    return str(folder / "compressed.txt")
