"""Step to trajectory: run a pure `step` over time."""

from dmg.scan.aten import UnsupportedError as UnsupportedError
from dmg.scan.dispatch import BACKENDS as BACKENDS
from dmg.scan.dispatch import scan as scan
from dmg.scan.loop import while_loop as while_loop

__all__ = ["BACKENDS", "UnsupportedError", "scan", "while_loop"]
