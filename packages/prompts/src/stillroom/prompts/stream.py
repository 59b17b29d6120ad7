"""Any number of prompts, one after the other, in bounded memory: read ahead a window, score it, hand it on.

A window's texts are scored together, sorted by length into batches; while the model works on one window the next is
read. Results come in the order of the prompts and do not depend on what shared their window.
"""

from __future__ import annotations

import os
import pickle
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from stillroom.core.errors import DataError, RecipeError
from stillroom.prompts.compressed import Compressed
from stillroom.prompts.compressor import Compressor
from stillroom.prompts.jobs import Job, Prompt
from stillroom.prompts.options import Options

PROMPTS = 1024  # a window ends after so many prompts,
CHARACTERS = 2**20  # or with the one that brings it to so many characters
SHARE = 128  # prompts a window where processes share the work, so that none waits for a long one


def compress(
    compressor: Compressor, prompts: Iterable[Prompt], options: Options, workers: int = 0
) -> Iterator[Compressed]:
    """Return the compressed prompts in order.

    Up to three windows of prompts are held at a time, with workers up to two a worker. Workers are started anew, not
    forked, so a script that asks for them must keep its own work under `if __name__ == "__main__":`.

    Raises
    ------
    DataError, RecipeError
        As `Compressor.compress`; the sentence begins with the prompt's number, counted from 0.
    """
    if isinstance(prompts, str):
        raise DataError("compress_many takes a list of prompts: put this one into a list, or use compress")
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 0:
        raise RecipeError(f"workers={workers!r}: give a whole number of processes, 0 for none beside this one")
    return _in_processes(compressor, prompts, options, workers) if workers else _here(compressor, prompts, options)


class BatchCompressor:
    """Compress a column of batches, for Ray Data's `map_batches` and anything that hands out dicts of columns.

    >>> dataset.map_batches(
    ...     BatchCompressor, fn_constructor_args=["models/compressor"], fn_constructor_kwargs={"rate": 0.5},
    ...     batch_size=1024, concurrency=4,
    ... )

    Parameters
    ----------
    model
        A model's folder or hub id, or a `Compressor`.
    column
        Where the prompts are. The compressed texts take their place; `original_tokens` and `compressed_tokens` join.
    device
        As for `Compressor.from_pretrained`; of no meaning where `model` is a `Compressor`.
    options
        As for `Compressor.compress`.
    """

    def __init__(
        self, model: str | Path | Compressor, *, column: str = "text", device: str = "cpu", **options: Any
    ) -> None:
        self.column, self.options = column, Options.read(options)
        self.compressor = model if isinstance(model, Compressor) else Compressor.from_pretrained(model, device=device)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return the batch with its prompts compressed.

        Raises
        ------
        DataError
            The batch has no such column.
        """
        if self.column not in batch:
            raise DataError(f"the batch has no column {self.column!r}: it has {', '.join(batch)}")
        prompts = [item if isinstance(item, str) else list(item) for item in batch[self.column]]
        results = list(compress(self.compressor, prompts, self.options))
        return {
            **batch,
            self.column: [result.text for result in results],
            "original_tokens": [result.original_tokens for result in results],
            "compressed_tokens": [result.compressed_tokens for result in results],
        }


def windows(prompts: Iterable[Prompt], most: int) -> Iterator[tuple[int, list[Prompt]]]:
    """Yield the prompts in stretches of at most so many and of about `CHARACTERS`, with the number of the first."""
    first, window, size = 0, [], 0
    for prompt in prompts:
        window.append(prompt)
        size += len(prompt) if isinstance(prompt, str) else sum(len(str(message)) for message in prompt)
        if len(window) >= most or size >= CHARACTERS:
            yield first, window
            first, window, size = first + len(window), [], 0
    if window:
        yield first, window


def _here(compressor: Compressor, prompts: Iterable[Prompt], options: Options) -> Iterator[Compressed]:
    waiting: tuple[list[Job], Future[None]] | None = None
    with ThreadPoolExecutor(1) as thread:
        for first, window in windows(prompts, PROMPTS):
            jobs = compressor.read(window, options, first)
            scored = thread.submit(compressor.score, jobs)
            if waiting is not None:
                yield from _done(compressor, *waiting, options)
            waiting = jobs, scored
        if waiting is not None:
            yield from _done(compressor, *waiting, options)


def _done(compressor: Compressor, jobs: list[Job], scored: Future[None], options: Options) -> list[Compressed]:
    scored.result()
    return compressor.write(jobs, options)


def _in_processes(
    compressor: Compressor, prompts: Iterable[Prompt], options: Options, workers: int
) -> Iterator[Compressed]:
    try:
        sent = pickle.dumps((compressor, options))
    except Exception as error:  # pickle has no error of its own for it
        raise RecipeError(
            f"this cannot be sent to other processes ({error}): name the counter, or take workers=0"
        ) from error
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin, (sent, workers))
    waiting: deque[Future[list[Compressed]]] = deque()
    try:
        for first, window in windows(prompts, SHARE):
            waiting.append(pool.submit(_work, first, window))
            if len(waiting) > 2 * workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(sent: bytes, workers: int) -> None:
    """Load the model, once a process."""
    import torch

    global _compressor, _options
    torch.set_num_threads(max((os.cpu_count() or 1) // workers, 1))
    _compressor, _options = pickle.loads(sent)


def _work(first: int, prompts: list[Prompt]) -> list[Compressed]:
    jobs = _compressor.read(prompts, _options, first)
    _compressor.score(jobs)
    return _compressor.write(jobs, _options)


_compressor: Compressor
_options: Options
