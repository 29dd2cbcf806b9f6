"""Ensembles of experiments: other models, other forcings, the same basins and days.

A member is an experiment: the mean flow of its seeds. The ensemble is the mean of its members'
flows, each of the same weight. Basins and days are matched by name and date; in which folds the
members test a basin may differ.

Shape legend: T time, B basins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from dmg.data.basins import match_basins
from dmg.score.basins import score_block
from dmg.score.files import Array, FlowFile, Run, open_runs, read_splits, rows_of, write_table
from dmg.score.series import ENSEMBLE, basin_blocks, read_observed
from dmg.score.summary import summary_of

BLOCK_BASINS = 64
TOLERANCE = 1e-3
"""Relative difference of the observed flow of two members that is rounding [1]."""


class Member(NamedTuple):
    """An experiment: its predictions, its observed flow, and when it tests each basin."""

    name: str
    runs: list[Run]
    observed: FlowFile
    rows: pd.DataFrame  # basin_id, fold, start, end; a basin may have several periods
    tested: pd.DataFrame  # by basin_id: fold, and all periods as text


def score_ensemble(
    predictions: Sequence[Path],
    out: Path,
    summary: Path,
    *,
    metrics: Sequence[str],
    basins: Sequence[str] | None = None,
    role: str = "test",
) -> None:
    """Score members and their ensemble.

    Parameters
    ----------
    predictions
        Stores `<member>/<fold>/<seed>/predictions.zarr` of all members, two at least, beside
        `<member>/preprocess`.
    out
        Table to write, with the columns of `scores.csv`; `model` is a member or "ensemble".
    summary
        Table of medians and quartiles to write, a row per model and metric.
    metrics
        Keys of `dmg.metrics.METRICS`.
    basins
        Basins to score; none: those of the members, which must be the same.
    role
        Which basins and days of the members' `splits.csv` are scored.

    Raises
    ------
    ValueError
        If members do not test the same basins on the same days, or know another observed flow.
    """
    members = _open(predictions, role)
    rows = _shared(members, basins)
    blocks = [
        block
        for _, part in rows.groupby([m.name for m in members], sort=False)
        for block in basin_blocks(part, BLOCK_BASINS)
    ]
    tables = [table for block in blocks for table in _score(members, block, metrics)]
    names = [*(m.name for m in members), ENSEMBLE]
    table = pd.concat(tables).sort_values(
        "model", key=lambda column: column.map(names.index), kind="stable", ignore_index=True
    )
    table.insert(3, "period", role)
    write_table(table, out)
    parts = {name: summary_of(part) for name, part in table.groupby("model", sort=False)}
    write_table(pd.concat(parts, names=["model"]).reset_index("model"), summary)


def _open(predictions: Sequence[Path], role: str) -> list[Member]:
    """Open members in the order of their first prediction."""
    by_member: dict[Path, list[Path]] = {}
    for path in predictions:
        by_member.setdefault(path.parents[2], []).append(path)
    if len(by_member) < 2:
        raise ValueError(
            f"expected predictions of two experiments or more, found {len(by_member)}; name their"
            " stores, <experiment>/<fold>/<seed>/predictions.zarr"
        )
    members = []
    for folder, paths in by_member.items():
        runs = open_runs(paths)
        splits = read_splits(folder / "preprocess/splits.csv")
        rows = pd.concat([rows_of(splits, f, role) for f in dict.fromkeys(r.fold for r in runs)])
        observed = FlowFile(folder / "preprocess/derived.zarr")
        members.append(Member(folder.name, runs, observed, rows, _tested(rows)))
    return members


def _tested(rows: pd.DataFrame) -> pd.DataFrame:
    """Fold and periods by basin."""
    rows = rows.sort_values("start", kind="stable").assign(days=rows["start"] + ".." + rows["end"])
    by_basin = rows.groupby("basin_id", sort=False)
    return by_basin.agg(fold=("fold", "first"), days=("days", ", ".join)).sort_index()


def _shared(members: Sequence[Member], wanted: Sequence[str] | None) -> pd.DataFrame:
    """Rows that all members test: basin_id, start, end, and the fold of each member by its name."""
    first = members[0]
    known = [str(basin) for basin in first.tested.index]
    basins = pd.Index(known if wanted is None else match_basins(wanted, known, "basins"))
    for member in members:
        _check_basins(member, basins, first.name, exactly=wanted is None)
        ours, theirs = (m.tested.loc[basins, "days"] for m in (member, first))
        for basin in basins[ours != theirs]:
            raise ValueError(
                f"ensemble: expected the same test days in all members, found {ours[basin]} in"
                f" {member.name} and {theirs[basin]} in {first.name} (basin {basin}); give them"
                " the same data.split"
            )
    rows = first.rows[first.rows["basin_id"].isin(basins)]
    folds = {m.name: rows["basin_id"].map(m.tested["fold"]) for m in members}
    return rows[["basin_id", "start", "end"]].assign(**folds)


def _check_basins(member: Member, basins: pd.Index, first: str, exactly: bool) -> None:
    missing = basins.difference(member.tested.index)
    if len(missing):
        raise ValueError(
            f"ensemble: expected every basin in all members, but {member.name} does not test"
            f" {missing[0]} ({len(missing)} in all); name the basins that all have (basins)"
        )
    more = member.tested.index.difference(basins)
    if exactly and len(more):
        raise ValueError(
            f"ensemble: expected every basin in all members, but {first} does not test {more[0]}"
            f" ({len(more)} in all), as {member.name} does; name the basins that all have (basins)"
        )


def _score(
    members: Sequence[Member], rows: pd.DataFrame, metrics: Sequence[str]
) -> Iterator[pd.DataFrame]:
    """Yield the tables of all members and of their ensemble, for basins of the same folds."""
    first = members[0]
    basins, days, obs = read_observed(first.observed, rows)
    total = np.zeros_like(obs)
    for member in members:
        _check_observed(member, first, basins, days, obs)
        runs = [run for run in member.runs if run.fold == rows[member.name].iloc[0]]
        sim = np.mean([run.flow.read(basins, days) for run in runs], axis=0)
        total += sim
        seed = ENSEMBLE if len(runs) > 1 else runs[0].seed
        yield _table(sim, obs, metrics, basins, rows[member.name].iloc[0], seed, member.name)
    mean = total / len(members)
    yield _table(mean, obs, metrics, basins, rows[first.name].iloc[0], ENSEMBLE, ENSEMBLE)


def _table(
    sim: Array,
    obs: Array,
    metrics: Sequence[str],
    basins: list[str],
    fold: str,
    seed: str,
    model: str,
) -> pd.DataFrame:
    table = score_block(sim, obs, metrics)
    table.insert(0, "basin_id", basins)
    table.insert(1, "fold", fold)
    table.insert(2, "seed", seed)
    table.insert(3, "model", model)
    return table


def _check_observed(
    member: Member, first: Member, basins: list[str], days: pd.DatetimeIndex, obs: Array
) -> None:
    """Refuse members that were given another observed flow."""
    if member is first:
        return
    other = np.where(np.isnan(obs), np.nan, member.observed.read(basins, days))
    same = np.isclose(other, obs, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    if not same.all():
        row, day = np.argwhere(~same)[0]
        raise ValueError(
            f"ensemble: expected the same observed flow in all members, found {obs[row, day]:g} in"
            f" {first.name} and {other[row, day]:g} mm d-1 in {member.name} (basin {basins[row]},"
            f" {days[day]:%Y-%m-%d}); extract them from the same gauges"
        )
