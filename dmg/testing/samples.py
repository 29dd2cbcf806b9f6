"""Random weather, random parameters and corners of the parameter space, all seeded.

Shape legend: T time, B basins, E components.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from dmg.parameters import Parameter
from dmg.phy.base import ProcessModel

USUAL = ("precipitation", "temperature", "pet")
"""What most models of a basin read."""
CONSTANT = {
    "area": (1.0, 5000.0),  # [km2]
    "elevation": (0.0, 3000.0),  # [m]
    "latitude": (-60.0, 70.0),  # [degrees]
    "longitude": (-180.0, 180.0),  # [degrees]
}
"""Range of what is constant in time, `[B]`."""
WILD = {
    "temperature": (-40.0, 45.0),  # [degC]
    "pet": (0.0, 15.0),  # [mm d-1]
    "shortwave": (0.0, 1000.0),  # [W m-2]
    "vapour_pressure": (0.0, 5000.0),  # [Pa]
    "daylength": (0.0, 86400.0),  # [s]
    "day_of_year": (1.0, 366.0),
}
"""Range of what changes from day to day where nothing has to be likely."""


def weather(
    num_steps: int,
    num_basins: int,
    seed: int = 0,
    forcings: Sequence[str] = USUAL,
    *,
    dt: float = 1.0,
    wild: bool = False,
) -> dict[str, Tensor]:
    """Seasons, wet and dry days: `[T, B]` by name, `[B]` where constant in time.

    Parameters
    ----------
    num_steps, num_basins
        T and B.
    seed
        Of all random numbers.
    forcings
        Canonical names, in the units of `dmg.data.variables`.
    dt
        Length of a step [d].
    wild
        Each value on its own, uniform in a range that no place on Earth has: rain up to 500 mm d-1
        at -40 degC.

    Raises
    ------
    ValueError
        If a forcing is not a canonical name.
    """
    g = torch.Generator().manual_seed(seed)
    series = (_wild if wild else _usual)(num_steps, num_basins, g, dt)
    half = 1 + 8 * torch.rand(num_steps, num_basins, generator=g)
    series["temperature_min"] = series["temperature"] - half
    series["temperature_max"] = series["temperature"] + half
    for name, (low, high) in CONSTANT.items():
        series[name] = low + (high - low) * torch.rand(num_basins, generator=g)
    unknown = [name for name in forcings if name not in series]
    if unknown:
        raise ValueError(
            f"no random weather for the forcings {unknown}, only for {sorted(series)};"
            " override the method `weather` of the contract"
        )
    return {name: series[name] for name in forcings}


def _usual(num_steps: int, num_basins: int, g: torch.Generator, dt: float) -> dict[str, Tensor]:
    size = (num_steps, num_basins)
    day = dt * torch.arange(num_steps).unsqueeze(-1)
    season = torch.sin(2 * torch.pi * (day - 100) / 365.25)
    noise = torch.randn(size, generator=g)
    wet = torch.rand(size, generator=g) < 0.4
    amount = -8 * torch.rand(size, generator=g).clamp(min=1e-6).log()
    return {
        "precipitation": torch.where(wet, amount, 0.0),
        "temperature": 6 + 12 * season + 3 * noise,
        "pet": (2 + 1.8 * season + 0.3 * noise).clamp(min=0),
        "shortwave": (320 + 160 * season + 40 * noise).clamp(min=0),
        "vapour_pressure": (900 + 500 * season + 100 * noise).clamp(min=0),
        "daylength": (43200 + 14400 * season).expand(size),
        "day_of_year": (1 + day.floor() % 365).to(noise).expand(size),
    }


def _wild(num_steps: int, num_basins: int, g: torch.Generator, dt: float) -> dict[str, Tensor]:
    size = (num_steps, num_basins)
    rain = 1000 * torch.rand(size, generator=g) - 500
    uniform = {n: a + (b - a) * torch.rand(size, generator=g) for n, (a, b) in WILD.items()}
    return uniform | {"precipitation": rain.clamp(min=0)}


def random_parameters(
    model: ProcessModel,
    num_basins: int,
    num_components: int,
    seed: int = 0,
    margin: float = 0.0,
) -> dict[str, Tensor]:
    """Draw static parameters `[B, E]`, uniform within their bounds on the scale of each.

    Parameters
    ----------
    model
        Whose `PARAMETERS` they are.
    num_basins, num_components
        B and E.
    seed
        Of all random numbers.
    margin
        Part of the range that is left out at either end.
    """
    g = torch.Generator().manual_seed(seed + 1)
    size = (num_basins, num_components)
    return {
        name: at(p, margin + (1 - 2 * margin) * torch.rand(size, generator=g))
        for name, p in model.PARAMETERS.items()
    }


def at(parameter: Parameter, fraction: Tensor) -> Tensor:
    """Value that lies at a fraction of the range of a parameter, on its scale."""
    lower, upper = parameter.lower, parameter.upper
    if parameter.scale == "linear":
        return lower + (upper - lower) * fraction
    return lower * torch.exp(fraction * math.log(upper / lower))


def corners(parameters: Mapping[str, Parameter], most: int = 2**13) -> dict[str, Tensor]:
    """Parameters at their bounds, `[1, E]`: every combination, or a choice of `most`.

    The choice has every combination of every pair of parameters, with all others at their lower
    or all at their upper bounds; the rest is a seeded random sample.
    """
    count = len(parameters)
    if 2**count <= most:
        chosen = torch.tensor(list(itertools.product((False, True), repeat=count)))
    else:
        chosen = _some_corners(count, most)
    columns = chosen.T.unsqueeze(1)
    return {
        name: torch.where(upper, p.upper, p.lower).to(torch.get_default_dtype())
        for (name, p), upper in zip(parameters.items(), columns, strict=True)
    }


def _some_corners(count: int, most: int) -> Tensor:
    """Which parameters are at their upper bounds, `[E, P]`."""
    pairs = [(i, j) for i in range(count) for j in range(i, count)]  # of one: a single flip
    flips = torch.zeros(1 + len(pairs), count, dtype=torch.bool)
    for row, pair in enumerate(pairs, start=1):
        flips[row, list(pair)] = True
    systematic = torch.cat([flips, ~flips])
    g = torch.Generator().manual_seed(0)
    random = torch.rand(max(0, most - len(systematic)), count, generator=g) < 0.5
    return torch.cat([systematic, random])


def near_corners(
    model: ProcessModel, num_basins: int, num_components: int, seed: int = 0
) -> dict[str, Tensor]:
    """Random parameter sets `[B, E]`, each value within a thousandth of one of its bounds."""
    g = torch.Generator().manual_seed(seed)
    shape = (num_basins, num_components)
    return {
        name: at(p, torch.where(torch.rand(shape, generator=g) < 0.5, 0.001, 0.999))
        for name, p in model.PARAMETERS.items()
    }
