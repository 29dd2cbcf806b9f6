"""Grids: shared areas are exact, days add up, weights are kept, and what is refused."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from dmg.data.weather import gridded
from dmg.data.weather.cells import cell_weights
from dmg.data.weather.gridded import GriddedWeather, GridVariable
from dmg.data.weather.overlap import polygon_weights

LATITUDES = np.array([40.0, 41.0, 42.0, 43.0])
LONGITUDES = np.array([-100.0, -99.0, -98.0, -97.0, -96.0])
UNITS = np.array(["u1", "u2"])
PLACES = np.array([40.3, 42.6]), np.array([-98.6, -96.2])


def write_grid(path, *, steps=24, days=5, falling=False, east=False):
    """Rain [mm h-1] grows by one each cell; it warms by 1 K an hour."""
    time = pd.date_range("2000-01-01", periods=days * steps, freq=f"{24 // steps}h", unit="s")
    cell = np.arange(20.0).reshape(4, 5)
    rain = np.broadcast_to(cell, (len(time), 4, 5)).copy()
    hour = np.arange(len(time)) % steps
    heat = np.broadcast_to(273.15 + hour[:, None, None], rain.shape).copy()
    grid = xr.Dataset(
        {
            "APCP": (("time", "lat", "lon"), rain / steps),
            "TMP": (("time", "lat", "lon"), heat),
        },
        {"time": time, "lat": LATITUDES, "lon": LONGITUDES % 360 if east else LONGITUDES},
    )
    if falling:
        grid = grid.isel(lat=slice(None, None, -1))
    grid.to_zarr(path, consolidated=False, zarr_format=3)
    return path


VARIABLES = {
    "precipitation": GridVariable("APCP", daily="sum"),
    "temperature_max": GridVariable("TMP", offset=-273.15, daily="max"),
    "temperature_min": GridVariable("TMP", factor=1.0, offset=-273.15, daily="min"),
}


def open_weather(path, **options):
    return GriddedWeather(
        path, UNITS, *PLACES, **{"variables": VARIABLES, "axes": ("lat", "lon")} | options
    )


def values(found, rows=(0, 1)):
    first, last = found.span()
    days = np.arange(first, last + 1, dtype="datetime64[D]")
    return dict(found.blocks(np.array(rows), days))


@pytest.mark.parametrize("options", [{}, {"falling": True}, {"east": True}, {"steps": 1}])
def test_the_cell_of_the_centre(tmp_path, options):
    found = values(open_weather(write_grid(tmp_path / "grid.zarr", **options)))
    np.testing.assert_allclose(found["precipitation"], [[1] * 5, [19] * 5], rtol=1e-6)
    steps = options.get("steps", 24)
    np.testing.assert_allclose(found["temperature_max"], steps - 1, atol=1e-3)
    np.testing.assert_allclose(found["temperature_min"], 0, atol=1e-3)
    assert found["precipitation"].dtype == np.float32


def square(south, west, size):
    return [[west, south], [west + size, south], [west + size, south + size], [west, south + size]]


def write_polygons(path, shapes):
    features = [
        {"type": "Feature", "properties": {"unit_id": unit},
         "geometry": {"type": "Polygon", "coordinates": rings}}
        for unit, rings in shapes.items()
    ]  # fmt: skip
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_outlines_share_cells_by_area(tmp_path):
    """A square of one degree over four cells, and one with a hole that is a whole cell."""
    hole = [square(39.5, -98.5, 3.0), square(40.5, -97.5, 1.0)[::-1]]
    outlines = write_polygons(tmp_path / "u.json", {"u1": [square(40.0, -100.0, 1.0)], "u2": hole})
    weather = open_weather(write_grid(tmp_path / "grid.zarr"), polygons=outlines)
    weights = weather._weights.toarray()
    np.testing.assert_allclose(weights.sum(1), 1)
    sine = np.sin(np.radians([40.0, 40.5, 41.0]))
    south = (sine[1] - sine[0]) / (sine[2] - sine[0]) / 2
    np.testing.assert_allclose(weights[0, [0, 1, 5, 6]], [south, south, 0.5 - south, 0.5 - south])
    assert np.count_nonzero(weights[1]) == 8
    assert weights[1, 8] == 0  # the hole
    assert "shared" in weather.about["forcing_weights"]


def test_shared_areas_of_any_shape_add_up():
    """Of many concave polygons within the grid: the areas in the cells are the whole area."""
    rng = np.random.default_rng(0)
    polygons = []
    for _ in range(20):
        turn = np.sort(rng.uniform(0, 2 * np.pi, 12))
        radius = rng.uniform(0.2, 1.4, 12)
        corners = [-98 + radius * np.cos(turn), 41.5 + radius * np.sin(turn)]
        polygons.append([np.stack(corners, 1)])
    weights = polygon_weights(polygons, LATITUDES, LONGITUDES).toarray()
    np.testing.assert_allclose(weights.sum(1), 1)
    assert (weights >= 0).all()
    points = rng.uniform([-100.5, 39.5], [-95.5, 43.5], (40_000, 2))
    for polygon, found in zip(polygons[:4], weights[:4], strict=True):
        inside = points[_inside(polygon[0], points)]
        cells = np.floor(inside - [-100.5, 39.5]).astype(int) @ [1, 5]
        counts = np.bincount(cells, minlength=20) / len(cells)
        np.testing.assert_allclose(found, counts, atol=0.05)


def _inside(ring, points):
    x, y = points.T
    odd = np.zeros(len(points), bool)
    for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, 0), strict=True):
        odd ^= ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return odd


def test_pieces_of_days_equal_the_whole(tmp_path, monkeypatch):
    weather = open_weather(write_grid(tmp_path / "grid.zarr"))
    whole = values(weather)
    monkeypatch.setattr(gridded, "PIECE_MB", 1e-6)
    for name, part in values(weather, rows=[1]).items():
        np.testing.assert_array_equal(part, whole[name][[1]])


def test_weights_are_computed_once(tmp_path, monkeypatch):
    path = write_grid(tmp_path / "grid.zarr")
    cache = tmp_path / "units.weights"
    first = open_weather(path, cache=cache)
    assert len(list(tmp_path.glob("units.weights-*.npz"))) == 1
    monkeypatch.setattr("dmg.data.weather.cells._on_grid", None)
    again = open_weather(path, cache=cache)
    assert (first._weights != again._weights).nnz == 0
    assert first.fingerprint() == again.fingerprint()


def test_cells_of_the_sea_have_no_weight():
    axes, land = [LATITUDES, LONGITUDES], np.ones(20, bool)
    land[1] = False
    with pytest.raises(ValueError, match="expected values at every unit, found none at 1: u1;"):
        cell_weights(axes, land, PLACES, UNITS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variables": {"precipitation": GridVariable("RAIN")}}, "the variable 'RAIN', found APCP"),
        ({"axes": ("y", "x")}, "expected the variable 'y'"),
        ({"period": ("1999-12-31", "2000-01-02")}, "expected days within 2000-01-01"),
    ],
)
def test_what_is_not_in_the_grid(tmp_path, change, message):
    with pytest.raises(ValueError, match=message) as error:
        open_weather(write_grid(tmp_path / "grid.zarr"), **change)
    assert "\n" not in str(error.value)


def test_a_day_that_is_not_whole(tmp_path):
    grid = gridded.open_grid(write_grid(tmp_path / "grid.zarr"))
    keep = np.r_[0:30, 31:120]
    grid.isel(time=keep).drop_encoding().to_zarr(
        tmp_path / "holed.zarr", consolidated=False, zarr_format=3
    )
    with pytest.raises(ValueError, match=r"consecutive days of 24 steps.* 2000-01-02;"):
        open_weather(tmp_path / "holed.zarr")


def test_units_off_the_grid_or_without_outline(tmp_path):
    path = write_grid(tmp_path / "grid.zarr")
    with pytest.raises(ValueError, match="found none at 1: u2"):
        GriddedWeather(
            path, UNITS, PLACES[0], np.array([-98.6, -80.0]), variables=VARIABLES,
            axes=("lat", "lon"),
        )  # fmt: skip
    outlines = write_polygons(tmp_path / "u.json", {"u1": [square(40.0, -100.0, 1.0)]})
    with pytest.raises(ValueError, match="the outline of every unit, found none of 1: u2"):
        open_weather(path, polygons=outlines)


def test_no_file_and_no_reader_of_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a grid, found no"):
        gridded.open_grid(tmp_path / "none.nc")
    (tmp_path / "grid.hdf").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    with pytest.raises(ValueError, match="pip install 'dmg-hpc"):
        gridded.open_grid(tmp_path / "grid.hdf")


def test_a_netcdf_file(tmp_path):
    grid = gridded.open_grid(write_grid(tmp_path / "grid.zarr"))
    grid.load().drop_encoding().to_netcdf(tmp_path / "grid.nc", engine="scipy")
    found = values(open_weather(tmp_path / "grid.nc"))
    np.testing.assert_allclose(found["precipitation"], [[1] * 5, [19] * 5], rtol=1e-6)
