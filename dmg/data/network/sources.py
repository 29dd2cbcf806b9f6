"""Readers of the layouts in which river networks are published."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from dmg.data.network.graph import OUTLET, levels
from dmg.data.network.model import Network
from dmg.data.network.tables import Tables, assemble
from dmg.data.network.validate import Problems, find_problems

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


def convert(
    source: str, path: Path, out: Path, **attributes: str
) -> tuple[Problems, Network | None]:
    """Write the network of a dataset to `out`, unless something is wrong with it.

    Returns
    -------
    problems, network
        What `find_problems` found; no network if there are errors.
    """
    if source == GENERATED:
        problems, network = Problems(), read_network(source, path)
    else:
        tables = read_tables(source, path)
        problems = find_problems(tables.reaches, tables.units, tables.gauges)
        problems.notes[:0] = tables.notes
        if problems.errors:
            return problems, None
        network = assemble(tables)
    network.write(out, source=source, **attributes)
    return problems, network


def describe(network: Network) -> str:
    """Say in one line how large a network is."""
    down = network.downstream
    largest = network.area.max(initial=0)
    return (
        f"{network.num_reaches} reaches in {levels(down).max(initial=-1) + 1} levels,"
        f" {(down == OUTLET).sum()} outlets, largest river {largest:.0f} km2;"
        f" {network.num_units} units, {network.num_gauges} gauges"
    )


def read_network(source: str, path: Path) -> Network:
    """Read a dataset as it is published and bring it into the order of a `Network`.

    A generated dataset (`source` synthetic_network) holds its network in that order already.
    """
    if source == GENERATED:
        return Network.read(path / "network.zarr")
    return assemble(read_tables(source, path))
