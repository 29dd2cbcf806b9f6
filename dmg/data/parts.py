"""What the jobs that build a store leave for each other: a plan, and a record of every shard.

All are small JSON files in `<store>.parts/`. A part is a job and owns a contiguous range of whole
shards; the records do not depend on how many parts there are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dmg.data.manifest import ShardRecord
from dmg.files import atomic


@dataclass(frozen=True)
class Plan:
    """What a store will hold; two equal plans give equal stores."""

    format_version: int
    dmg_version: str
    source: str
    dataset: str
    about: dict[str, str]
    variables: list[str]
    basins: list[str]
    start: str
    end: str
    shard_basins: int
    chunk_basins: int
    chunk_days: int
    static_hash: str

    @cached_property
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
    try:
        return Plan(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        raise FileNotFoundError(
            f"{path}: expected the plan of an unfinished store, found none; run"
            " `dmg extract --init` first"
        ) from None


def shards_of_part(part: int, num_parts: int, num_shards: int) -> range:
    """Shards that part `part` (from 1) of `num_parts` owns; may be none."""
    if not 1 <= part <= num_parts:
        raise ValueError(f"part {part}-of-{num_parts}: expected a part between 1 and {num_parts}")
    return range((part - 1) * num_shards // num_parts, part * num_shards // num_parts)


def mark_done(store: Path, plan: Plan, part: int, num_parts: int) -> None:
    """Leave the file that says to a workflow that a part is done."""
    with atomic(parts_folder(store) / f"{part}-of-{num_parts}.json") as temporary:
        temporary.write_text(json.dumps({"plan": plan.digest}), encoding="utf-8")


def record_path(store: Path, shard: int) -> Path:
    """File of the record of one shard."""
    return parts_folder(store) / "shards" / f"{shard:05d}.json"


def require_records(store: Path, plan: Plan) -> list[ShardRecord]:
    """Read the records of all shards, in order; an error names those that are missing."""
    found = [ShardRecord.read(record_path(store, shard)) for shard in range(plan.num_shards)]
    lacking = [i for i, record in enumerate(found) if record is None or record.key != plan.digest]
    if lacking:
        raise ValueError(
            f"{parts_folder(store)}: expected the records of all {plan.num_shards} shards, found"
            f" none of {_some(lacking)}; run `dmg extract --part` for them"
        )
    return [record for record in found if record is not None]


def _some(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")
