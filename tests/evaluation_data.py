"""A small experiment's files, as the stages before `score` and `report` leave them."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

PARAMETERS = {"BETA": (1, 6, "1"), "FC": (50, 1000, "mm"), "K1": (0.01, 0.5, "d-1")}
ROUTING = {"route_a": (0, 2.9, "1"), "route_b": (0, 6.5, "d")}


@dataclass
class Files:
    """Paths of one experiment."""

    root: Path
    runs: list[Path]

    @property
    def store(self):
        return self.root / "stores" / "made.zarr"

    @property
    def preprocess(self):
        return self.root / "made" / "preprocess"

    @property
    def truth(self):
        return self.root / "raw" / "made" / "truth"

    @property
    def scores(self):
        return self.root / "made" / "scores.csv"

    @property
    def summary(self):
        return self.root / "made" / "summary.csv"

    @property
    def folder(self):
        return self.root / "made" / "baselines"

    @property
    def baselines(self):
        return self.root / "made" / "baselines.csv"

    @property
    def predictions(self):
        return [run / "predictions.zarr" for run in self.runs]


def make(root, num_basins=12, *, folds=("all",), seeds=(0,), frac_holdout=0.25, years=4):
    """Write everything; the last basins are held out of training, or those of each fold."""
    rng = np.random.default_rng(0)
    basins = [f"{1000000 + 35 * i:08d}" for i in range(num_basins)]
    days = pd.date_range("1990-10-01", periods=365 * years)
    flow, precipitation = weather(rng, num_basins, len(days))
    runs = [root / "made" / fold / f"seed{seed}" for fold in folds for seed in seeds]
    files = Files(root, runs)
    write_store(files.store, basins, days, precipitation, rng)
    write_derived(files.preprocess / "derived.zarr", basins, days, flow, rng)
    held = [held_out(basins, folds, i, frac_holdout) for i in range(len(folds))]
    write_splits(files.preprocess / "splits.csv", basins, days, folds, held)
    truth = parameters(rng, num_basins)
    write_truth(files.truth, basins, days, flow, truth)
    for run in runs:
        write_predictions(run / "predictions.zarr", basins, days, flow, truth, rng)
        write_log(run / "metrics.jsonl", rng)
    return files


def weather(rng, num_basins, num_days):
    wet = rng.random((num_basins, num_days)) < 0.35
    precipitation = np.where(wet, rng.gamma(0.8, 9.0, wet.shape), 0)
    kernel = np.exp(-np.arange(60) / 12)
    season = 1 + 0.6 * np.sin(2 * np.pi * np.arange(num_days) / 365.25)
    rows = [np.convolve(p * season, kernel / kernel.sum())[:num_days] for p in precipitation]
    return 0.6 * np.array(rows) + 0.05, precipitation


def held_out(basins, folds, index, fraction):
    if len(folds) > 1:
        return basins[index :: len(folds)]
    return basins[len(basins) - int(fraction * len(basins)) :]


def frame(name, values, basins, days, unit, **extra):
    data = (("basin", "time"), values.astype("float32"), {"units": unit, "long_name": name})
    return {name: data} | extra, {"basin": np.array(basins, dtype=object), "time": days}


def write(path, variables, coords, attrs):
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = xr.Dataset(variables, coords, attrs)
    dataset.to_zarr(path, zarr_format=3, consolidated=False, mode="w")


def write_store(path, basins, days, precipitation, rng):
    n = len(basins)
    static = {
        "latitude": (("basin",), 30 + 17 * rng.random(n), {"units": "degrees_north"}),
        "longitude": (("basin",), -122 + 50 * rng.random(n), {"units": "degrees_east"}),
        "area": (("basin",), rng.lognormal(6, 1, n), {"units": "km2"}),
        "source_hash": (("basin",), np.array([f"{i:064x}" for i in range(n)], dtype=object)),
    }
    attrs = {
        "Conventions": "CF-1.11",
        "dataset": "made",
        "product": "daymet",
        "dmg_version": "0.1.0",
        "format_version": 1,
        "checksums": {"precipitation": ["c0ffee" * 10] * 3},
    }
    write(path, *frame("precipitation", precipitation, basins, days, "mm d-1", **static), attrs)


def write_derived(path, basins, days, flow, rng):
    observed = flow * rng.lognormal(0, 0.1, flow.shape)
    observed[rng.random(flow.shape) < 0.02] = np.nan
    write(path, *frame("streamflow", observed, basins, days, "mm d-1"), {})


def write_splits(path, basins, days, folds, held):
    periods = {"train": days[[0, len(days) // 2 - 1]], "test": days[[len(days) // 2, -1]]}
    both = ["train", "test"] if len(folds) == 1 else ["train"]
    rows = [
        [basin, fold, role, *(f"{day:%Y-%m-%d}" for day in periods[role])]
        for fold, out in zip(folds, held, strict=True)
        for basin in basins
        for role in (["test"] if basin in out else both)
    ]
    table = pd.DataFrame(rows, columns=["basin_id", "fold", "role", "start", "end"])
    table.to_csv(path, index=False)


def parameters(rng, num_basins):
    bounds = PARAMETERS | ROUTING
    return {k: rng.uniform(lo, hi, num_basins) for k, (lo, hi, _) in bounds.items()}


def write_truth(folder, basins, days, flow, truth):
    folder.mkdir(parents=True)
    pd.DataFrame({"basin_id": basins} | truth).to_csv(folder / "parameters.csv", index=False)
    table = pd.DataFrame(flow.T, index=pd.Index(days, name="date"), columns=basins)
    table.to_csv(folder / "streamflow.csv", date_format="%Y-%m-%d")


def write_predictions(path, basins, days, flow, truth, rng):
    quality = rng.uniform(0.05, 0.6, (len(basins), 1))
    sim = flow * np.exp(quality * rng.normal(size=flow.shape)) + 0.2 * quality
    learned = {}
    for name, (lower, upper, unit) in (PARAMETERS | ROUTING).items():
        noise = 0.1 * (upper - lower) * rng.normal(size=(len(basins), 4))
        values = np.clip(truth[name][:, None] + noise, lower, upper)
        attrs = {"units": unit, "kind": "parameter", "lower": lower, "upper": upper}
        if name in ROUTING:
            learned[name] = (("basin",), values[:, 0], attrs)
        else:
            learned[name] = (("basin", "component"), values, attrs)
    attrs = {"model": "hbv_1_0", "dmg_version": "0.1.0", "git_commit": "0123456789abcdef"}
    write(path, *frame("streamflow", sim, basins, days, "mm d-1", **learned), attrs)


def write_log(path, rng, epochs=15):
    lines = []
    for i in range(epochs):
        loss = 0.4 + np.exp(-i / 4) + 0.02 * rng.normal()
        lines.append(
            {
                "epoch": i + 1,
                "loss": loss,
                "validation": loss + 0.1 if i % 2 else None,
                "learning_rate": 1e-3 * 0.5 ** (i // 5),
                "seconds": 4.0 + rng.random(),
                "best": bool(i % 2),
            }
        )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def edit(path, change):
    """Rewrite a Zarr store after `change(dataset)`."""
    dataset = xr.open_zarr(path, chunks=None, consolidated=False).load()
    attrs = dataset.attrs
    dataset = change(dataset)
    for variable in dataset.variables.values():
        variable.encoding = {}
    dataset.assign_attrs(attrs).to_zarr(path, zarr_format=3, consolidated=False, mode="w")
