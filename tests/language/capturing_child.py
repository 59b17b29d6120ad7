"""A capture that can be killed; `runpy.run_path(this file, {"ORDER": …}, "child")`.

ORDER: the path of the store and `seconds` that the teacher takes over a batch.
"""

import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from stillroom.core.targets import TargetStore
from stillroom.language.capture import capture
from stillroom.language.encoding import Encoded
from stillroom.language.teachers import LanguageTeacher

ROWS = [Encoded([3 + n % 7, 4 + n % 11, 5 + n], [6 + n, 7 + n % 5, 2], n) for n in range(40)]


class Slow(LanguageTeacher):
    """Counts the rows it is asked, and takes its time."""

    seconds, asked = 0.0, 0

    def logits(self, batch):
        self.asked += len(batch["input_ids"])
        time.sleep(self.seconds)
        return super().logits(batch)


def teacher(seconds=0.0):
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        initializer_range=0.2,
    )  # fmt: skip
    slow = Slow(LlamaForCausalLM(config), None, "causal")
    slow.seconds = seconds
    return slow


if __name__ == "child":
    torch.set_num_threads(1)
    with TargetStore(ORDER["store"]) as store:  # noqa: F821 — given by whoever runs this file
        capture(teacher(ORDER["seconds"]), ROWS, store, 8, tokens=12)  # noqa: F821
