"""Training, prediction and scores at gauges of a river network, with all units upstream."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from dmg.build import build_loader, build_trainer
from dmg.build_split import build_split
from dmg.checkpoint import save_model
from dmg.config import resolved
from dmg.data.network import Network
from dmg.data.splits.nested import river_groups
from dmg.data.statistics import read_statistics
from dmg.data.zarrs import open_zarr
from dmg.distributed import process_group, reduce_sums, sum_gradients
from dmg.gradient import add_gradient
from dmg.run_files import METRICS
from dmg.runs import predict, train
from dmg.train import Trainer
from dmg.validation import read
from dmg.verbs import preprocess, score
from tests.rivers import experiment, network, write_gauges, write_units

PERIODS = {
    "train": {"start": "2000-01-01", "end": "2000-10-31"},
    "test": {"start": "2000-11-01", "end": "2001-05-14"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stores of units and gauges, the network, and what is preprocessed."""
    folder = tmp_path_factory.mktemp("gauges")
    whole = network()
    write_units(folder / "small.zarr", whole)
    write_gauges(folder / "gauges.zarr", whole)
    whole.write(folder / "small_network.zarr")
    preprocess(experiment(), folder / "small.zarr", folder / "out")
    return folder


def trainer(folder: Path, run: Path, **sections: Any) -> Trainer:
    settings = experiment(**sections)
    statistics = read_statistics(folder / "out/statistics.json")["all"]
    loader = build_loader(settings, folder / "small.zarr", folder / "out", statistics)
    return build_trainer(settings, loader, statistics, folder / "out", "all", 0, run)


def roles(folder: Path) -> dict[str, set[str]]:
    """Gauges by role."""
    found: dict[str, set[str]] = {}
    for line in (folder / "out/splits.csv").read_text().splitlines()[1:]:
        basin, _, role, *_ = line.split(",")
        found.setdefault(role, set()).add(basin)
    return found


def test_nested_gauges_are_on_one_side_of_the_split(folder: Path) -> None:
    groups = river_groups(Network.read(folder / "out/network.zarr"))
    found = roles(folder)
    held_out = found["test"] - found["train"]
    assert 1 <= len(held_out) <= 4
    assert not {groups[g] for g in held_out} & {groups[g] for g in found["train"]}


def test_trains_predicts_and_scores(folder: Path, tmp_path: Path) -> None:
    config, run = tmp_path / "small.yaml", tmp_path / "all/seed0"
    run.mkdir(parents=True)
    settings = experiment(evaluate={"block_basins": 5, "chunk_days": 200})
    config.write_text(yaml.safe_dump(resolved(settings)))
    train(config, folder / "small.zarr", folder / "out", "all", "seed0", run / "model.pt")
    lines = [json.loads(line) for line in (run / METRICS).read_text().splitlines()]
    assert len(lines) == 2 and all(np.isfinite(line["loss"]) for line in lines)
    out = run / "predictions.zarr"
    predict(settings, run / "model.pt", folder / "small.zarr", folder / "out", out)
    found = open_zarr(out)
    chosen = Network.read(folder / "out/network.zarr")
    assert found["basin"].values.tolist() == chosen.gauge_id.tolist()
    assert np.isfinite(found["streamflow"].to_numpy()).all()
    assert list(found.data_vars) == ["streamflow"]
    score(settings, folder / "out", [out], tmp_path / "scores.csv", tmp_path / "summary.csv")
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == chosen.num_gauges + 1


def test_trains_through_rivers(folder: Path, tmp_path: Path) -> None:
    settings = {"routing": {"name": "muskingum_cunge", "substeps": 4}}
    fitted = trainer(folder, tmp_path, model=settings)
    history = fitted.fit()
    assert np.isfinite(history[-1]["loss"])
    names = fitted.handler.model.parameter_map.basin_names
    assert names == ("route_a", "route_b", "n", "q_spatial")


def test_trains_and_predicts_with_a_unit_hydrograph_for_each_pair(
    folder: Path, tmp_path: Path
) -> None:
    routing = {"routing": {"name": "gamma_paths", "length": 5, "max_lag": 2}}
    fitted = trainer(folder, tmp_path, model=routing)
    assert np.isfinite(fitted.fit()[-1]["loss"])
    names = fitted.handler.model.parameter_map.basin_names
    assert names == ("route_a", "route_b", "velocity", "spread")
    settings = experiment(model=routing)
    statistics = read_statistics(folder / "out/statistics.json")["all"]
    save_model(
        tmp_path / "model.pt", fitted.handler, config=resolved(settings), digest="d",
        statistics=statistics, fold="all", seed="seed0",
    )  # fmt: skip
    found = []
    for days in (500, 130):
        settings = experiment(evaluate={"chunk_days": days})
        places = tmp_path / "model.pt", folder / "small.zarr", folder / "out"
        predict(settings, *places, tmp_path / f"{days}.zarr")
        found.append(open_zarr(tmp_path / f"{days}.zarr")["streamflow"].to_numpy())
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)


