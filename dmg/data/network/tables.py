"""What a source knows of a river network, in tables of one layout, and the network they make."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from dmg.data.network.graph import OUTLET, Index, Real, accumulate, depth_first, first_below
from dmg.data.network.model import Network, Text
from dmg.data.network.validate import find_problems

REACH = ("reach_id", "downstream_id", "length", "slope")
UNIT = ("unit_id", "reach_id", "area")
GAUGE = ("gauge_id", "reach_id")


def as_ids(column: pd.Series[Any]) -> pd.Series[str]:
    """Give ids as text: whole numbers without a point; 0 and what is missing as empty text."""
    if pd.api.types.is_float_dtype(column):
        column = column.astype("Int64")
    return column.astype(object).where(column.notna() & (column != 0), "").map(str)


def _empty(columns: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=object) for name in columns})


@dataclass
class Tables:
    """A river network as a source gives it: rows in any order, ids instead of positions.

    Attributes
    ----------
    reaches
        Columns reach_id, downstream_id (empty text: an outlet), length [m], slope [1]; if known
        area (everything upstream) [km2], latitude, longitude [degrees].
    units
        Columns unit_id, reach_id (empty text: off the network), area [km2]; if known latitude,
        longitude [degrees], elevation [m].
    gauges
        Columns gauge_id, reach_id (empty text: off the network); if known area [km2].
    notes
        What a user of this source should know, a line each.
    """

    reaches: pd.DataFrame
    units: pd.DataFrame = field(default_factory=lambda: _empty(UNIT))
    gauges: pd.DataFrame = field(default_factory=lambda: _empty(GAUGE))
    notes: list[str] = field(default_factory=list)


def assemble(tables: Tables) -> Network:
    """Check the tables, bring them into the order of a `Network`, and replace ids by positions.

    Reaches without a stated drainage area get the sum of the units upstream, reaches without a
    position the centroid of their own units, or, without units, that of the reach downstream.
    Units without area and gauges off the network are left out; `find_problems` names them.

    Raises
    ------
    ValueError
        The first error that `find_problems` finds, and how many more there are.
    """
    find_problems(tables.reaches, tables.units, tables.gauges).refuse()
    ids = _text(tables.reaches["reach_id"])
    index = pd.Index(ids)
    downstream = _positions(index, tables.reaches["downstream_id"])
    order = depth_first(downstream)
    rank = np.append(_inverse(order), OUTLET)  # rank[-1] is that of -1, "none"
    units, gauges = _units(tables.units, index, rank), _gauges(tables.gauges, index, rank)
    down, reaches = rank[downstream[order]], tables.reaches.iloc[order]
    latitude, longitude = (_place(reaches, down, units, name) for name in ("latitude", "longitude"))
    return Network(
        reach_id=ids[order],
        downstream=down,
        length=_numbers(reaches, "length"),
        slope=_numbers(reaches, "slope"),
        area=_area(reaches, down, units),
        latitude=latitude,
        longitude=longitude,
        **units,
        **gauges,
    )


def _units(table: pd.DataFrame, index: pd.Index, rank: Index) -> dict[str, Any]:
    """Give units in the order of their reaches, those off the network last."""
    table = table[_numbers(table, "area") > 0]
    reach = rank[_positions(index, table["reach_id"])]
    order = np.argsort(np.where(reach == OUTLET, len(index), reach), kind="stable")
    table, reach = table.iloc[order], reach[order]
    places = ("area", "latitude", "longitude", "elevation")
    return {
        "unit_id": _text(table["unit_id"]),
        "unit_reach": reach,
        **{f"unit_{name}": _numbers(table, name) for name in places},
    }


def _gauges(table: pd.DataFrame, index: pd.Index, rank: Index) -> dict[str, Any]:
    reach = rank[_positions(index, table["reach_id"])]
    there = reach != OUTLET
    return {
        "gauge_id": _text(table["gauge_id"])[there],
        "gauge_reach": reach[there],
        "gauge_area": _numbers(table, "area")[there],
    }


def _area(reaches: pd.DataFrame, downstream: Index, units: dict[str, Any]) -> Real:
    stated, own = _numbers(reaches, "area"), _sum(units, len(reaches), units["unit_area"])
    return np.where(np.isnan(stated), accumulate(downstream, own), stated)


def _place(reaches: pd.DataFrame, downstream: Index, units: dict[str, Any], name: str) -> Real:
    """Give where reaches lie: as stated, else where their units do, else the reach downstream."""
    stated, weight = _numbers(reaches, name), _sum(units, len(reaches), units["unit_area"])
    total = _sum(units, len(reaches), units["unit_area"] * units[f"unit_{name}"])
    mean = np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)
    place = np.where(np.isnan(stated), mean, stated)
    return np.append(place, np.nan)[first_below(downstream, ~np.isnan(place))]


def _sum(units: dict[str, Any], num_reaches: int, values: Real) -> Real:
    """Sum over each reach's own units `[N]`."""
    on = units["unit_reach"] != OUTLET
    total = np.bincount(units["unit_reach"][on], weights=values[on], minlength=num_reaches)
    return total.astype(np.float64)  # integers where there is no unit


def _positions(index: pd.Index, ids: pd.Series[Any]) -> Index:
    return np.asarray(index.get_indexer(pd.Index(ids)), np.int64)


def _numbers(table: pd.DataFrame, name: str) -> Real:
    if name not in table:
        return np.full(len(table), np.nan)
    return table[name].to_numpy(np.float64)


def _text(column: pd.Series[Any]) -> Text:
    return np.asarray(column.to_numpy(object), dtype=np.str_)


def _inverse(order: Index) -> Index:
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank
