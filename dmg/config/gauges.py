"""Gauges of a river network: where their flow is, and which of them are used."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from dmg.config.base import Section


class Gauges(Section):
    """Gauges that an experiment on units of a river network is trained and scored at."""

    store: str = Field(description="Name of the store of their flow: `stores/<store>.zarr`")
    ids: tuple[str, ...] | Path | None = Field(
        None, description="Gauge ids, or a text file with one id a line; none: all in the store"
    )
    area_tolerance: float = Field(
        0.1,
        gt=0,
        description="Largest difference between the drainage areas of a gauge and of its reach,"
        " over the gauge's [1]; other gauges are left out",
    )
    max_area: float | None = Field(
        None, gt=0, description="Largest drainage area of a gauge [km2]; none: any"
    )
