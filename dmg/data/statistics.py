"""Statistics of the training part of a fold: what a normaliser and a loss need to know.

Only training basins and training days enter. Each span (a basin, a range of days) is reduced to
its count, mean and sum of squared deviations, which are pooled exactly (Chan et al. 1983,
doi:10.1080/00031305.1983.10483115), plus the values themselves for the percentiles. These are
kept up to `MAX_VALUES` per variable and every n-th day beyond, so that memory stays bounded while
percentiles are exact for every published benchmark.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dmg.files import atomic

STD_MIN = 1e-3
"""Smallest standard deviation: a constant must not be divided by zero."""

MAX_VALUES = 10_000_000
"""Values of one variable kept for the percentiles, 40 MB; 671 basins x 15 years are 3.7 million."""


@dataclass(frozen=True)
class Sample:
    """One variable in one span of days."""

    count: int  # valid days
    mean: float
    squares: float  # sum of squared deviations from the mean
    values: NDArray[np.float32]  # every n-th day, for the percentiles


def summarise(series: NDArray[Any], stride: int = 1) -> Sample:
    """Reduce the days `[T]` of one span; missing days are left out."""
    valid = series[np.isfinite(series)].astype(np.float64)
    kept = series[::stride].astype(np.float32)
    kept = kept[np.isfinite(kept)]
    if not len(valid):
        return Sample(0, 0.0, 0.0, kept)
    mean = float(valid.mean())
    return Sample(len(valid), mean, float(np.square(valid - mean).sum()), kept)


def merge(samples: Sequence[Sample]) -> Sample:
    """One sample of several spans of a basin, such as its training years."""
    if len(samples) == 1:
        return samples[0]
    count = np.array([s.count for s in samples])
    means = np.array([s.mean for s in samples])
    values = np.concatenate([s.values for s in samples])
    total = int(count.sum())
    if not total:
        return Sample(0, 0.0, 0.0, values)
    mean = float((count * means).sum() / total)
    return Sample(total, mean, _pooled_squares(samples, mean), values)


def stride_for(num_values: int) -> int:
    """Days from one value kept for the percentiles to the next."""
    return max(1, -(-num_values // MAX_VALUES))


def log_root(x: NDArray[Any]) -> NDArray[Any]:
    """Compress a skewed, non-negative quantity: `log10(sqrt(x) + 0.1)` (Feng et al. 2020)."""
    return np.asarray(np.log10(np.sqrt(np.maximum(x, 0)) + 0.1))


def pool(samples: Sequence[Sample], name: str) -> dict[str, float]:
    """Mean, standard deviation (of the population), 10th and 90th percentile of all samples.

    Raises
    ------
    ValueError
        If no day of `name` is valid.
    """
    count = np.array([s.count for s in samples])
    means = np.array([s.mean for s in samples])
    total = int(count.sum())
    if not total:
        raise ValueError(
            f"{name}: expected values on the training days, found none; check data.split.train or"
            " remove the variable"
        )
    mean = float((count * means).sum() / total)
    squares = _pooled_squares(samples, mean)
    p10, p90 = np.quantile(np.concatenate([s.values for s in samples]), [0.1, 0.9]).tolist()
    std = max(float(np.sqrt(squares / total)), STD_MIN)
    return {"mean": mean, "std": std, "p10": p10, "p90": p90}


def _pooled_squares(samples: Sequence[Sample], mean: float) -> float:
    """Sum of squared deviations from the mean of all samples."""
    count = np.array([s.count for s in samples])
    means = np.array([s.mean for s in samples])
    between = float((count * np.square(means - mean)).sum())
    return sum(s.squares for s in samples) + between


def target_std(samples: Mapping[str, Sample]) -> dict[str, float]:
    """Return the standard deviation of the target of each training basin [mm d-1].

    Raises
    ------
    ValueError
        If a basin has no valid training day.
    """
    empty = [basin for basin, sample in samples.items() if not sample.count]
    if empty:
        more = f" (and {len(empty) - 1} more)" if len(empty) > 1 else ""
        raise ValueError(
            f"basin {empty[0]}{more}: expected streamflow on the training days, found none; remove"
            " the basin from data.basins or change data.split.train"
        )
    return {b: max(float(np.sqrt(s.squares / s.count)), STD_MIN) for b, s in samples.items()}


def attribute_statistics(
    attributes: pd.DataFrame,
) -> tuple[dict[str, dict[str, float]], dict[str, list[str]]]:
    """Statistics of each attribute over the training basins, once per basin.

    Parameters
    ----------
    attributes
        A row per training basin. Text is coded by its place among its sorted classes.

    Returns
    -------
    statistics, categories
        Statistics by attribute, and the sorted classes of each attribute that is text.
    """
    statistics, categories = {}, {}
    for name, column in attributes.items():
        if not pd.api.types.is_numeric_dtype(column):
            text = column.astype(str)
            categories[str(name)] = sorted(set(text))
            column = text.map(categories[str(name)].index)
        sample = summarise(column.to_numpy(np.float64))
        statistics[str(name)] = pool([sample], f"attribute {name}")
    return statistics, categories


def fold_statistics(
    samples: Mapping[str, Mapping[str, Sample]],
    forcings: Iterable[str],
    target: str,
    attributes: pd.DataFrame,
) -> dict[str, Any]:
    """Collect the statistics of one fold, as `statistics.json` holds them.

    Parameters
    ----------
    samples
        By variable, then by training basin.
    forcings, target
        Variables that a network sees, and the one that is learned.
    attributes
        A row per training basin.
    """
    of_basins = target_std(samples[target])
    of_attributes, categories = attribute_statistics(attributes)
    return {
        "forcings": {f: pool([*samples[f].values()], f"forcing {f}") for f in forcings},
        "attributes": of_attributes,
        "target": pool([*samples[target].values()], target),
        "target_std": of_basins,
        "categories": categories,
    }


def write_statistics(statistics: Mapping[str, Any], path: str | Path) -> None:
    """Write the statistics of all folds as JSON."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(statistics, indent=1) + "\n", encoding="utf-8")


def read_statistics(path: str | Path) -> dict[str, Any]:
    """Read what `write_statistics` wrote, by fold."""
    content: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return content
