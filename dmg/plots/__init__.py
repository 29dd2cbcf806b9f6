"""Figures, one function each: plain arrays in, a matplotlib `Figure` out.

Nothing here touches a screen or global state: figures are made without pyplot and saved by the
caller. Units stand on every axis, colours are told apart in grey and by colour-blind readers.
"""

from dmg.plots.curves import Hydrograph, hydrograph, loss_curves
from dmg.plots.maps import Panel, basin_map, parameter_maps
from dmg.plots.recovery import Recovery, parameter_recovery
from dmg.plots.rivers import Rivers, river_map
from dmg.plots.skill import Boxes, Pair, Scored, agreement, boxes, comparison, distributions
from dmg.plots.style import Array, svg, unit_text

__all__ = [
    "Array",
    "Boxes",
    "Hydrograph",
    "Pair",
    "Panel",
    "Recovery",
    "Rivers",
    "Scored",
    "agreement",
    "basin_map",
    "boxes",
    "comparison",
    "distributions",
    "hydrograph",
    "loss_curves",
    "parameter_maps",
    "parameter_recovery",
    "river_map",
    "svg",
    "unit_text",
]
