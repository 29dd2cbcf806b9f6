"""Process models, one per file, and the registry of their names."""

from dmg.phy.base import ProcessModel, Trajectory
from dmg.phy.hbv_1_0 import Hbv10

MODELS: dict[str, type[ProcessModel]] = {"hbv_1_0": Hbv10}

__all__ = ["MODELS", "Hbv10", "ProcessModel", "Trajectory"]
