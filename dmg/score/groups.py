"""Scores by class of basins: drainage area, region, climate, any attribute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from dmg.metrics import METRICS
from dmg.metrics.significance import median_interval
from dmg.score.files import open_zarr, read_scores, write_table
from dmg.score.summary import headline

AREA_EDGES = (1_000.0, 5_000.0, 10_000.0, 30_000.0, 50_000.0)
AREA_CLASSES = ("0-1k km2", "1-5k km2", "5-10k km2", "10-30k km2", "30-50k km2", ">50k km2")
"""Classes of drainage area that the national δHBV 2.0 was published with (Song et al. 2025,
doi:10.1029/2024WR038928): routing on the network tells from about 10,000 km2."""

DEFAULT = ("area", "huc_02", "aridity", "frac_snow")

QUANTILES = (1 / 3, 2 / 3)
"""Borders of the classes of any other number."""

GROUPED_RESAMPLES = 1000


def area_classes(area: npt.ArrayLike) -> list[str]:
    """Name the class of each drainage area [km2] `[B]`, "unknown" where it is NaN.

    A class holds its upper edge: 1000 km2 is the last of 0-1k.
    """
    return _binned(np.asarray(area, dtype=np.float64), AREA_EDGES, AREA_CLASSES)


def attribute_classes(values: pd.Series) -> list[str]:
    """Name the class of each value: text is its own class, numbers are cut into thirds.

    A missing value is in the class 'unknown'.
    """
    if not pd.api.types.is_numeric_dtype(values):
        return [str(v).strip() or "unknown" for v in values]
    numbers = values.to_numpy(np.float64)
    if not np.isfinite(numbers).any():
        return ["unknown"] * len(numbers)
    edges = np.nanquantile(numbers, QUANTILES)
    low, high = (f"{edge:.3g}" for edge in edges)
    return _binned(
        numbers, edges, [f"low (to {low})", f"middle (to {high})", f"high (over {high})"]
    )


def by_class(table: pd.DataFrame, labels: Sequence[str], grouping: str) -> pd.DataFrame:
    """Summarise a table of scores, a row per basin, for each class and metric.

    Parameters
    ----------
    table
        Scores of basins.
    labels
        Class of each row.
    grouping
        What the classes are of.

    Returns
    -------
    DataFrame
        grouping, group, metric, median, q25, q75, low and high (95 % bootstrap interval of the
        median), basins, failed.
    """
    rows = []
    names = [name for name in table.columns if name in METRICS]
    for group, part in table.groupby(np.asarray(labels, dtype=object), sort=False):
        for name in names:
            values = part[name].astype(float)
            interval = median_interval(values.to_numpy(), resamples=GROUPED_RESAMPLES)
            quartiles = values.quantile([0.25, 0.75])
            rows.append(
                (grouping, group, name, interval.median, *quartiles, *interval[1:], len(part),
                 int(values.isna().sum()))
            )  # fmt: skip
    columns = ["grouping", "group", "metric", "median", "q25", "q75", "low", "high", "basins",
               "failed"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def groups_of(table: pd.DataFrame, attributes: Mapping[str, pd.Series]) -> pd.DataFrame:
    """Summarise scores by each attribute, given by basin id; classes in their natural order."""
    parts = []
    for name, column in attributes.items():
        values = column.reindex(table["basin_id"])
        if not pd.api.types.is_numeric_dtype(column):
            values = values.fillna("").astype(str)
        labels = area_classes(values) if name == "area" else attribute_classes(values)
        order = np.argsort(values.to_numpy(), kind="stable")
        parts.append(by_class(table.iloc[order], [labels[i] for i in order], name))
    return pd.concat(parts, ignore_index=True) if parts else by_class(table[:0], [], "")


def write_groups(scores: Path, store: Path, out: Path, names: Sequence[str] | None = None) -> None:
    """Write the headline scores by classes of attributes of a store: see `groups_of`.

    Parameters
    ----------
    scores
        Table as `dmg.score.score` writes it.
    store
        Zarr store with the attributes of the basins.
    out
        Table to write.
    names
        Attributes; none: those of `DEFAULT` that the store has.

    Raises
    ------
    ValueError
        If an attribute is not in the store.
    """
    dataset = open_zarr(store)
    chosen = [n for n in DEFAULT if n in dataset] if names is None else names
    if unknown := [name for name in chosen if name not in dataset]:
        raise ValueError(
            f"evaluate.groups: expected attributes of the store, found {unknown}; choose from those"
            f" in {store}"
        )
    ids = [str(basin) for basin in dataset["basin"].values]
    columns = {name: pd.Series(dataset[name].values, index=ids) for name in chosen}
    write_table(groups_of(headline(read_scores(scores)), columns), out)


def _binned(
    values: npt.NDArray[np.float64], edges: Sequence[float] | npt.NDArray[np.float64],
    labels: Sequence[str],
) -> list[str]:  # fmt: skip
    places = np.searchsorted(edges, values)
    known = np.isfinite(values)
    return [labels[i] if valid else "unknown" for i, valid in zip(places, known, strict=True)]
