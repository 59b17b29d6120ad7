from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stillroom.core import registry
from stillroom.core.errors import MissingError, ModelError, RecipeError

OUTSIDER = """
from pathlib import Path
from stillroom.core.errors import MissingError
from stillroom.core.protocols import Forecaster
from stillroom.core.registry import ModelFamily

def claims(source):
    if source == "far/away":
        raise MissingError("no network")
    return source == "owner/round" or (Path(source) / "round.txt").exists()

family = ModelFamily(lambda source, *, device="cpu": ("round", source, device), claims, can=(Forecaster,))
greedy = ModelFamily(lambda source, *, device="cpu": ("greedy", source), lambda source: "both" in source, can=())
mini = Path(__file__).parent / "weights"
lost = Path(__file__).parent / "nowhere"
number = 3

def baseline():
    return "a baseline"
"""


@pytest.fixture
def outsider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An outsider's package, installed for real: a module and its metadata on the path."""
    (tmp_path / "outsider_models.py").write_text(OUTSIDER)
    (tmp_path / "outsider_broken.py").write_text("raise RuntimeError('half of me is missing')")
    (tmp_path / "outsider_space" / "inner").mkdir(parents=True)
    (tmp_path / "outsider_space" / "inner" / "deep.py").write_text("all = 1")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "round.txt").touch()
    info = tmp_path / "outsider-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outsider\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[stillroom.models]\n"
        "round = outsider_models:family\n"
        "greedy = outsider_models:greedy\n"
        "small-round = outsider_models:mini\n"
        "lost-round = outsider_models:lost\n"
        "flat = outsider_models:baseline\n"
        "three = outsider_models:number\n"
        "cracked = outsider_broken:family\n"
        "[stillroom.datasets]\n"
        "rain = outsider_models:number\n"
        "[stillroom.suites]\n"
        "nested = outsider_space.inner.deep:all\n"
        "absent = outsider_nowhere.suites:all\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for module in ("outsider_models", "outsider_broken"):
        sys.modules.pop(module, None)


def test_names_are_listed_without_importing_anything(outsider):
    assert {"round", "small-round", "flat", "cracked"} <= set(registry.names("stillroom.models"))
    assert "outsider_models" not in sys.modules
    assert "outsider_broken" not in sys.modules


def test_get_imports_what_is_asked_for(outsider):
    assert registry.get("stillroom.datasets", "rain") == 3
    assert "outsider_broken" not in sys.modules


def test_an_unknown_model_is_answered_with_the_nearest_names(outsider):
    with pytest.raises(ModelError, match=r"there is no model 'smal-round'; did you mean .*'small-round'"):
        registry.get("stillroom.models", "smal-round")


def test_an_unknown_data_set_is_a_recipe_error_that_lists_what_there_is(outsider):
    with pytest.raises(RecipeError, match=r"there is no data set 'zzz'; known are .*rain"):
        registry.get("stillroom.datasets", "zzz")


def test_a_group_without_entries_says_so():
    with pytest.raises(RecipeError, match="nothing of this kind is installed"):
        registry.get("stillroom.inventions", "zzz")


def test_a_package_that_fails_to_import_is_named_with_its_reason(outsider):
    with pytest.raises(ModelError, match="package outsider cannot be loaded: RuntimeError: half of me is missing"):
        registry.get("stillroom.models", "cracked")


def test_one_name_from_two_packages_is_refused_with_both(outsider):
    other = outsider / "rival-1.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: rival\nVersion: 1.0\n")
    (other / "entry_points.txt").write_text("[stillroom.datasets]\nrain = outsider_models:family\n")
    with pytest.raises(RecipeError, match="registered by package outsider and package rival"):
        registry.get("stillroom.datasets", "rain")


def test_a_missing_module_is_found_out_without_importing(outsider):
    assert registry.missing_module(registry.entry_point("stillroom.suites", "absent")) == "outsider_nowhere"
    assert registry.missing_module(registry.entry_point("stillroom.models", "cracked")) is None
    assert registry.missing_module(registry.entry_point("stillroom.suites", "nested")) is None
    assert "outsider_broken" not in sys.modules


def test_a_mini_resolves_to_its_folder_and_the_family_that_claims_it(outsider):
    model = registry.resolve_model("small-round")
    assert (model.id, model.source) == ("small-round", str(outsider / "weights"))
    assert model.load() == ("round", str(outsider / "weights"), "cpu")
    assert model.load(device="cuda") == ("round", str(outsider / "weights"), "cuda")


def test_a_mini_without_its_folder_says_what_to_do(outsider):
    with pytest.raises(ModelError, match=r"weights of 'lost-round' are not at .*nowhere: install its package again"):
        registry.resolve_model("lost-round")


def test_a_baseline_has_no_source(outsider):
    model = registry.resolve_model("flat")
    assert model.source is None
    assert model.load() == "a baseline"


def test_a_bare_family_asks_for_one_of_its_models(outsider):
    with pytest.raises(ModelError, match="round:FOLDER or round:OWNER/NAME"):
        registry.resolve_model("round")


def test_a_family_may_be_named_outright(outsider):
    model = registry.resolve_model("round:some/where/else")
    assert model.id == "round:some/where/else"
    assert model.load() == ("round", "some/where/else", "cpu")


def test_a_baseline_takes_no_source(outsider):
    with pytest.raises(ModelError, match="'flat' is one model, not a family"):
        registry.resolve_model("flat:owner/name")


def test_a_folder_goes_to_the_family_that_claims_it_whatever_other_packages_do(outsider, monkeypatch):
    monkeypatch.chdir(outsider)
    model = registry.resolve_model("./weights/")
    assert model.id == "weights"
    assert model.load()[0] == "round"


def test_a_hub_id_goes_to_the_family_that_claims_it(outsider):
    assert registry.resolve_model("owner/round").load() == ("round", "owner/round", "cpu")


def test_a_hub_id_that_needs_the_network_says_so(outsider):
    with pytest.raises(MissingError, match="no network"):
        registry.resolve_model("far/away")


def test_two_families_that_claim_one_folder_are_both_named(outsider):
    folder = outsider / "both"
    folder.mkdir()
    (folder / "round.txt").touch()
    with pytest.raises(ModelError, match="greedy, round: write FAMILY:"):
        registry.resolve_model(str(folder))


def test_a_folder_that_nobody_claims_names_the_families_that_could_not_be_asked(outsider, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="half of me is missing"):
        registry.resolve_model(str(tmp_path / "empty"))


def test_an_entry_of_no_known_kind_is_refused(outsider):
    with pytest.raises(ModelError, match="registered as int"):
        registry.resolve_model("three")


def test_a_word_that_is_nothing_is_refused_with_all_that_it_could_have_been(outsider):
    with pytest.raises(ModelError, match=r"no registered name .*no folder.*no hub id OWNER/NAME.*no FAMILY:SOURCE"):
        registry.resolve_model("nonsense")
