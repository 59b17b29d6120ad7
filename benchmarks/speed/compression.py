"""What compressing prompts costs, ours beside llmlingua 0.2.2 with the same model on this machine.

The model is a BERT of mBERT-base's size with random weights, made here with a vocabulary learnt from the docstrings of
Python's standard library, which are the prompts as well. llmlingua is given its fastest way, all prompts in one call.
It downloads tiktoken's files when it is built: here it counts with a tiktoken encoding of single bytes instead.

- prompts of 60 tokens, many in one call (float32): tokens a second;
- one prompt of 10,000 tokens, in float32 and in what else this CPU is fast at (bfloat16, int8): tokens a second, and
  the share of words for which the answer to "keep it?" differs from float32's;
- all but the network, of a prompt of 50,000 tokens: the network is replaced by one that answers at once;
- where there is a GPU: tokens a second beside those of the network alone, in bfloat16.

The two take turns; the least of `--repeats` CPU seconds of one thread, so that what else the machine does counts
little; with a GPU, of wall seconds. Prints the table, or with `--json` the same as JSON, and exits 1 if a bar is
missed.

    python benchmarks/speed/compression.py [--layers 12] [--prompts 32] [--long 10000] [--repeats 3] [--json]
"""

from __future__ import annotations

import argparse
import ast
import json
import logging
import os
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ |= {"TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1"}

import numpy as np
import tiktoken
import torch
from llmlingua import PromptCompressor
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import BertConfig, BertForTokenClassification, BertTokenizerFast
from transformers.utils import logging as transformers_logging

from stillroom.prompts import Compressor
from stillroom.prompts.precision import runs_bfloat16, runs_int8
from stillroom.prompts.words import split

RATE = 0.5
SHORT, HOST = 60, 50_000  # tokens
BARS = {"short": 6.0, "long": 1.8, "host": 2.0, "gpu": 0.85}
MBERT_VOCABULARY = 119_547
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def prose() -> str:
    """Return the docstrings of Python's standard library: English with names, numbers and some code."""
    found = []
    library = Path(sysconfig.get_path("stdlib"))
    for file in sorted([*library.glob("*.py"), *library.glob("[a-z]*/*.py")]):
        if file.parent.name in ("test", "lib2to3", "site-packages"):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                found.append(ast.get_docstring(node) or "")
    return "\n\n".join(filter(None, found))


def make_model(folder: Path, text: str, layers: int) -> None:
    """Save a random token classifier of mBERT-base's size, and a tokenizer like its own."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=20_000, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator(text.split("\n\n"), trainer)
    vocabulary = tokenizer.get_vocab()
    vocabulary |= {f"[unused{number}]": number for number in range(len(vocabulary), MBERT_VOCABULARY)}
    BertTokenizerFast(vocab=vocabulary, do_lower_case=False, model_max_length=512).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(vocab_size=MBERT_VOCABULARY, num_hidden_layers=layers, num_labels=2)
    BertForTokenClassification(config).save_pretrained(folder)


def make_llmlingua(folder: Path) -> PromptCompressor:
    """Build llmlingua's compressor without the network."""
    ranks = {bytes([byte]): byte for byte in range(256)}
    encoding = tiktoken.Encoding("bytes", pat_str=r"\S+|\s+", mergeable_ranks=ranks, special_tokens={})
    tiktoken.encoding_for_model = lambda name: encoding
    logging.getLogger("transformers").setLevel(logging.ERROR)  # of the length of the prompts
    return PromptCompressor(str(folder), device_map="cpu", use_llmlingua2=True)


def by_llmlingua(compressor: PromptCompressor, prompts: list[str]) -> Any:
    return compressor.compress_prompt(prompts, rate=RATE, use_context_level_filter=False)


def by_us(compressor: Compressor, prompts: list[str]) -> Any:
    return list(compressor.compress_many(prompts, rate=RATE))


