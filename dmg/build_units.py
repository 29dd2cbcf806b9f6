"""From configuration to the data of all units of a river network."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dmg.build_model import Statistics
from dmg.config import Experiment
from dmg.data.climate import CLIMATE, climate_of, training_years
from dmg.data.lazy import derive_lazily
from dmg.data.loader import DataLoader
from dmg.data.splits import read_splits
from dmg.data.store import open_store
from dmg.phy import MODELS


def unit_loader(
    experiment: Experiment,
    store: Path,
    statistics: Statistics,
    climate: pd.DataFrame,
    block: tuple[int, int],
) -> DataLoader:
    """Loader of all units of a store; what they need beyond it is derived as it is read.

    `climate` has the climate indices that the network reads, a row for each unit; `block` says
    how many units and days are read in one go.
    """
    data, dataset = experiment.data, open_store(store)
    for series in dataset.values():
        if series.ndim == 2:
            series.encoding["chunks"] = block
    physical = [n for phy in experiment.model.process_models for n in MODELS[phy.label].forcings]
    derived = derive_lazily(dataset, data.pet)
    columns = {str(n): ("basin", climate[n].to_numpy()) for n in climate.columns}
    return DataLoader(
        [dataset, derived.assign(columns)],
        forcings=[*data.forcings, *physical],
        attributes=data.attributes,
        categories=statistics["categories"],
    )


def unit_climate(experiment: Experiment, store: Path, preprocessed: Path) -> pd.DataFrame:
    """Climate indices that the network reads, of all units of a store, in the training years."""
    wanted = [name for name in experiment.data.attributes if name in CLIMATE]
    dataset = open_store(store)
    units = [str(unit) for unit in dataset["basin"].values]
    if not wanted:
        return pd.DataFrame(index=units)
    splits = read_splits(preprocessed / "splits.csv")
    days = training_years(splits)
    derived = derive_lazily(dataset, experiment.data.pet)
    return climate_of(dataset, derived, units, days)[wanted]
