"""Flow in channels with a power-law cross section, and Muskingum's weights from it.

The top width of a channel grows with its depth as `w = p * d**q`: rectangular at q = 0,
triangular at q = 1 (Leopold and Maddock 1953, USGS Professional Paper 252). Depth follows from
the discharge by Manning's equation with the depth as hydraulic radius; the velocity from the
trapezoid of that depth and top width (Bindas et al. 2024, doi:10.1029/2023WR035337).

Shape legend: N reaches.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from dmg.routing.reaches import Reaches

STEEPEST = 15.0
"""Largest velocity [m s-1]."""


class Minima(NamedTuple):
    """Least values that keep flow and gradients finite."""

    discharge: float = 1e-4  # m3 s-1
    slope: float = 1e-3  # 1
    velocity: float = 0.01  # m s-1
    depth: float = 0.01  # m
    width: float = 0.01  # m, of the bottom


class Section(NamedTuple):
    """Cross section of the flow, and the speeds of water and wave, `[N]` each."""

    depth: Tensor  # m
    top_width: Tensor  # m
    side_slope: Tensor  # 1, horizontal to vertical
    bottom_width: Tensor  # m
    area: Tensor  # m2
    perimeter: Tensor  # m
    radius: Tensor  # m, hydraulic
    velocity: Tensor  # m s-1
    celerity: Tensor  # m s-1


class Weights(NamedTuple):
    """Muskingum's weights `[N]` [1]; the first three sum to one (Cunge 1969)."""

    inflow_next: Tensor  # C1, of what flows in at the end of the step
    inflow: Tensor  # C2, at its beginning
    discharge: Tensor  # C3
    lateral: Tensor  # C4


def section(
    discharge: Tensor,
    parameters: Mapping[str, Tensor],
    reaches: Reaches,
    minima: Minima = Minima(),  # noqa: B008 - immutable
) -> Section:
    """Cross section of each reach at its discharge.

    Parameters
    ----------
    discharge
        `[N]` [m3 s-1], above zero.
    parameters
        `n` [s m-1/3], `q_spatial` [1], `p_spatial` [m^(1-q)], `[N]` each.
    reaches
        The network.
    minima
        Least slope, depth, bottom width and velocity.
    """
    n, p, q = parameters["n"], parameters["p_spatial"], parameters["q_spatial"] + 1e-6
    root = reaches.slope.clamp(min=minima.slope).sqrt()
    power = 3 / (5 + 3 * q)
    depth = (discharge * n * (q + 1) / (p * root + 1e-8)).pow(power).clamp(min=minima.depth)
    top_width = p * depth.pow(q)
    side_slope = (top_width * q / (2 * depth)).clamp(0.5, 50)
    bottom_width = (top_width - 2 * side_slope * depth).clamp(min=minima.width)
    area = (top_width + bottom_width) * depth / 2
    perimeter = bottom_width + 2 * depth * (1 + side_slope.square()).sqrt()
    radius = area / perimeter
    velocity = radius.pow(2 / 3) * root / n
    celerity = 5 / 3 * velocity.clamp(minima.velocity, STEEPEST)
    return Section(
        depth, top_width, side_slope, bottom_width, area, perimeter, radius, velocity, celerity
    )


def muskingum_weights(celerity: Tensor, reaches: Reaches, dt: float) -> Weights:
    """Weights of a step of `dt` [s] from the celerity of the wave [m s-1]."""
    k, x = reaches.length / celerity, reaches.weight
    denominator = 2 * k * (1 - x) + dt
    return Weights(
        (dt - 2 * k * x) / denominator,
        (dt + 2 * k * x) / denominator,
        (2 * k * (1 - x) - dt) / denominator,
        2 * dt / denominator,
    )
