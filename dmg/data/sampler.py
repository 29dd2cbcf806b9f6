"""Which windows a training step sees: a pure function of (seed, epoch, step).

There is no hidden state: a run resumes from two integers, and every process can compute the whole
global batch and take its part, so the windows do not depend on the number of processes.

As in HydroDL, a step draws basins uniformly with replacement, and for each a window of
`warmup + window` days uniformly within its training period; the warm-up days lie inside the period.

Days are positions on the loader's time axis, basins are rows in the loader's order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """A batch of windows of one length.

    Attributes
    ----------
    basins
        Row of each window's basin `[B]`.
    starts
        First scored day of each window `[B]`; its warm-up lies before.
    rows
        Position of each window in the global batch `[B]`.
    length
        Scored days of each window [d].
    seed
        Integer of this step for random draws in the model; the same for every part.
    scored
        Whether the windows are compared with observations; if not, they only keep a process busy.
    """

    basins: Integers
    starts: Integers
    rows: Integers
    length: int
    seed: int = 0
    scored: bool = True


class Sampler(Protocol):
    """What a training needs of a sampler."""

    warmup: int
    steps_per_epoch: int

    @property
    def batch_size(self) -> float:
        """Windows of a step, on average."""

    def windows(self, epoch: int, step: int) -> Windows:
        """Give the global batch of a step: a pure function."""

    def part(self, windows: Windows, rank: int, world_size: int) -> Windows:
        """Part of a global batch that belongs to one process."""


class DataSampler:
    """Random windows of the training basins.

    Parameters
    ----------
    basins
        Rows of the training basins `[N]`.
    first, last
        First and last training day of each `[N]` (or one for all), both included.
    batch_size
        Windows of a step, over all processes.
    window, warmup
        Scored days of a window and days simulated before them [d].
    seed
        Seed of all draws.
    steps_per_epoch
        Steps of an epoch; none: as many as `num_steps` says.
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
        _check_batch(batch_size, self.basins.size)
        self._low, self._high = self._ranges(first, last)
        days = float(np.mean(self._high - self._low)) + window
        self.steps_per_epoch = steps_per_epoch or num_steps(
            batch_size, window, self.basins.size, days
        )

    def windows(self, epoch: int, step: int) -> Windows:
        """Draw the global batch of a step."""
        draw = np.random.default_rng([self.seed, epoch, step])
        chosen = draw.integers(self.basins.size, size=self.batch_size)
        starts = draw.integers(self._low[chosen], self._high[chosen], endpoint=True)
        rows = np.arange(self.batch_size, dtype=np.int64)
        seed = int(draw.integers(2**62))
        return Windows(self.basins[chosen], starts, rows, self.window, seed)

    def part(self, windows: Windows, rank: int, world_size: int) -> Windows:
        """Part of a global batch that belongs to one process: see `part`."""
        return part(windows, rank, world_size)

    def _ranges(self, first: ArrayLike, last: ArrayLike) -> tuple[Integers, Integers]:
        """First and last possible start of each basin, both included."""
        begin, end = periods(first, last, self.basins.size)
        low, high = begin + self.warmup, end - self.window + 1
        short = np.flatnonzero(high < low)
        if short.size:
            raise short_period(int((end - begin)[short].min()) + 1, self.window, self.warmup)
        return low, high


def part(windows: Windows, rank: int, world_size: int) -> Windows:
    """Contiguous part of a global batch that belongs to one process.

    The parts are disjoint, differ in size by one window at most, and together are the batch.
    """
    size = windows.basins.size
    if size < world_size:
        raise ValueError(
            f"processes x accumulate: expected at most one for each of the {size} windows of a"
            f" batch, found {world_size}; lower train.processes or train.accumulate, or raise"
            " train.batch_size"
        )
    return select(windows, slice(rank * size // world_size, (rank + 1) * size // world_size))


def select(windows: Windows, places: slice | Integers) -> Windows:
    """Pick some windows of a batch."""
    return replace(
        windows,
        basins=windows.basins[places],
        starts=windows.starts[places],
        rows=windows.rows[places],
    )


def periods(first: ArrayLike, last: ArrayLike, num_basins: int) -> tuple[Integers, Integers]:
    """First and last day of each basin `[N]`, given for each or one for all."""
    begin, end = (
        np.broadcast_to(np.asarray(day, dtype=np.int64), (num_basins,)) for day in (first, last)
    )
    return begin, end


def num_steps(batch_size: float, window: int, num_basins: int, num_days: float) -> int:
    """Count the steps after which 99 % of the basin-days are expected to have been drawn.

    n = ⌈ln 0.01 / ln(1 - p)⌉ with p = batch_size · window / (num_basins · num_days), the published
    epoch of HydroDL and its successors; 1 where one step draws as many days as there are (p ≥ 1).

    Parameters
    ----------
    batch_size
        Windows a step.
    window
        Scored days of a window [d].
    num_basins
        Training basins.
    num_days
        Days of the training period without its warm-up [d]: those that can be scored.
    """
    share = batch_size * window / (num_basins * num_days)
    if share >= 1:
        return 1
    return math.ceil(math.log(0.01) / math.log1p(-share))


def tile(
    basins: ArrayLike,
    first: ArrayLike,
    last: ArrayLike,
    *,
    batch_size: int,
    window: int,
    warmup: int = 0,
) -> list[Windows]:
    """Cut each basin's days `first..last` into consecutive windows, every day in exactly one.

    The last window of a basin is shorter where the period is no multiple of `window`. Batches hold
    windows of one length. For validation: nothing is drawn, and the warm-up may reach before
    `first`; days whose warm-up would begin before the record (day 0) are left out.
    """
    rows = np.atleast_1d(np.asarray(basins, dtype=np.int64))
    begin, end = periods(first, last, rows.size)
    begin = np.maximum(begin, warmup)
    by_length: dict[int, list[tuple[int, int]]] = {}
    for basin, low, high in zip(rows.tolist(), begin.tolist(), end.tolist(), strict=True):
        for start in range(low, high + 1, window):
            length = min(window, high + 1 - start)
            by_length.setdefault(length, []).append((basin, start))
    return [
        _windows(pieces[i : i + batch_size], length)
        for length, pieces in sorted(by_length.items(), reverse=True)
        for i in range(0, len(pieces), batch_size)
    ]


def _windows(pieces: Sequence[tuple[int, int]], length: int) -> Windows:
    basins, starts = np.array(pieces, dtype=np.int64).T
    return Windows(basins, starts, np.arange(len(pieces), dtype=np.int64), length)


def short_period(days: int, window: int, warmup: int) -> ValueError:
    """Error of a training period that holds no window."""
    return ValueError(
        f"window + warmup: expected at most the {days} days of the training period, found"
        f" {window} + {warmup}; shorten train.window or train.warmup, or lengthen data.split.train"
    )


def check_basins(num_basins: int) -> None:
    """Raise `ValueError` if there is no training basin."""
    if num_basins == 0:
        raise ValueError(
            "training basins: expected at least one, found none; check data.basins and data.split"
        )


def _check_batch(batch_size: int, num_basins: int) -> None:
    check_basins(num_basins)
    if batch_size > num_basins:
        raise ValueError(
            f"train.batch_size: expected at most the number of training basins ({num_basins}),"
            f" found {batch_size}; lower it"
        )
