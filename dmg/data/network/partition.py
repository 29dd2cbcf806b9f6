"""Parts of a network: everything upstream of some reaches, sub-networks, balanced pieces."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dmg.data.network.graph import OUTLET, Index, Real, accumulate, depth_first
from dmg.data.network.model import Network

GRAIN = 4  # finer sub-networks make pieces more alike and the trunk longer


@dataclass(frozen=True)
class Piece:
    """A part of a network for one worker.

    Attributes
    ----------
    reaches
        Positions in the whole network, sorted.
    units
        Positions of the units that drain to them, sorted.
    inflow
        Positions of reaches of *earlier* pieces whose discharge flows into this one, sorted; empty
        if the piece needs no other.
    """

    reaches: Index
    units: Index
    inflow: Index


def upstream_of(network: Network, reaches: Index | list[int]) -> Index:
    """Positions of some reaches and of all reaches upstream of them, sorted, each once."""
    chosen = np.asarray(reaches, np.int64)
    return _runs(network.first_upstream[chosen], chosen, network.num_reaches)


def units_of(network: Network, reaches: Index) -> Index:
    """Positions of the units that drain to some reaches, sorted."""
    inside = np.zeros(network.num_reaches + 1, bool)  # the last one for units off the network
    inside[reaches] = True
    return np.flatnonzero(inside[network.unit_reach])


def subnetwork(network: Network, reaches: Index | list[int]) -> Network:
    """Cut out some reaches with their own units and gauges, and number them anew.

    A link to a reach that is left out becomes an outlet. `area` stays what it was: everything
    upstream, cut out or not. Sets that are closed upstream (`upstream_of`) keep their order; for
    others find the reaches by `positions`.
    """
    inside = np.zeros(network.num_reaches + 1, bool)
    inside[np.asarray(reaches, np.int64)] = True
    chosen = np.flatnonzero(inside[:-1])
    rank = np.full(network.num_reaches + 1, OUTLET)
    rank[chosen] = np.arange(len(chosen))
    chosen = chosen[_order(rank[network.downstream[chosen]])]
    rank[chosen] = np.arange(len(chosen))
    units = np.flatnonzero(inside[network.unit_reach])
    units = units[np.argsort(rank[network.unit_reach[units]], kind="stable")]
    gauges = np.flatnonzero(inside[network.gauge_reach])
    return replace(
        network,
        **{n: getattr(network, n)[chosen] for n in ("reach_id", "length", "slope", "area")},
        **{n: getattr(network, n)[chosen] for n in ("latitude", "longitude")},
        downstream=rank[network.downstream[chosen]],
        **{f"unit_{n}": getattr(network, f"unit_{n}")[units] for n in UNIT_FIELDS},
        unit_reach=rank[network.unit_reach[units]],
        gauge_id=network.gauge_id[gauges],
        gauge_reach=rank[network.gauge_reach[gauges]],
        gauge_area=network.gauge_area[gauges],
    )


UNIT_FIELDS = ("id", "area", "latitude", "longitude", "elevation")


def pieces(network: Network, n: int, weights: Real | None = None) -> list[Piece]:
    """Partition a network into n balanced pieces for parallel work, and a trunk that follows them.

    Sub-networks that carry at most 1/(4 n) of the work are packed into n pieces that need nothing
    from each other. What remains, the lower courses of the big rivers, is the trunk: one more
    piece, the last, whose inflow links name the reaches that feed it. A network without a river
    that big has no trunk. Together the pieces hold every reach and unit on the network once.

    Parameters
    ----------
    network
        The whole.
    n
        Number of independent pieces; fewer come back if there is less to share.
    weights
        `[N]`, work of each reach; default: 1 and 1 for each of its units.

    Returns
    -------
    list of Piece
        Upstream pieces first.
    """
    if n < 1:
        raise ValueError(f"pieces: expected 1 or more, found {n}")
    work = _default_weights(network) if weights is None else np.asarray(weights, np.float64)
    upstream = accumulate(network.downstream, work)
    trunk = upstream > (np.inf if n == 1 else work.sum() / (GRAIN * n))
    owner = np.where(trunk, n, _shares(network, work, trunk, n))
    found = (_piece(network, owner, k) for k in range(n + 1))
    return [piece for piece in found if len(piece.reaches)]


def _default_weights(network: Network) -> Real:
    on = network.unit_reach[network.unit_reach != OUTLET]
    return np.bincount(on, minlength=network.num_reaches).astype(np.float64) + 1


def _shares(network: Network, work: Real, trunk: NDArray[np.bool_], n: int) -> Index:
    """Share sub-networks out in their order, so that a piece is nearly a contiguous run `[N]`."""
    down = network.downstream
    root = ~trunk & ((down == OUTLET) | trunk[down])
    last = np.flatnonzero(root)  # runs: each ends with its root, the trunk lies between
    which = np.searchsorted(last, np.arange(len(down)))
    weight = np.bincount(which[~trunk], weights=work[~trunk], minlength=len(last) + 1)
    middle = np.cumsum(weight) - weight / 2
    share = (middle / max(weight.sum(), np.finfo(float).tiny) * n).astype(np.int64)
    return np.asarray(share.clip(max=n - 1)[which], np.int64)


def _piece(network: Network, owner: Index, k: int) -> Piece:
    reaches = np.flatnonzero(owner == k)
    down = network.downstream
    crossing = (down != OUTLET) & (owner != k) & (owner[down] == k)
    return Piece(reaches, units_of(network, reaches), np.flatnonzero(crossing))


def _order(downstream: Index) -> Index:
    """Keep the order if each sub-network is one run, else find one."""
    size = accumulate(downstream, np.ones(len(downstream)))
    first = np.arange(len(size)) - size
    inner = downstream != OUTLET
    if (first[inner] >= first[downstream[inner]]).all():
        return np.arange(len(size))
    return depth_first(downstream)


def _runs(first: Index, last: Index, size: int) -> Index:
    """Positions inside any of the runs `first..last`."""
    edges = np.zeros(size + 1, np.int64)
    np.add.at(edges, first, 1)
    np.add.at(edges, last + 1, -1)
    return np.flatnonzero(np.cumsum(edges[:-1]))
