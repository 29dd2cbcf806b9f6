"""Train on common water years, test on rare floods that were never seen.

Frame et al. 2022, doi:10.5194/hess-26-3377-2022, and Song et al. 2025 train on the water years of a
basin whose annual peak returns within five years and test on the others. The forcing of all years
is simulated through, so that stores are right when a year begins; only the flow of other years is
kept from the loss.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from dmg.data.splits.held_out import fold_name, require_folds
from dmg.data.splits.table import Period, build, require_basins
from dmg.data.water_years import runs, whole_years

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rule:
    """Which water years are common and which are rare.

    Attributes
    ----------
    threshold
        Longest return period of a year that is trained on [years].
    test_threshold
        Return period that a tested year exceeds [years].
    tested
        "above": the years above the threshold; "all": every year of the test period.
    gap_years
        Years beside a rare one that are not trained on either.
    max_years
        Largest number of training years of a basin, its first ones; none: all.
    """

    threshold: float = 5.0
    test_threshold: float = 5.0
    tested: Literal["above", "all"] = "above"
    gap_years: int = 0
    max_years: int | None = None

    def years_of(
        self, periods: dict[int, float], train: range, test: range
    ) -> tuple[list[int], list[int]]:
        """Training and test years of a basin from the return period of each water year."""
        rare = [y for y in test if periods.get(y, 0.0) > self.test_threshold]
        tested = [y for y in test if y in periods] if self.tested == "all" else rare
        near = {y + i for y in rare for i in range(-self.gap_years, self.gap_years + 1)}
        common = [y for y in train if y in periods and periods[y] <= self.threshold]
        kept = [y for y in common if y not in near]
        return kept[: self.max_years], tested


def extremes(
    basins: Sequence[str],
    return_periods: pd.DataFrame,
    *,
    train: Period,
    test: Period,
    validate: Period | None = None,
    rule: Rule | None = None,
    folds: Sequence[Collection[str]] | None = None,
) -> pd.DataFrame:
    """Split by the return period of the annual peak, in time or, with folds, also in space.

    Parameters
    ----------
    basins
        Basin ids, in the order of the experiment.
    return_periods
        Columns `basin_id`, `water_year`, `return_period` [years]; years that are not in it, or
        unknown, are in no role.
    train, test
        Periods whose whole water years are candidates; they may be the same.
    validate
        Period whose common water years choose the best epoch; apart from `train`.
    rule
        Which years are common and which are rare; none: at most five years, and above.
    folds
        Basins that each fold holds out; none: one fold, "all", that tests the basins it trains on.

    Raises
    ------
    ValueError
        If a basin has no return period, if a fold has no years to train on or to test, or if roles
        of a basin overlap in time.
    """
    require_basins(basins)
    rule = rule or Rule()
    known = _by_basin(basins, return_periods)
    years = {b: rule.years_of(known[b], whole_years(train), whole_years(test)) for b in basins}
    common = {b: _common(known[b], validate, rule.threshold) for b in basins}
    _report(basins, known, years, train, test)
    if folds is not None:
        require_folds(basins, folds)
    parts: list[tuple[list[str], str, str, Period | None]] = []
    for number, held in enumerate(folds if folds is not None else [()], start=1):
        fold = "all" if folds is None else fold_name(number)
        trained = [b for b in basins if b not in set(held)]
        tested = basins if folds is None else [b for b in basins if b in set(held)]
        rows = [([b], fold, "train", p) for b in trained for p in runs(years[b][0])]
        rows_test = [([b], fold, "test", p) for b in tested for p in runs(years[b][1])]
        _require_years(fold, rows, rows_test, rule)
        parts += [*rows, *(([b], fold, "validate", p) for b in trained for p in common[b])]
        parts += rows_test
    return build(parts)


def _by_basin(basins: Sequence[str], table: pd.DataFrame) -> dict[str, dict[int, float]]:
    """Return period of each water year where it is known."""
    table = table.dropna(subset="return_period")
    known: dict[str, dict[int, float]] = {basin: {} for basin in basins}
    columns = (table[name] for name in ("basin_id", "water_year", "return_period"))
    for basin, year, period in zip(*columns, strict=True):
        if basin in known:
            known[basin][int(year)] = float(period)
    lost = [basin for basin in basins if not known[basin]]
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        raise ValueError(
            f"split: extremes: expected return periods of every basin, found none for {lost[0]}"
            f"{more}; leave them out (data.basins) or give another data.return_periods"
        )
    return known


def _common(periods: dict[int, float], validate: Period | None, threshold: float) -> list[Period]:
    if validate is None:
        return []
    return runs(y for y in whole_years(validate) if periods.get(y, float("inf")) <= threshold)


def _report(
    basins: Sequence[str],
    known: dict[str, dict[int, float]],
    years: dict[str, tuple[list[int], list[int]]],
    train: Period,
    test: Period,
) -> None:
    """Log what the split leaves out: nothing goes unsaid."""
    candidates = {*whole_years(train), *whole_years(test)}
    unknown = sum(len(candidates - set(known[basin])) for basin in basins)
    untested = [basin for basin in basins if not years[basin][1]]
    untrained = [basin for basin in basins if not years[basin][0]]
    logger.info(
        "extremes: %d water years to train on, %d to test; %d without a return period; %d basins"
        " without a year to test, %d without one to train on",
        *(sum(len(years[basin][i]) for basin in basins) for i in (0, 1)),
        unknown, len(untested), len(untrained),
    )  # fmt: skip


def _require_years(fold: str, train: Sequence[object], test: Sequence[object], rule: Rule) -> None:
    for rows, what in ((train, "train on"), (test, "test")):
        if not rows:
            raise ValueError(
                f"split: {fold}: expected water years to {what}, found none with a threshold of"
                f" {rule.threshold:g} years; change data.split or add basins"
            )
