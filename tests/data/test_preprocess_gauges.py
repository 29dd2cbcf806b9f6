"""What is written for gauges, and that nothing held out gets into the statistics."""

import datetime as dt
import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dmg.data.drainage import drainage
from dmg.data.network import Network
from dmg.data.preprocess_gauges import network_of_gauges, preprocess_gauges
from dmg.data.splits import temporal
from dmg.data.zarrs import open_zarr
from tests.rivers import ATTRIBUTES, FORCINGS, network, write_gauges, write_units

TRAIN = dt.date(2000, 2, 1), dt.date(2000, 11, 30)
TEST = dt.date(2000, 12, 1), dt.date(2001, 5, 14)


def held_out(whole: Network) -> set[str]:
    """Gauges of one nest."""
    return set(whole.gauge_id[drainage(whole).nests() == 0].tolist())


def split(whole: Network) -> pd.DataFrame:
    table = temporal(whole.gauge_id.tolist(), train=TRAIN, test=TEST)
    return table[~(table["basin_id"].isin(held_out(whole)) & (table["role"] == "train"))]


def run(folder: Path, whole: Network, units: dict, gauges: dict) -> dict:
    """Preprocess stores with some series changed; give the statistics."""
    folder.mkdir()
    stores = (
        write_units(folder / "units.zarr", whole, **units),
        write_gauges(folder / "gauges.zarr", whole, **gauges),
    )
    chosen = network_of_gauges(whole, stores[1])
    preprocess_gauges(
        *stores, chosen, folder / "out", splits=split(chosen), forcings=FORCINGS,
        attributes=ATTRIBUTES, log_forcings=["precipitation"], workers=0,
    )  # fmt: skip
    return json.loads((folder / "out/statistics.json").read_text())["all"]


def test_files_for_a_training_at_gauges(tmp_path: Path) -> None:
    whole = network()
    run(tmp_path / "a", whole, {}, {})
    out = tmp_path / "a/out"
    chosen = Network.read(out / "network.zarr")
    assert chosen.num_units == 52 and set(chosen.gauge_id) == set(whole.gauge_id)
    assert open_zarr(out / "units.zarr")["basin"].values.tolist() == chosen.unit_id.tolist()
    assert "streamflow" not in open_zarr(out / "units.zarr")
    assert open_zarr(out / "derived.zarr")["basin"].values.tolist() == chosen.gauge_id.tolist()
    assert (out / "gauges.txt").read_text().split() == chosen.gauge_id.tolist()


def test_held_out_gauges_and_days_do_not_enter_the_statistics(tmp_path: Path) -> None:
    whole = network()
    expected = run(tmp_path / "a", whole, {}, {})
    found = drainage(whole)
    train = [g for g, name in enumerate(whole.gauge_id) if name not in held_out(whole)]
    trained = np.isin(np.arange(whole.num_units), found.units(train))
    rain = open_zarr(tmp_path / "a/units.zarr")["precipitation"].to_numpy()
    rain[~trained] = 1e4
    rain[:, :31] = rain[:, 335:] = 1e4  # days before and after the training
    flow = open_zarr(tmp_path / "a/gauges.zarr")["discharge"].to_numpy()
    flow[[whole.gauge_id.tolist().index(name) for name in held_out(whole)]] = 1e4
    flow[:, :31] = flow[:, 335:] = 1e4
    poisoned = run(tmp_path / "b", whole, {"precipitation": rain}, {"discharge": flow})
    assert poisoned == expected
    assert expected["target_std"].keys() == {whole.gauge_id[g] for g in train}


def test_statistics_are_those_of_units_upstream_of_training_gauges(tmp_path: Path) -> None:
    whole = network()
    found = run(tmp_path / "a", whole, {}, {})
    train = [g for g, name in enumerate(whole.gauge_id) if name not in held_out(whole)]
    units = drainage(whole).units(train)
    area = whole.area[whole.unit_reach][units]
    assert found["attributes"]["area"]["mean"] == pytest.approx(area.mean())
    warm = open_zarr(tmp_path / "a/units.zarr")["temperature_max"].to_numpy()[units, 31:335] - 5
    assert found["forcings"]["temperature"]["mean"] == pytest.approx(warm.mean(), rel=1e-5)


def test_gauges_that_do_not_match_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = network()
    store = write_gauges(tmp_path / "gauges.zarr", whole)
    area = whole.area[whole.gauge_reach]
    largest = network_of_gauges(whole, store, max_area=float(np.sort(area)[-2]))
    assert largest.num_gauges == 11
    two = network_of_gauges(whole, store, whole.gauge_id[[3, 0]].tolist())
    assert set(two.gauge_id) == set(whole.gauge_id[[3, 0]])
    with caplog.at_level(logging.WARNING), pytest.raises(ValueError, match="found none of 12"):
        network_of_gauges(_moved(whole), store, tolerance=1e-6)
    assert "area differs" in caplog.text


def _moved(whole: Network) -> Network:
    return replace(whole, area=whole.area * 3)
