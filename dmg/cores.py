"""Cores of the processor that this process may use."""

from __future__ import annotations

import os


def num_cores() -> int:
    """Count them: a job of a cluster seldom has all cores of its node."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
