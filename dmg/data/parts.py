"""What the jobs that build a store leave for each other: a plan, and a record per part.

Both are small JSON files in `<store>.parts/`. A part owns a contiguous range of whole shards.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from dmg.files import atomic


@dataclass(frozen=True)
class Plan:
    """What a store will hold; two equal plans give equal stores."""

    format_version: int
    dmg_version: str
    source: str
    dataset: str
    product: str
    basins: list[str]
    start: str
    end: str
    shard_basins: int
    chunk_basins: int
    chunk_days: int
    static_hash: str

    def digest(self) -> str:
        """Hash of everything in the plan."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def num_shards(self) -> int:
        """Shards of the store."""
        return -(-len(self.basins) // self.shard_basins)

    @property
    def days(self) -> NDArray[np.datetime64]:
        """Days of the store `[T]`."""
        return np.arange(self.start, np.datetime64(self.end) + 1, dtype="datetime64[D]")

    def rows(self, shard: int) -> slice:
        """Rows of a shard."""
        start = shard * self.shard_basins
        return slice(start, min(start + self.shard_basins, len(self.basins)))


@dataclass(frozen=True)
class Record:
    """What one finished part has written."""

    plan: str
    source_hash: dict[str, str]  # basin -> sha256 of its files
    checksums: dict[str, dict[str, str]]  # shard -> variable -> sha256 of its values


def parts_folder(store: Path) -> Path:
    """Folder of an unfinished store: `X.parts` for `X.zarr`."""
    return store.with_suffix(".parts")


def write_plan(plan: Plan, path: Path) -> None:
    """Write the plan as JSON."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(asdict(plan), indent=1), encoding="utf-8")


def read_plan(store: Path) -> Plan:
    """Read the plan of an unfinished store."""
    path = parts_folder(store) / "init.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: expected the plan of the store, found none; run `dmg extract --init` first"
        )
    return Plan(**json.loads(path.read_text(encoding="utf-8")))


def shards_of_part(part: int, num_parts: int, num_shards: int) -> range:
    """Shards of part `part` (from 1) of `num_parts`; none if there are fewer shards than parts."""
    if not 1 <= part <= num_parts:
        raise ValueError(f"part {part}-of-{num_parts}: expected a part between 1 and {num_parts}")
    return range((part - 1) * num_shards // num_parts, part * num_shards // num_parts)


def record_path(store: Path, part: int, num_parts: int) -> Path:
    """File of the record of one part."""
    return parts_folder(store) / f"{part}-of-{num_parts}.json"


def write_record(record: Record, path: Path) -> None:
    """Write a record as JSON."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(asdict(record), indent=1), encoding="utf-8")


def read_record(path: Path) -> Record | None:
    """Read a record; none if there is no whole one."""
    try:
        return Record(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def read_records(store: Path) -> list[Record]:
    """Read the records of all parts of one division, in order; an error names what is missing."""
    found: dict[int, set[int]] = {}
    for path in parts_folder(store).glob("*-of-*.json"):
        if match := re.fullmatch(r"(\d+)-of-(\d+)", path.stem):
            found.setdefault(int(match[2]), set()).add(int(match[1]))
    whole = [n for n, parts in found.items() if parts == set(range(1, n + 1))]
    if not whole:
        raise ValueError(
            f"{parts_folder(store)}: expected the records of all parts, found {_missing(found)};"
            " run `dmg extract --part` for these"
        )
    num_parts = min(whole)
    paths = [record_path(store, part, num_parts) for part in range(1, num_parts + 1)]
    records = [read_record(path) for path in paths]
    for path, record in zip(paths, records, strict=True):
        if record is None:
            raise ValueError(
                f"{path}: expected a whole record, found a broken one; extract it again"
            )
    return [record for record in records if record is not None]


def _missing(found: dict[int, set[int]]) -> str:
    if not found:
        return "none"
    num_parts = max(found, key=lambda n: len(found[n]) / n)
    lacking = sorted(set(range(1, num_parts + 1)) - found[num_parts])
    return "no " + ", ".join(f"{part}-of-{num_parts}" for part in lacking[:5])


def array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    """One array of a group."""
    found = group[name]
    assert isinstance(found, zarr.Array)
    return found


def checksums(group: zarr.Group, names: list[str], rows: slice) -> dict[str, str]:
    """Hash the values of each variable in some rows, as they are on disk.

    A shard that cannot be unpacked has the hash `unreadable`, which equals no other.
    """
    return {name: _checksum(array(group, name), rows) for name in names}


def _checksum(variable: zarr.Array[Any], rows: slice) -> str:
    try:
        return _sha256(np.asarray(variable[rows]))
    except (ValueError, RuntimeError):  # what the checksums of Zarr and Blosc raise
        return "unreadable"


def _sha256(values: NDArray[np.float32]) -> str:
    return hashlib.sha256(np.ascontiguousarray(values, "<f4").tobytes()).hexdigest()