def seconds(
    repeats: int, ways: dict[str, Callable[[], Any]], clock: Callable[[], float] = time.process_time
) -> dict[str, float]:
    """Return the least time that each way takes; they take turns."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(repeats):
        for name, way in ways.items():
            started = clock()
            way()
            best[name] = min(best[name], clock() - started)
    return best


def taken(compressor: Compressor, text: str, length: int) -> list[str]:
    """Cut a text into prompts of exactly `length` tokens, as many as there are."""
    tokens = compressor.scorer.tokenize([text])[0]
    prompts = [text[begin:end].rstrip() for begin, end in pairwise(tokens.start[::length].tolist())]
    return [each for each, own in zip(prompts, compressor.scorer.tokenize(prompts), strict=True) if len(own) == length]


def flips(compressor: Compressor, exact: Compressor, prompt: str) -> float:
    """Return the share of words that one keeps and the other drops."""
    begins = split(prompt).start

    def kept(by: Compressor) -> np.ndarray:
        spans = np.array(by.compress(prompt, rate=RATE).kept)
        return np.searchsorted(spans[:, 0], begins, side="right") > np.searchsorted(spans[:, 1], begins, side="right")

    return float((kept(compressor) != kept(exact)).mean())


class Instant:
    """A network that knows all answers at once, so that what is left of the time is the host's."""

    def __init__(self, network: Any):
        self.config, self.device, self.dtype = network.config, network.device, network.dtype
        self.logits = torch.randn(64, 512, 2)

    def __call__(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        """Return logits (chunks, width, 2)."""
        rows, width = input_ids.shape
        return SimpleNamespace(loss=None, logits=self.logits[:rows, :width])


def measure_short(folder: Path, text: str, count: int, repeats: int) -> dict[str, float]:
    ours, theirs = Compressor.from_pretrained(folder), make_llmlingua(folder)
    prompts = taken(ours, text, SHORT)[:count]
    ways = {"stillroom": partial(by_us, ours, prompts), "llmlingua": partial(by_llmlingua, theirs, prompts)}
    best = seconds(repeats, ways)
    tokens = SHORT * len(prompts)
    return {name: tokens / each for name, each in best.items()} | {"ratio": best["llmlingua"] / best["stillroom"]}


def measure_long(folder: Path, text: str, length: int, repeats: int) -> list[dict[str, Any]]:
    dtypes = ["float32", *["bfloat16"] * runs_bfloat16(), *["int8"] * runs_int8()]
    ours = {dtype: Compressor.from_pretrained(folder, dtype=dtype) for dtype in dtypes}
    theirs = make_llmlingua(folder)
    prompt = taken(ours["float32"], text, length)[0]
    ways: dict[str, Callable[[], Any]] = {
        dtype: lambda each=each: by_us(each, [prompt]) for dtype, each in ours.items()
    }
    best = seconds(repeats, ways | {"llmlingua": lambda: by_llmlingua(theirs, [prompt])})
    return [
        {
            "dtype": dtype,
            "stillroom": length / best[dtype],
            "llmlingua": length / best["llmlingua"],
            "ratio": best["llmlingua"] / best[dtype],
            "flips": flips(ours[dtype], ours["float32"], prompt),
        }
        for dtype in dtypes
    ]


def measure_host(folder: Path, text: str, repeats: int) -> dict[str, float]:
    """Microseconds a token; ours has seen no text before, once with and once without protecting what is in it."""
    loaded, theirs = Compressor.from_pretrained(folder), make_llmlingua(folder)
    network, theirs.model = Instant(loaded.scorer.model), Instant(theirs.model)
    prompt = taken(loaded, text, HOST)[0]

    def ours(**options: Any) -> Any:
        return Compressor(replace(loaded.scorer, model=network)).compress(prompt, rate=RATE, **options)

    ways = {
        "stillroom": ours,
        "unprotected": partial(ours, protect=()),
        "llmlingua": partial(by_llmlingua, theirs, [prompt]),
    }
    return {name: each / HOST * 1e6 for name, each in seconds(5 * repeats, ways).items()}


def measure_gpu(folder: Path, text: str, repeats: int) -> dict[str, float]:
    """Tokens a second of many prompts, and of the network alone on the very same batches."""
    ours = Compressor.from_pretrained(folder, device="cuda", dtype="bfloat16")
    prompts = [prompt for length in (SHORT, 500) for prompt in taken(ours, text, length)]
    batches = []

    class Recorded:
        def __call__(self, **inputs: torch.Tensor) -> Any:
            batches.append(inputs)
            return network(**inputs)

        def __getattr__(self, name: str) -> Any:
            return getattr(network, name)

    network = ours.scorer.model
    by_us(Compressor(replace(ours.scorer, model=Recorded())), prompts)

    def alone() -> None:
        with torch.inference_mode():
            for inputs in batches:
                network(**inputs)
        torch.cuda.synchronize()

    best = seconds(2 * repeats, {"stillroom": lambda: by_us(ours, prompts), "network": alone}, time.perf_counter)
    tokens = sum(map(len, ours.scorer.tokenize(prompts)))
    return {name: tokens / each for name, each in best.items()} | {"ratio": best["network"] / best["stillroom"]}


def main() -> int:
    parser = argparse.ArgumentParser(description="Compressing prompts beside llmlingua, with the same random model.")
    parser.add_argument("--layers", type=int, default=12, help="of the network (default 12, as mBERT-base)")
    parser.add_argument("--prompts", type=int, default=32, help=f"of {SHORT} tokens (default 32)")
    parser.add_argument("--long", type=int, default=10_000, help="tokens of the long prompt (default 10000)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(1)
    text = prose()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "bert-base-multilingual-cased"  # llmlingua knows a model by its name
        make_model(folder, text, options.layers)
        short = measure_short(folder, text, options.prompts, options.repeats)
        long = measure_long(folder, text, options.long, options.repeats)
        host = measure_host(folder, text, options.repeats)
        gpu = measure_gpu(folder, text, options.repeats) if torch.cuda.is_available() else None
    reached = {
        "short": short["ratio"] >= BARS["short"],
        "long": max(row["ratio"] for row in long) >= BARS["long"],
        "host": host["unprotected"] <= BARS["host"],  # llmlingua protects nothing
        "gpu": gpu is None or gpu["ratio"] >= BARS["gpu"],
    }
    passed = all(reached.values())
    if options.json:
        rows = {"short": short, "long": long, "host": host, "gpu": gpu}
        print(json.dumps({"layers": options.layers, "bars": BARS, "passed": passed, **rows}))
        return 0 if passed else 1
    print(f"a random BERT of {options.layers} layers, rate {RATE}, one thread; tokens a second unless said otherwise")
    print(
        f"prompts of {SHORT} tokens: stillroom {short['stillroom']:.0f}, llmlingua {short['llmlingua']:.0f}, "
        f"{short['ratio']:.1f}x (bar {BARS['short']:.0f}x)"
    )
    for row in long:
        print(
            f"a prompt of {options.long} tokens, {row['dtype']}: stillroom {row['stillroom']:.0f}, llmlingua "
            f"{row['llmlingua']:.0f}, {row['ratio']:.2f}x, words that flip {row['flips']:.2%}"
        )
    print(f"best of these: {max(row['ratio'] for row in long):.2f}x (bar {BARS['long']}x)")
    print(
        f"host work at {HOST} tokens, microseconds a token: stillroom {host['unprotected']:.2f} with protect=() (bar "
        f"{BARS['host']}), {host['stillroom']:.2f} with what is protected by default, llmlingua {host['llmlingua']:.2f}"
    )
    if gpu is not None:
        print(
            f"GPU: stillroom {gpu['stillroom']:.0f}, the network alone {gpu['network']:.0f}, {gpu['ratio']:.0%} of it "
            f"(bar {BARS['gpu']:.0%})"
        )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
