"""What is wrong with the tables of a river network: one line each, with the ids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dmg.data.network.graph import Index, on_cycles

SHOWN = 5  # ids in a line


@dataclass
class Problems:
    """Outcome of a check.

    Attributes
    ----------
    errors
        No network can be made of these tables until they are mended.
    notes
        Worth knowing; the network is made without what they name, or as it is.
    """

    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def refuse(self) -> None:
        """Raise a ValueError with the first error, if there is one."""
        if self.errors:
            others = len(self.errors) - 1
            more = f" ({others} more: see `dmg data network`)" if others else ""
            raise ValueError(self.errors[0] + more)


def find_problems(reaches: pd.DataFrame, units: pd.DataFrame, gauges: pd.DataFrame) -> Problems:
    """Look for everything that can be wrong with a network; see `Tables` for the columns."""
    found = Problems()
    known = pd.Index(reaches["reach_id"]).drop_duplicates()
    ahead, fed, gauged = (
        known.get_indexer(pd.Index(ids))
        for ids in (reaches["downstream_id"], units["reach_id"], gauges["reach_id"])
    )
    found.errors += _duplicates(reaches, "reach")
    found.errors += _duplicates(units, "unit")
    found.errors += _duplicates(gauges, "gauge")
    found.errors += _unknown(reaches, "reach", "downstream_id", ahead)
    found.errors += _unknown(units, "unit", "reach_id", fed)
    if not found.errors:
        found.errors += _cycles(reaches, ahead)
    found.errors += _bad_numbers(reaches, units)
    found.notes += _odd_numbers(reaches, units)
    found.notes += _off_the_network(units, fed, gauges["gauge_id"][gauged < 0])
    if len(units):
        found.notes += _without_units(known, fed)
    return found


def contradictions(stated: pd.DataFrame, linked: pd.DataFrame) -> list[str]:
    """Links `a -> b` (columns reach_id, downstream_id) that stand in one of two tables alone."""
    both = stated.merge(linked, how="outer", on=["reach_id", "downstream_id"], indicator=True)
    odd = both[both["_merge"] != "both"]
    return (odd["reach_id"].astype(str) + " -> " + odd["downstream_id"].astype(str)).tolist()


def _duplicates(table: pd.DataFrame, kind: str) -> Iterator[str]:
    ids = table[f"{kind}_id"]
    yield from listed(
        ids[ids.duplicated()].drop_duplicates(), f"{kind} ids that occur twice", "give each its own"
    )


def _unknown(table: pd.DataFrame, kind: str, column: str, at: Index) -> Iterator[str]:
    lost = table[at < 0]
    lost = lost[lost[column] != ""]
    pairs = lost[f"{kind}_id"] + " -> " + lost[column]
    who = "reaches whose reach downstream" if kind == "reach" else "units whose reach"
    yield from listed(pairs, f"{who} is not in the table", "add that reach, or name none")


def _cycles(reaches: pd.DataFrame, ahead: Index) -> Iterator[str]:
    yield from listed(
        reaches["reach_id"].iloc[on_cycles(np.asarray(ahead, np.int64))],
        "reaches that flow in a circle",
        "let one of them leave it",
    )


def _bad_numbers(reaches: pd.DataFrame, units: pd.DataFrame) -> Iterator[str]:
    length, area = _numbers(reaches, "length"), _numbers(units, "area")
    do = "mend them at the source"
    yield from listed(reaches["reach_id"][length < 0], "reaches of negative length", do)
    yield from listed(units["unit_id"][~(area >= 0)], "units of negative or unknown area", do)


def _odd_numbers(reaches: pd.DataFrame, units: pd.DataFrame) -> Iterator[str]:
    length, slope = _numbers(reaches, "length"), _numbers(reaches, "slope")
    area = _numbers(units, "area")
    yield from listed(units["unit_id"][area == 0], "units of zero area", "they are left out")
    yield from listed(
        reaches["reach_id"][length == 0], "reaches of zero length", "they delay nothing"
    )
    yield from listed(
        reaches["reach_id"][slope <= 0], "reaches that do not fall", "routing takes its least slope"
    )
    yield from listed(
        reaches["reach_id"][np.isnan(length) | np.isnan(slope)],
        "reaches of unknown length or slope",
        "no channel routing on them",
    )


def _off_the_network(units: pd.DataFrame, fed: Index, gauges: pd.Series[Any]) -> Iterator[str]:
    off = units["unit_id"][fed < 0]
    yield from listed(off, "units off the network", "their runoff reaches no gauge")
    yield from listed(gauges, "gauges off the network", "they are left out")


def _without_units(known: pd.Index, fed: Index) -> list[str]:
    alone = np.bincount(fed[fed >= 0], minlength=len(known)) == 0
    do = "they only carry what comes from upstream"
    return listed(known[alone].to_series(), "reaches without a unit of their own", do)


def listed(ids: pd.Series[Any], what: str, do: str) -> list[str]:
    """One line with the number of ids and the first of them; none if there are none."""
    if not len(ids):
        return []
    shown = ", ".join(map(str, ids.iloc[:SHOWN])) + (", ..." if len(ids) > SHOWN else "")
    return [f"{len(ids)} {what}: {shown}; {do}"]


def _numbers(table: pd.DataFrame, name: str) -> NDArray[np.float64]:
    return table[name].to_numpy(np.float64)
