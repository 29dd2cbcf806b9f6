"""One training step on a GPU by part, and eight seeds trained at once.

Model and batch are those of `training_step.py` at the standard size: 100 basins, 730 days (365 of
them warm-up), 16 components, LSTM of 256 hidden units. A step is forward, root mean square error,
backward and optimiser. The physics is also run as the loop in PyTorch. Seeds share the process,
each on a stream of its own. Medians of repeats after warm-up runs, the device synchronised
around each.

    python benchmarks/gpu.py --repeats 10
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor
from training_step import make_batch, make_model, parts, show

from dmg.batch import Batch
from dmg.delta import DeltaModel

NUM_WARMUPS = 3


def seconds(work: Callable[[], object]) -> float:
    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def timed(part: Callable[[], Tensor], repeats: int) -> list[tuple[float, float]]:
    """Seconds of forward and backward passes."""
    kept: list[Tensor] = []
    pairs = [
        (seconds(lambda: kept.append(part())), seconds(lambda: kept.pop().backward()))
        for _ in range(NUM_WARMUPS + repeats)
    ]
    return pairs[NUM_WARMUPS:]


def physics(model: DeltaModel, batch: Batch, backend: str) -> Callable[[], Tensor]:
    """The scored days of the process model; fails where `backend` cannot run."""
    phy, scored = model.phy_model, batch.slice(batch.warmup)
    assert phy is not None
    size = (batch.attributes.shape[0], 16)
    parameters = {
        name: torch.full(
            (scored.num_steps, *size) if name in phy.RECOMMENDED_DYNAMIC else size,
            (p.lower + p.upper) / 2, device=batch.attributes.device, requires_grad=True,
        )
        for name, p in phy.PARAMETERS.items()
    }  # fmt: skip
    options = {"backend": backend, "outputs": ["streamflow"], "mean": True}
    return lambda: phy(scored.forcing, parameters, **options).fluxes["streamflow"].mean()


def training_step(model: DeltaModel, batch: Batch) -> Callable[[], None]:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        flow = model(batch).fluxes["streamflow"]
        flow.square().mean().sqrt().backward()
        optimizer.step()

    return step


def together(steps: list[Callable[[], None]]) -> Callable[[], None]:
    """One step of each, on streams of their own."""
    streams = [torch.cuda.Stream() for _ in steps]

    def run() -> None:
        for step, stream in zip(steps, streams, strict=True):
            with torch.cuda.stream(stream):
                step()

    return run


def median(work: Callable[[], None], repeats: int) -> float:
    """Milliseconds."""
    values = [seconds(work) for _ in range(NUM_WARMUPS + repeats)]
    return 1e3 * statistics.median(values[NUM_WARMUPS:])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--repeats", type=int, default=10)
    options.add_argument("--seeds", type=int, default=8)
    chosen = options.parse_args()
    if not torch.cuda.is_available():
        sys.exit("benchmarks/gpu.py: no CUDA device here, nothing was measured")
    device = torch.device("cuda")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {chosen}")
    batch = make_batch(100, 730, 365).to(device)
    models = [make_model(256, 16).train().to(device) for _ in range(chosen.seeds)]
    by_part = {f"physics, {b}": physics(models[0], batch, b) for b in ("fused", "eager")}
    by_part |= {n: p for n, p in parts(models[0], batch).items() if n != "physics"}
    times = {name: timed(part, chosen.repeats) for name, part in by_part.items()}
    show("730 days, 365 of them warm-up without gradient", times)
    steps = [training_step(model, batch) for model in models]
    alone = median(steps[0], chosen.repeats)
    at_once = median(together(steps), chosen.repeats)
    print(f"\ntraining step with optimiser: {alone:.1f} ms; {chosen.seeds} seeds at once:"
          f" {at_once:.1f} ms, {at_once / alone:.2f} times one")  # fmt: skip


if __name__ == "__main__":
    main()
