import time
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.errors import DataError, RecipeError
from stillroom.series.frames import forecast_frame, from_frame

LEVELS = [0.1, 0.5, 0.9]


def long(lengths=(4, 6), freq="D", start="2024-01-01"):
    """Series a, b, … with a target, a price, a holiday and a colour."""
    parts = [
        pd.DataFrame(
            {
                "item_id": "abcdefgh"[i],
                "timestamp": pd.date_range(start, periods=length, freq=freq),
                "target": np.arange(length) + 10.0 * i,
                "price": np.arange(length) * 0.5,
                "holiday": (np.arange(length) % 2).astype(bool),
                "colour": ["red", "blue"][i % 2],
            }
        )
        for i, length in enumerate(lengths)
    ]
    return pd.concat(parts, ignore_index=True)


def ahead(frame, steps, freq="D"):
    """The rows after each series, with what is known of them."""
    last = frame.groupby("item_id", sort=False)["timestamp"].max()
    parts = [
        pd.DataFrame({"item_id": name, "timestamp": pd.date_range(end, periods=steps + 1, freq=freq)[1:], "price": 9.0})
        for name, end in last.items()
    ]
    return pd.concat(parts, ignore_index=True)


def test_a_long_frame_becomes_a_panel():
    panel = from_frame(long(), past_covariates=["price"], known_covariates=["holiday"], static_covariates=["colour"])
    assert panel.freq == "D"
    assert [item.item_id for item in panel] == ["a", "b"]
    second = panel.items[1]
    assert second.start == pd.Timestamp("2024-01-01")
    np.testing.assert_array_equal(second.target, [[10, 11, 12, 13, 14, 15]])
    np.testing.assert_array_equal(second.past["price"], [0, 0.5, 1, 1.5, 2, 2.5])
    np.testing.assert_array_equal(second.known["holiday"], [0, 1, 0, 1, 0, 1])
    assert second.static == {"colour": "blue"}


def test_without_named_targets_every_column_of_numbers_that_is_nothing_else_is_one():
    frame = long().assign(colour="red", size=3)
    assert from_frame(frame, targets=None, static_covariates=["size"]).targets == ("target", "price")
    with pytest.raises(DataError, match="no column of numbers"):
        from_frame(long()[["item_id", "timestamp"]], targets=None)


def test_several_targets_are_rows_of_one_item():
    panel = from_frame(long(), targets=["target", "price"])
    assert panel.targets == ("target", "price")
    assert panel.items[0].target.shape == (2, 4)


def test_a_frame_without_item_id_is_one_series():
    panel = from_frame(long((5,)).drop(columns="item_id"))
    assert len(panel) == 1
    assert panel.items[0].length == 5


def test_names_of_columns_can_be_given():
    frame = long().rename(columns={"item_id": "shop", "timestamp": "ds", "target": "y"})
    assert len(from_frame(frame, item_id="shop", timestamp="ds", targets="y")) == 2


def test_item_and_timestamp_may_be_index_levels():
    indexed = from_frame(long().set_index(["item_id", "timestamp"]))
    assert indexed.fingerprint() == from_frame(long()).fingerprint()


def test_integer_ids_stay_integers():
    frame = long().replace({"item_id": {"a": 7, "b": 3}}).infer_objects()
    panel = from_frame(frame)
    assert [item.item_id for item in panel] == [7, 3]
    assert panel.to_frame().item_id.dtype == np.int64


