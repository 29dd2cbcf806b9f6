"""Process models, one per file, and the registry of their names."""

from dmg.phy.base import ProcessModel, Trajectory
from dmg.phy.registry import MODELS

__all__ = ["MODELS", "ProcessModel", "Trajectory"]
