"""Two tables of scores on the same basins: which model is better, and how sure that is."""

from __future__ import annotations

import pandas as pd

from dmg.metrics import METRICS
from dmg.metrics.significance import compare_medians


def compare(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Compare two models metric by metric on the basins that both tables have.

    Parameters
    ----------
    first, second
        Tables with a row per basin (`basin_id`) and metrics in columns; matched by id.

    Returns
    -------
    DataFrame
        metric, and the fields of `dmg.metrics.significance.Comparison`.

    Raises
    ------
    ValueError
        If a basin has several rows in a table, or if the tables share no basin or no metric.
    """
    for name, table in (("first", first), ("second", second)):
        twice = table["basin_id"][table["basin_id"].duplicated()]
        if len(twice):
            raise ValueError(
                f"compare: expected one row a basin, found several of {twice.iloc[0]} in the {name}"
                " table; choose a seed or the ensemble"
            )
    shared = [m for m in METRICS if m in first and m in second]
    pair = first.merge(second, on="basin_id", suffixes=("_1", "_2"))
    if pair.empty or not shared:
        what = "basins" if pair.empty else "metrics"
        raise ValueError(f"compare: expected {what} that both tables have, found none in common")
    rows = [(m, *compare_medians(pair[f"{m}_1"], pair[f"{m}_2"])) for m in shared]
    columns = ["metric", "basins", "first", "second", "difference", "low", "high", "better",
               "p_value"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)
