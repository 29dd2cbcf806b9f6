"""Differentiable process-based models: neural networks and physical equations in one graph.

The public names load on first use, so that `import dmg` is silent and quick.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Any

_HOMES = {
    "DataLoader": "dmg.data.loader",
    "DataSampler": "dmg.data.sampler",
    "DeltaModel": "dmg.delta",
    "ModelHandler": "dmg.handler",
    "ProcessModel": "dmg.phy",
    "Trainer": "dmg.train",
}

__all__ = [*sorted(_HOMES), "__version__", "scan"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("dmg-hpc")
    if name == "scan":
        return import_module("dmg.scan")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'dmg' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
