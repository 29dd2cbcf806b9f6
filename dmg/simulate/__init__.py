"""Simulation of all units and reaches of a river network, streamed in chunks of time.

Runoff of units comes first, in blocks that do not depend on each other: any number of processes
and jobs may share them. Rivers follow, all reaches at once, chunk by chunk. What has been done is
known from files, so that whatever is killed goes on where it stopped.
"""

from dmg.simulate.plan import Plan
from dmg.simulate.rivers import simulate_rivers
from dmg.simulate.units import initialise, simulate_units

__all__ = ["Plan", "initialise", "simulate_rivers", "simulate_units"]
