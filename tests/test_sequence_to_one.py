"""Sequence to one: every day is trained on and simulated from a window of its own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
import yaml

from dmg import build, runs
from dmg.checkpoint import load_model
from dmg.config import Experiment, parse, resolved
from dmg.data.statistics import read_statistics
from tests.small import IDS, experiment, write_preprocessed, write_store
from tests.test_runs import predicted, trained

TRAIN = {
    "loss": {"name": "nse_batch", "standardized": True},
    "optimizer": {"name": "adam", "learning_rate": 0.001},
    "schedule": {"name": "listed", "learning_rates": {2: 0.0005, 4: 0.0001}},
    "draw": "each_day", "batch_size": 60, "window": 1, "warmup": 29, "epochs": 2,
    "steps_per_epoch": 3,
}  # fmt: skip
START, END = np.datetime64("2000-01-01"), np.datetime64("2002-03-10")


def make(name: str = "plain_lstm", **evaluate: Any) -> Experiment:
    model = {"phy": None, "nn": {"name": name, "hidden_size": 4, "dropout": 0.4}}
    return experiment(model=model, train=TRAIN, evaluate={"memory": "window"} | evaluate)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("store") / "s.zarr")


def one_by_one(model: Path, store: Path) -> np.ndarray:
    """Simulate every day with a batch of its own, as in training."""
    content = load_model(model)
    handler, chosen = runs.restore(content, "test")
    loader = build.build_loader(
        chosen, store, model.parents[2] / "preprocess", content["statistics"], target=False
    )
    basins, out = np.arange(len(IDS)), np.full((len(IDS), len(loader.times)), np.nan)
    with torch.no_grad():
        for day in range(29, len(loader.times)):
            batch = loader.batch(basins, np.full(len(IDS), day), 1, 29)
            out[:, day] = handler(batch).fluxes["streamflow"][0]
    return out


@pytest.mark.parametrize("name", ["plain_lstm", "ea_lstm"])
def test_prediction_equals_windows_simulated_one_by_one(
    name: str, store: Path, tmp_path: Path
) -> None:
    chosen = make(name, chunk_days=97, block_basins=2)
    model = trained(chosen, store, tmp_path)
    simulated = predicted(chosen, model, store, tmp_path / "p.zarr")["streamflow"]
    assert simulated[:, :29].isnull().all()
    assert simulated[:, 29:].notnull().all()
    np.testing.assert_allclose(simulated, one_by_one(model, store), rtol=2e-5, atol=1e-5)
    carried = predicted(make(name, memory="carried"), model, store, tmp_path / "carried.zarr")
    assert not np.allclose(carried["streamflow"][:, 200:], simulated[:, 200:], atol=1e-4)


@pytest.mark.parametrize("memory", ["window", "carried"])
def test_a_period_of_the_prediction(memory: str, store: Path, tmp_path: Path) -> None:
    model = trained(make(memory=memory), store, tmp_path)
    whole = predicted(make(memory=memory), model, store, tmp_path / "whole.zarr")
    for first, last in [("2001-04-01", "2001-12-31"), ("2000-01-20", "2000-02-10")]:
        chosen = make(memory=memory, period={"start": first, "end": last}, chunk_days=97)
        part = predicted(chosen, model, store, tmp_path / f"{first}.zarr")
        xr.testing.assert_allclose(part, whole.sel(time=slice(first, last)), rtol=2e-5, atol=1e-5)
    outside = make(period={"start": "1999-12-31", "end": "2000-02-10"})
    with pytest.raises(ValueError, match=r"expected a day within 2000-01-01\.\.2002-03-10"):
        predicted(outside, model, store, tmp_path / "no.zarr")


def test_validation_and_training_take_the_listed_learning_rates(
    store: Path, tmp_path: Path
) -> None:
    settings = TRAIN | {"epochs": 5, "steps_per_epoch": 1}
    chosen = make().model_copy(update={"train": parse_train(settings)})
    preprocessed = write_preprocessed(chosen, store, tmp_path / "preprocess")
    statistics = read_statistics(preprocessed / "statistics.json")["all"]
    loader = build.build_loader(chosen, store, preprocessed, statistics)
    trainer = build.build_trainer(
        chosen, loader, statistics, preprocessed, "all", 0, tmp_path / "run"
    )
    rates = [line["learning_rate"] for line in trainer.fit()]
    assert rates == pytest.approx([0.001, 0.0005, 0.0005, 0.0001, 0.0001])


def parse_train(settings: dict[str, Any]) -> Any:
    return experiment(train=settings).train


@pytest.mark.parametrize("name", ["nse_batch", "mse"])
def test_standardized_loss_differs_by_the_variance_of_the_target(
    name: str, store: Path, tmp_path: Path
) -> None:
    preprocessed = write_preprocessed(make(), store, tmp_path)
    statistics = read_statistics(preprocessed / "statistics.json")["all"]
    loader = build.build_loader(make(), store, preprocessed, statistics)
    losses = []
    for standardized in (False, True):
        loss = {"name": name, "standardized": standardized}
        chosen = experiment(train=TRAIN | {"loss": loss})
        one = build.build_loss(chosen, loader, statistics)
        losses.append(one(torch.ones(3, 2), torch.zeros(3, 2), torch.tensor([0, 1])).item())
    assert losses[0] / losses[1] == pytest.approx(statistics["target"]["std"] ** 2)


def test_each_day_apart_is_for_networks_that_give_the_flow() -> None:
    with pytest.raises(ValueError, match="memory: window simulates each day apart, which is for"):
        experiment(evaluate={"memory": "window"})


@pytest.mark.parametrize("rates", [{1: 0.1}, {3: 0.0}, {}])
def test_listed_learning_rates_begin_after_the_first_epoch(rates: dict[int, float]) -> None:
    schedule = {"name": "listed", "learning_rates": rates}
    with pytest.raises(ValueError, match=r"learning.rates"):
        experiment(train=TRAIN | {"schedule": schedule})


def test_settings_survive_yaml() -> None:
    text = yaml.safe_dump(resolved(make()))
    assert parse(Experiment, yaml.safe_load(text), "test") == make()
