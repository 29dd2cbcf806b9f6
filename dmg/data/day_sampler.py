"""Every day of every basin exactly once an epoch, in an order that is drawn anew for each.

The order is a permutation that can be asked for at any place: a few rounds of a Feistel network
(Luby and Rackoff 1988, doi:10.1137/0217022) over a square a little larger than the number of
windows; places that leave the range walk on until they are back in it. So a step costs time and
memory of its own windows only, and stays a pure function of (seed, epoch, step).

Days are positions on the loader's time axis, basins are rows in the loader's order.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dmg.data.sampler import Integers, Windows, check_basins, part, periods, short_period

ROUNDS = 6
"""Rounds of the network; four already pass for a random permutation."""

Unsigned = NDArray[np.uint64]


class DaySampler:
    """All windows of the training basins, one after another in random order.

    Parameters
    ----------
    basins
        Rows of the training basins `[N]`.
    first, last
        First and last scored day of each `[N]` (or one for all), both included.
    batch_size
        Windows of a step at most, over all processes; the batches of an epoch differ by one.
    window, warmup
        Scored days of a window and days simulated before them [d]. The warm-up may lie before
        `first`; a day whose warm-up would begin before the record (day 0) is left out.
    seed
        Seed of all draws.
    steps_per_epoch
        Steps after which an epoch ends, before all windows have been seen; none: after all.

    Raises
    ------
    ValueError
        If there is no basin, or one without a window.
    """

    def __init__(
        self,
        basins: ArrayLike,
        first: ArrayLike,
        last: ArrayLike,
        *,
        batch_size: int,
        window: int,
        warmup: int,
        seed: int,
        steps_per_epoch: int | None = None,
    ) -> None:
        self.basins: Integers = np.asarray(basins, dtype=np.int64)
        self.batch_size = batch_size
        self.window = window
        self.warmup = warmup
        self.seed = seed % 2**63  # a seed sequence takes no negative numbers
        check_basins(self.basins.size)
        begin, end = periods(first, last, self.basins.size)
        self._low = np.maximum(begin, warmup)
        counts = end - window + 2 - self._low
        if counts.min() < 1:
            raise short_period(int((end - begin + 1)[counts.argmin()]), window, warmup)
        self._ends = np.cumsum(counts)
        self.num_windows = int(self._ends[-1])
        self._num_batches = math.ceil(self.num_windows / batch_size)
        self.steps_per_epoch = min(steps_per_epoch or self._num_batches, self._num_batches)

    def windows(self, epoch: int, step: int) -> Windows:
        """Give the global batch of a step."""
        begin, end = (self.num_windows * s // self._num_batches for s in (step, step + 1))
        places = permuted(np.arange(begin, end), self.num_windows, self.seed, epoch)
        chosen = np.searchsorted(self._ends, places, side="right")
        starts = self._low[chosen] + places - np.concatenate([[0], self._ends])[chosen]
        rows = np.arange(end - begin, dtype=np.int64)
        seed = int(np.random.default_rng([self.seed, epoch, step]).integers(2**62))
        return Windows(self.basins[chosen], starts, rows, self.window, seed)

    def part(self, windows: Windows, rank: int, world_size: int) -> Windows:
        """Part of a global batch that belongs to one process: see `dmg.data.sampler.part`."""
        return part(windows, rank, world_size)


def permuted(places: Integers, size: int, *seed: int) -> Integers:
    """Send places in `0 .. size - 1` to others, no two to the same one."""
    bits = (max(size - 1, 1).bit_length() + 1) // 2
    keys = np.random.default_rng([*seed]).integers(2**64, size=ROUNDS, dtype=np.uint64)
    out = places.astype(np.uint64)
    outside = np.ones(len(out), dtype=bool)
    while outside.any():
        out[outside] = _feistel(out[outside], np.uint64(bits), keys)
        outside = out >= size
    return out.astype(np.int64)


def _feistel(x: Unsigned, bits: np.uint64, keys: Unsigned) -> Unsigned:
    """Permute the numbers of `2 * bits` bits: each round adds a hash of one half to the other."""
    mask = (np.uint64(1) << bits) - np.uint64(1)
    left, right = x >> bits, x & mask
    for key in keys:
        left, right = right, left ^ (_hash(right + key) & mask)
    return (left << bits) | right


def _hash(x: Unsigned) -> Unsigned:
    """Mix all bits of a number (the finaliser of SplitMix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
