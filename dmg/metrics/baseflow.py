"""Baseflow by the filter of Lyne and Hollick.

Three passes (forward, backward, forward) of a recursive filter that takes quick flow out; each run
of days without a gap is extended by its mirror image at both ends (Ladson et al. 2013,
doi:10.7158/13241583.2013.11465417).
"""

from __future__ import annotations

import numpy as np

from dmg.metrics.pairs import Array, ratio

ALPHA = 0.98
"""Filter constant of NeuralHydrology; CAMELS took 0.925."""

PADDING = 30
"""Mirrored days at each end; runs must be longer."""


def baseflow_index(flow: Array, alpha: float = ALPHA) -> Array:
    """Share of baseflow in the flow `[B, T]` of all runs that are long enough; `[B]`."""
    base = baseflow(flow, alpha)
    inside = np.isfinite(base)
    return ratio(np.where(inside, base, 0).sum(axis=1), np.where(inside, flow, 0).sum(axis=1))


def baseflow(flow: Array, alpha: float = ALPHA) -> Array:
    """Baseflow of each day `[B, T]`, NaN where missing or in a run of 30 days or less."""
    base = np.full(flow.shape, np.nan)
    whole = np.isfinite(flow).all(axis=1)
    if whole.any() and flow.shape[1] > PADDING:
        base[whole] = _filtered(flow[whole], alpha)
    for row in np.flatnonzero(~whole):
        for start, stop in _runs(np.isfinite(flow[row])):
            base[row, start:stop] = _filtered(flow[None, row, start:stop], alpha)[0]
    return base


def _filtered(flow: Array, alpha: float) -> Array:
    """Three passes over whole series `[B, T]`; each ends with its days reversed."""
    series = np.pad(flow, ((0, 0), (PADDING, PADDING)), mode="reflect")
    for _ in range(3):
        series = _pass(series, alpha)[:, ::-1]
    return series[:, ::-1][:, PADDING:-PADDING]


def _pass(x: Array, alpha: float) -> Array:
    """Take quick flow f out: f_t = alpha f_{t-1} + (1 + alpha) / 2 (x_t - x_{t-1}), f_0 = x_0."""
    from scipy.signal import lfilter  # slow to import

    c = (1 + alpha) / 2
    quick, _ = lfilter([c, -c], [1, -alpha], x, axis=1, zi=(1 - c) * x[:, :1])
    base = np.where(quick > 0, x - quick, x)
    base[:, 0] = 0.0
    return base


def _runs(valid: np.ndarray) -> list[tuple[int, int]]:
    """First and last + 1 of each run of valid days that can be mirrored."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], valid.astype(np.int8), [0]])))
    pairs = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    return [(start, stop) for start, stop in pairs if stop - start > PADDING]
