"""Routing: from runoff of a basin or of many units to flow at a gauge."""

from dmg.routing.aggregate import Aggregate
from dmg.routing.unit_hydrograph import UnitHydrograph

__all__ = ["Aggregate", "UnitHydrograph"]
