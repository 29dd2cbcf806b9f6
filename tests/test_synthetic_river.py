"""The twin on a generated network: what is written is what the readers find again."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dmg.config import Experiment, load_experiment, parse
from dmg.data.network import Network
from dmg.data.sources.camels_us import CamelsUs
from dmg.data.store import extract, initialise, merge, open_store
from dmg.readers import open_reader
from dmg.synthetic.river import generate
from dmg.synthetic.truth import SCALES, hargreaves, make_parameters, simulate

ROOT = Path(__file__).parent.parent
SIZE = {"num_reaches": 30, "num_gauges": 5, "years": 2, "seed": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw data, and the stores of gauges and units."""
    root = tmp_path_factory.mktemp("river")
    generate(root / "tree", **SIZE, noise=0.0, frac_missing=0.0)
    gauges = CamelsUs(root / "tree", "daymet")
    for name, reader in (("gauges", gauges), ("units", None)):
        reader = reader or open_reader(config().data, root / "tree", root / "stores")
        store = root / "stores" / f"{name}.zarr"
        initialise(reader, store, source="any", dataset="river")
        extract(reader, store, 1, 1)
        merge(store)
    return root


def config() -> Experiment:
    period = {"start": "2000-10-01", "end": "2001-09-30"}
    data = {
        "source": "synthetic_network",
        "synthetic_network": {},
        "forcing": {"name": "spatial_interpolation", "store": "gauges"},
        "split": {"kind": "temporal", "train": period,
                  "test": {"start": "2001-10-01", "end": "2002-09-30"}},
    }  # fmt: skip
    return parse(Experiment, {"data": data}, "river.yaml")


def test_the_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    generate(tmp_path / "tree", **SIZE, noise=0.0, frac_missing=0.0)
    for path in (p for p in (folder / "tree").rglob("*") if p.is_file()):
        again = tmp_path / "tree" / path.relative_to(folder / "tree")
        assert path.read_bytes() == again.read_bytes()


def test_gauges_are_on_the_network(folder: Path) -> None:
    network = Network.read(folder / "tree/network.zarr")
    gauges = open_store(folder / "stores/gauges.zarr")
    assert sorted(network.gauge_id.tolist()) == gauges["basin"].values.tolist()
    area = gauges["area"].sel(basin=network.gauge_id.tolist())
    np.testing.assert_allclose(area, network.area[network.gauge_reach], rtol=1e-4)


def test_units_have_attributes_and_the_networks_order(folder: Path) -> None:
    network = Network.read(folder / "tree/network.zarr")
    units = open_store(folder / "stores/units.zarr")
    assert units["basin"].values.tolist() == network.unit_id.tolist()
    assert {"slope_mean", "frac_forest", "clay_frac", "p_mean", "aridity"} < set(units)
    assert "relief" not in units


def test_the_known_model_gives_the_gauges_flow_from_the_units_weather(folder: Path) -> None:
    """With the parameters of the units' attributes and the mean by area; a year after the start.

    Text files round the weather, and the record does not have the days before it.
    """
    network = Network.read(folder / "tree/network.zarr")
    units = open_store(folder / "stores/units.zarr")
    table = units[["slope_mean", "frac_forest", "clay_frac", "soil_depth_pelletier", "elevation"]]
    table = table.to_dataframe().rename(columns={"elevation": "elev_mean"})
    table = table.assign(area_gages2=network.unit_area, gauge_lat=network.unit_latitude)
    names = ("precipitation", "temperature_min", "temperature_max")
    weather = {name: units[name].values.astype(float) for name in names}
    days = pd.DatetimeIndex(units["time"].values)
    runoff = simulate(make_parameters(table), weather, hargreaves(table, days, weather))
    gauges = open_store(folder / "stores/gauges.zarr")
    for gauge, reach in zip(network.gauge_id.tolist(), network.gauge_reach.tolist(), strict=True):
        inside = (network.unit_reach >= network.first_upstream[reach]) & (
            network.unit_reach <= reach
        )
        flow = network.unit_area[inside] @ runoff[inside] / 86.4
        observed = gauges["discharge"].sel(basin=gauge).values
        late = slice(500, None)
        assert np.abs(flow[late] - observed[late]).mean() < 0.05 * observed[late].mean()


def test_the_experiment_sees_what_the_known_parameters_depend_on() -> None:
    """And nothing else, with which a network would extrapolate to held-out rivers."""
    shipped = load_experiment(ROOT / "config/experiments/network_demo.yaml")
    drivers = {name for name, *_ in SCALES.values()} - {"elev_mean", "log_area"}
    assert set(shipped.data.attributes) == drivers | {"elevation"}
