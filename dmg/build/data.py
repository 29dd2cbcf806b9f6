"""The data of an experiment: what is read, and which basins and days play which role."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dmg.build.model import Statistics
from dmg.config import Experiment
from dmg.data.loader import DataLoader, open_loader
from dmg.data.sampler import DataSampler
from dmg.data.splits import select
from dmg.phy import MODELS


def build_loader(
    experiment: Experiment,
    store: Path,
    preprocessed: Path,
    statistics: Statistics,
    target: bool = True,
) -> DataLoader:
    """Loader of all that the experiment's network and process model read."""
    data, phy = experiment.data, experiment.model.phy
    physical = MODELS[phy.name].forcings if phy else ()
    return open_loader(
        [store, preprocessed / "derived.zarr"],
        forcings=[*data.forcings, *physical],
        attributes=data.attributes,
        target=data.target if target else None,
        categories=statistics["categories"],
    )


def spans(
    loader: DataLoader, splits: pd.DataFrame, fold: str, role: str
) -> tuple[list[int], list[int], list[int]]:
    """Rows, and first and last day (indices, both included), of the basins of a role."""
    rows = select(splits, fold, role)
    order = {basin: row for row, basin in enumerate(loader.basin_ids)}
    return (
        [order[basin] for basin in rows["basin_id"]],
        [loader.index(day) for day in rows["start"]],
        [loader.index(day) for day in rows["end"]],
    )


def build_sampler(
    experiment: Experiment, loader: DataLoader, splits: pd.DataFrame, fold: str, seed: int
) -> DataSampler:
    """Sampler of the windows of a fold's training basins."""
    train = experiment.train
    return DataSampler(
        *spans(loader, splits, fold, "train"),
        batch_size=train.batch_size,
        window=train.window,
        warmup=train.warmup,
        seed=seed,
        steps_per_epoch=train.steps_per_epoch,
    )
