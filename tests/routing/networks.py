"""Small networks for the tests of routing."""

import torch
from torch import Tensor

from dmg.routing import Reaches

FIVE = (2, 2, 3, 4, -1)
"""Two headwaters that join, and two reaches below."""


def random_links(num_reaches: int, seed: int = 0, outlets: float = 0.02) -> Tensor:
    """Trees in which each reach flows into one of the next few, `[N]`."""
    draw = torch.Generator().manual_seed(seed)
    own = torch.arange(num_reaches)
    ahead = 1 + torch.rand(num_reaches, generator=draw).mul(8).long()
    ends = torch.rand(num_reaches, generator=draw) < outlets
    return torch.where(ends | (own + ahead >= num_reaches), -1, own + ahead)


def random_reaches(num_reaches: int, seed: int = 0) -> Reaches:
    draw = torch.Generator().manual_seed(seed)
    length, slope, x = torch.rand(3, num_reaches, generator=draw, dtype=torch.float64)
    links = random_links(num_reaches, seed)
    return Reaches(links, 200 + 8000 * length, 0.01 * slope, 0.4 * x)


def random_inflow(num_steps: int, num_reaches: int, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return 3 * torch.rand(num_steps, num_reaches, generator=draw, dtype=torch.float64) ** 4 + 0.01


def random_parameters(num_reaches: int, seed: int = 0) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    n, q, p = torch.rand(3, num_reaches, generator=draw, dtype=torch.float64)
    return {"n": 0.02 + 0.1 * n, "q_spatial": q, "p_spatial": 5 + 40 * p}
