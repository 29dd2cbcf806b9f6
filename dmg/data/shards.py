"""Shards as Zarr v3 defines them, packed and unpacked chunk after chunk.

zarr-python hands each chunk from thread to thread, which takes longer than to unpack it. What is
written here is what it writes, byte for byte: chunks in Z-order, compressed, but for those of NaN
alone, then the table of their places and its checksum.

Shape legend: T time, B basins.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from os import SEEK_END
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import google_crc32c
import numpy as np
import zarr
from numcodecs import Blosc
from numpy.typing import NDArray

BLOSC = Blosc("zstd", clevel=3, shuffle=Blosc.SHUFFLE)
"""The codec of `dmg.data.zarrs.encode`."""
ABSENT = 2**64 - 1
"""Place and size of a chunk that is not there."""
CHECKSUM_BYTES = 4


class Layout(NamedTuple):
    """Basins and days of a shard, and of a chunk."""

    shard: tuple[int, int]
    chunk: tuple[int, int]

    @classmethod
    def of(cls, variable: zarr.Array[Any]) -> Layout:
        """Read it from an array `(basin, time)`."""
        assert variable.shards is not None
        rows, days = variable.shards
        return cls((rows, days), (variable.chunks[0], variable.chunks[1]))

    @property
    def grid(self) -> tuple[int, int]:
        """Chunks of a shard, along basins and days."""
        return self.shard[0] // self.chunk[0], self.shard[1] // self.chunk[1]


def pack(values: NDArray[np.float32], layout: Layout) -> Iterator[bytes]:
    """Give the parts of a shard's file with the values `[B, T]`; Zarr has none if all are NaN."""
    table, end = np.full((*layout.grid, 2), ABSENT, "<u8"), 0
    rows, days = layout.chunk
    for i, j in _z_order(layout.grid):
        block = values[i * rows : (i + 1) * rows, j * days : (j + 1) * days]
        if block.size and not (np.isnan(block[0, 0]) and np.isnan(block).all()):
            packed = BLOSC.encode(_padded(block, layout.chunk))
            table[i, j] = end, len(packed)
            end += len(packed)
            yield packed
    places = table.tobytes()
    yield places + google_crc32c.value(places).to_bytes(CHECKSUM_BYTES, "little")


def unpack(path: Path, layout: Layout, row: int, num_days: int) -> NDArray[np.float32]:
    """Read one row of chunks `[B, T]` from a shard's file; NaN where there are none."""
    rows, days = layout.chunk
    out = np.full((rows, num_days), np.nan, np.float32)
    if not path.exists():
        return out
    with path.open("rb") as file:
        for j, (place, size) in enumerate(_places(file, layout)[row].tolist()):
            if size != ABSENT:
                file.seek(place)
                chunk = np.frombuffer(BLOSC.decode(file.read(size)), np.float32)
                part = out[:, j * days : (j + 1) * days]
                part[:] = chunk.reshape(layout.chunk)[:, : part.shape[1]]
    return out


def _places(file: BinaryIO, layout: Layout) -> NDArray[np.uint64]:
    """Places and sizes of all chunks: the table at the end of a file."""
    length = 16 * layout.grid[0] * layout.grid[1]
    file.seek(-length - CHECKSUM_BYTES, SEEK_END)
    table = np.frombuffer(file.read(length), "<u8")
    return table.reshape(*layout.grid, 2)


def _padded(block: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Bring the values of a chunk next to each other; NaN beyond the last row and day."""
    if block.shape == shape:
        return np.ascontiguousarray(block)
    whole = np.full(shape, np.nan, np.float32)
    whole[: block.shape[0], : block.shape[1]] = block
    return whole


def _z_order(grid: tuple[int, int]) -> list[tuple[int, int]]:
    """Order chunks by the interleaved bits of their row and column."""

    def code(place: tuple[int, int]) -> int:
        bits = (((place[k] >> bit) & 1) << (2 * bit + k) for bit in range(32) for k in (0, 1))
        return sum(bits)

    return sorted(product(range(grid[0]), range(grid[1])), key=code)
