import numpy as np
import pandas as pd
import pytest

from stillroom.core.errors import DataError
from stillroom.series.panel import Item, Panel


def item(name="a", values=(1.0, 2.0, np.nan), start="2024-01-01", **covariates):
    return Item(name, start and pd.Timestamp(start), np.array([values]), **covariates)


def test_a_panel_counts_and_yields_its_items():
    panel = Panel((item("a"), item("b")), "D")
    assert len(panel) == 2
    assert [each.item_id for each in panel] == ["a", "b"]


def test_timestamps_begin_at_the_start_and_reach_ahead():
    panel = Panel((item(start="2024-01-31"),), "ME")
    assert list(panel.timestamps(panel.items[0], ahead=1).strftime("%m-%d")) == ["01-31", "02-29", "03-31", "04-30"]


def test_the_future_follows_the_history():
    panel = Panel((item(start="2024-01-31"),), "ME")
    assert list(panel.future(panel.items[0], 2)) == list(panel.timestamps(panel.items[0], ahead=2)[3:])


def test_items_without_a_start_have_made_up_timestamps():
    panel = Panel((item(start=None),), None)
    assert list(panel.timestamps(panel.items[0])) == list(pd.date_range("1900-01-01", periods=3))


def test_select_keeps_the_order_asked_for():
    panel = Panel((item("a"), item("b"), item("c")), "D").select(["c", "a"])
    assert [each.item_id for each in panel] == ["c", "a"]


def test_selecting_an_unknown_item_is_refused():
    with pytest.raises(DataError, match="no item 'z' among the 1 items"):
        Panel((item("a"),), "D").select(["z"])


def test_univariate_makes_an_item_of_every_target_and_keeps_its_covariates():
    both = Item("a", pd.Timestamp("2024-01-01"), np.array([[1.0, 2], [3, 4]]), known={"k": np.arange(3.0)})
    panel = Panel((both,), "D", ("x", "y")).univariate()
    assert panel.targets == ("target",)
    assert [(each.item_id, each.target.tolist()) for each in panel] == [("a_x", [[1, 2]]), ("a_y", [[3, 4]])]
    assert panel.items[1].known["k"].tolist() == [0, 1, 2]


def test_univariate_renames_nothing_but_a_single_target():
    panel = Panel((item("a"),), "D", ("sold",)).univariate()
    assert ([each.item_id for each in panel], panel.targets) == (["a"], ("target",))


def test_to_frame_writes_targets_and_covariates():
    first = item("a", past={"p": np.arange(3.0)}, known={"k": np.arange(5.0)}, static={"s": "x"})
    frame = Panel((first,), "D").to_frame()
    assert list(frame.columns) == ["item_id", "timestamp", "target", "p", "k", "s"]
    assert frame.k.tolist() == [0.0, 1.0, 2.0]
    assert frame.s.tolist() == ["x"] * 3


def test_to_frame_holds_series_that_end_beyond_nanoseconds():
    frame = Panel((item("a", start=None), item("b", np.zeros(400), start=None)), "YS").to_frame()
    assert frame.timestamp[2] == pd.Timestamp("1902-01-01")
    assert frame.timestamp.iloc[-1] == pd.Timestamp("2299-01-01").as_unit("s")


def test_to_frame_of_an_empty_panel_has_the_columns():
    assert list(Panel((), "D", ("x", "y")).to_frame().columns) == ["item_id", "timestamp", "x", "y"]


@pytest.mark.parametrize(
    "other",
    [
        Panel((item("b"),), "D"),
        Panel((item(values=(1.0, 2.0, 0.0)),), "D"),
        Panel((item(start="2024-01-02"),), "D"),
        Panel((item(),), "h"),
        Panel((item(),), "D", ("y",)),
        Panel((item(known={"k": np.zeros(3)}),), "D"),
        Panel((item(past={"k": np.zeros(3)}),), "D"),
        Panel((item(static={"s": 1}),), "D"),
        Panel((item(), item("b")), "D"),
    ],
)
def test_any_difference_changes_the_fingerprint(other):
    assert other.fingerprint() != Panel((item(),), "D").fingerprint()


def test_equal_content_has_equal_fingerprints_whatever_made_its_nan():
    odd_nan = np.array([0x7FF8000000000001], dtype=np.uint64).view(np.float64)[0]
    assert Panel((item(),), "D").fingerprint() == Panel((item(values=(1.0, 2.0, odd_nan)),), "D").fingerprint()


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="shape"):
        Item("a", None, np.zeros(3))
    with pytest.raises(DataError, match="Past covariate 'p'"):
        item(past={"p": np.zeros(2)})
    with pytest.raises(DataError, match="Known covariate 'k'"):
        item(known={"k": np.zeros(2)})
    with pytest.raises(DataError, match="names 2"):
        Panel((item(),), "D", ("x", "y"))


def test_several_items_become_the_variables_of_one():
    start = pd.Timestamp("2024-01-01")
    items = tuple(Item(name, start, np.full((1, 3), value)) for name, value in (("a", 1.0), ("b", 2.0), ("c", 3.0)))
    joined = Panel(items, "D").joined(["c", "a"], "both")
    assert (joined.item_id, joined.start, joined.target.tolist()) == ("both", start, [[3.0] * 3, [1.0] * 3])


def test_items_of_other_steps_are_not_joined():
    items = (Item("a", None, np.zeros((1, 3))), Item("b", None, np.zeros((1, 4))))
    with pytest.raises(DataError, match="'a' and 'b' do not cover the same steps"):
        Panel(items, None).joined(["a", "b"], "both")
