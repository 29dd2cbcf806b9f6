"""Shards on the disk: written whole by one process, and known by the checksums of their files.

A shard is one file per variable. Whoever has written a shard leaves a record of it, last; a process
that is killed before leaves none, and its successor writes that shard again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from dmg.files import atomic, remove

EMPTY = "empty"
"""Checksum of a shard without values: Zarr writes no file for it."""


@dataclass(frozen=True)
class ShardRecord:
    """What was written into one shard.

    Attributes
    ----------
    key
        Digest of the settings under which it was written.
    files
        Checksum of each variable's file.
    sources
        Hash of what each basin's values depend on.
    """

    key: str
    files: dict[str, str]
    sources: list[str] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        with atomic(path) as temporary:
            temporary.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> ShardRecord | None:
        """Read what `write` wrote; none if there is no whole one."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def is_whole(self, store: Path, shard: int) -> bool:
        """Whether the files on the disk are those that were written."""
        return not broken_files(store, shard, self.files)


def array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    """One array of a group."""
    found = group[name]
    assert isinstance(found, zarr.Array)
    return found


def write_shard(store: Path, name: str, shard: int, values: NDArray[np.float32]) -> str:
    """Write all values `[B, T]` of a variable's shard; give the checksum of its file.

    Nobody else may write into this shard at the same time.
    """
    variable = array(zarr.open_group(store, mode="r+"), name)
    size = (variable.shards or variable.chunks)[0]
    remove(_file(store, name, shard))  # may be torn
    variable[shard * size : shard * size + len(values)] = values
    return checksum(_file(store, name, shard))


def broken_files(store: Path, shard: int, files: Mapping[str, str]) -> dict[str, str]:
    """Variables whose file of this shard differs from its recorded checksum, and how it does."""
    found = {name: checksum(_file(store, name, shard)) for name in files}
    return {
        name: "missing" if found[name] == EMPTY else "corrupt"
        for name, expected in files.items()
        if found[name] != expected
    }


def checksum(path: Path) -> str:
    """sha256 of a file, read piece by piece."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return EMPTY


def _file(store: Path, name: str, shard: int) -> Path:
    """File of a shard: the key encoding of Zarr v3, one shard along time."""
    return store / name / "c" / str(shard) / "0"
