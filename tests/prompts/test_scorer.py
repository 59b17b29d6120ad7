"""Any two-label token classifier scores tokens: as transformers would, whatever else is in the batch."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.errors import DataError, ModelError
from stillroom.prompts.scorer import Scorer

KINDS = ("bert", "distilbert", "xlm-roberta", "modernbert")


@pytest.fixture(scope="session")
def long_text(sentences) -> str:
    return " ".join(sentences * 3)


def by_transformers(folder, tokens, tokenizer) -> np.ndarray:
    """One chunk at a time, framed by the tokenizer's own special tokens, without padding or packed weights."""
    from transformers import AutoModelForTokenClassification

    model = AutoModelForTokenClassification.from_pretrained(folder, dtype=torch.float32).eval()
    first, last = tokenizer.cls_token_id, tokenizer.sep_token_id
    found = []
    for begin, end in zip(tokens.chunks[:-1], tokens.chunks[1:], strict=True):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([[first, *tokens.ids[begin:end].tolist(), last]])).logits[0, 1:-1]
        found.append(logits.softmax(-1)[:, 1].numpy())
    return np.concatenate(found)


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_equal_the_reference_by_transformers(models, scorers, sentences, long_text, kind):
    scorer = scorers[kind]
    messages = scorer.tokenize([long_text, sentences[0], long_text[50:400]])
    for tokens, found in zip(messages, scorer.probabilities(messages), strict=True):
        assert found.dtype == np.float32
        assert found.shape == (len(tokens),)
        np.testing.assert_allclose(found, by_transformers(models[kind], tokens, scorer.tokenizer), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_scores_the_same_bit_for_bit_alone_and_in_any_company(scorers, sentences, long_text, kind):
    scorer = scorers[kind]
    messages = scorer.tokenize([*sentences, long_text, "", "one"])
    together = scorer.probabilities(messages)
    backwards = scorer.probabilities(messages[::-1])[::-1]
    for tokens, found, other in zip(messages, together, backwards, strict=True):
        alone = scorer.probabilities([tokens])[0]
        np.testing.assert_array_equal(found, alone)
        np.testing.assert_array_equal(found, other)


def test_tokens_are_those_of_the_tokenizer_for_each_text_alone(scorers, models, sentences, long_text):
    from transformers import AutoTokenizer

    for kind in KINDS:
        tokenizer = AutoTokenizer.from_pretrained(models[kind], model_max_length=10**9)
        texts = [*sentences, "", " ", long_text]
        for text, tokens in zip(texts, scorers[kind].tokenize(texts), strict=True):
            assert tokens.ids.tolist() == tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("kind", KINDS)
def test_positions_hold_no_white_space(scorers, sentences, kind):
    texts = ["  two  spaces\n\nand lines ", *sentences]
    for text, tokens in zip(texts, scorers[kind].tokenize(texts), strict=True):
        covered = [text[start:end] for start, end in zip(tokens.start, tokens.end, strict=True)]
        assert all(part == part.lstrip() for part in covered)
        assert set(text) - set("".join(covered)) <= set(" \n")


@settings(max_examples=40, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("kind", KINDS)
def test_positions_lie_in_the_text_and_rise(scorers, unicode_texts, kind, data):
    texts = data.draw(st.lists(unicode_texts, max_size=4))
    for text, tokens in zip(texts, scorers[kind].tokenize(texts), strict=True):
        assert len(tokens.ids) == len(tokens.start) == len(tokens.end) == len(tokens)
        assert np.all((tokens.start >= 0) & (tokens.start <= tokens.end) & (tokens.end <= len(text)))
        assert np.all(np.diff(tokens.start) >= 0)
        assert tokens.chunks[0] == 0
        assert tokens.chunks[-1] == len(tokens)
        assert np.all(np.diff(tokens.chunks) <= scorers[kind].limit)


@pytest.mark.parametrize("kind", KINDS)
def test_the_longest_chunk_fits_the_model(scorers, kind):
    scorer = scorers[kind]
    assert scorer.limit == 62
    tokens = scorer.tokenize(["a " * 62])[0]
    assert np.isfinite(scorer.probabilities([tokens])[0]).all()


def test_xlm_roberta_gets_its_own_special_tokens(scorers):
    frame = scorers["xlm-roberta"].frame
    names = scorers["xlm-roberta"].tokenizer.convert_ids_to_tokens([*frame.before, *frame.after, frame.padding])
    assert names == ["<s>", "</s>", "<pad>"]


def test_special_tokens_in_a_text_are_text(scorers):
    scorer = scorers["bert"]
    separator = scorer.tokenizer.sep_token_id
    assert separator not in scorer.tokenize(["one [SEP] two"])[0].ids


def test_what_others_do_with_the_tokenizer_makes_no_difference(models):
    scorer = Scorer.from_pretrained(models["bert"])
    before, fingerprint = scorer.tokenize(["one [SEP] two " * 40])[0].ids, scorer.fingerprint
    scorer.tokenizer(["a [SEP] text"], truncation=True, padding="max_length", max_length=4)
    fresh = Scorer.of(scorer.model, scorer.tokenizer)
    for again in (scorer, fresh):
        np.testing.assert_array_equal(again.tokenize(["one [SEP] two " * 40])[0].ids, before)
        assert again.fingerprint == fingerprint


def test_nothing_gives_nothing(scorers):
    scorer = scorers["bert"]
    assert scorer.tokenize([]) == []
    assert scorer.probabilities([]) == []
    assert [len(found) for found in scorer.probabilities(scorer.tokenize(["", " ", "\n"]))] == [0, 0, 0]


def test_half_a_character_is_refused(scorers):
    with pytest.raises(DataError, match="surrogate"):
        scorers["bert"].tokenize(["fine", "half \ud83d of an emoji"])


def test_threads_may_share_a_scorer(scorers, sentences):
    scorer = scorers["bert"]
    alone = [scorer.probabilities(scorer.tokenize([text]))[0] for text in sentences]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: scorer.probabilities(scorer.tokenize([text]))[0], sentences * 4))
    for index, probabilities in enumerate(found):
        np.testing.assert_array_equal(probabilities, alone[index % len(sentences)])