def test_text_covariates_stay_text_and_holes_in_them_none():
    frame = long((4,)).drop(index=2)
    with pytest.warns(UserWarning, match="1 missing rows"):
        panel = from_frame(frame, past_covariates=["colour"])
    assert panel.items[0].past["colour"].tolist() == ["red", "red", None, "red"]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(2, 9), min_size=1, max_size=5),
    st.sampled_from(["D", "h", "15min", "MS", "ME", "W-TUE", "QS-OCT", "YE-DEC"]),
)
def test_frame_to_panel_to_frame_is_the_frame(lengths, freq):
    frame = long((40, *lengths), freq)
    options = {"past_covariates": ["price"], "known_covariates": ["holiday"], "static_covariates": ["colour"]}
    back = from_frame(frame, **options).to_frame()
    pd.testing.assert_frame_equal(back, frame.astype({"holiday": float}))


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False), st.lists(st.integers(2, 9), min_size=1, max_size=5))
def test_the_order_of_rows_changes_nothing(random, lengths):
    frame = long(lengths)
    order = list(range(len(frame)))
    random.shuffle(order)
    ids = frame.item_id.unique()
    shuffled = from_frame(frame.iloc[order], past_covariates=["price"]).select(ids)
    assert shuffled.fingerprint() == from_frame(frame, past_covariates=["price"]).fingerprint()


def test_missing_rows_become_nan_with_one_warning():
    frame = long((6, 6)).drop(index=[2, 3, 8])
    with pytest.warns(
        UserWarning, match=r"3 missing rows in 2 of 2 series were filled with NaN \(frequency D\)"
    ) as said:
        panel = from_frame(frame, past_covariates=["price"])
    assert len(said) == 1
    np.testing.assert_array_equal(panel.items[0].target, [[0, 1, np.nan, np.nan, 4, 5]])
    np.testing.assert_array_equal(panel.items[1].past["price"], [0, 0.5, np.nan, 1.5, 2, 2.5])


def test_missing_values_are_kept_without_a_warning():
    frame = long((4,))
    frame.loc[[0, 3], "target"] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        panel = from_frame(frame)
    np.testing.assert_array_equal(panel.items[0].target, [[np.nan, 1, 2, np.nan]])


def test_short_series_take_the_frequency_of_the_others():
    panel = from_frame(long((1, 2, 30), "ME", "2024-01-31"))
    assert panel.freq == "ME"
    assert [item.length for item in panel] == [1, 2, 30]


def test_business_days_with_a_holiday_are_business_days():
    frame = long((30,), "B").drop(index=12)
    with pytest.warns(UserWarning, match="1 missing rows"):
        assert from_frame(frame).freq == "B"


def test_a_given_frequency_fills_what_lies_between():
    frame = long((4,), "2D")
    with pytest.warns(UserWarning, match="3 missing rows"):
        assert from_frame(frame, freq="D").items[0].length == 7


@pytest.mark.parametrize(
    "stamps",
    [
        ["2024-01-01", "2024-01-02", "2024-01-03"],
        ["2024-01-01 00:00:00", "2024-01-02", "2024-01-03"],
        ["01/01/2024", "01/02/2024", "01/03/2024"],
        pd.period_range("2024-01-01", periods=3, freq="D"),
        pd.date_range("2024-01-01", periods=3).date,
        pd.date_range("2024-01-01", periods=3, tz="Europe/Berlin"),
        pd.date_range("2024-01-01", periods=3).astype("datetime64[s]"),
    ],
)
def test_timestamps_of_any_kind_are_read(stamps):
    panel = from_frame(pd.DataFrame({"timestamp": stamps, "target": [1.0, 2.0, 3.0]}))
    assert panel.freq == "D"
    assert panel.items[0].start == pd.Timestamp("2024-01-01")


def test_local_days_are_regular_over_a_clock_change():
    stamps = pd.date_range("2024-03-29", periods=5, tz="Europe/Berlin")
    assert from_frame(pd.DataFrame({"timestamp": stamps, "target": 1.0})).freq == "D"


def test_local_hours_are_regular_over_a_clock_change():
    stamps = pd.date_range("2024-10-26", periods=48, freq="h", tz="Europe/Berlin")
    for times in (stamps, stamps.astype(str)):
        panel = from_frame(pd.DataFrame({"timestamp": times, "target": 1.0}))
        assert panel.freq == "h"
        assert panel.items[0].length == 48


