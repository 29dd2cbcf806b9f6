"""How much memory a process that writes shards needs, and how large shards may then be."""

from __future__ import annotations

from dmg.data.sources import Source

BASE_MB = 330.0
"""Python with the packages that extraction imports [MB], measured."""
COPIES = 2.5
"""Blocks in memory while Zarr packs one: the values, their chunks, the shard; measured."""


def needed_mb(reader: Source, num_basins: int, num_days: int) -> float:
    """Estimate the most memory of a process that extracts shards of this size [MB]."""
    block = 4e-6 * num_basins * num_days
    return BASE_MB + reader.peak_mb(num_basins, num_days) + COPIES * block


def shard_that_fits(
    reader: Source, shard_basins: int, chunk_basins: int, num_days: int, memory_mb: float | None
) -> int:
    """Largest shard of at most `shard_basins`, in whole chunks, for which `memory_mb` is enough."""
    if shard_basins % chunk_basins:
        raise ValueError(
            f"shard of {shard_basins} basins: expected a multiple of the {chunk_basins} of a chunk"
        )
    while memory_mb and shard_basins > chunk_basins:
        if needed_mb(reader, shard_basins, num_days) <= memory_mb:
            break
        shard_basins -= chunk_basins
    require_memory(reader, shard_basins, num_days, memory_mb)
    return shard_basins


def require_memory(reader: Source, num_basins: int, num_days: int, memory_mb: float | None) -> None:
    """Raise `ValueError` where a shard needs more memory than there is."""
    needed = needed_mb(reader, num_basins, num_days)
    if memory_mb is not None and needed > memory_mb:
        raise ValueError(
            f"--memory-mb: expected at least {needed:.0f} for shards of {num_basins} basins x"
            f" {num_days} days, found {memory_mb:.0f}; raise it, or begin again with smaller"
            " data.layout"
        )
