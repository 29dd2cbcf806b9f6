"""What publications conclude, checked on the scores at hand: one series better than another.

Both are scored on the same basins, or annual peaks; the interval of the difference of their medians
is a paired bootstrap. A conclusion holds, or does not, where that interval leaves out zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

import pandas as pd

from dmg.benchmark.outcomes import Outcome
from dmg.benchmark.published import read_published
from dmg.benchmark.rows import Sources, missing_of, outcomes_of
from dmg.config import Benchmark, Conclusion
from dmg.metrics import METRICS
from dmg.metrics.significance import Comparison, compare_medians
from dmg.score import ENSEMBLE, headline

HOLDS, FAILS, OPEN, NOT_RUN = "holds", "does not hold", "cannot be told", "not run"
Of = Literal["seeds", "ensemble"]
PEAK = ["basin_id", "water_year"]


class Side(NamedTuple):
    """One of two compared series."""

    label: str
    values: pd.Series[float] | None  # by basin or peak; none: not run
    reduced: bool
    published: float  # median, NaN if there is none


class Checked(NamedTuple):
    """A conclusion for one pair of series."""

    id: str
    conclusion: Conclusion
    better: Side  # the one that is said to be better
    other: Side
    comparison: Comparison | None  # none: not run
    verdict: str


def check(ids: Iterable[str], sources: Sources) -> list[Checked]:
    """Check the conclusions of some benchmarks: the pairs that were run, or that none was."""
    return [
        checked
        for id_ in ids
        for conclusion in sources.catalogue.benchmarks[id_].conclusions
        for checked in _of_pairs(id_, conclusion, sources)
    ]


def _of_pairs(id_: str, conclusion: Conclusion, sources: Sources) -> Iterator[Checked]:
    checked = [_check(id_, conclusion, pair, sources) for pair in conclusion.pairs]
    yield from [each for each in checked if each.comparison is not None] or checked[:1]


def _check(id_: str, conclusion: Conclusion, pair: tuple[str, str], sources: Sources) -> Checked:
    alone = pair[0] == pair[1]  # the ensemble of a series over its seeds, and those
    forms: tuple[Of | None, ...] = ("ensemble", "seeds") if alone else (None, None)
    better, other = (
        _side(id_, name, of, conclusion, sources) for name, of in zip(pair, forms, strict=True)
    )
    if better.values is None or other.values is None:
        return Checked(id_, conclusion, better, other, None, NOT_RUN)
    both = pd.concat([better.values, other.values], axis=1, join="inner")
    comparison = compare_medians(both.iloc[:, 0], both.iloc[:, 1])
    return Checked(id_, conclusion, better, other, comparison, _verdict(conclusion, comparison))


def _verdict(conclusion: Conclusion, comparison: Comparison) -> str:
    metric = METRICS.get(conclusion.metric)
    low, high = comparison.low, comparison.high
    if metric is None or metric.perfect == 0:  # the smaller, the better
        low, high = -high, -low
    return HOLDS if low > 0 else FAILS if high < 0 else OPEN


def _side(id_: str, name: str, of: Of | None, conclusion: Conclusion, sources: Sources) -> Side:
    place, _, key = name.rpartition(".")
    benchmark = sources.catalogue.benchmarks[place or id_]
    series = benchmark.series[key]
    label = series.label + (f" ({place})" if place else "") + (f", {of}" if of else "")
    published = _median(benchmark, key, of, conclusion)
    if series.file is not None:
        return Side(label, _read(series.file, series.column, sources), False, published)
    for _, outcome in outcomes_of(place or id_, key, sources):
        values = _values(outcome, conclusion, of or ("ensemble" if series.ensemble else "seeds"))
        if values is not None:
            lacks = missing_of(place or id_, key, outcome, outcome.num_seeds, sources)
            return Side(label, values, bool(lacks), published)
    return Side(label, None, False, published)


def _median(benchmark: Benchmark, key: str, of: Of | None, conclusion: Conclusion) -> float:
    """Look up the published median of a series; NaN if there is none, or one for each group."""
    wanted = (key, conclusion.metric, "median", "".join(conclusion.groups) or None)
    for row in benchmark.published:
        found = (row.series, row.metric, row.statistic, row.group)
        if found == wanted and of in (None, row.of) and row.value is not None:
            return row.value
    return float("nan")


def _read(file: str, column: str, sources: Sources) -> pd.Series[float] | None:
    try:
        return read_published(sources.data_root, file, column)
    except FileNotFoundError:
        return None


def _values(outcome: Outcome, conclusion: Conclusion, of: Of) -> pd.Series[float] | None:
    """Values by basin or peak: of the mean flow, or the mean over the seeds; none if not scored."""
    table, unit = outcome.scores, ["basin_id"]
    if conclusion.metric == "peak_error":
        table, unit = outcome.peaks, PEAK
        table = table[table["group"].isin(conclusion.groups)] if conclusion.groups else table
    together = table["seed"] == ENSEMBLE
    if table.empty or conclusion.metric not in table or (of == "ensemble" and not together.any()):
        return None
    chosen = headline(table) if of == "ensemble" or together.all() else table[~together]
    return chosen.groupby(unit)[conclusion.metric].mean()