def test_a_future_frame_brings_known_covariates():
    frame = long()
    future = ahead(frame, 3).sample(frac=1, random_state=0)
    panel = from_frame(frame, future_frame=future)
    for item in panel:
        assert item.known["price"].tolist()[item.length :] == [9.0] * 3
        assert item.length == len(item.known["price"]) - 3


def refused(frame, message, **options):
    with pytest.raises(DataError, match=message):
        from_frame(frame, **options)


def test_a_missing_column_is_refused_with_the_nearest_name():
    refused(long().rename(columns={"target": "Targets"}), r"no column 'target' .*did you mean 'Targets'")


def test_a_frame_without_rows_is_refused():
    refused(long().iloc[:0], "no rows")


def test_duplicate_timestamps_are_refused_with_item_and_rows():
    frame = long()
    frame.loc[7, "timestamp"] = frame.loc[6, "timestamp"]
    refused(frame, r"Rows 6 and 7 of item 'b' have the same timestamp 2024-01-03")


def test_several_series_without_a_column_that_tells_them_apart_are_refused_with_a_hint():
    frame = long().rename(columns={"item_id": "shop"})
    refused(frame, "name the column that tells them apart, not 'item_id'")


def test_irregular_timestamps_are_refused_with_item_and_row():
    frame = long((4, 12), "h")
    frame.loc[9, "timestamp"] += pd.Timedelta(minutes=7)
    shuffled = frame.iloc[::-1]
    refused(shuffled, r"Row 6 of item 'b' \(2024-01-01 05:07:00\) is irregular: it is on no step of 'h', the commonest")
    refused(shuffled, r"Row 6 of item 'b' .* no step of 'h', the frequency given", freq="h")


def test_an_unreadable_timestamp_is_refused_with_its_row():
    frame = long().astype({"timestamp": str})
    frame.loc[3, "timestamp"] = "yesterday"
    refused(frame, "timestamp 'yesterday' in row 3")


def test_a_missing_timestamp_is_refused_with_its_row():
    frame = long()
    frame.loc[3, "timestamp"] = pd.NaT
    refused(frame, "timestamp NaT in row 3")


def test_numbers_are_no_timestamps():
    refused(pd.DataFrame({"timestamp": [1959, 1960], "target": [1.0, 2.0]}), "holds numbers, not timestamps")


def test_a_target_that_is_no_number_is_refused_with_its_row():
    refused(long().astype({"target": object}).replace({"target": {2.0: "n/a"}}), "'target' must be numbers, but row 2")


def test_numbers_written_as_text_are_numbers():
    np.testing.assert_array_equal(from_frame(long((3,)).astype({"target": str})).items[0].target, [[0, 1, 2]])


def test_an_infinite_target_is_refused_with_its_row():
    refused(long().replace({"target": {3.0: np.inf}}), "infinite in row 3")


def test_a_row_without_item_is_refused():
    frame = long()
    frame.loc[4, "item_id"] = None
    refused(frame, "Row 4 has no 'item_id'")


def test_a_static_covariate_that_changes_is_refused_with_item_and_row():
    frame = long()
    frame.loc[6, "colour"] = "green"
    refused(frame, r"'colour' changes within item 'b' \(row 6\)", static_covariates=["colour"])


def test_series_of_one_row_need_a_frequency():
    refused(long((1, 1)), "give one, such as freq='D'")
    assert from_frame(long((1, 1)), freq="D").freq == "D"


def test_series_of_another_frequency_are_refused_by_name():
    frame = pd.concat([long((50,), "h"), long((5, 6), "D").query("item_id == 'b'")], ignore_index=True)
    refused(frame, "'b' has a row every 24 steps of 'h'")


