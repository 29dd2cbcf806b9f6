"""One training step by part, and how it grows with the number of days.

Standard size: 100 basins, 730 days (365 of them warm-up), 16 components, LSTM of 256 hidden units,
two dynamic parameters. Network, physics and routing are timed alone, forward and backward, from
the same tensors; the whole step includes the optimiser. Medians of repeats after a warm-up run.

    python benchmarks/training_step.py --threads 1 --repeats 5
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from dmg.batch import Batch
from dmg.delta import DeltaModel, State, parameter_map
from dmg.nn import Lstm
from dmg.normalizer import Normalizer
from dmg.phy.hbv_1_0 import Hbv10
from dmg.routing import UnitHydrograph

FORCINGS = ("precipitation", "temperature", "pet")
NUM_ATTRIBUTES = 35


def make_model(hidden_size: int, num_components: int) -> DeltaModel:
    phy, routing = Hbv10(), UnitHydrograph(15)
    parameters = parameter_map(phy, routing, phy.RECOMMENDED_DYNAMIC, num_components)
    net = Lstm(
        len(FORCINGS), NUM_ATTRIBUTES, parameters.num_dynamic, parameters.num_static,
        hidden_size=hidden_size, dropout=0.5,
    )  # fmt: skip
    normalizer = Normalizer(
        dict.fromkeys(FORCINGS, (1.0, 2.0)), {str(i): (0.0, 1.0) for i in range(NUM_ATTRIBUTES)}
    )
    return DeltaModel(net, phy, routing, normalizer=normalizer, parameters=parameters)


def make_batch(num_basins: int, num_days: int, warmup: int) -> Batch:
    g = torch.Generator().manual_seed(0)
    size = (num_days, num_basins)
    return Batch(
        forcing={
            "precipitation": (20 * torch.rand(size, generator=g) - 12).clamp(min=0),
            "temperature": 8 + 8 * torch.randn(size, generator=g),
            "pet": 4 * torch.rand(size, generator=g),
        },
        attributes=torch.randn(num_basins, NUM_ATTRIBUTES, generator=g),
        time=torch.zeros(num_basins, dtype=torch.int64),
        warmup=warmup,
        seed=1,
        rows=torch.arange(num_basins),
    )  # fmt: skip


def timed(part: Callable[[], Tensor]) -> tuple[float, float]:
    """Seconds of the forward and of the backward pass."""
    start = time.perf_counter()
    value = part()
    middle = time.perf_counter()
    value.backward()  # type: ignore[no-untyped-call]
    return middle - start, time.perf_counter() - middle


def parts(model: DeltaModel, batch: Batch) -> dict[str, Callable[[], Tensor]]:
    """What is timed: each part from its own leaves, and the whole from batch to loss."""
    scored = batch.slice(batch.warmup)
    phy, mapped, routing = model.phy_model, model.parameter_map, model.routing
    assert phy is not None
    assert routing is not None
    scores, _ = model._scores(scored, State())
    leaves = mapped.static(scores.static.detach()) | mapped.dynamic(scores.dynamic.detach())
    leaves = {name: value.requires_grad_() for name, value in leaves.items()}
    own = {name: value for name, value in leaves.items() if name in phy.PARAMETERS}
    flow = phy(scored.forcing, own, outputs=["streamflow"]).fluxes["streamflow"]
    runoff = flow.mean(-1).detach().requires_grad_()

    def network() -> Tensor:
        dynamic, static = model._scores(batch, State())[0]
        return dynamic[batch.warmup :].mean() + static.mean()

    def physics() -> Tensor:
        return phy(scored.forcing, own, outputs=["streamflow"]).fluxes["streamflow"].mean()

    return {
        "network": network,
        "physics": physics,
        "routing": lambda: routing(runoff, leaves)[0].mean(),
        "whole": lambda: model(batch).fluxes["streamflow"].mean(),
    }  # fmt: skip


def measure(model: DeltaModel, batch: Batch, repeats: int) -> dict[str, list[tuple[float, float]]]:
    chosen = parts(model, batch)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in chosen}
    for i in range(repeats + 1):
        for name, part in chosen.items():
            seconds = timed(part)
            if i:
                times[name].append(seconds)
    return times


HEAD = """
| part | forward [ms] | backward [ms] | both, min-max [ms] |
|---|---|---|---|"""


def show(title: str, times: dict[str, list[tuple[float, float]]]) -> None:
    print(f"\n{title}\n{HEAD}")
    for name, pairs in times.items():
        forward, backward = (1e3 * statistics.median(column) for column in zip(*pairs, strict=True))
        both = [1e3 * (f + b) for f, b in pairs]
        print(f"| {name} | {forward:.1f} | {backward:.1f} | {min(both):.1f}-{max(both):.1f} |")


def total(times: dict[str, list[tuple[float, float]]], part: str) -> float:
    return statistics.median(f + b for f, b in times[part])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--basins", type=int, default=100)
    options.add_argument("--components", type=int, default=16)
    options.add_argument("--hidden", type=int, default=256)
    chosen = options.parse_args()
    torch.set_flush_denormal(True)  # before the pool of threads starts
    torch.set_num_threads(chosen.threads)
    model = make_model(chosen.hidden, chosen.components).train()
    print(f"torch {torch.__version__}, {chosen.threads} thread(s), {chosen}")
    show(
        "730 days, 365 of them warm-up without gradient",
        measure(model, make_batch(chosen.basins, 730, 365), chosen.repeats),
    )
    times = {
        days: measure(model, make_batch(chosen.basins, days, 0), chosen.repeats)
        for days in (365, 1460)
    }
    for days, values in times.items():
        show(f"{days} days, all with gradient", values)
    for part in ("physics", "routing", "whole"):
        ratio = total(times[1460], part) / total(times[365], part)
        print(f"\n{part}: time at T=1460 over time at T=365: {ratio:.2f}")


if __name__ == "__main__":
    main()
