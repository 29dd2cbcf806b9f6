"""No split lets a test basin, a test day or a held-out year into statistics or weights.

Everything that is not training data is poisoned: the flow of all other days, the forcing of all
days outside the first to the last training day of a basin, all of basins that are not trained on.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
import zarr

from dmg import runs
from dmg.config import resolved
from dmg.data.splits import read_splits
from dmg.data.water_years import annual_maxima
from dmg.data.zarrs import open_zarr
from tests.small import IDS, experiment, write_preprocessed, write_store

NUM_DAYS = 4200  # 2000-01-01 to 2011-07-01
EARLY = {"start": "2000-10-01", "end": "2006-09-30"}
LATE = {"start": "2007-10-01", "end": "2010-09-30"}
SPLITS: dict[str, dict[str, Any]] = {
    "temporal": {"kind": "temporal", "train": EARLY, "test": LATE},
    "temporal_validated": {
        "kind": "temporal",
        "train": {"start": "2000-10-01", "end": "2004-09-30"},
        "validate": {"start": "2005-10-01", "end": "2006-09-30"},
        "test": LATE,
        "frac_holdout": 0.2,
    },
    "pub": {"kind": "pub", "train": EARLY, "test": EARLY, "num_folds": 3},
    "pub_published": {
        "kind": "pub", "train": EARLY, "test": LATE, "num_folds": 2, "folds": "folds.csv",
    },
    "pur": {
        "kind": "pur", "train": EARLY, "test": EARLY, "regions": [["1"], ["2", "3"]],
    },
    "spatial": {"kind": "spatial", "train": EARLY, "test": LATE, "num_folds": 2},
    "nested": {
        "kind": "nested", "train": EARLY, "test": EARLY, "groups": "groups.csv", "num_folds": 2,
    },
    "extremes": {"kind": "extremes", "train": EARLY, "test": EARLY},
    "extremes_later": {"kind": "extremes", "train": LATE, "test": EARLY, "tested": "all"},
    "extremes_spatial": {"kind": "extremes", "train": EARLY, "test": EARLY, "num_folds": 2},
    "extremes_fitted": {"kind": "extremes", "train": EARLY, "test": EARLY, "threshold": 4},
}  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the tables that some splits read."""
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"basin_id": IDS, "fold": [1, 2, 2, 1, 2]}).to_csv("folds.csv", index=False)
    pd.DataFrame({"basin_id": IDS, "group": list("aabbc")}).to_csv("groups.csv", index=False)
    rng = np.random.default_rng(5)
    rows = [(b, y, rng.choice([2.0, 9.0], p=[0.7, 0.3])) for b in IDS for y in range(2001, 2011)]
    table = pd.DataFrame(rows, columns=["gauge_id", "water_year", "return_period_yr"])
    table.to_csv("years.csv", index=False)
    write_store(tmp_path / "clean.zarr", NUM_DAYS)
    return tmp_path


def settings(name: str) -> Any:
    table = None if name == "extremes_fitted" else "years.csv"
    data = {"attributes": ["aridity", "geol_1st_class"], "split": SPLITS[name]}
    if name.startswith("extremes"):
        data["return_periods"] = {"table": table}
    model = {"phy": None, "nn": {"name": "lstm", "hidden_size": 4}, "num_components": 1}
    train = {"epochs": 1, "steps_per_epoch": 4, "batch_size": 2, "window": 300, "warmup": 60}
    return experiment(data=data, model=model, train=train | {"loss": {"name": "nse_batch"}})


def train(name: str, store: Path, out: Path) -> tuple[Path, dict[str, Any]]:
    """Preprocess, and train the first fold."""
    chosen = settings(name)
    prepared = write_preprocessed(chosen, store, out)
    config = out / "experiment.yaml"
    config.write_text(yaml.safe_dump(resolved(chosen)), encoding="utf-8")
    runs.train(config, store, prepared, chosen.data.split.fold_names[0], "seed0", out / "model.pt")
    return prepared, torch.load(out / "model.pt", weights_only=True)


def poison(store: Path, splits: pd.DataFrame, fold: str, keep_peaks: bool) -> None:
    """Change all that is not training or validation data of a fold."""
    data = open_zarr(store).load()
    days = pd.DatetimeIndex(data["time"].values)
    rows = splits[(splits["fold"] == fold) & (splits["role"] != "test")]
    seen = np.zeros((len(IDS), len(days)), dtype=bool)
    for row in rows.itertuples():
        seen[IDS.index(row.basin_id)] |= (days >= row.start) & (days <= row.end)
    first = np.where(seen.any(axis=1), seen.argmax(axis=1), len(days))
    last = len(days) - 1 - seen[:, ::-1].argmax(axis=1)
    place = np.arange(len(days))
    simulated = (place >= first[:, None] - 60) & (place <= last[:, None])
    group = zarr.open_group(store, mode="r+")
    for name in ("precipitation", "temperature_max"):
        group[name][:] = data[name].where(simulated, 150.0).to_numpy()
    flow = data["discharge"].to_numpy()
    hidden = ~seen
    if keep_peaks:
        peaks = np.repeat(annual_maxima(flow, days)[1], _lengths(days), axis=1)
        hidden &= flow < peaks
    group["discharge"][:] = np.where(hidden, np.minimum(0.3 * flow, 0.1), flow)
    trained = seen.any(axis=1)
    group["aridity"][:] = np.where(trained, data["aridity"].to_numpy(), 99.0)


def _lengths(days: pd.DatetimeIndex) -> np.ndarray:
    year = days.year + (days.month >= 10)
    return np.unique(year, return_counts=True)[1]


@pytest.mark.parametrize("name", SPLITS)
def test_poisoned_test_data_change_nothing(here: Path, name: str) -> None:
    prepared, clean = train(name, here / "clean.zarr", here / "clean")
    splits = read_splits(prepared / "splits.csv")
    fold = splits["fold"].iloc[0]
    poisoned = write_store(here / "poisoned.zarr", NUM_DAYS)
    poison(poisoned, splits, fold, keep_peaks=name == "extremes_fitted")
    again, dirty = train(name, poisoned, here / "dirty")
    assert (again / "splits.csv").read_bytes() == (prepared / "splits.csv").read_bytes()
    assert clean["statistics"] == dirty["statistics"]
    assert all(torch.equal(clean["state"][n], t) for n, t in dirty["state"].items())


def test_poison_in_the_training_data_is_noticed(here: Path) -> None:
    """The test above can fail: one changed day of training flow changes the weights."""
    prepared, clean = train("extremes", here / "clean.zarr", here / "clean")
    splits = read_splits(prepared / "splits.csv")
    row = splits[splits["role"] == "train"].iloc[0]
    poisoned = write_store(here / "poisoned.zarr", NUM_DAYS)
    time = pd.DatetimeIndex(open_zarr(poisoned)["time"].values)
    day = time.get_loc(row["start"]) + 1
    zarr.open_group(poisoned, mode="r+")["discharge"][IDS.index(row["basin_id"]), day] = 500.0
    _, dirty = train("extremes", poisoned, here / "dirty")
    assert clean["statistics"] != dirty["statistics"]


def test_every_split_is_here() -> None:
    from typing import get_args

    from dmg.config import Split

    kinds = {get_args(s.model_fields["kind"].annotation)[0] for s in get_args(get_args(Split)[0])}
    assert kinds == {split["kind"] for split in SPLITS.values()}
