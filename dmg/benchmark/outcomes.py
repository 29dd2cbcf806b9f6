"""What trained experiments left behind: scores, settings and the folders of their runs."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from dmg.config import Published, read_yaml
from dmg.metrics import METRICS
from dmg.run_files import CONFIG
from dmg.score import ENSEMBLE, headline
from dmg.score.files import read_scores


class Outcome(NamedTuple):
    """An experiment, or an ensemble of some, that has been scored."""

    name: str
    folder: Path
    scores: pd.DataFrame
    peaks: pd.DataFrame  # errors of annual peaks by group of return periods; may be empty
    settings: dict[str, Any]  # resolved, of the first run; empty for an ensemble
    runs: tuple[Path, ...]

    @property
    def num_seeds(self) -> int:
        """Number of seeds, without their ensemble."""
        return self.scores.loc[self.scores["seed"] != ENSEMBLE, "seed"].nunique()

    @property
    def num_basins(self) -> int:
        """Number of basins with a score; those of folds that were not run have none."""
        metrics = [name for name in self.scores if name in METRICS]
        return self.scores.dropna(subset=metrics, how="all")["basin_id"].nunique()


class Value(NamedTuple):
    """A statistic over basins, and how many basins and seeds are behind it."""

    value: float
    spread: float  # standard deviation over seeds, NaN for one
    basins: int
    seeds: int


NO_PEAKS = pd.DataFrame(columns=["basin_id", "seed", "group", "peak_error"])
NOTHING = Value(float("nan"), float("nan"), 0, 0)


def read_outcome(results: Path, name: str, basins: Collection[str] | None = None) -> Outcome | None:
    """Read what an experiment left in a folder of results; none if it has not been scored.

    Of an ensemble of experiments, its own scores are read, not those of its members. `basins`
    leaves out all others.
    """
    folder = results / name
    if not (folder / "scores.csv").is_file():
        return None
    scores = read_scores(folder / "scores.csv")
    runs = tuple(sorted(path.parent for path in folder.glob(f"*/seed*/{CONFIG}")))
    if (scores["model"] == ENSEMBLE).any():
        scores = scores[scores["model"] == ENSEMBLE]
    settings = read_yaml(runs[0] / CONFIG) if runs else {}
    path = folder / "peaks.csv"
    peaks = pd.read_csv(path, dtype={"basin_id": str, "group": str}) if path.is_file() else NO_PEAKS
    if basins is not None:
        scores, peaks = (table[table["basin_id"].isin(basins)] for table in (scores, peaks))
    return Outcome(name, folder, scores, peaks, settings, runs)


def value_of(outcome: Outcome, published: Published) -> Value:
    """Compute the statistic that a published value is of.

    Basins whose metric is undefined are left out, and not counted.
    """
    scores = outcome.scores
    if published.group is not None:
        scores = outcome.peaks[outcome.peaks["group"] == published.group]
    if published.metric not in scores:
        return NOTHING
    column = scores[["basin_id", "seed", published.metric]].dropna()
    single = column[column["seed"] != ENSEMBLE]
    seeds = single["seed"].nunique()
    if published.of == "ensemble" or single.empty:
        column = headline(column)
        values = [statistic(column[published.metric], published.statistic)]
    else:
        column = single
        groups = column.groupby("seed")[published.metric]
        values = [statistic(each, published.statistic) for _, each in groups]
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    if column.empty:
        return NOTHING
    return Value(float(np.mean(values)), spread, column["basin_id"].nunique(), max(seeds, 1))


def statistic(values: pd.Series[float], name: str) -> float:
    """Compute one statistic of scores over basins."""
    if name == "below_zero":
        return float((values < 0).sum())
    if name == "median_abs":
        return float(values.abs().median())
    if name in ("q25", "q75"):
        return float(values.quantile(float(name[1:]) / 100))
    return float(values.agg(name))
