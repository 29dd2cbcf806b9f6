"""Simulation of all units and reaches of a river network."""

from __future__ import annotations

import datetime as dt

from pydantic import Field

from dmg.config.base import Section


class Simulate(Section):
    """Simulation of all units and reaches of a river network."""

    outputs: tuple[str, ...] = Field(
        ("streamflow",), description="Fluxes of units that are written"
    )
    end: dt.date | None = Field(None, description="Last day; none: that of the store")
    block_units: int = Field(
        1024, ge=1, description="Units in the memory of a process at once, and of a shard"
    )
    chunk_days: int = Field(
        1460, ge=1, description="Days simulated at once, and of a shard; a multiple of 365 is best"
    )
    river_days: int = Field(
        365, ge=1, description="Days that all reaches are routed through at once"
    )
