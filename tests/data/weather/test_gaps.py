"""Short gaps are filled linearly and told; long ones and those at an end are refused."""

import numpy as np
import pytest

from dmg.data.weather.gaps import fill_gaps

DAYS = np.arange("2000-01-01", "2000-01-21", dtype="datetime64[D]")
IDS = ["a", "b"]


def series(*missing):
    values = np.stack([np.arange(20.0), np.arange(20.0) ** 2]).astype(np.float32)
    for row, day in missing:
        values[row, day] = np.nan
    return values


def test_whole_series_are_left_as_they_are():
    values = series()
    assert fill_gaps(values, "x", IDS, DAYS) is values


def test_a_short_gap_is_filled_and_told(caplog):
    values = series((0, 4), (0, 5), (1, 9))
    filled = fill_gaps(values, "f.zarr: rain", IDS, DAYS)
    np.testing.assert_allclose(filled[0], np.arange(20))
    assert filled[1, 9] == (64 + 100) / 2
    assert np.isnan(values[0, 4])
    assert "f.zarr: rain: 3 missing days of 2 places filled linearly in time" in caplog.text
    assert "first 2000-01-05 at a" in caplog.text


@pytest.mark.parametrize("days", [range(4, 8), [0], [19]])
def test_a_long_gap_and_an_end_are_refused(days):
    values = series(*((1, day) for day in days))
    with pytest.raises(ValueError, match="rain: expected no gap of more than 3 days") as error:
        fill_gaps(values, "rain", IDS, DAYS, max_gap=3)
    first, last = DAYS[days[0]], DAYS[days[-1]]
    assert f"found none of {first}..{last} at b" in str(error.value)
    assert "\n" not in str(error.value)
