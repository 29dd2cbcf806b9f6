"""Interpolation between basins: distances, weights, lapse, and what is refused."""

import numpy as np
import pytest
from places import ELEVATION, LATITUDE, LONGITUDE, NAMES, write_basins

from dmg.data.weather.interpolation import InterpolatedWeather, weights

DAYS = np.arange("2000-01-01", "2000-03-01", dtype="datetime64[D]")


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "basins.zarr"
    write_basins(path)
    return path


def weather(store, latitude, longitude, elevation, **options):
    places = (np.atleast_1d(np.asarray(v, float)) for v in (latitude, longitude, elevation))
    return InterpolatedWeather(store, *places, **{"variables": NAMES} | options)


def values(found, days=DAYS):
    rows = np.arange(found._weights.shape[0])
    return dict(found.blocks(rows, days))


def test_weights_are_inverse_squares_of_distances_on_the_ground():
    place = np.array([40.5]), np.array([-99.5])
    found = weights((LATITUDE, LONGITUDE), place, 3, 2.0).toarray()[0]
    phi, theta = np.radians(LATITUDE), np.radians(LONGITUDE)
    here = np.radians(40.5), np.radians(-99.5)
    a = np.sin((phi - here[0]) / 2) ** 2
    a += np.cos(phi) * np.cos(here[0]) * np.sin((theta - here[1]) / 2) ** 2
    squares = (2 * 6371 * np.arcsin(np.sqrt(a))) ** -2.0
    squares[3:] = 0  # the farther ones
    np.testing.assert_allclose(found, squares / squares.sum(), rtol=1e-9)


def test_a_place_on_a_basin_has_nearly_its_weather(store):
    found = weather(store, 40.0, -100.0, 200.0)
    basin = write_basins(store.with_name("again.zarr"))["precipitation"].values[0]
    np.testing.assert_allclose(values(found)["precipitation"][0], basin, atol=0.02)


def test_equal_weather_stays_equal_and_temperature_follows_elevation(store):
    """1000 m above the basins it is 6.5 K colder; rain is not changed."""
    low = weather(store, [40.5, 41], [-99, -99], [500, 500])
    high = weather(store, [40.5, 41], [-99, -99], [1500, 1500])
    flat = weather(store, [40.5, 41], [-99, -99], [1500, 500], lapse_rate=0.0)
    np.testing.assert_allclose(low._weights.sum(1), 1)
    for name in NAMES:
        difference = values(high)[name] - values(low)[name]
        np.testing.assert_allclose(difference, -6.5 if name != "precipitation" else 0, atol=1e-4)
    assert (values(flat)["temperature_min"] != values(low)["temperature_min"]).all()
    lift = 500 - low._weights @ ELEVATION
    expected = values(flat)["temperature_min"] - 6.5 * lift[:, None] / 1000
    np.testing.assert_allclose(values(low)["temperature_min"], expected, atol=1e-4)


def test_blocks_equal_the_whole(store):
    rng = np.random.default_rng(0)
    found = weather(store, rng.uniform(30, 45, 9), rng.uniform(-110, -80, 9), rng.uniform(0, 9, 9))
    whole = values(found)
    for name, part in found.blocks(np.array([5, 2, 7]), DAYS):
        assert part.dtype == np.float32
        np.testing.assert_array_equal(part, whole[name][[5, 2, 7]])


def test_more_neighbours_than_basins(store):
    assert weather(store, 40.0, -99.0, 0.0, neighbours=50)._weights.nnz == len(LATITUDE)


def test_a_period_of_the_basins_days(store):
    found = weather(store, 40.0, -99.0, 0.0, period=("2000-01-10", "2000-01-19"))
    assert found.span() == (DAYS[9], DAYS[18])
    whole = values(weather(store, 40.0, -99.0, 0.0))
    part = values(found, DAYS[9:19])
    np.testing.assert_array_equal(part["precipitation"], whole["precipitation"][:, 9:19])
    with pytest.raises(ValueError, match=r"expected days within 2000-01-01\.\.2000-02-29 of"):
        weather(store, 40.0, -99.0, 0.0, period=("1999-01-10", "2000-01-19"))


def test_an_unknown_variable_names_those_there(store):
    with pytest.raises(ValueError, match="found 'shortwave'; there are precipitation, temp"):
        weather(store, 40.0, -99.0, 0.0, variables=["shortwave"])


def test_attributes_and_hash_say_how_it_was_made(store):
    found = weather(store, 40.0, -99.0, 0.0)
    assert found.about["comment"] == "weather interpolated from basin means of basins, not observed"
    assert found.about["forcing_lapse_rate"] == "-6.5 K km-1"
    other = weather(store, 40.0, -99.0, 0.0, neighbours=2)
    assert found.fingerprint() != other.fingerprint()
    assert found.fingerprint() == weather(store, 40.0, -99.0, 0.0).fingerprint()
