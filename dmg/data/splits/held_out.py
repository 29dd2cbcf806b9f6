"""Each fold tests basins that it never saw."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pandas as pd

from dmg.data.splits.table import Period, build, require_basins


def hold_out(
    basins: Sequence[str],
    folds: Sequence[Collection[str]],
    *,
    train: Period,
    test: Period,
    validate: Period | None = None,
) -> pd.DataFrame:
    """Split by basins: fold i tests the basins `folds[i - 1]` and trains on all others.

    As no basin is both trained on and tested in a fold, the periods may be the same.

    Parameters
    ----------
    basins
        Basin ids, in the order of the experiment.
    folds
        Basins that each fold holds out, every basin in exactly one.
    train, validate, test
        Days of each role.

    Raises
    ------
    ValueError
        If a basin is in no fold or in two, if a fold has no basins to train on or to test, or if
        roles of a basin overlap in time.
    """
    require_folds(basins, folds)
    parts: list[tuple[list[str], str, str, Period | None]] = []
    for number, held in enumerate(folds, start=1):
        fold, tested = fold_name(number), set(held)
        trained = [basin for basin in basins if basin not in tested]
        parts += [
            (trained, fold, "train", train),
            (trained, fold, "validate", validate),
            ([basin for basin in basins if basin in tested], fold, "test", test),
        ]
    return build(parts)


def fold_name(number: int) -> str:
    """Name of the n-th fold, from 1 on."""
    return f"fold{number:02d}"


def require_folds(basins: Sequence[str], folds: Sequence[Collection[str]]) -> None:
    """Raise `ValueError` unless the folds share out the basins, each leaving some to train on."""
    require_basins(basins)
    members = [basin for fold in folds for basin in fold]
    if lost := sorted(set(basins) - set(members)):
        raise ValueError(
            f"split: expected every basin in one fold, found {_some(lost)} in none; add them to"
            " the folds or leave them out of data.basins"
        )
    if len(members) > len(set(members)):
        twice = sorted({basin for basin in members if members.count(basin) > 1})
        raise ValueError(
            f"split: expected every basin in one fold, found {_some(twice)} in several; keep one"
        )
    for number, fold in enumerate(folds, start=1):
        if not fold or len(fold) == len(basins):
            found = "none" if not fold else f"all {len(basins)}"
            raise ValueError(
                f"split: {fold_name(number)}: expected basins to test and others to train on, found"
                f" {found} to test; change the folds or add basins"
            )


def _some(basins: Sequence[str]) -> str:
    more = f" and {len(basins) - 3} more" if len(basins) > 3 else ""
    return ", ".join(basins[:3]) + more
