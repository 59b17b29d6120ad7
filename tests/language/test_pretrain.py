"""A tiny model is trained from scratch: it learns, it is handed over, and what chooses it is what it would say."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from stillroom.core.errors import DataError, RecipeError
from stillroom.core.objectives import IGNORED_LABEL
from stillroom.core.runs import Run
from stillroom.language import pretrain as module
from stillroom.language.documents import Corpus, Documents, Generated, chat_ids, read
from stillroom.language.generation import generate
from stillroom.language.grammar.generate import distinct
from stillroom.language.grammar.lexicon import Language
from stillroom.language.pretrain import (
    JUDGED,
    SHOTS,
    PretrainRecipe,
    answers,
    assess,
    exams,
    fingerprint,
    losses,
    pretrain,
)
from stillroom.language.scratch import Shape, network, vocabulary
from stillroom.language.students import load

SHAPE = Shape(
    vocab_size=400, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
    max_position_embeddings=512,
)  # fmt: skip
TRAIN = {"steps": 30, "learning_rate": 1e-2, "select_by": "loss", "batch_size": 4, "eval_every": 30, "log_every": 5}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """A file of 1,200 sentences."""
    path = tmp_path_factory.mktemp("text") / "lines.txt"
    path.write_text("\n".join(dict.fromkeys(one.target for one in distinct(1200, ["en"]))) + "\n")
    return path


@pytest.fixture(scope="module")
def tokenizer(text):
    return vocabulary(text.read_text().splitlines(), SHAPE)


@pytest.fixture(scope="module")
def tokenizer_folder(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def recipe(tokenizer_folder):
    return {
        "model": SHAPE.model_dump(),
        "tokenizer": tokenizer_folder,
        "corpora": [{"grammar": ["en"]}],
        "lessons": {"plain": 1, "doubled": 1, "correct": 2, "repeat": 1},
        "tokens": 64,
        "train": TRAIN,
        "card": {"title": "A tiny one", "text": "It knows *little*.", "license": "mit"},
    }


@pytest.fixture(scope="module")
def of_text(text):
    """A recipe that brings nothing along: its vocabulary is new and its corpus a file."""
    return {
        "model": SHAPE.model_dump(),
        "corpora": [{"text": str(text), "language": "en"}],
        "lessons": {"plain": 1, "correct": 1},
        "tokens": 48,
        "train": {**TRAIN, "steps": 9, "eval_every": 3},
    }


@pytest.fixture(scope="module")
def made(recipe, tmp_path_factory):
    return pretrain(recipe, tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def whole(of_text, tmp_path_factory):
    """A run that nobody interrupted."""
    return pretrain(of_text, tmp_path_factory.mktemp("whole"))


def history(folder) -> dict:
    return json.loads((Path(folder) / "checkpoints" / "history.json").read_text())


def weights(folder) -> bytes:
    return (Path(folder) / "model.safetensors").read_bytes()


# What is trained


def test_a_new_model_falls_in_loss(made):
    log = history(made.folder)
    before, after = log["history"][0], log["history"][-1]
    assert before["loss"] == pytest.approx(math.log(400), abs=1)
    assert after["loss"] < before["loss"] - 1


def test_the_run_says_what_was_trained_and_what_was_chosen(made):
    run = Run.load(made.folder)
    assert (run.recipe["family"], run.recipe["verb"]) == ("language", "pretrain")
    assert run.metrics["chosen_at"]["step"] == 30
    assert set(run.metrics["chosen_at"]) == {"step", "loss", "few-shot", "zero-shot"}
    assert run.cost["parameters"] == sum(p.numel() for p in load(made.folder).model.parameters())
    card = (made.folder / "README.md").read_text()
    for part in ("# A tiny one", "It knows *little*.", "license: mit", "library_name: transformers", "text-generation"):
        assert part in card


def test_the_folder_loads_with_plain_transformers_in_full_precision(made):
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    written = load_file(made.folder / "model.safetensors")
    assert {tensor.dtype for tensor in written.values()} == {torch.float16}
    assert json.loads((made.folder / "config.json").read_text())["dtype"] == "float32"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(made.folder), AutoTokenizer.from_pretrained(made.folder)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    for name, tensor in written.items():
        assert torch.equal(model.state_dict()[name], tensor.float())
    ids = torch.tensor([tokenizer("He sings.").input_ids])
    with torch.no_grad():
        assert torch.equal(model(input_ids=ids).logits, load(made.folder).model(input_ids=ids).logits)


def test_the_chat_template_renders_the_very_ids_it_was_trained_on(made, tokenizer):
    from transformers import AutoTokenizer

    shipped = AutoTokenizer.from_pretrained(made.folder)
    pairs = distinct(20, ["en"])
    turns, ids = [], []
    for pair in pairs:
        turns += [{"role": "user", "content": pair.source}, {"role": "assistant", "content": pair.target}]
        ids += [*chat_ids(tokenizer, pair.source), *tokenizer(pair.target).input_ids, tokenizer.eos_token_id]
    assert shipped.apply_chat_template(turns, return_dict=False) == ids
    last = [*turns, {"role": "user", "content": "He go."}]
    asked = shipped.apply_chat_template(last, add_generation_prompt=True, return_dict=False)
    assert asked == [*ids, *chat_ids(tokenizer, "He go.")]


def test_it_shares_the_vocabulary_of_the_folder_that_is_named(made, tokenizer):
    assert load(made.folder).tokenizer.get_vocab() == tokenizer.get_vocab()


def test_without_one_a_vocabulary_is_made_of_the_corpora(whole, tokenizer):
    made = load(whole.folder).tokenizer
    assert len(made) == 400
    assert len(made("The singer travels tomorrow.").input_ids) < 20
    assert made.get_vocab() != tokenizer.get_vocab()


def test_a_text_without_a_grammar_is_judged_by_its_loss_alone(whole):
    assert set(whole.metrics["chosen_at"]) == {"step", "loss"}


# Going on


def test_an_interrupted_run_ends_with_the_same_weights_bit_for_bit(of_text, whole, tmp_path, monkeypatch):
    calls = []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return assess(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(module, "assess", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pretrain(of_text, tmp_path)
    assert not (tmp_path / "model.safetensors").exists()
    vocabulary_of_the_run = tmp_path / "checkpoints" / "tokenizer" / "tokenizer.json"
    before = vocabulary_of_the_run.stat().st_mtime_ns
    resumed = pretrain(of_text, tmp_path)
    assert vocabulary_of_the_run.stat().st_mtime_ns == before
    assert weights(tmp_path) == weights(whole.folder)
    assert (tmp_path / "tokenizer.json").read_bytes() == (whole.folder / "tokenizer.json").read_bytes()
    assert history(tmp_path) == history(whole.folder)
    assert resumed.metrics == whole.metrics


def test_a_second_call_trains_nothing(of_text, whole):
    written, log = weights(whole.folder), history(whole.folder)
    again = pretrain(of_text, whole.folder)
    assert again.metrics == whole.metrics
    assert weights(whole.folder) == written
    assert history(whole.folder) == log


def test_a_model_goes_on_from_another_folder(recipe, made, tmp_path):
    corpora = [{"grammar": ["en"]}]
    more = {"corpora": corpora, "lessons": recipe["lessons"], "tokens": 64, "base": str(made.folder),
            "train": {**TRAIN, "steps": 2, "eval_every": 2, "learning_rate": 1e-6}}  # fmt: skip
    run = pretrain(more, tmp_path)
    assert history(tmp_path)["history"][0]["loss"] == pytest.approx(made.metrics["chosen_at"]["loss"], abs=2e-3)
    one, other = load(made.folder), load(run.folder)
    assert one.tokenizer.get_vocab() == other.tokenizer.get_vocab()
    for name, weight in one.model.state_dict().items():
        assert torch.allclose(other.model.state_dict()[name], weight, atol=1e-3)


def test_another_recipe_does_not_go_on_in_the_folder_of_a_run(of_text, whole):
    with pytest.raises(RecipeError, match=r"holds another run, whose recipe\.tokens is 48 and not 32"):
        pretrain({**of_text, "tokens": 32}, whole.folder)


# What is minimised


def test_the_loss_is_the_cross_entropy_of_what_is_learned_reference(tokenizer):
    model = network(SHAPE, tokenizer)
    sentences = [(Generated(["en"]), 1.0)]
    batch = Documents(tokenizer, sentences, {"correct": 1.0}, rows=3, tokens=150)[0]
    with torch.no_grad():
        found = losses(model, batch)
        logits = model(input_ids=batch["input_ids"]).logits[:, :-1].flatten(0, 1)
    labels = batch["labels"][:, 1:].flatten()
    assert found["next_token"].item() == pytest.approx(F.cross_entropy(logits, labels, ignore_index=-100).item(), 1e-5)


# What chooses


@pytest.fixture(scope="module")
def asked(tokenizer):
    return exams(tokenizer, ["en"])


def parted(row) -> tuple[list[int], list[int]]:
    """The prompt and the answer of an exam's row."""
    ids, labels = row["input_ids"][0].tolist(), row["labels"][0].tolist()
    start = next(place for place, label in enumerate(labels) if label != IGNORED_LABEL)
    assert labels[:start] == [IGNORED_LABEL] * start
    assert labels[start:] == ids[start:]
    return ids[:start], ids[start:]


