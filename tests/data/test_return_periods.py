"""Return periods from daily flow and from tables; water years."""

import datetime as dt
import logging
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dmg.data.bulletin_17b import fit
from dmg.data.return_periods import (
    classes,
    from_daily,
    read_return_periods,
    write_return_periods,
)
from dmg.data.water_years import annual_maxima, runs, water_year, whole_years

DAYS = pd.date_range("1980-10-01", "2000-09-30")


def daily(seed=0):
    rng = np.random.default_rng(seed)
    flow = rng.gamma(0.5, 2.0, (2, len(DAYS)))
    flow[1, 100:150] = np.nan
    return flow


def test_water_years_end_in_september():
    days = pd.DatetimeIndex(["1999-09-30", "1999-10-01", "2000-09-30"])
    assert water_year(days).tolist() == [1999, 2000, 2000]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("1990-10-01", "2014-09-30", range(1991, 2015)),
        ("1990-10-02", "2014-09-29", range(1992, 2014)),
        ("1990-01-01", "1990-12-31", range(1991, 1991)),
    ],
)
def test_only_whole_years_count(start, end, expected):
    period = dt.date.fromisoformat(start), dt.date.fromisoformat(end)
    assert whole_years(period) == expected


def test_neighbouring_years_are_joined():
    found = runs([1993, 1991, 1992, 1996])
    assert found == [
        (dt.date(1990, 10, 1), dt.date(1993, 9, 30)),
        (dt.date(1995, 10, 1), dt.date(1996, 9, 30)),
    ]


def test_annual_maxima_need_most_of_a_year():
    flow = daily()
    years, maxima = annual_maxima(flow, DAYS)
    assert years.tolist() == list(range(1981, 2001))
    assert np.isnan(maxima[1, 0]) and np.isfinite(maxima[1, 1:]).all()
    assert maxima[0, 3] == flow[0, water_year(DAYS) == 1984].max()


def test_daily_flow_is_fitted_basin_by_basin():
    flow = daily()
    table = from_daily(["01", "02"], flow, DAYS, regional_skew=0.0)
    assert len(table) == 40
    _, maxima = annual_maxima(flow, DAYS)
    mine = table[table["basin_id"] == "02"].set_index("water_year")["return_period"]
    assert np.isnan(mine[1981])
    np.testing.assert_allclose(mine, fit(maxima[1], 0.0).return_period(maxima[1]))


def test_a_basin_without_a_curve_is_logged(caplog):
    flow = daily()
    flow[0, 1500:] = np.nan
    with caplog.at_level(logging.WARNING):
        table = from_daily(["01", "02"], flow, DAYS)
    assert table["return_period"].isna().sum() == 21
    assert "none for 1 of 2 basins, such as 01 (expected 10 annual peaks" in caplog.text


def test_classes():
    found = classes(pd.Series([1.0, 5.0, 5.1, 49.9, 100.0, 2097.0, np.nan]))
    assert found.tolist() == ["1-5", "1-5", "5-25", "25-50", "50-100", "100+", ""]


def test_tables_round_trip(tmp_path):
    table = from_daily(["01", "02"], daily(), DAYS)
    write_return_periods(table, tmp_path / "t.csv")
    found = read_return_periods(tmp_path / "t.csv")
    pd.testing.assert_frame_equal(found, table, rtol=1e-5)


def test_the_published_columns_are_understood(tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_text("gauge_id,water_year,return_period_yr\n01,1986,2096.6\n")
    monkeypatch.setenv("DMG_DATA_ROOT", str(tmp_path))
    found = read_return_periods("t.csv")
    assert found.to_dict("records") == [
        {"basin_id": "01", "water_year": 1986, "return_period": 2096.6}
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("basin_id,water_year\n", r"csv: expected the columns .* missing: \['return_period'\]"),
        ("basin_id,water_year,return_period\n1,x,2\n", "csv:2: expected a number in column water"),
        ("basin_id,water_year,return_period\n1,1990,much\n", "csv:2: .* found 'much'"),
        (
            "basin_id,water_year,return_period\n1,1990,2\n1,1990,3\n",
            "csv:3: expected one row per basin and water year",
        ),
    ],
)
def test_bad_tables(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_return_periods(tmp_path / "t.csv")


def test_a_missing_table(tmp_path, monkeypatch):
    monkeypatch.setenv("DMG_DATA_ROOT", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"t.csv: no such table .* below DMG_DATA_ROOT"):
        read_return_periods("t.csv")


@pytest.mark.real
def test_the_published_table_has_the_printed_years():
    root = os.environ.get("DMG_DATA_ROOT")
    path = Path(root or "") / "published" / "return_periods_camels671_frame2022.csv"
    if not path.is_file():
        pytest.skip(f"no {path}")
    table = read_return_periods(path).set_index(["basin_id", "water_year"])["return_period"]
    assert round(table["04122500", 1986]) == 2097
    assert round(table["01052500", 1998]) == 770
