"""What a simulation consists of: blocks of units, chunks of days, and what must not change."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dmg.files import atomic, remove

log = logging.getLogger(__name__)

FILE = "plan.json"
CONTENT = ("progress", "runoff.zarr", "discharge.zarr", "gauges.zarr")
"""What a simulation leaves beside its plan."""


@dataclass(frozen=True)
class Plan:
    """A simulation, the same for all processes that share it.

    Attributes
    ----------
    num_units
        U.
    num_days
        T, from the first day of the store on.
    start
        First day.
    outputs
        Fluxes of units to write.
    block_units, chunk_days
        Units and days of a block of one process; what it writes at once, one shard.
    river_days
        Days that all reaches are routed through at once.
    identity
        Digests of what results depend on: model and data.
    """

    num_units: int
    num_days: int
    start: str
    outputs: tuple[str, ...]
    block_units: int
    chunk_days: int
    river_days: int
    identity: Mapping[str, str]

    @property
    def num_blocks(self) -> int:
        """Blocks of units."""
        return -(-self.num_units // self.block_units)

    def units(self, block: int) -> range:
        """Rows of a block."""
        first = block * self.block_units
        return range(first, min(first + self.block_units, self.num_units))

    def blocks(self, part: int, parts: int) -> range:
        """Blocks of one of several parts, counted from 1; some may have none."""
        first, last = ((part - 1 + k) * self.num_blocks // parts for k in (0, 1))
        return range(first, last)

    def days(self, length: int) -> list[range]:
        """Chunks of at most `length` days."""
        return [
            range(first, min(first + length, self.num_days))
            for first in range(0, self.num_days, length)
        ]

    def begin(self, folder: Path, replace: bool = False) -> None:
        """Write it down for the processes that follow.

        Parameters
        ----------
        folder
            Of the simulation; what was done of the same one stays.
        replace
            Whether another one is removed.

        Raises
        ------
        ValueError
            If the folder holds another one, which shall stay.
        """
        if (folder / FILE).exists():
            try:
                return self.check(folder)
            except ValueError:
                if not replace:
                    raise
            log.warning("%s: the simulation with other settings is replaced", folder)
            for name in CONTENT:
                remove(folder / name)
        return self._save(folder)

    def _save(self, folder: Path) -> None:
        with atomic(folder / FILE) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    def check(self, folder: Path) -> None:
        """Compare with what was begun in a folder.

        Raises
        ------
        ValueError
            If nothing was begun, or something else.
        """
        path = folder / FILE
        if not path.is_file():
            raise ValueError(f"{path}: expected a simulation that was begun; run with --init first")
        found = json.loads(path.read_text(encoding="utf-8"))
        for name, expected in _flat(json.loads(json.dumps(asdict(self)))).items():
            if _flat(found).get(name) != expected:
                raise ValueError(
                    f"{path}: expected {name} {expected!r}, found {_flat(found).get(name)!r}; use"
                    " another --out, or remove the folder to begin again"
                )


def _flat(content: Mapping[str, Any]) -> dict[str, Any]:
    return {**content, **content.get("identity", {})}
