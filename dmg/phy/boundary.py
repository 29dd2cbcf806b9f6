"""What may enter a process model: values and states are checked before any step runs.

Shape legend: T time, B basins, E components.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dmg.parameters import Parameter

RANGES: Mapping[str, tuple[float, float]] = {
    "precipitation": (0, 20_000),  # [mm d-1], a cloudburst of an hour as a rate of a day
    "temperature": (-90, 60),  # [degC]
    "temperature_min": (-90, 60),
    "temperature_max": (-90, 60),
    "pet": (0, 200),  # [mm d-1]
    "shortwave": (0, 1500),  # [W m-2]
    "vapour_pressure": (0, 10_000),  # [Pa]
    "daylength": (0, 86_400),  # [s]
    "latitude": (-90, 90),  # [degrees]
    "elevation": (-430, 8850),  # [m]
    "area": (0, 10_000_000),  # [km2]
}
"""Possible values of a forcing; another unit, such as K, mostly lies outside."""
ANYTHING = (-math.inf, math.inf)
ROUNDING = 1e-6
"""How far a value may lie outside, relative to the larger bound."""


def check_values(
    forcing: Mapping[str, Tensor],
    parameters: Mapping[str, Tensor],
    table: Mapping[str, Parameter],
) -> None:
    """Refuse NaN, forcing that cannot be, and parameters outside their bounds.

    Each tensor is read once, and one small tensor leaves the device.

    Parameters
    ----------
    forcing
        `[T, B]` or `[B]` by name.
    parameters
        `[B, E]` or `[T, B, E]` by symbol.
    table
        Bounds of the parameters.

    Raises
    ------
    ValueError
        If a value is refused; the text names it, and the first step and basin of a forcing.
    """
    tensors = [*forcing.values(), *parameters.values()]
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return  # there are no values yet
    if any(t.numel() == 0 for t in tensors):
        return  # the scan refuses it
    found = _extremes(tensors)
    for (name, series), extremes in zip(forcing.items(), found, strict=False):
        limits = RANGES.get(name, ANYTHING)
        if not _within(*limits, *extremes):
            raise ValueError(_about_forcing(name, series, *limits))
    outside = [
        f"{name} {table[name].lower:g}..{table[name].upper:g}, found {low:g}..{high:g}"
        for name, (low, high) in zip(parameters, found[len(forcing) :], strict=True)
        if not _within(table[name].lower, table[name].upper, low, high)
    ]
    if outside:
        raise ValueError(f"parameters must lie within their bounds: {'; '.join(outside)}")


def check_state(state: Any, fields: tuple[str, ...], size: tuple[int, int]) -> None:
    """Refuse a state of another model, or of another number of basins or components.

    Parameters
    ----------
    state
        Named tuple of storages.
    fields
        Names of the storages of this model.
    size
        B and E.

    Raises
    ------
    ValueError
        If the state does not fit; the text names what does not.
    """
    found = getattr(state, "_fields", type(state).__name__)
    if found != fields:
        raise ValueError(
            f"the state must hold {list(fields)}, found {found}; start from the state that this"
            " model returned, or from its initial_state"
        )
    wrong = {
        name: tuple(store.shape)
        for name, store in zip(fields, state, strict=True)
        if store.shape != size
    }
    if wrong:
        raise ValueError(f"the state must be [B, E] = {size} as the parameters are, found {wrong}")


def _extremes(values: Sequence[Tensor]) -> list[tuple[float, float]]:
    """Return least and largest value of each tensor; NaN for both where one value is NaN."""
    pairs = torch.stack([torch.stack(v.detach().aminmax()).double() for v in values])
    return [(low, high) for low, high in pairs.tolist()]


def _within(lower: float, upper: float, *values: float) -> bool:
    slack = ROUNDING * max(abs(lower), abs(upper))
    return all(math.isfinite(v) and lower - slack <= v <= upper + slack for v in values)


def _about_forcing(name: str, series: Tensor, lower: float, upper: float) -> str:
    """Say what is wrong where it is first."""
    slack = ROUNDING * max(abs(lower), abs(upper))
    fine = series.isfinite() & (series >= lower - slack) & (series <= upper + slack)
    place = (~fine).nonzero()[0].tolist()
    where = f"basin {place[-1]}" if len(place) == 1 else f"step {place[0]} of basin {place[-1]}"
    value = series[tuple(place)].item()
    if math.isnan(value):
        return f"{name} must be known everywhere, found NaN at {where}; fill the gap"
    return (
        f"{name} must be within {lower:g}..{upper:g}, found {value:g} at {where};"
        " convert its unit, or mend the value"
    )
