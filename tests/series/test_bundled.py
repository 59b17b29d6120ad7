import numpy as np
import pandas as pd
import pytest

from stillroom.core.errors import DataError
from stillroom.series import bundled


@pytest.mark.parametrize("name", bundled.names())
def test_every_set_is_a_regular_panel_of_real_values(name):
    panel = bundled.load(name)
    assert len({item.item_id for item in panel}) == len(panel)
    for item in panel:
        assert item.length >= 16
        assert np.isfinite(item.target).any()
        assert pd.infer_freq(panel.timestamps(item)) is not None


@pytest.mark.parametrize(
    ("name", "last"),
    {
        "co2": "2001-12-29", "copper": "1975-01-01", "danish_data": "1987-07-01", "elec_equip": "2016-05-01",
        "elnino": "2010-12-01", "fertility": "2011-01-01", "grunfeld": "1954-01-01", "interest_inflation": "1998-10-01",
        "longley": "1962-01-01", "macrodata": "2009-07-01", "nile": "1970-01-01", "sunspots": "2008-01-01",
    }.items(),
)  # fmt: skip
def test_every_set_ends_when_its_description_says(name, last):
    panel = bundled.load(name)
    assert {panel.timestamps(item)[-1] for item in panel} == {pd.Timestamp(last)}


def test_dates_that_statsmodels_knows_are_the_reference():
    from statsmodels.datasets import co2, danish_data, elec_equip

    for name, module in {"co2": co2, "danish_data": danish_data, "elec_equip": elec_equip}.items():
        panel = bundled.load(name)
        index = module.data.load_pandas().data.index
        assert list(panel.timestamps(panel.items[0])) == list(index)


def test_missing_weeks_of_co2_stay_missing():
    assert np.isnan(bundled.load("co2").items[0].target).sum() == 59


def test_months_of_el_nino_follow_each_other():
    np.testing.assert_array_equal(bundled.load("elnino").items[0].target[0, 11:14], [21.80, 24.19, 25.28])


def test_each_firm_of_grunfeld_has_its_own_series():
    panel = bundled.load("grunfeld")
    assert len(panel) == 33
    (general_motors,) = panel.select(["General Motors/invest"])
    np.testing.assert_array_equal(general_motors.target[0, :2], [317.6, 391.8])


def test_an_unknown_set_is_refused_with_those_there_are():
    with pytest.raises(DataError, match="there are co2, copper"):
        bundled.load("titanic")
