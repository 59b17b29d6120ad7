"""The six LLMLingua-2 cases that llmlingua publishes, run on reference mode.

Opt-in: they need the published weights and tiktoken's vocabulary in their caches; nothing is downloaded. The published
file is a unittest of its own; it is run as it is, with our `PromptCompressor` in llmlingua's place.
"""

import os
import sys
import unittest
from pathlib import Path
from types import ModuleType

import pytest

from stillroom.core.errors import MissingError
from stillroom.prompts import reference
from stillroom.prompts.counters import counter

WEIGHTS = "microsoft/llmlingua-2-xlm-roberta-large-meetingbank"


class PromptCompressor:
    """As much of llmlingua's class as its test uses."""

    def __init__(self, model_name, device_map, use_llmlingua2):
        from transformers import AutoModelForTokenClassification, AutoTokenizer

        assert (device_map, use_llmlingua2) == ("cpu", True)
        self.model = AutoModelForTokenClassification.from_pretrained(model_name, dtype="float32", local_files_only=True)
        self.tokenizer = AutoTokenizer.from_pretrained(model_name, local_files_only=True)
        self.count = counter("tiktoken:cl100k_base")

    def compress_prompt(self, context, *, use_context_level_filter=True, **options):
        return reference.compress(
            self.model,
            self.tokenizer,
            context,
            count=self.count,
            use_context_level_filter=use_context_level_filter,
            **options,
        )


@pytest.fixture
def published():
    """The published file's text; skips where something that it needs is not here."""
    from huggingface_hub import try_to_load_from_cache

    if "STILLROOM_DATA" not in os.environ:
        pytest.skip("STILLROOM_DATA is not set")
    file = Path(os.environ["STILLROOM_DATA"], "text/compression/llmlingua/test_llmlingua2.py.txt")
    if not file.is_file():
        pytest.skip(f"STILLROOM_DATA has no {file.name}")
    if not isinstance(try_to_load_from_cache(WEIGHTS, "config.json"), str):
        pytest.skip(f"{WEIGHTS} is not in the local Hugging Face cache")
    try:
        counter("tiktoken:cl100k_base")
    except MissingError as missing:
        pytest.skip(str(missing))
    return file.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_six_published_cases(published, monkeypatch):
    ours = ModuleType("llmlingua")
    ours.PromptCompressor = PromptCompressor
    monkeypatch.setitem(sys.modules, "llmlingua", ours)
    cases = {}
    exec(compile(published, "test_llmlingua2.py", "exec"), cases)
    assert published.count("self.llmlingua.compress_prompt(") == 6
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(cases["LLMLingua2Tester"]).run(result)
    assert result.testsRun == 1
    assert result.wasSuccessful(), result.failures + result.errors
