"""Ways to share out basins among folds: at random, by region, in compact blocks, in groups.

Every function gives the basins of each fold, for `hold_out` or `extremes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dmg.data.basins import match_basins

Folds = list[list[str]]


def random_folds(basins: Sequence[str], num_folds: int, seed: int = 0) -> Folds:
    """Random folds whose sizes differ by one at most, as for prediction in ungauged basins (PUB).

    Raises
    ------
    ValueError
        If there are more folds than basins, or fewer than two.
    """
    _require_number(num_folds, len(basins), "basins")
    shuffled = np.random.default_rng(seed).permutation(len(basins))
    return [[basins[i] for i in sorted(part)] for part in np.array_split(shuffled, num_folds)]


def grouped_folds(groups: Mapping[str, str], num_folds: int, seed: int = 0) -> Folds:
    """Random folds that keep groups together, such as gauges on one river.

    The largest groups are dealt out first, each to the smallest fold; `seed` breaks ties.

    Parameters
    ----------
    groups
        Group of each basin.

    Raises
    ------
    ValueError
        If there are more folds than groups, or fewer than two.
    """
    members: dict[str, list[str]] = {}
    for basin, group in groups.items():
        members.setdefault(group, []).append(basin)
    _require_number(num_folds, len(members), "groups")
    shuffled = np.random.default_rng(seed).permutation(sorted(members)).tolist()
    folds: Folds = [[] for _ in range(num_folds)]
    for group in sorted(shuffled, key=lambda name: -len(members[name])):
        min(folds, key=len).extend(members[group])
    return folds


def regions(values: Mapping[str, object], of_folds: Sequence[Sequence[str]]) -> Folds:
    """Folds by region, as for prediction in ungauged regions (PUR): fold i is the i-th region.

    Parameters
    ----------
    values
        Value of each basin that tells where it lies, such as its hydrologic unit.
    of_folds
        Values of each fold; numbers and text with leading zeros are the same.

    Raises
    ------
    ValueError
        If the value of a basin is in no region.
    """
    fold_of = {_plain(value): i for i, region in enumerate(of_folds) for value in region}
    folds: Folds = [[] for _ in of_folds]
    for basin, value in values.items():
        if _plain(value) not in fold_of:
            raise ValueError(
                f"split: expected a region for every basin, found none for '{value}' of basin"
                f" {basin}; add it to data.split.regions or leave the basin out"
            )
        folds[fold_of[_plain(value)]].append(basin)
    return folds


def spatial_folds(
    basins: Sequence[str], latitude: ArrayLike, longitude: ArrayLike, num_folds: int
) -> Folds:
    """Compact folds: the map is cut in two, along its longer side, until there are enough.

    Basins near a test basin are then mostly held out with it (Roberts et al. 2017,
    doi:10.1111/ecog.02881). Sizes differ by one at most for powers of two, by little otherwise.

    Parameters
    ----------
    basins
        Ids `[B]`.
    latitude, longitude
        Degrees `[B]`.

    Raises
    ------
    ValueError
        If there are more folds than basins, or fewer than two, or if a position is missing.
    """
    _require_number(num_folds, len(basins), "basins")
    lat, lon = (np.asarray(x, dtype=np.float64) for x in (latitude, longitude))
    lost = np.flatnonzero(~np.isfinite(lat + lon))
    if lost.size:
        raise ValueError(
            f"split: expected latitude and longitude of every basin, found none for"
            f" {basins[lost[0]]}; add it to the store or leave the basin out (data.basins)"
        )
    plane = np.stack([lat, lon * np.cos(np.radians(lat.mean()))])  # equal lengths on both axes
    return [[basins[i] for i in np.sort(part)] for part in _cut(plane, num_folds)]


def read_folds(path: str | Path, basins: Sequence[str]) -> Folds:
    """Read published folds (columns `basin_id`, `fold`) and keep these basins in them.

    Folds are numbered in the order of their names; ids that lost leading zeros are matched.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a column is missing or a basin in no fold.
    """
    fold_of = read_groups(path, basins, "fold")
    names = sorted({*fold_of.values()}, key=lambda name: (len(name), name))
    return [[basin for basin in basins if fold_of[basin] == name] for name in names]


def read_groups(path: str | Path, basins: Sequence[str], column: str) -> dict[str, str]:
    """Read a table of `basin_id` and one more column; give its value for each basin."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such table of basins; correct data.split")
    table = pd.read_csv(path, dtype=str, comment="#")
    if missing := [name for name in ("basin_id", column) if name not in table]:
        raise ValueError(f"{path}: expected the columns basin_id and {column}; missing: {missing}")
    ids = match_basins(basins, list(table["basin_id"]), str(path))
    values = dict(zip(table["basin_id"], table[column], strict=True))
    return {basin: values[listed] for basin, listed in zip(basins, ids, strict=True)}


def _cut(plane: NDArray[np.float64], num_parts: int) -> list[NDArray[np.intp]]:
    """Positions of each part of the points `[2, B]`."""
    everything: NDArray[np.intp] = np.arange(plane.shape[1])
    if num_parts == 1:
        return [everything]
    axis = int(np.ptp(plane, axis=1).argmax())
    order = np.argsort(plane[axis], kind="stable")
    left = num_parts // 2
    border = round(len(order) * left / num_parts)
    return [
        half[part]
        for half, number in ((order[:border], left), (order[border:], num_parts - left))
        for part in _cut(plane[:, half], number)
    ]


def _plain(value: object) -> str:
    """Text without leading zeros or a fraction of zero: '01', 1 and 1.0 are one region."""
    text = str(value).strip()
    return text.removesuffix(".0").lstrip("0") or text


def _require_number(num_folds: int, available: int, what: str) -> None:
    if not 2 <= num_folds <= available:
        raise ValueError(
            f"split: expected 2 to {available} folds for {available} {what}, found {num_folds},"
            f" which leaves folds without basins; change num_folds or add basins"
        )
