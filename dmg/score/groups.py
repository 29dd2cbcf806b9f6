"""Scores by class of basins: drainage area, region, climate, any attribute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from dmg.metrics import METRICS
from dmg.metrics.significance import median_interval

AREA_EDGES = (1000.0, 5000.0, 10_000.0, 30_000.0, 50_000.0)
"""Classes of drainage area [km2] of Song et al. 2025, doi:10.1029/2024WR038928."""

QUANTILES = (1 / 3, 2 / 3)
"""Borders of the classes of any other number."""

GROUPED_RESAMPLES = 1000


def area_classes(area: npt.ArrayLike) -> list[str]:
    """Name the class of each drainage area [km2]: '0-1k km2', '1k-5k km2', ..., '>50k km2'."""
    names = ["0", *(f"{edge / 1000:g}k" for edge in AREA_EDGES)]
    labels = [f"{a}-{b} km2" for a, b in pairwise(names)]
    values = np.asarray(area, dtype=np.float64)
    return _binned(values, AREA_EDGES, [*labels, f">{names[-1]} km2"])


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


def _binned(
    values: npt.NDArray[np.float64], edges: Sequence[float] | npt.NDArray[np.float64],
    labels: Sequence[str],
) -> list[str]:  # fmt: skip
    places = np.searchsorted(edges, values)
    known = np.isfinite(values)
    return [labels[i] if valid else "unknown" for i, valid in zip(places, known, strict=True)]
