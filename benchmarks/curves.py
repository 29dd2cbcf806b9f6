"""Losses of a short training on a twin: does a faster step learn as well?"""

from __future__ import annotations

from dataclasses import replace

import torch
from coupled import make_model
from training_step import FORCINGS, make_batch

from dmg.phy.hbv_1_0 import Hbv10


def losses(
    basins: int, days: int, warmup: int, components: int, hidden: int, num_steps: int
) -> tuple[list[str], list[tuple[str, ...]]]:
    """Mean square errors at ten steps of both trainings, as columns and rows of a table."""
    phy, batch = Hbv10(), make_batch(basins, days, warmup)
    g = torch.Generator().manual_seed(3)
    truth = {n: p.lower + (p.upper - p.lower) * torch.rand(basins, 1, generator=g)
             for n, p in phy.PARAMETERS.items() if p.default is None}  # fmt: skip
    forcing = {n: batch.forcing[n] for n in FORCINGS}
    observed = phy(forcing, truth, outputs=["streamflow"], mean=True).fluxes["streamflow"][warmup:]
    found = {}
    for name, learns, bfloat16 in (("float32", "network", False), ("options", "none", True)):
        model = make_model(phy, learns, hidden, components, bfloat16)
        optimizer, values = torch.optim.Adam(model.parameters(), lr=3e-3), []
        for seed in range(num_steps):
            flow = model(replace(batch, seed=seed)).fluxes["streamflow"]
            loss = (flow - observed).square().mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            values.append(float(loss.detach()))
        found[name] = values
    shown = sorted({*range(0, num_steps, max(1, num_steps // 10)), num_steps - 1})
    rows = [(str(i), *(f"{values[i]:.4f}" for values in found.values())) for i in shown]
    return ["step", *found], rows
