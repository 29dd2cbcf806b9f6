"""Scores by drainage area, in the classes that the national δHBV 2.0 was published with.

Song et al. 2025, 10.1029/2024WR038928: routing on the network tells from about 10,000 km2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dmg.metrics import METRICS

EDGES = (1_000.0, 5_000.0, 10_000.0, 30_000.0, 50_000.0)  # [km2]
CLASSES = ("0-1k", "1-5k", "5-10k", "10-30k", "30-50k", ">50k")


def area_classes(area: ArrayLike) -> list[str]:
    """Name the class of each drainage area [km2] `[B]`; empty where it is unknown.

    A class holds its upper edge: 1000 km2 is the last of 0-1k.
    """
    values = np.asarray(area, np.float64)
    at = np.searchsorted(EDGES, values, side="left")
    return ["" if np.isnan(value) else CLASSES[i] for value, i in zip(values, at, strict=True)]


def by_group(
    table: pd.DataFrame, labels: Sequence[str], order: Sequence[str] | None = None
) -> pd.DataFrame:
    """Summarise scores in groups of basins.

    Parameters
    ----------
    table
        A row per basin and a column per metric, others are ignored.
    labels
        Group of each row; rows with an empty one are left out.
    order
        Groups in the order wanted; default: sorted. Empty groups are left out.

    Returns
    -------
    DataFrame
        A row per group and metric: group, metric, median, q25, q75, basins, failed (undefined).
    """
    names = [name for name in table.columns if name in METRICS]
    groups = table[names].astype(float).groupby(np.asarray(labels, dtype=object))
    there = [g for g in (order or sorted(set(labels))) if g and g in groups.groups]
    rows = [
        {
            "group": group,
            "metric": name,
            "median": values.median(),
            "q25": values.quantile(0.25),
            "q75": values.quantile(0.75),
            "basins": len(values),
            "failed": int(values.isna().sum()),
        }
        for group in there
        for name, values in groups.get_group(group).items()
    ]
    columns = ["group", "metric", "median", "q25", "q75", "basins", "failed"]
    return pd.DataFrame(rows, columns=columns)


def by_area(table: pd.DataFrame, area: ArrayLike) -> pd.DataFrame:
    """Summarise scores in the classes of drainage area [km2], a value per row of `table`."""
    return by_group(table, area_classes(area), CLASSES)
