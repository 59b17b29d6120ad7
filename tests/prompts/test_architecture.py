from __future__ import annotations

import json

import pytest
import torch

from stillroom.prompts.architecture import Architecture, fast, network, vocabulary
from stillroom.prompts.scorer import Scorer

TEXTS = ["The Broncos defeated the Panthers, 24 to 10.", "Der Fluss fließt durch Köln und Düsseldorf."] * 20
SIZES = {"vocab_size": 300, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.fixture(scope="module")
def tokenizer():
    return fast(vocabulary(TEXTS, 300), 64)


@pytest.mark.parametrize("model_type", ["distilbert", "bert", "modernbert"])
def test_a_network_of_any_type_is_saved_and_loaded_as_a_compressor(model_type, tokenizer, tmp_path):
    sizes = Architecture(model_type=model_type, intermediate_size=32, max_position_embeddings=64, **SIZES)
    made = network(sizes, tokenizer)
    made.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded, own = Scorer.from_pretrained(tmp_path), Scorer.of(made.eval(), tokenizer)
    [ours], [theirs] = (one.probabilities(one.tokenize([TEXTS[0]])) for one in (own, loaded))
    assert ours == pytest.approx(theirs, abs=1e-6)
    assert own.limit == 62
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["id2label"] == {"0": "drop", "1": "keep"}


def test_the_sizes_are_those_that_were_asked_for(tokenizer):
    made = network(Architecture(intermediate_size=32, max_position_embeddings=64, **SIZES), tokenizer)
    assert made.config.vocab_size == len(tokenizer) <= 300
    assert (made.config.dim, made.config.n_layers, made.config.n_heads, made.config.hidden_dim) == (16, 2, 2, 32)


def test_the_default_sizes_make_a_mini_of_less_than_four_million_parameters(tokenizer):
    with torch.device("meta"):
        made = network(Architecture(), tokenizer)
    rest = sum(p.numel() for p in made.parameters()) - len(tokenizer) * 128
    assert rest + 16_000 * 128 < 4_000_000


def test_a_vocabulary_keeps_case_and_characters_and_frames_a_text(tokenizer):
    assert tokenizer.tokenize("Köln") == ["Köln"]
    assert tokenizer.tokenize("köln") != tokenizer.tokenize("Köln")
    ids = tokenizer("Köln 敏")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["[CLS]", "Köln", "[UNK]", "[SEP]"]
    assert tokenizer("a" * 65, add_special_tokens=False)["input_ids"] == [tokenizer.unk_token_id]


def test_a_vocabulary_is_no_larger_than_asked_for():
    assert vocabulary(iter(TEXTS), 80).get_vocab_size() == 80


def test_starting_weights_come_from_the_seed_and_move_no_global_state(tokenizer):
    sizes = Architecture(intermediate_size=32, max_position_embeddings=64, **SIZES)
    before = torch.get_rng_state()
    one, same, other = (network(sizes, tokenizer, seed).classifier.weight for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
