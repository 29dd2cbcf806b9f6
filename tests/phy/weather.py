"""Random weather and parameters for tests of process models."""

import torch
from torch import Tensor

from dmg.phy import ProcessModel


def weather(num_steps: int, num_basins: int, seed: int = 0) -> dict[str, Tensor]:
    """Seasonal temperature, wet and dry days, potential evapotranspiration, `[T, B]` each."""
    g = torch.Generator().manual_seed(seed)
    day = torch.arange(num_steps).unsqueeze(-1)
    season = torch.sin(2 * torch.pi * (day - 100) / 365.25)
    noise = torch.randn(num_steps, num_basins, generator=g)
    wet = torch.rand(num_steps, num_basins, generator=g) < 0.4
    amount = -8 * torch.rand(num_steps, num_basins, generator=g).clamp(min=1e-6).log()
    temperature = 6 + 12 * season + 3 * noise
    return {
        "precipitation": torch.where(wet, amount, 0.0),
        "temperature": temperature,
        "pet": (2 + 1.8 * season + 0.3 * noise).clamp(min=0),
    }


def random_parameters(
    model: ProcessModel, num_basins: int, num_components: int, seed: int = 0, margin: float = 0.0
) -> dict[str, Tensor]:
    """Static parameters `[B, E]`, uniform within their bounds."""
    g = torch.Generator().manual_seed(seed + 1)
    size = (num_basins, num_components)
    return {
        name: p.lower
        + (p.upper - p.lower) * (margin + (1 - 2 * margin) * torch.rand(size, generator=g))
        for name, p in model.PARAMETERS.items()
    }
