"""Names of the process models and where their classes are, known without importing any."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

GROUP = "dmg.models"
"""Entry points by which an installed package adds its own models."""

_OURS = {
    "hbv_1_0": "dmg.phy.hbv_1_0:Hbv10",
    "hbv_1_1p": "dmg.phy.hbv_1_1p:Hbv11p",
    "hbv_2_0": "dmg.phy.hbv_2_0:Hbv20",
    "hbv_2_0_hourly": "dmg.phy.hbv_2_0_hourly:Hbv20Hourly",
    "hbv_implicit": "dmg.phy.hbv_implicit:HbvImplicit",
    "sac_sma": "dmg.phy.sac_sma:SacSma",
    "sac_sma_daily": "dmg.phy.sac_sma_daily:SacSmaDaily",
    "snow17": "dmg.phy.snow17:Snow17",
    "degree_day": "dmg.phy.degree_day:DegreeDay",
    "exp_hydro": "dmg.phy.exp_hydro:ExpHydro",
    "hymod": "dmg.phy.hymod:Hymod",
    "hymod_implicit": "dmg.phy.hymod_implicit:HymodImplicit",
    "gr4j": "dmg.phy.gr4j:Gr4j",
    "prms": "dmg.phy.prms:Prms",
    "prms_implicit": "dmg.phy.prms_implicit:PrmsImplicit",
}


@cache
def process_models() -> Mapping[str, str]:
    """Place of each model's class, `module:Class`, by the model's name.

    Raises
    ------
    ValueError
        If an installed package offers a model under a name that is taken.
    """
    found = dict(_OURS)
    for entry in entry_points(group=GROUP):
        if found.setdefault(entry.name, entry.value) != entry.value:
            raise ValueError(
                f"two process models are named '{entry.name}': {found[entry.name]} and"
                f" {entry.value}; rename the entry point ({GROUP}) of the second, or uninstall it"
            )
    return found
