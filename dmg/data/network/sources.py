"""Readers of the layouts in which river networks are published."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from dmg.data.network.model import Network
from dmg.data.network.tables import Tables, assemble

SOURCES = ("merit", "nextgen", "nhm", "rapid")
GENERATED = "synthetic_network"


def read_tables(source: str, path: Path) -> Tables:
    """Read a dataset as it is published, a folder or a file.

    Parameters
    ----------
    source
        One of SOURCES.
    path
        Where it is.
    """
    if source not in SOURCES:
        raise ValueError(f"source: expected one of {', '.join(SOURCES)}, found '{source}'")
    read: Callable[[Path], Tables] = import_module(f"dmg.data.network.{source}").read_tables
    return read(path)


def read_network(source: str, path: Path) -> Network:
    """Read a dataset as it is published and bring it into the order of a `Network`.

    A generated dataset (`source` synthetic_network) holds its network in that order already.
    """
    if source == GENERATED:
        return Network.read(path / "network.zarr")
    return assemble(read_tables(source, path))