def turns_of(tokenizer, ids) -> list[tuple[str, str]]:
    return [tuple(turn.split("|>", 1)) for turn in tokenizer.decode(ids).replace("<|end|>", "").split("<|")[1:]]


def test_exams_ask_the_same_sentences_alone_and_after_corrected_ones(tokenizer, asked):
    assert {name: len(rows) for name, rows in asked.items()} == {"few-shot": JUDGED, "zero-shot": JUDGED}
    shown = set()
    for few, zero in zip(asked["few-shot"], asked["zero-shot"], strict=True):
        (before, answer), (alone, same) = parted(few), parted(zero)
        assert answer == same
        assert answer[-1] == tokenizer.eos_token_id
        assert before[-len(alone) :] == alone
        shown.add(tuple(before[: -len(alone)]))
    (shots,) = shown
    roles = [role for role, _ in turns_of(tokenizer, shots)]
    assert roles == ["user", "assistant"] * SHOTS


def test_half_the_sentences_of_exams_are_kept_for_choosing_and_those_shown_are_learned_from(
    tokenizer, asked, monkeypatch
):
    drawn = []

    def remembered(speech, part, *, of=Language.part):
        drawn.append(part)
        return of(speech, part)

    monkeypatch.setattr(Language, "part", remembered)
    again = exams(tokenizer, ["en"])
    assert set(drawn[: 2 * SHOTS]) == {"train"}
    judged = drawn[2 * SHOTS :]
    assert set(judged) == {"train", "choose"}
    assert judged.count("train") == judged.count("choose")
    for name, rows in asked.items():
        assert all(
            torch.equal(one["input_ids"], other["input_ids"]) for one, other in zip(rows, again[name], strict=True)
        )


