"""Which gauges a training step sees, with all units upstream of them, within a budget of units.

A pure function of (seed, epoch, step), as `sampler` is. An epoch goes through all training gauges
in a new random order, again and again until its steps are done; a step takes the next gauges of
that order as long as the units upstream of them, those of nested gauges counted once, do not
exceed the budget. So every gauge is drawn equally often, however many units it has.

All gauges of a step share one window: a unit is simulated once for all gauges downstream of it, and
a river can be routed through its whole network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import count, islice

import numpy as np
from numpy.typing import ArrayLike

from dmg.data.drainage import Drainage
from dmg.data.sampler import Integers, Windows, num_steps, periods, select


class GaugeSampler:
    """Random windows of training gauges and all their units.

    Parameters
    ----------
    gauges
        Rows of the training gauges `[N]`.
    first, last
        First and last training day of each `[N]` (or one for all), both included; the windows lie
        within the days that all share.
    drainage
        Units upstream of each gauge.
    ids
        Names of all gauges, by row.
    units_per_batch
        Units of a step at most, over all processes.
    window, warmup
        Scored days of a window and days simulated before them [d].
    seed
        Seed of all draws.
    steps_per_epoch
        Steps of an epoch; none: 99 % of the gauges' days are expected to be drawn.

    Raises
    ------
    ValueError
        If a gauge has more units than `units_per_batch`, or the days are too few for a window.
    """

    def __init__(
        self,
        gauges: ArrayLike,
        first: ArrayLike,
        last: ArrayLike,
        drainage: Drainage,
        ids: Sequence[str],
        *,
        units_per_batch: int,
        window: int,
        warmup: int,
        seed: int,
        steps_per_epoch: int | None = None,
    ) -> None:
        self.gauges: Integers = np.asarray(gauges, dtype=np.int64)
        self.drainage = drainage
        self.units_per_batch = units_per_batch
        self.window = window
        self.warmup = warmup
        self.seed = seed % 2**63  # a seed sequence takes no negative numbers
        _check_budget(self.gauges, drainage, ids, units_per_batch)
        self._low = int(np.max(first)) + warmup
        self._high = int(np.min(last)) - window + 1
        _check_days(self._low, self._high, window, warmup)
        batches = sum(1 for _ in pack(self.gauges.tolist(), drainage, units_per_batch))
        self.batch_size = self.gauges.size / batches  # on average
        days = self._high - self._low + window
        self.steps_per_epoch = steps_per_epoch or num_steps(
            self.batch_size, window, self.gauges.size, days
        )
        self._batches = lru_cache(maxsize=2)(self._draw)

    def windows(self, epoch: int, step: int) -> Windows:
        """Draw the global batch of a step."""
        draw = np.random.default_rng([self.seed, epoch, step])
        chosen = self._batches(epoch)[step]
        start = draw.integers(self._low, self._high, endpoint=True)
        return _windows(chosen, int(start), self.window, int(draw.integers(2**62)))

    def part(self, windows: Windows, rank: int, world_size: int) -> Windows:
        """Part of a global batch that belongs to one process: see `part_of_gauges`."""
        return part_of_gauges(windows, self.drainage, rank, world_size)

    def _draw(self, epoch: int) -> list[Integers]:
        """Gauges of all steps of an epoch."""
        draw = np.random.default_rng([self.seed, epoch])
        order = (gauge for _ in count() for gauge in draw.permutation(self.gauges).tolist())
        batches = pack(order, self.drainage, self.units_per_batch)
        return list(islice(batches, self.steps_per_epoch))


def pack(gauges: Iterable[int], drainage: Drainage, units_per_batch: int) -> Iterator[Integers]:
    """Cut gauges, in their order, into batches of at most so many units; one gauge at least.

    No gauge is in a batch twice.
    """
    chosen: list[int] = []
    upstream = np.zeros(len(drainage.area), dtype=bool)
    num_units = 0
    for gauge in gauges:
        span = slice(drainage.first[gauge], drainage.stop[gauge])
        more = int((~upstream[span]).sum())
        if gauge in chosen or (chosen and num_units + more > units_per_batch):
            yield np.array(chosen, dtype=np.int64)
            chosen, num_units, more = [], 0, span.stop - span.start
            upstream[:] = False
        chosen.append(gauge)
        upstream[span] = True
        num_units += more
    if chosen:
        yield np.array(chosen, dtype=np.int64)


def part_of_gauges(windows: Windows, drainage: Drainage, rank: int, world_size: int) -> Windows:
    """Part of a global batch that belongs to one process.

    Nested gauges stay together, so that no unit is simulated twice; the largest nest goes to the
    process with the fewest units so far. Where there are fewer nests than processes, one is left
    without: it simulates the gauge with the fewest units, whose flow is not scored.
    """
    nests = drainage.nests(windows.basins)
    members = [np.flatnonzero(nests == label) for label in range(int(nests.max()) + 1)]
    sizes = [drainage.units(windows.basins[m]).size for m in members]
    load, parts = [0] * world_size, [np.zeros(0, dtype=np.int64) for _ in range(world_size)]
    for nest in np.argsort(-np.array(sizes), kind="stable").tolist():
        lightest = load.index(min(load))
        load[lightest] += sizes[nest]
        parts[lightest] = np.append(parts[lightest], members[nest])
    mine = np.sort(parts[rank])
    if mine.size:
        return select(windows, mine)
    smallest = np.argmin(drainage.num_units[windows.basins])
    return replace(select(windows, np.array([smallest])), scored=False)


def tile_gauges(
    gauges: ArrayLike,
    first: ArrayLike,
    last: ArrayLike,
    drainage: Drainage,
    *,
    units_per_batch: int,
    window: int,
    warmup: int = 0,
) -> list[Windows]:
    """Cut the days `first..last` into consecutive windows, with all gauges in each.

    For validation: nothing is drawn, and the warm-up may reach before `first`; days whose warm-up
    would begin before the record (day 0) are left out.
    """
    rows = np.atleast_1d(np.asarray(gauges, dtype=np.int64))
    spans = np.stack(periods(first, last, rows.size), axis=1)
    return [
        _windows(batch, start, min(window, end + 1 - start))
        for begin, end in np.unique(spans, axis=0).tolist()
        for batch in _neighbours(rows[(spans == (begin, end)).all(1)], drainage, units_per_batch)
        for start in range(max(begin, warmup), end + 1, window)
    ]


def _neighbours(gauges: Integers, drainage: Drainage, units_per_batch: int) -> list[Integers]:
    """Batches of gauges that lie close to each other, nested ones first of all."""
    ordered = gauges[np.lexsort((-drainage.stop[gauges], drainage.first[gauges]))]
    return list(pack(ordered.tolist(), drainage, units_per_batch))


def _windows(gauges: Integers, start: int, length: int, seed: int = 0) -> Windows:
    rows = np.arange(gauges.size, dtype=np.int64)
    return Windows(gauges, np.full(gauges.size, start), rows, length, seed)


def _check_budget(
    gauges: Integers, drainage: Drainage, ids: Sequence[str], units_per_batch: int
) -> None:
    if not gauges.size:
        raise ValueError(
            "training gauges: expected at least one, found none; check data.gauges and data.split"
        )
    largest = gauges[np.argmax(drainage.num_units[gauges])]
    if drainage.num_units[largest] > units_per_batch:
        raise ValueError(
            f"train.units_per_batch: expected at least the {drainage.num_units[largest]} units"
            f" upstream of gauge {ids[largest]}, found {units_per_batch}; raise it, or lower"
            " data.gauges.max_area"
        )


def _check_days(low: int, high: int, window: int, warmup: int) -> None:
    if high < low:
        raise ValueError(
            f"window + warmup: expected at most the {high - low + window + warmup} days that all"
            f" gauges are trained on, found {window} + {warmup}; shorten train.window or"
            " train.warmup, or lengthen data.split.train"
        )
