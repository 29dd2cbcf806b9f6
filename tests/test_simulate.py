"""Simulation of a whole river network: chunks, processes and interruptions change no number."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from dmg import simulate as package
from dmg.build_model import build_handler
from dmg.checkpoint import save_model
from dmg.config import Experiment, resolved
from dmg.data.derive import derive
from dmg.data.lazy import derive_lazily
from dmg.data.network import Network
from dmg.data.statistics import read_statistics
from dmg.data.store import open_store
from dmg.data.zarrs import open_zarr
from dmg.files import only_writer
from dmg.runs import predict
from dmg.simulate.rivers import channels_of
from dmg.simulation import Simulation
from dmg.verbs import preprocess
from tests.rivers import experiment, network, write_gauges, write_units

ROUTING = {"name": "muskingum_cunge", "learned": ["n", "q_spatial"], "hillslope": 3}


def settings(routing: dict[str, Any] = ROUTING, **simulate: Any) -> Experiment:
    return experiment(
        model={
            "phy": {"name": "hbv_2_0", "dynamic": ["BETA", "K0", "BETAET"]},
            "nn": {"name": "lstm_mlp", "hidden_size": 4, "mlp_hidden_sizes": [6]},
            "num_components": 2,
            "routing": routing,
        },
        simulate={"block_units": 60, "chunk_days": 500, "river_days": 500} | simulate,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stores of units and gauges, the network, and a model that nobody has trained."""
    folder = tmp_path_factory.mktemp("simulate")
    whole = network()
    write_units(folder / "small.zarr", whole)
    write_gauges(folder / "gauges.zarr", whole)
    whole.write(folder / "small_network.zarr")
    preprocess(settings(), folder / "small.zarr", folder / "out")
    write_model(folder, "model.pt", settings())
    return folder


def write_model(folder: Path, name: str, model: Experiment) -> None:
    statistics = read_statistics(folder / "out/statistics.json")["all"]
    torch.manual_seed(0)
    save_model(
        folder / name, build_handler(model, statistics), config=resolved(model), digest="d",
        statistics=statistics, fold="all", seed="seed0",
    )  # fmt: skip


def simulation(folder: Path, out: Path, model: str = "model.pt", **changed: Any) -> Simulation:
    places = folder / model, folder / "small.zarr", folder / "out", out
    return Simulation(settings(**changed), *places)


def results(out: Path) -> list[xr.Dataset]:
    names = ("runoff.zarr", "discharge.zarr", "gauges.zarr")
    return [open_zarr(out / name).load() for name in names]


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[xr.Dataset]:
    """Everything at once."""
    out = tmp_path_factory.mktemp("whole")
    run = simulation(folder, out)
    run.begin()
    run.units()
    run.rivers(folder / "small_network.zarr")
    return results(out)


def same(found: list[xr.Dataset], expected: list[xr.Dataset]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert set(one) == set(other)
        for name in one:
            scale = float(np.abs(other[name]).max())
            np.testing.assert_allclose(one[name], other[name], rtol=1e-6, atol=1e-6 * scale)


def test_writes_what_it_says(folder: Path, whole: list[xr.Dataset]) -> None:
    runoff, discharge, gauges = whole
    net = Network.read(folder / "small_network.zarr")
    assert runoff["streamflow"].shape == (60, 500)
    assert runoff["n"].dims == ("basin",)
    assert runoff["storage_SM"].dims == ("basin", "component")
    assert discharge["discharge"].shape == (60, 500)
    assert discharge["reach"].values.tolist() == net.reach_id.tolist()
    for dataset in whole:
        for name in dataset.data_vars:
            assert np.isfinite(dataset[name]).all(), name
    assert (discharge["discharge"].max("time") > 0.01).all()
    chosen = Network.read(folder / "out/network.zarr")
    assert gauges["basin"].values.tolist() == chosen.gauge_id.tolist()
    at = net.positions(chosen.reach_id[chosen.gauge_reach])
    depth = 86.4 * discharge["discharge"].values[at] / net.area[at][:, None]
    np.testing.assert_allclose(gauges["streamflow"], depth, rtol=1e-5)


def test_equals_the_prediction_at_gauges(
    folder: Path, tmp_path: Path, whole: list[xr.Dataset]
) -> None:
    """Which simulates only what lies upstream of them."""
    expected = prediction(folder, tmp_path, "model.pt")
    np.testing.assert_allclose(whole[2]["streamflow"], expected, rtol=2e-5, atol=1e-6)


def prediction(folder: Path, out: Path, model: str) -> xr.DataArray:
    places = folder / model, folder / "small.zarr", folder / "out"
    predict(settings(), *places, out / "predictions.zarr")
    return open_zarr(out / "predictions.zarr")["streamflow"].load()


@pytest.mark.parametrize("routing", [ROUTING, {"name": "gamma"}], ids=["rivers", "mean"])
def test_flow_is_over_the_area_of_the_units_whatever_the_network_states(
    folder: Path, tmp_path: Path, routing: dict[str, Any]
) -> None:
    """Areas that a network states for its reaches seldom are the sums of its units'."""
    write_model(folder, "other.pt", settings(routing))
    net = Network.read(folder / "small_network.zarr")
    stated = net.area * np.linspace(0.9, 1.1, net.num_reaches)
    replace(net, area=stated).write(tmp_path / "network.zarr")
    run = simulation(folder, tmp_path, "other.pt")
    run.begin()
    run.units()
    run.rivers(tmp_path / "network.zarr")
    expected = prediction(folder, tmp_path, "other.pt")
    found = open_zarr(tmp_path / "gauges.zarr")["streamflow"]
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6)