def test_scoring_draws_no_random_number(scorers, sentences):
    before = torch.random.get_rng_state()
    scorers["bert"].probabilities(scorers["bert"].tokenize(sentences))
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_renamed_folder_is_the_same_model(models, scorers, tmp_path):
    shutil.copytree(models["bert"], tmp_path / "anything")
    renamed = Scorer.from_pretrained(tmp_path / "anything")
    assert renamed.fingerprint == scorers["bert"].fingerprint
    assert renamed.fingerprint != scorers["distilbert"].fingerprint


def test_a_fingerprint_hashes_the_weights_that_were_saved(models, scorers):
    from transformers import AutoModelForTokenClassification

    unpacked = AutoModelForTokenClassification.from_pretrained(models["bert"])
    assert Scorer.of(unpacked, scorers["bert"].tokenizer).fingerprint == scorers["bert"].fingerprint
    with torch.no_grad():
        unpacked.classifier.bias[0] += 1
    assert Scorer.of(unpacked, scorers["bert"].tokenizer).fingerprint != scorers["bert"].fingerprint


def test_half_precision_weights_run_in_float32_on_a_cpu(models, tmp_path):
    from transformers import AutoModelForTokenClassification

    shutil.copytree(models["bert"], tmp_path / "half")
    AutoModelForTokenClassification.from_pretrained(models["bert"]).bfloat16().save_pretrained(tmp_path / "half")
    assert json.loads((tmp_path / "half" / "config.json").read_text())["dtype"] == "bfloat16"
    assert Scorer.from_pretrained(tmp_path / "half").model.dtype == torch.float32
    assert Scorer.from_pretrained(tmp_path / "half", dtype="bfloat16").model.dtype == torch.bfloat16


def test_three_labels_are_refused(models, tmp_path):
    from transformers import AutoConfig, AutoModelForTokenClassification

    shutil.copytree(models["bert"], tmp_path / "three")
    config = AutoConfig.from_pretrained(models["bert"], num_labels=3)
    AutoModelForTokenClassification.from_config(config).save_pretrained(tmp_path / "three")
    with pytest.raises(ModelError, match="3 labels where two are needed"):
        Scorer.from_pretrained(tmp_path / "three")


def test_a_model_without_a_head_is_refused(models, tmp_path):
    from transformers import AutoModelForTokenClassification

    shutil.copytree(models["bert"], tmp_path / "headless")
    AutoModelForTokenClassification.from_pretrained(models["bert"]).base_model.save_pretrained(tmp_path / "headless")
    with pytest.raises(ModelError, match=r"no trained token classifier \(it lacks classifier"):
        Scorer.from_pretrained(tmp_path / "headless")


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match="cannot be loaded as a token classifier"):
        Scorer.from_pretrained(tmp_path)


def test_a_folder_without_a_tokenizer_is_refused(models, tmp_path):
    for name in ("config.json", "model.safetensors"):
        shutil.copy(models["bert"] / name, tmp_path / name)
    with pytest.raises(ModelError, match="no fast tokenizer"):
        Scorer.from_pretrained(tmp_path)


def test_code_that_comes_with_a_model_never_runs(models, tmp_path):
    shutil.copytree(models["bert"], tmp_path / "foreign")
    config = json.loads((tmp_path / "foreign" / "config.json").read_text())
    config |= {"model_type": "foreign", "auto_map": {"AutoConfig": "code.Config"}}
    (tmp_path / "foreign" / "config.json").write_text(json.dumps(config))
    (tmp_path / "foreign" / "code.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(ModelError):
        Scorer.from_pretrained(tmp_path / "foreign")


@pytest.mark.parametrize(("option", "value"), [("dtype", "float8"), ("device", "abacus")])
def test_unknown_options_are_one_sentence(models, option, value):
    with pytest.raises(ModelError, match=f"There is no {option} {value!r}"):
        Scorer.from_pretrained(models["bert"], **{option: value})
