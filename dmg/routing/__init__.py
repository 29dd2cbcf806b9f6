"""Routing: from runoff of a basin or of many units to flow at a gauge, and through rivers."""

from dmg.routing.aggregate import Aggregate
from dmg.routing.balance import WaterBalance, water_balance
from dmg.routing.gauges import at_gauges, flow_scale
from dmg.routing.muskingum_cunge import ChannelState, MuskingumCunge, accumulate
from dmg.routing.paths import Paths
from dmg.routing.reaches import Reaches
from dmg.routing.rivers import Rivers
from dmg.routing.unit_hydrograph import UnitHydrograph

__all__ = [
    "Aggregate",
    "ChannelState",
    "MuskingumCunge",
    "Paths",
    "Reaches",
    "Rivers",
    "UnitHydrograph",
    "WaterBalance",
    "accumulate",
    "at_gauges",
    "flow_scale",
    "water_balance",
]
