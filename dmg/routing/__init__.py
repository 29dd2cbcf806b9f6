"""Routing: from runoff of a basin to flow at its gauge."""

from dmg.routing.unit_hydrograph import UnitHydrograph

__all__ = ["UnitHydrograph"]
