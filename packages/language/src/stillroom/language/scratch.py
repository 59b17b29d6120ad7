"""A new, small language model: a byte-level vocabulary of one's own texts, a chat template, a Llama of stated sizes.

The network starts with random weights; it knows nothing of training. Any text can be written in its tokens.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

PAD, END = "<|pad|>", "<|end|>"
SPECIAL = [PAD, END, "<|system|>", "<|user|>", "<|assistant|>"]
CHAT = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


class Shape(BaseModel):
    """The sizes of a new Llama, by the names of `config.json`.

    Parameters
    ----------
    vocab_size
        Tokens, the 256 bytes and the five marks of a chat among them. Few: a model that corrects must see how words
        end, and the tokens of a big vocabulary hide it.
    max_position_embeddings
        Tokens that it reads at once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    vocab_size: int = Field(default=512, ge=256 + len(SPECIAL))
    hidden_size: PositiveInt = 256
    intermediate_size: PositiveInt = 640
    num_hidden_layers: PositiveInt = 6
    num_attention_heads: PositiveInt = 4
    max_position_embeddings: PositiveInt = 1024

    @model_validator(mode="after")
    def _heads_fit(self) -> Shape:
        if self.hidden_size % (2 * self.num_attention_heads):  # rotary positions turn pairs of numbers
            raise ValueError(
                f"a width of {self.hidden_size} does not give {self.num_attention_heads} heads an even width each"
            )
        return self


def vocabulary(texts: Iterable[str], shape: Shape) -> Any:
    """Train a byte-level BPE tokenizer with the marks of a chat and its template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=shape.vocab_size,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, chat_template=CHAT,
        model_max_length=shape.max_position_embeddings, model_input_names=["input_ids", "attention_mask"],
    )  # fmt: skip


def network(shape: Shape, tokenizer: Any, seed: int = 0) -> Any:
    """Return a LlamaForCausalLM with weights drawn from `seed`; the global random state is not moved.

    Weights start at a spread of 1/√width: at transformers' 0.02 a network this narrow takes far longer to learn.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        **shape.model_dump(exclude={"vocab_size"}), vocab_size=len(tokenizer), tie_word_embeddings=True,
        initializer_range=shape.hidden_size**-0.5, pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id, bos_token_id=None,
    )  # fmt: skip
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)