def test_a_unit_hydrograph_for_each_gauge_gives_no_flow_of_reaches(
    folder: Path, tmp_path: Path
) -> None:
    write_model(folder, "paths.pt", settings({"name": "gamma_paths"}))
    with pytest.raises(ValueError, match="found gamma_paths, which gives flow at gauges and none"):
        simulation(folder, tmp_path, "paths.pt")


def test_chunks_and_parts_equal_the_whole(
    folder: Path, tmp_path: Path, whole: list[xr.Dataset]
) -> None:
    small = {"block_units": 17, "chunk_days": 130, "river_days": 60}
    simulation(folder, tmp_path, **small).begin()
    for part in (3, 1, 2):
        simulation(folder, tmp_path, **small).units(part, 3)
    simulation(folder, tmp_path, **small).rivers(folder / "small_network.zarr")
    same(results(tmp_path), whole)


def test_goes_on_where_it_was_killed(
    folder: Path, tmp_path: Path, whole: list[xr.Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after every write, before and after it is recorded."""
    small = {"block_units": 40, "chunk_days": 200, "river_days": 200}
    simulation(folder, tmp_path, **small).begin()
    write, record = package.units.write, package.progress.Progress.write

    class Killed(Exception):
        pass

    def dies(function: Any, patience: list[int]) -> Any:
        def wrapped(*arguments: Any) -> None:
            function(*arguments)
            patience[0] -= 1
            if patience[0] < 0:
                raise Killed

        return wrapped

    stopped = 0
    for count in range(40):
        run = simulation(folder, tmp_path, **small)
        patience = [1 + count % 2]
        with monkeypatch.context() as patch:
            patch.setattr(package.units, "write", dies(write, patience))
            patch.setattr(package.rivers, "write", dies(write, patience))
            patch.setattr(package.progress.Progress, "write", dies(record, patience))
            try:
                run.units()
                run.rivers(folder / "small_network.zarr")
                break
            except Killed:
                stopped += 1
    assert stopped > 5
    same(results(tmp_path), whole)


def test_what_is_derived_when_it_is_read(folder: Path) -> None:
    dataset = open_store(folder / "small.zarr")
    lazy, all_at_once = derive_lazily(dataset, "hargreaves"), derive(dataset, "hargreaves")
    for name in ("temperature", "pet"):
        np.testing.assert_array_equal(lazy[name].to_numpy(), all_at_once[name])
        part = lazy[name][5:9, 100:300].to_numpy()
        np.testing.assert_array_equal(part, all_at_once[name][5:9, 100:300])
        some = lazy[name].isel(basin=[7, 3]).to_numpy()
        np.testing.assert_array_equal(some, all_at_once[name][[7, 3]])


def test_units_off_the_network_reach_no_river(folder: Path) -> None:
    net = Network.read(folder / "small_network.zarr")
    assert len(channels_of(net).unit_reach) == (net.unit_reach >= 0).sum()


def test_a_gauge_without_units_has_no_flow(folder: Path) -> None:
    net = Network.read(folder / "small_network.zarr")
    without = replace(net, unit_reach=np.full(net.num_units, -1))
    assert channels_of(without).gauge_area.isnan().all()


def test_two_processes_at_one_block_are_refused(folder: Path, tmp_path: Path) -> None:
    run = simulation(folder, tmp_path)
    run.begin()
    with (
        only_writer(tmp_path / "progress/units000000.pt"),
        pytest.raises(ValueError, match=r"units000000\.pt: expected to be its only writer, found"),
    ):
        run.units()
    run.units()
    with (
        only_writer(tmp_path / "progress/rivers.pt"),
        pytest.raises(ValueError, match=r"rivers\.pt: expected to be its only writer, found"),
    ):
        run.rivers(folder / "small_network.zarr")


def test_messages(folder: Path, tmp_path: Path) -> None:
    net = folder / "small_network.zarr"
    with pytest.raises(ValueError, match="run with --init first"):
        simulation(folder, tmp_path).units()
    simulation(folder, tmp_path).begin()
    with pytest.raises(ValueError, match=r"runoff of 1 blocks of units, found 1 not done"):
        simulation(folder, tmp_path).rivers(net)
    with pytest.raises(ValueError, match="expected chunk_days 77, found 500; use another --out"):
        simulation(folder, tmp_path, chunk_days=77).begin()
    with pytest.raises(ValueError, match="expected chunk_days 77, found 500; use another --out"):
        simulation(folder, tmp_path, chunk_days=77).units()
    simulation(folder, tmp_path, chunk_days=77).begin(replace=True)
    simulation(folder, tmp_path, chunk_days=77).begin()
