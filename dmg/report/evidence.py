"""What a report shows, read from files: training logs, groups of basins, series of one basin."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dmg.plots import Array, Hydrograph
from dmg.score import headline, read_observed
from dmg.score.files import FlowFile, Run, open_zarr, read_scores

TRAINED, HELD_OUT = "trained on", "held out"
GROUPS = (TRAINED, HELD_OUT)
EFFICIENCIES = ("nse", "kge", "kge_2012", "r")  # 1 is perfect: can be mapped and ranked
LOG_KEYS = ("epoch", "loss", "validation", "learning_rate", "seconds")


def read_log(path: Path) -> pd.DataFrame:
    """Read a training log, one row per epoch; an epoch that was repeated counts once."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such training log; train first")
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            rows.append([float("nan") if row[key] is None else row[key] for key in LOG_KEYS])
        except (json.JSONDecodeError, KeyError, TypeError):
            raise ValueError(
                f"{path}:{number}: expected a JSON object with {list(LOG_KEYS)},"
                f" found {line[:60]!r}"
            ) from None
    if not rows:
        raise ValueError(f"{path}: expected one epoch at least, found none; train again")
    return pd.DataFrame(rows, columns=list(LOG_KEYS)).drop_duplicates("epoch", keep="last")


def grouped_scores(scores: Path, splits: pd.DataFrame) -> pd.DataFrame:
    """Read headline scores; a column `group` says if the basin was trained on in its fold."""
    table = headline(read_scores(scores)).reset_index(drop=True)
    trained = splits[splits["role"] == "train"]
    known = set(zip(trained["fold"], trained["basin_id"], strict=True))
    pairs = zip(table["fold"], table["basin_id"], strict=True)
    table["group"] = [TRAINED if pair in known else HELD_OUT for pair in pairs]
    return table


def by_group(table: pd.DataFrame, column: str) -> dict[str, Array]:
    """Values of a column for each group that has basins, `[B]` each."""
    found = {g: table.loc[table["group"] == g, column].to_numpy(float) for g in GROUPS}
    return {group: values for group, values in found.items() if values.size}


def read_baselines(path: Path) -> dict[str, pd.DataFrame]:
    """Scores of baselines by the name that a reader sees."""
    table = read_scores(path)
    return {str(n).replace("_", " "): t for n, t in table.groupby("model", sort=False)}


def period_of(splits: pd.DataFrame, role: str) -> str:
    """First and last day of a role over all basins, as text."""
    rows = splits[splits["role"] == role]
    return f"{rows['start'].min()} to {rows['end'].max()}" if len(rows) else ""


def chosen_basins(table: pd.DataFrame, metric: str) -> dict[str, int]:
    """Rows of the best, the median and the worst basin by a metric, without repeats."""
    values = table[metric].dropna().sort_values(ascending=False, kind="stable")
    places = {"Best": 0, "Median": (len(values) - 1) // 2, "Worst": len(values) - 1}
    chosen = {name: int(values.index[i]) for name, i in places.items() if len(values)}
    return {
        n: row for i, (n, row) in enumerate(chosen.items()) if row not in [*chosen.values()][:i]
    }


def hydrograph_of(
    basin: str,
    runs: Sequence[Run],
    observed: FlowFile,
    precipitation: FlowFile | None,
    rows: pd.DataFrame,
) -> Hydrograph:
    """Series of one basin over the most telling two years of its test period.

    `runs` are those of the basin's fold (their mean flow is shown), `rows` its test rows.
    """
    _, days, flow = read_observed(observed, rows[rows["basin_id"] == basin])
    obs = flow[0]
    part = telling_window(obs)
    shown = days[part]
    sim = np.mean([run.flow.read([basin], shown)[0] for run in runs], axis=0)
    rain = None if precipitation is None else precipitation.read([basin], shown)[0]
    return Hydrograph(shown, obs[part], sim, rain)


def telling_window(obs: Array, length: int = 730, step: int = 30) -> slice:
    """Days with many observations and much variation, at most `length` of them."""
    starts = range(0, max(obs.size - length, 0) + 1, step)

    def worth(start: int) -> float:
        part = obs[start : start + length]
        values = part[np.isfinite(part)]
        return float(values.std() * values.size) if values.size else 0.0

    best = max(starts, key=worth)
    return slice(best, best + length)


def precipitation_of(store: Path) -> FlowFile | None:
    """Precipitation of the store, if it has any."""
    known = "precipitation" in open_zarr(store)
    return FlowFile(store, "precipitation") if known else None


def coordinates_of(store: Path, basins: Sequence[str]) -> tuple[Array, Array] | None:
    """Longitude and latitude `[B]` of some basins, NaN where unknown; none if not in the store."""
    dataset = open_zarr(store)
    if not {"longitude", "latitude"} <= set(dataset.variables):
        return None
    ids = pd.Index([str(b) for b in dataset["basin"].values])
    rows: npt.NDArray[np.intp] = ids.get_indexer(pd.Index(list(basins)))
    lon, lat = (dataset[n].values.astype(float) for n in ("longitude", "latitude"))
    return np.where(rows < 0, np.nan, lon[rows]), np.where(rows < 0, np.nan, lat[rows])


def attributes_of(store: Path) -> dict[str, Any]:
    """Root attributes of a Zarr store."""
    return dict(open_zarr(store).attrs)