def test_the_languages_of_exams_take_turns(tokenizer):
    found = exams(tokenizer, ["de", "en"])["zero-shot"]
    german = [bool(set("äöüß") & set(tokenizer.decode(parted(row)[1]))) for row in found]
    assert any(german[::2])
    assert not any(german[1::2])


@pytest.fixture(scope="module")
def clever(tokenizer, asked):
    """A model that knows by heart what every other one of twelve rows of each exam wants."""
    model = network(SHAPE, tokenizer)
    known = [row for rows in asked.values() for row in rows[:12:2]]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        for row in known:
            logits, labels = answers(model, row)
            (F.cross_entropy(logits, labels) / len(known)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model.eval()


@pytest.mark.parametrize("name", ["few-shot", "zero-shot"])
def test_an_exam_by_one_forward_pass_is_what_greedy_decoding_gives(name, clever, tokenizer, asked):
    rows = [*asked[name][:12], *(ended_early(row) for row in asked[name][:4:2])]
    prompts, wanted = zip(*map(parted, rows), strict=True)
    said = generate(clever, tokenizer, prompts, max_new_tokens=[len(answer) + 5 for answer in wanted])
    right = [answer == own for answer, own in zip(said.ids, wanted, strict=True)]
    with torch.no_grad():
        told = [1 - assess([row], {name: [row]}, clever)[name] for row in rows]
        share = assess(rows, {name: rows}, clever)[name]
    assert [bool(one) for one in told] == right
    assert share == pytest.approx(1 - sum(right) / len(rows))
    assert any(right[:12])
    assert not all(right[:12])
    assert not any(right[12:])
    texts = [tokenizer.decode(answer[:-1]) for answer in wanted]
    assert [one == other for one, other in zip(said.texts, texts, strict=True)] == right


def ended_early(row):
    """A row that wants the same answer without its last three tokens: there all is right but the end."""
    return {name: torch.cat([values[:, :-4], values[:, -1:]], 1) for name, values in row.items()}


def test_the_loss_that_chooses_is_the_mean_over_batches(tokenizer):
    model = network(SHAPE, tokenizer).eval()
    documents = Documents(tokenizer, [(Generated(["en"]), 1.0)], {"plain": 1.0, "repeat": 1.0}, rows=2, tokens=60)
    batches = [documents[number] for number in range(3)]
    with torch.no_grad():
        each = [losses(model, batch)["next_token"].item() for batch in batches]
        assert assess(batches, {}, model) == {"loss": pytest.approx(sum(each) / 3)}


def test_a_fingerprint_is_of_what_a_corpus_gives(text, tmp_path):
    learned, held_out = read(Corpus(text=str(text)))
    (tmp_path / "copy.txt").write_text(text.read_text())
    (tmp_path / "other.txt").write_text(text.read_text().replace("e", "u"))
    same, other = (read(Corpus(text=str(tmp_path / name)))[0] for name in ("copy.txt", "other.txt"))
    assert fingerprint(learned) == fingerprint(learned) == fingerprint(same)
    assert len({fingerprint(one) for one in (learned, held_out, other, Generated(["en"]), Generated(["fr"]))}) == 5


# Bad input


def test_what_cannot_choose_is_one_sentence(of_text, tmp_path):
    """Without a generator there are no sentences to correct."""
    with pytest.raises(RecipeError, match="few-shot"):
        pretrain({**of_text, "train": {**of_text["train"], "select_by": "few-shot"}}, tmp_path)


def test_a_missing_text_writes_no_run(of_text, tmp_path):
    with pytest.raises(DataError, match="there is no text"):
        pretrain({**of_text, "corpora": [{"text": str(tmp_path / "nowhere.txt")}]}, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"corpora": []}, "corpora"),
        ({"lessons": {}}, "lessons"),
        ({"lessons": {"sing": 1}}, "lessons"),
        ({"model": {"hidden_size": 30, "num_attention_heads": 4}}, "even width"),
        ({"model": {"vocab_size": 200}}, "vocab_size"),
        ({"layers": 3}, "layers"),
        ({"corpora": [{"grammar": ["it"]}]}, "there is no grammar of 'it'"),
        ({"model": {"hidden_size": 0}}, "hidden_size"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_one_sentence(of_text, change, said, tmp_path):
    with pytest.raises(RecipeError, match=said):
        pretrain({**of_text, **change}, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_recipe_may_be_a_file(recipe, tmp_path):
    import yaml

    from stillroom.core.recipes import checked

    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    assert checked(PretrainRecipe, tmp_path / "recipe.yaml") == checked(PretrainRecipe, recipe)


@pytest.mark.slow
def test_compiled_steps_learn_the_same(recipe, tmp_path):
    """Minutes go into the compiler, and it needs a C++ one."""
    short = {**recipe, "train": {**TRAIN, "steps": 6, "eval_every": 6}}
    plain, compiled = pretrain(short, tmp_path / "plain"), pretrain({**short, "compiled": True}, tmp_path / "compiled")
    assert compiled.metrics["chosen_at"]["loss"] == pytest.approx(plain.metrics["chosen_at"]["loss"], rel=1e-3)