def test_random_folds_keep_nested_gauges_together(folder: Path) -> None:
    split = {**PERIODS, "kind": "pub", "num_folds": 3}
    network = Network.read(folder / "out/network.zarr")
    groups = river_groups(network)
    gauges = network.gauge_id.tolist()
    store = open_zarr(folder / "gauges.zarr")
    table = build_split(experiment(data={"split": split}), gauges, store, groups=groups)
    for _, fold in table.groupby("fold"):
        sides = {role: {groups[g] for g in rows} for role, rows in fold.groupby("role")["basin_id"]}
        assert not sides["train"] & sides["test"]


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"data": {"source": "camels_us", "forcing": None}}, "gauges: expected none for source"),
        ({"data": {"split": {"kind": "spatial", **PERIODS}}}, "split: expected temporal, nested"),
        ({"data": {"gauges": None, "split": {"kind": "nested", **PERIODS}}}, "expected groups"),
        ({"train": {"draw": "each_day"}}, "train.draw: each_day: expected none with data.gauges"),
        (
            {"data": {"gauges": None}, "model": {"routing": {"name": "muskingum_cunge"}}},
            "muskingum_cunge needs the gauges of a river network",
        ),
        (
            {"data": {"gauges": None}, "model": {"routing": {"name": "gamma_paths"}}},
            "gamma_paths needs the gauges of a river network",
        ),
        (
            {"model": {"phy": None, "nn": {"name": "lstm"}, "routing": {"name": "gamma_paths"}}},
            "routing: gamma_paths needs a process model; leave it out",
        ),
    ],
)
def test_what_does_not_go_with_gauges_is_refused(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        experiment(**sections)


def weights(fitted: Trainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in fitted.handler.parameters()])


@pytest.mark.parametrize("change", [{"accumulate": 3}, {"recompute_days": 7}])
def test_less_memory_gives_the_same_training(
    folder: Path, tmp_path: Path, change: dict[str, int]
) -> None:
    found = []
    for name, settings in (("a", {}), ("b", change)):
        fitted = trainer(folder, tmp_path / name, train=settings)
        fitted.fit()
        found.append(weights(fitted))
    torch.testing.assert_close(found[1], found[0], rtol=2e-5, atol=1e-6)
    assert (found[0] - weights(trainer(folder, tmp_path / "c"))).abs().max() > 0.01


ROUTINGS = ("gamma", "gamma_paths", "muskingum_cunge")


def first_gradient(folder: Path, routing: str, rank: int, world_size: int) -> torch.Tensor:
    """Gradient of the first step over all processes, in float32."""
    torch.manual_seed(0)
    begun = trainer(folder, folder / "none", model={"routing": {"name": routing}})
    windows = begun.sampler.part(begun.sampler.windows(1, 0), rank, world_size)
    mine = [read(begun.loader, windows, begun.sampler.warmup)]
    add_gradient(begun.handler.train(), begun.loss, mine, begun.target, reduce_sums)
    sum_gradients(begun.handler.parameters())
    return torch.cat([p.grad.flatten() for p in begun.handler.parameters() if p.grad is not None])


def one_process(rank: int, world_size: int, folder: str, run: str) -> None:
    """Leave gradients in float32, and the weights after a training in float64."""
    torch.set_num_threads(1)
    os.environ.pop("MASTER_ADDR", None)
    with process_group(rank, world_size, rendezvous=Path(run) / "rendezvous"):
        found = {r: first_gradient(Path(folder), r, rank, world_size) for r in ROUTINGS}
        torch.save(found, f"{run}/gradients-{rank}.pt")
        torch.set_default_dtype(torch.float64)
        fitted = trainer(Path(folder), Path(run), train={"epochs": 1, "steps_per_epoch": 20})
        fitted.handler.double()
        fitted.loader = _Doubled(fitted.loader)
        fitted.fit()
        torch.save(weights(fitted), f"{run}/weights-{rank}.pt")


class _Doubled:
    """A loader in float64."""

    def __init__(self, loader: Any) -> None:
        self.loader, self.basin_ids = loader, loader.basin_ids

    def batch(self, *arguments: Any) -> Any:
        batch = self.loader.batch(*arguments)
        return replace(
            batch,
            forcing={n: f.double() for n, f in batch.forcing.items()},
            constants={n: c.double() for n, c in batch.constants.items()},
            attributes=batch.attributes.double(),
            target=batch.target.double(),
        )


@pytest.mark.distributed
def test_two_processes_equal_one(folder: Path, tmp_path: Path) -> None:
    """Gradients, and weights after 20 steps; one process sometimes has no gauge of its own."""
    for size in (1, 2):
        run = tmp_path / str(size)
        run.mkdir()
        torch.multiprocessing.spawn(one_process, args=(size, str(folder), str(run)), nprocs=size)
    one, *two = (torch.load(p) for p in sorted(tmp_path.glob("*/weights-*.pt")))
    for found in two:
        torch.testing.assert_close(found, one, rtol=1e-10, atol=1e-12)
    alone, *both = (torch.load(p) for p in sorted(tmp_path.glob("*/gradients-*.pt")))
    for name, expected in alone.items():
        assert expected.abs().max() > 0.01, name
        for found in both:
            assert (found[name] - expected).abs().max() < 1e-6, name
