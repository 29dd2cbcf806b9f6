"""The same basins in different years."""

from __future__ import annotations

from collections.abc import Sequence

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
    shuffled = np.random.default_rng(seed).permutation(len(basins))
    held_out = {basins[i] for i in shuffled[:num_holdout]}
    trained = [basin for basin in basins if basin not in held_out]
    return build(
        [
            (trained, "all", "train", train),
            (trained, "all", "validate", validate),
            (basins, "all", "test", test),
        ]
    )
