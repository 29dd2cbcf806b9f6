"""Process models, one per file, and the registry of their names."""

from dmg.phy.base import ProcessModel, Trajectory
from dmg.phy.hbv_1_0 import Hbv10
from dmg.phy.hbv_1_1p import Hbv11p

MODELS: dict[str, type[ProcessModel]] = {"hbv_1_0": Hbv10, "hbv_1_1p": Hbv11p}

__all__ = ["MODELS", "Hbv10", "Hbv11p", "ProcessModel", "Trajectory"]
