"""The same basins in different years."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from dmg.data.splits.table import Period, build, require_basins


def temporal(
    basins: Sequence[str],
    *,
    train: Period,
    test: Period,
    validate: Period | None = None,
    frac_holdout: float = 0.0,
    seed: int = 0,
    groups: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Split by time: one fold, "all", with the same basins in different years.

    Parameters
    ----------
    basins
        Basin ids, in the order of the experiment.
    train, validate, test
        Days of each role.
    frac_holdout
        Fraction of the basins, at least one unless 0, that is drawn with `seed` and only tested.
    groups
        Group of each basin, such as gauges on one river, which are held out all or none; as many
        basins as the fraction says, or a few less. None: each basin on its own.

    Raises
    ------
    ValueError
        If no basin is left to train on, or if roles of a basin overlap in time.
    """
    require_basins(basins)
    num_holdout = max(1, round(frac_holdout * len(basins))) if frac_holdout else 0
    if num_holdout == len(basins):
        raise ValueError(
            f"split: expected basins to train on, found all {len(basins)} held out; lower"
            f" frac_holdout ({frac_holdout}) or add basins"
        )
    if groups is None:
        shuffled = np.random.default_rng(seed).permutation(len(basins))
        held_out = {basins[i] for i in shuffled[:num_holdout]}
    else:
        held_out = _whole_groups(basins, groups, num_holdout, seed)
    trained = [basin for basin in basins if basin not in held_out]
    return build(
        [
            (trained, "all", "train", train),
            (trained, "all", "validate", validate),
            (basins, "all", "test", test),
        ]
    )


def _whole_groups(
    basins: Sequence[str], groups: Mapping[str, str], num_holdout: int, seed: int
) -> set[str]:
    """Draw groups while they fit into the number of basins; the order of basins has no effect."""
    members: dict[str, list[str]] = {}
    for basin in sorted(basins):
        members.setdefault(groups[basin], []).append(basin)
    drawn = np.random.default_rng(seed).permutation(len(members))
    names = sorted(members)
    shuffled: list[list[str]] = [members[names[i]] for i in drawn]
    chosen: set[str] = set()
    for group in shuffled:
        if len(chosen) + len(group) <= num_holdout:
            chosen.update(group)
    if num_holdout and not chosen:
        chosen.update(sorted(shuffled, key=len)[0])
    if len(chosen) == len(basins):
        raise ValueError(
            f"split: expected groups to train on, found all {len(basins)} basins in one;"
            " set frac_holdout to 0 or add basins of other rivers"
        )
    return chosen
