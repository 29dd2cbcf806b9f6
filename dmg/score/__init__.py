"""Scores from files only: any model's predictions against the observed flow.

`score` writes one row per basin, fold and seed (and the seed ensemble), and beside it signatures
and annual peaks; `summarise` one row per metric, `write_groups` one per class of basins. Series are
matched by basin id and date, never by position.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dmg.score.basins import MIN_DAYS, score_block, untested
from dmg.score.comparison import compare
from dmg.score.files import FlowFile, read_scores, read_splits, write_table
from dmg.score.groups import write_groups
from dmg.score.peaks import peaks_of
from dmg.score.series import ENSEMBLE, Block, blocks, read_observed
from dmg.score.signatures import signatures_of
from dmg.score.summary import headline, summarise, summary_of

Maker = Callable[[Block], pd.DataFrame]
"""Gives the rows of a block, with `basin_id`."""


@dataclass(frozen=True)
class Details:
    """Tables beside the scores, and what they are made of.

    Attributes
    ----------
    peaks
        Table of annual peaks to write, see `dmg.score.peaks`.
    signatures
        Table of signatures to write, see `dmg.score.signatures`.
    return_periods
        Return periods of annual peaks: basin_id, water_year, return_period [years].
    precipitation
        Precipitation of the basins, for two of the signatures.
    """

    peaks: Path
    signatures: Path
    return_periods: pd.DataFrame
    precipitation: FlowFile | None

    def peaks_of(self, b: Block) -> pd.DataFrame:
        """Rows of a block in the table of peaks."""
        return peaks_of(b.basins, b.days, b.sim, b.obs, self.return_periods)

    def signatures_of(self, b: Block) -> pd.DataFrame:
        """Rows of a block in the table of signatures."""
        source = self.precipitation
        rain = None if source is None else source.read(b.basins, b.days)
        return signatures_of(b.basins, b.days, b.sim, b.obs, rain)


def score(
    predictions: Sequence[Path],
    preprocess: Path,
    out: Path,
    *,
    metrics: Sequence[str],
    model: str,
    role: str = "test",
    min_days: int = MIN_DAYS,
    block_basins: int = 64,
    details: Details | None = None,
) -> None:
    """Score runs and, with two seeds or more, the mean of their simulated flows.

    Parameters
    ----------
    predictions
        Stores `<fold>/<seed>/predictions.zarr` with `streamflow` [mm d-1].
    preprocess
        Folder with the observed flow (`derived.zarr`) and `splits.csv`.
    out
        Table of scores to write: see `scores_of`.
    metrics
        Keys of `dmg.metrics.METRICS`.
    model
        Name of the model, for the tables.
    role
        Which basins and days of `splits.csv` are scored.
    min_days
        Observed days below which a basin's metrics are undefined.
    block_basins
        Basins in memory at once.
    details
        Tables of single years and of signatures to write as well.
    """
    makers: dict[Path, Maker] = {out: _scores(metrics, min_days)}
    if details is not None:
        makers |= {details.peaks: details.peaks_of, details.signatures: details.signatures_of}
    tables = _collect(blocks(predictions, preprocess, role, block_basins), makers)
    tables[out] = _with_untested(tables[out], preprocess, role)
    for path, table in tables.items():
        write_table(_labelled(table, role, model), path)


def scores_of(
    predictions: Sequence[Path],
    preprocess: Path,
    *,
    metrics: Sequence[str],
    model: str,
    role: str = "test",
    min_days: int = MIN_DAYS,
    block_basins: int = 64,
) -> pd.DataFrame:
    """Score runs and, with two seeds or more, the mean of their simulated flows: see `score`.

    Returns
    -------
    DataFrame
        basin_id, fold, seed, period, model, a column per metric, reason. A basin of the split that
        is tested in no fold has a row that says so.
    """
    out = Path()
    makers = {out: _scores(metrics, min_days)}
    tables = _collect(blocks(predictions, preprocess, role, block_basins), makers)
    return _labelled(_with_untested(tables[out], preprocess, role), role, model)


def _scores(metrics: Sequence[str], min_days: int) -> Maker:
    def scores_of_block(b: Block) -> pd.DataFrame:
        table = score_block(b.sim, b.obs, metrics, min_days)
        table.insert(0, "basin_id", b.basins)
        return table

    return scores_of_block


def _collect(parts: Iterable[Block], makers: Mapping[Path, Maker]) -> dict[Path, pd.DataFrame]:
    """Tables of all blocks, fold by fold and seed by seed, basins in the order of the split."""
    found: dict[Path, dict[tuple[str, str], list[pd.DataFrame]]] = {key: {} for key in makers}
    for block in parts:
        for key, make in makers.items():
            table = make(block)
            table.insert(1, "fold", block.fold)
            table.insert(2, "seed", block.seed)
            found[key].setdefault((block.fold, block.seed), []).append(table)
    return {
        key: pd.concat([table for tables in of_runs.values() for table in tables])
        for key, of_runs in found.items()
    }


def _with_untested(table: pd.DataFrame, preprocess: Path, role: str) -> pd.DataFrame:
    """Add a row for each seed and basin that the split never tests."""
    folds = list(dict.fromkeys(table["fold"]))
    rows = untested(read_splits(preprocess / "splits.csv"), role, folds)
    if rows.empty:
        return table
    seeds = dict.fromkeys(table["seed"])
    return pd.concat([table, *(rows.assign(seed=seed) for seed in seeds)])


def _labelled(table: pd.DataFrame, role: str, model: str) -> pd.DataFrame:
    table.insert(3, "period", role)
    table.insert(4, "model", model)
    return table.reset_index(drop=True)


__all__ = [
    "ENSEMBLE",
    "Details",
    "compare",
    "headline",
    "read_observed",
    "read_scores",
    "score",
    "score_block",
    "scores_of",
    "summarise",
    "summary_of",
    "write_groups",
    "write_table",
]
