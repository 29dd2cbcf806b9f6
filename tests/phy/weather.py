"""Random weather and parameters for tests of process models."""

from dmg.testing import random_parameters, weather

__all__ = ["random_parameters", "weather"]
