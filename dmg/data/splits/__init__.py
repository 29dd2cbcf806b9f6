"""Splits: which basins and days are trained on, validated on and tested on, in each fold.

Every function gives a table as `dmg.data.splits.table` describes it.
"""

from dmg.data.splits.extremes import extremes
from dmg.data.splits.folds import grouped_folds, random_folds, read_folds, regions, spatial_folds
from dmg.data.splits.held_out import hold_out
from dmg.data.splits.table import (
    Period,
    read_splits,
    require_within,
    select,
    write_splits,
)
from dmg.data.splits.temporal import temporal

__all__ = [
    "Period",
    "extremes",
    "grouped_folds",
    "hold_out",
    "random_folds",
    "read_folds",
    "read_splits",
    "regions",
    "require_within",
    "select",
    "spatial_folds",
    "temporal",
    "write_splits",
]
