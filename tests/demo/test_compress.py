import numpy as np
import pytest

from stillroom.demo import compress


@pytest.fixture(scope="module")
def compressor(tmp_path_factory):
    """An untrained compressor of a hundred pieces."""
    from stillroom.prompts.architecture import Architecture, fast, network, vocabulary

    folder = tmp_path_factory.mktemp("models") / "compressor"
    sizes = Architecture(
        vocab_size=300, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    tokenizer = fast(vocabulary(compress.descriptions(3).values(), 300), 512)
    network(sizes, tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def result(tour, compressor, monkeypatch):
    monkeypatch.setattr(compress, "READER", compress.READER | {"hidden_size": 32, "intermediate_size": 32})
    return compress.run(tour, compressor, sets=2)


def test_what_is_saved_is_what_the_tokens_cost(result):
    numbers = result.numbers
    for found in numbers["rates"].values():
        fewer = numbers["original_tokens"] - found["tokens"]
        assert found["usd"] == pytest.approx(fewer * 1000 * 0.15 / 1e6)  # gpt-4o-mini: 0.15 USD per million tokens


def test_a_lower_rate_leaves_fewer_tokens_and_the_texts_own_words(result):
    tokens = [found["tokens"] for found in result.numbers["rates"].values()]
    assert list(np.argsort(tokens)[::-1]) == [0, 1, 2]
    words = set(" ".join(compress.descriptions(2).values()).split())
    after = next(sentence for sentence in result.sentences if sentence.startswith("After"))
    assert len(set(after.split()) & words) > 0.8 * len(set(after.split()))  # but for punctuation left by itself


def test_every_data_set_of_statsmodels_is_described():
    found = compress.descriptions()
    assert len(found) > 25
    assert "Mauna Loa" in found["co2"]
