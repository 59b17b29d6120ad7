from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from typer.testing import CliRunner

from stillroom.core.errors import DataError, MissingError, ModelError, RecipeError
from stillroom.core.recipes import checked
from stillroom.core.runs import Run
from stillroom.prompts.cli import app
from stillroom.prompts.detokenise import detokenise
from stillroom.prompts.examples import Example, write
from stillroom.prompts.scorer import Scorer
from stillroom.prompts.sources import HeldOut
from stillroom.prompts.train import Judged, TrainRecipe, assess, losses, train

TRAIN = {"steps": 20, "learning_rate": 0.01, "eval_every": 10, "save_every": 4, "ema": 0.5, "schedule": "constant"}
SIZES = {
    "vocab_size": 200, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 32, "max_position_embeddings": 64, "dropout": 0.0,
}  # fmt: skip
KEPT = ["Vienna", "Danube", "1683", "zebra"]
DROPPED = ["the", "of", "was", "in", "seen", "a"]


def corpus(count, seed):
    """Sentences in which names, numbers and animals are kept: what a model of any size can learn."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        words = random.choice(KEPT + DROPPED, random.integers(4, 12)).tolist()
        yield Example(*detokenise(words), np.array([word in KEPT for word in words], dtype=np.float32), "made")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    write(corpus(200, 0), folder / "train.jsonl")
    write(corpus(40, 1), folder / "val.jsonl")
    return {
        "architecture": SIZES,
        "corpora": [{"file": str(folder / "train.jsonl"), "weight": 2}],
        "held_out": [{"file": str(folder / "val.jsonl"), "rates": {"natural": 2, 0.5: 1}}],
        "tokens": 300,
        "sentences": [1, 2],
        "train": TRAIN,
        "card": {"title": "Names", "text": "It knows names.", "license": "apache-2.0"},
    }


@pytest.fixture(scope="module")
def trained(recipe, tmp_path_factory):
    return train(recipe, tmp_path_factory.mktemp("run") / "model")


def test_training_learns_what_people_kept(trained):
    history = json.loads((trained.folder / "checkpoints/history.json").read_text())["history"]
    chosen = trained.metrics["chosen_at"]
    assert chosen in history
    assert chosen["val.jsonl natural"] > 0.95 > history[0]["val.jsonl natural"]
    assert chosen["shortfall"] == pytest.approx(1 - (2 * chosen["val.jsonl natural"] + chosen["val.jsonl 0.5"]) / 3)


def test_the_folder_is_a_compressor_in_half_the_bytes_that_loads_as_float32(trained):
    with safe_open(trained.folder / "model.safetensors", "pt") as stored:
        assert {stored.get_tensor(name).dtype for name in stored.keys()} == {torch.float16}  # noqa: SIM118 - no dict
    scorer = Scorer.from_pretrained(trained.folder)
    assert {parameter.dtype for parameter in scorer.model.parameters()} == {torch.float32}
    tokens = scorer.tokenize(["the zebra was seen in Vienna"])
    [chance] = scorer.probabilities(tokens)
    words = [word in KEPT for word in ["the", "zebra", "was", "seen", "in", "Vienna"]]
    assert (np.diff(np.sort(chance)) > 0).any()
    first = np.array([tokens[0].start.tolist().index(at) for at in (0, 4, 10, 14, 19, 22)])
    assert ((chance[first] > 0.5) == words).all()


def test_the_run_says_what_it_was_made_of(trained, recipe):
    run = Run.load(trained.folder)
    assert (run.recipe["family"], run.recipe["verb"]) == ("prompts", "train")
    assert run.recipe["held_out"][0]["rates"] == {"natural": 2.0, "0.5": 1.0}
    assert run.seeds == {"seed": 0}
    assert run.data["trained_on"]["train.jsonl"]["texts"] == 200
    assert len(run.data["held_out"]["val.jsonl"]["sha256"]) == 64
    assert run.cost["parameters"] == sum(tensor.numel() for tensor in shipped(trained.folder).values())
    card = (trained.folder / "README.md").read_text()
    assert "# Names\n\nIt knows names." in card
    assert "license: apache-2.0" in card


def test_a_finished_training_is_not_done_again(trained, recipe):
    weights = (trained.folder / "model.safetensors").read_bytes()
    assert train(recipe, trained.folder).metrics == trained.metrics
    assert (trained.folder / "model.safetensors").read_bytes() == weights


def test_other_data_does_not_go_on_in_the_same_folder(trained, recipe):
    with pytest.raises(RecipeError, match=r"holds another run, whose recipe.tokens is 300 and not 400"):
        train({**recipe, "tokens": 400}, trained.folder)
    limited = {**recipe["corpora"][0], "limit": 100}
    with pytest.raises(RecipeError, match="holds another run"):
        train({**recipe, "corpora": [limited]}, trained.folder)


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "modernbert"])
def test_any_encoder_is_fitted(kind, models, recipe, tmp_path):
    settings = {**TRAIN, "steps": 40, "learning_rate": 1e-3}
    based = {**recipe, "architecture": None, "base": str(models[kind]), "train": settings}
    run = train(based, tmp_path / "model")
    history = json.loads((run.folder / "checkpoints/history.json").read_text())["history"]
    assert run.metrics["chosen_at"]["shortfall"] < history[0]["shortfall"]
    assert Scorer.from_pretrained(run.folder).model.config.id2label == {0: "drop", 1: "keep"}


def test_a_teacher_in_memory_and_one_whose_answers_are_stored_teach_the_same(trained, recipe, tmp_path):
    taught = {**recipe, "batches": 6, "train": {**TRAIN, "steps": 12}}
    live = train({**taught, "teacher": {"model": str(trained.folder)}}, tmp_path / "live")
    same_vocabulary(tmp_path / "live", tmp_path / "stored")
    teacher = {"model": str(trained.folder), "targets": "stored", "store": str(tmp_path / "targets.db")}
    stored = train({**taught, "teacher": teacher}, tmp_path / "stored")
    assert (tmp_path / "targets.db").is_file()
    assert (stored.folder / "model.safetensors").read_bytes() == (live.folder / "model.safetensors").read_bytes()
    assert live.metrics["chosen_at"]["val.jsonl natural"] > 0.9  # from the teacher's word alone


def test_losses_are_means_over_the_tokens_that_have_a_label(scorers):
    model = scorers["bert"].model
    ids = torch.randint(5, 100, (2, 6), generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[1] * 6, [1] * 4 + [0] * 2])
    labels = torch.tensor([[-1, 1, 0, 0.3, 1, -1], [-1, 0, 1, -1, -1, -1]])
    batch = {"input_ids": ids, "attention_mask": mask, "labels": labels, "teacher": labels}
    found = losses(model, batch)
    logits = model(input_ids=ids, attention_mask=mask).logits
    odds = (logits[..., 1] - logits[..., 0])[labels >= 0]
    known = labels[labels >= 0]
    expected = torch.nn.functional.binary_cross_entropy_with_logits(odds, known)
    assert found["labels"].item() == pytest.approx(expected.item(), rel=1e-5)
    entropy = torch.nn.functional.binary_cross_entropy(known, known)
    assert found["teacher"].item() == pytest.approx((expected - entropy).item(), rel=1e-2)
    batch["input_ids"][1, 4:] = 7
    assert losses(model, batch)["labels"].item() == pytest.approx(found["labels"].item(), rel=1e-5)


def test_shortfall_weighs_the_rates_of_all_held_out_texts(scorers):
    examples = list(corpus(20, 3))
    judges = [HeldOut(name="one", rates={"natural": 1}), HeldOut(name="two", rates={0.5: 3})]
    held_out = [Judged(scorers["bert"], judge, examples) for judge in judges]
    found = assess(scorers["bert"], held_out, scorers["bert"].model)
    assert found["shortfall"] == pytest.approx((1 - found["one natural"] + 3 * (1 - found["two 0.5"])) / 4)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"archtecture": SIZES}, "archtecture means nothing here: did you mean 'architecture'"),
        ({"architecture": {"hiden_size": 3}}, "architecture.hiden_size means nothing here: did you mean 'hidden_size'"),
        ({"corpora": [{"naem": "disco"}]}, "corpora.0.naem means nothing here: did you mean 'name'"),
        ({"corpora": []}, "corpora: "),
        ({"corpora": [{}]}, "a corpus has either a name or a file"),
        ({"base": "bert"}, "either a base or an architecture"),
        ({"train": {**TRAIN, "select_by": "F1"}}, "say in held_out what counts"),
        ({"weights": {"teacher": 1}}, "weights.teacher needs a teacher"),
        ({"teacher": {"model": "x"}, "train": {**TRAIN, "workers": 1}}, "train.workers must be 0"),
        ({"held_out": [{"name": "disco", "rates": {"often": 1}}]}, "held_out.0.rates"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_refused_in_one_sentence(recipe, tmp_path, change, sentence):
    with pytest.raises(RecipeError, match=sentence):
        train({**recipe, **change}, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_what_is_not_there_is_said_before_anything_is_written(recipe, tmp_path, monkeypatch):
    monkeypatch.delenv("NOWHERE", raising=False)
    for source, error, sentence in (
        ({"file": "none.jsonl"}, DataError, "no file none.jsonl"),
        ({"file": "$NOWHERE/none.jsonl"}, MissingError, "needs an environment variable"),
        ({"name": "nothing"}, DataError, "no data set 'nothing'"),
    ):
        with pytest.raises(error, match=sentence):
            train({**recipe, "corpora": [source]}, tmp_path / "model")
    assert not (tmp_path / "model").exists()
    with pytest.raises(ModelError, match="cannot be loaded as an encoder"):
        train({**recipe, "architecture": None, "base": str(tmp_path)}, tmp_path / "model")


def test_the_command_trains_and_says_what_was_reached(recipe, tmp_path):
    import yaml

    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({**recipe, "train": {**TRAIN, "steps": 2}}))
    arguments = ["train", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "model")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "val.jsonl natural" in result.output
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert json.loads(result.stdout)["parameters"] > 0


def test_the_recipe_of_the_mini_can_be_meant():
    recipe = Path(__file__).parents[2] / "packages/minis/src/stillroom/minis/compressor/recipe.yaml"
    read = checked(TrainRecipe, recipe)
    assert {"clean_en", "clean_de", "clean_fr", "clean_es"} <= {source.name for source in read.corpora}
    assert all(source.split == "train" for source in read.corpora)
    assert all(judge.split == "val" for judge in read.held_out)


# Kills


@pytest.fixture(scope="module")
def training():
    return "stillroom.prompts.train", "train"


def same_vocabulary(source, target):
    """Ties between pieces fall either way: without this, weights of two runs could not be compared."""
    (target / "checkpoints").mkdir(parents=True)
    shutil.copy(source / "checkpoints/vocabulary.json", target / "checkpoints")


def shipped(folder):
    with safe_open(folder / "model.safetensors", "pt") as stored:
        return {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - no dict


@pytest.fixture(scope="module")
def whole(start, recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "model"
    assert start(recipe, folder, None) == 0
    return folder


@pytest.mark.parametrize("die_at", [2, 5, 8])
def test_a_killed_training_goes_on_to_the_same_weights(start, recipe, whole, tmp_path, die_at):
    same_vocabulary(whole, tmp_path)
    assert start(recipe, tmp_path, die_at) == -signal.SIGKILL
    assert start(recipe, tmp_path, None) == 0
    killed, straight = shipped(tmp_path), shipped(whole)
    assert killed.keys() == straight.keys()
    assert all(torch.equal(killed[name], straight[name]) for name in straight)
