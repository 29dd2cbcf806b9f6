"""Step to trajectory: run a pure `step` over time."""

from dmg.scan.eager import scan as scan

__all__ = ["scan"]
