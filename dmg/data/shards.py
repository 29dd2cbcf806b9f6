"""Shards as Zarr v3 defines them, packed and unpacked chunk after chunk.

zarr-python hands each chunk from thread to thread, which takes longer than to unpack it. What is
written here is what it writes, byte for byte: chunks in Z-order, compressed, but for those of NaN
alone, then the table of their places and its checksum. What it writes is read.

Shape legend: T time, B basins.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, product
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
Ints = NDArray[np.intp]
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
    yield places + _checksum(places)


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


def read(folder: Path, layout: Layout, rows: Ints, days: slice) -> NDArray[np.float32]:
    """Read some basins and a range of days `[B, T]` of an array; NaN where no chunk is.

    Parameters
    ----------
    folder
        The array's.
    layout
        Its shards and chunks.
    rows
        Basins by number, in any order.
    days
        First day and the one after the last.

    Raises
    ------
    ValueError
        If a shard's table of chunks is not what was written.
    """
    out = np.full((len(rows), days.stop - days.start), np.nan, np.float32)
    height, length = layout.chunk
    of_chunk = rows // height
    for number in np.unique(of_chunk).tolist():
        mine = np.flatnonzero(of_chunk == number)
        inside = rows[mine] - number * height
        for first, chunk in _chunks(folder, layout, number, days):
            start, stop = max(first, days.start), min(first + length, days.stop)
            values = chunk[run(inside), start - first : stop - first]
            out[run(mine), start - days.start : stop - days.start] = values
    return out


def _chunks(
    folder: Path, layout: Layout, row: int, days: slice
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Give the chunks of one row that some days touch, each with its first day."""
    height, width = layout.grid
    length = layout.chunk[1]
    columns = range(days.start // length, -(-days.stop // length))
    for shard, inside in groupby(columns, lambda column: column // width):
        path = folder / "c" / str(row // height) / str(shard)
        if not path.exists():
            continue
        with path.open("rb") as file:
            places = _places(file, layout)[row % height]
            for column in inside:
                place, size = places[column % width].tolist()
                if size != ABSENT:
                    file.seek(place)
                    values = np.frombuffer(BLOSC.decode(file.read(size)), np.float32)
                    yield column * length, values.reshape(layout.chunk)


def _places(file: BinaryIO, layout: Layout) -> NDArray[np.uint64]:
    """Places and sizes of all chunks: the table at the end of a file."""
    length = 16 * layout.grid[0] * layout.grid[1]
    file.seek(0, SEEK_END)
    file.seek(max(0, file.tell() - length - CHECKSUM_BYTES))
    table, found = file.read(length), file.read()
    if found != _checksum(table):
        raise ValueError(
            f"{file.name}: expected a whole shard, found a broken table of chunks; run"
            " `dmg data check`"
        )
    return np.frombuffer(table, "<u8").reshape(*layout.grid, 2)


def _checksum(table: bytes) -> bytes:
    return int(google_crc32c.value(table)).to_bytes(CHECKSUM_BYTES, "little")


def run(index: Ints) -> slice | Ints:
    """Give numbers in a row as a slice, which NumPy copies faster."""
    first, last = int(index[0]), int(index[-1])
    is_run = last - first + 1 == len(index) and bool((np.diff(index) == 1).all())
    return slice(first, last + 1) if is_run else index
