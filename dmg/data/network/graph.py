"""Rooted forests in a vector: each reach names its downstream neighbour, an outlet names -1.

Everything here works by pointer doubling: after k rounds a reach points 2^k reaches downstream, so
that log2(longest path) rounds over whole arrays do what a walk reach by reach would. Millions of
reaches take a second, however long the rivers are.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]
Real = NDArray[np.float64]

OUTLET = -1


def on_cycles(downstream: Index) -> Index:
    """Find the reaches that lie on a cycle: those reached after more steps than there are reaches.

    Parameters
    ----------
    downstream
        `[N]`, position of the reach that a reach flows into; -1 for an outlet.

    Returns
    -------
    ndarray
        Positions, sorted; empty for a network that drains.
    """
    pointer = _with_sink(downstream)
    for _ in range(len(downstream).bit_length()):
        pointer = pointer[pointer]
    return np.unique(pointer[pointer < len(downstream)])


def accumulate(downstream: Index, values: Real) -> Real:
    """Sum over everything upstream of each reach and the reach itself `[N]`."""
    total = np.append(np.asarray(values, np.float64), 0.0)
    for pointer, _ in _jumps(downstream):
        total += np.bincount(pointer, weights=total, minlength=len(total))
        total[-1] = 0.0  # what left the network
    return total[:-1]


def along_path(downstream: Index, values: Real) -> Real:
    """Sum over each reach and everything downstream of it, down to its outlet `[N]`."""
    total = np.append(np.asarray(values, np.float64), 0.0)
    for pointer, _ in _jumps(downstream):
        total += total[pointer]
    return total[:-1]


def outlets(downstream: Index) -> Index:
    """Give the outlet that each reach drains to `[N]`; an outlet gives itself."""
    here = np.arange(len(downstream))
    pointer = np.where(downstream == OUTLET, here, downstream)
    while not np.array_equal(ahead := pointer[pointer], pointer):
        pointer = ahead
    return np.asarray(pointer, np.int64)


def first_below(downstream: Index, chosen: NDArray[np.bool_]) -> Index:
    """Give the first chosen reach on each way down `[N]`, itself included; -1: there is none."""
    here = np.arange(len(downstream) + 1)
    pointer = np.where(np.append(chosen, True), here, _with_sink(downstream))
    while not np.array_equal(ahead := pointer[pointer], pointer):
        pointer = ahead
    return np.where(pointer[:-1] == len(downstream), OUTLET, pointer[:-1])


def levels(downstream: Index) -> Index:
    """Give the longest way from a headwater `[N]`: 0 for headwaters.

    The reaches of one level are independent of each other once the levels before are known.
    """
    height = np.zeros(len(downstream) + 1, np.int64)
    for pointer, step in _jumps(downstream):
        behind = height.copy()
        going = pointer < len(downstream)
        np.maximum.at(height, pointer[going], behind[going] + step)
    return height[:-1]


def depth_first(downstream: Index) -> Index:
    """Order the reaches upstream before downstream, each sub-network in one contiguous run.

    Of the tributaries that meet, the one with most reaches comes first. At any cut of the order at
    most log2(N) finished sub-networks then wait for their downstream neighbour.

    Returns
    -------
    ndarray
        `[N]`, positions in the new order; the input must be free of cycles.
    """
    size = accumulate(downstream, np.ones(len(downstream))).astype(np.int64)
    siblings = np.lexsort((size, downstream))  # by the reach they meet in, the smallest first
    after = np.cumsum(size[siblings]) - size[siblings]
    first = np.r_[True, np.diff(downstream[siblings]) != 0]
    after -= after[first][np.cumsum(first) - 1]  # reaches of smaller siblings, which come later
    gap = np.empty_like(size)
    gap[siblings] = after + 1
    back = along_path(downstream, gap.astype(np.float64)).astype(np.int64)
    order = np.empty_like(size)
    order[len(size) - back] = np.arange(len(size))
    return order


def _with_sink(downstream: Index) -> Index:
    """Let outlets flow into one more, imaginary reach, which flows into itself `[N + 1]`."""
    sink = len(downstream)
    return np.append(np.where(downstream == OUTLET, sink, downstream), sink).astype(np.int64)


def _jumps(downstream: Index) -> Iterator[tuple[Index, int]]:
    """Give where each reach gets by 1, 2, 4, ... steps, until all have left the network."""
    pointer, step, sink = _with_sink(downstream), 1, len(downstream)
    while (pointer[:-1] != sink).any():
        if step > sink:
            raise ValueError("expected a network that drains, found a cycle; see on_cycles")
        yield pointer, step
        pointer, step = pointer[pointer], step * 2