def test_frames_that_are_nearly_all_gaps_are_refused():
    seconds = pd.to_datetime(["2024-01-01 00:00:00", "2024-01-01 00:00:01", "2024-01-01 03:00:00"])
    refused(pd.DataFrame({"timestamp": seconds, "target": 1.0}), "Less than 1 %")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda future: future.assign(item_id=future.item_id.replace("b", "z")), "future_frame has item 'z'"),
        (lambda future: future.query("item_id != 'b'"), "The frame has item 'b'"),
        (lambda future: future.drop(index=1), "Row 1 of future_frame .* item 'a'"),
        (lambda future: future.assign(timestamp=future.timestamp + pd.Timedelta(days=1)), "Row 0 of future_frame"),
        (lambda future: future.drop(columns="price"), "no column 'price' in future_frame"),
    ],
)
def test_a_future_that_does_not_follow_the_history_is_refused(change, message):
    frame = long()
    refused(frame, message, future_frame=change(ahead(frame, 3)), known_covariates=["price"])


def test_a_million_rows_take_well_under_a_second():
    rows = 1_000
    frame = pd.DataFrame(
        {
            "item_id": np.repeat([f"item {i}" for i in range(1_000)], rows),
            "timestamp": np.tile(pd.date_range("2020-01-01", periods=rows, freq="h"), 1_000),
            "target": np.random.default_rng(0).normal(size=1_000 * rows),
        }
    )
    start = time.process_time()
    from_frame(frame)
    assert time.process_time() - start < 1.0  # 0.2 s on a quiet core


@pytest.mark.parametrize("ids", ["text", "integers"])
@pytest.mark.parametrize("freq", ["D", "MS", "ME", "B", "W-WED", "15min", "QE-DEC"])
def test_forecast_frame_equals_the_predict_df_reference(bolt, freq, ids):
    import torch

    frame = long((12, 20), freq)[["item_id", "timestamp", "target"]]
    if ids == "integers":
        frame["item_id"] = frame["item_id"].map({"a": 12, "b": 3})
    panel = from_frame(frame)
    contexts = [torch.tensor(item.target[0]) for item in panel]
    quantiles, _ = bolt.predict_quantiles(contexts, prediction_length=5, quantile_levels=LEVELS)
    ours = forecast_frame(panel, quantiles.numpy()[:, None], LEVELS)
    pd.testing.assert_frame_equal(ours, bolt.predict_df(frame, prediction_length=5, quantile_levels=LEVELS))


def test_forecast_frame_of_several_targets_equals_the_predict_df_reference(chronos2):
    import torch

    frame = long((12, 20)).drop(columns=["holiday", "colour"])
    panel = from_frame(frame, targets=["target", "price"])
    upstream = chronos2.predict_df(frame, target=list(panel.targets), prediction_length=5, quantile_levels=LEVELS)
    inputs = [{"target": item.target} for item in panel]
    quantiles, _ = chronos2.predict_quantiles(inputs, prediction_length=5, quantile_levels=LEVELS)
    ours = forecast_frame(panel, torch.stack(quantiles).numpy(), LEVELS)
    pd.testing.assert_frame_equal(ours, upstream)


def test_forecast_frame_reads_a_missing_median_between_its_neighbours():
    panel = from_frame(long((4,)))
    frame = forecast_frame(panel, np.array([[[[1.0, 4.0]]]]), [0.4, 0.7])
    assert frame.predictions[0] == pytest.approx(2.0)


def test_forecast_frame_takes_a_point_forecast():
    frame = forecast_frame(from_frame(long((4,))), np.ones((1, 1, 2, 1)), [0.9], point=np.array([[[5.0, 6.0]]]))
    assert frame.predictions.tolist() == [5.0, 6.0]


def test_forecast_frame_refuses_levels_on_one_side():
    with pytest.raises(RecipeError, match="add"):
        forecast_frame(from_frame(long((4,))), np.ones((1, 1, 2, 2)), [0.8, 0.9])


def test_forecast_frame_refuses_shapes_that_do_not_fit():
    with pytest.raises(RecipeError, match="do not fit"):
        forecast_frame(from_frame(long((4,))), np.ones((2, 1, 2, 1)), [0.5])
