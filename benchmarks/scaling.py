"""Weak scaling of data-parallel training: measured on this machine, and on paper for GPUs.

Each process has as many windows, so that n processes do n times the work; *apart*, they share the
machine but no training, which shows what the machine itself loses. A step is that of
`Trainer`: gradient of the global batch, with one message for the sums of the loss and one for all
gradients, and optimiser. On paper a step takes T(n) = C + R(n), with the time C of one process
alone and that of a ring all-reduce

    R(n) = 2 (n - 1) / n * G / bandwidth + 2 * 2 (n - 1) * latency

(G bytes of gradients; the second latency is that of the message with the sums), and the efficiency
is C / T(n).

    OMP_NUM_THREADS=1 python benchmarks/scaling.py --processes 1 2 --basins 25 --repeats 5
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
import torch.multiprocessing as mp
from measure import environment, table
from training_step import make_batch, make_model

from dmg import distributed
from dmg.batch import Batch
from dmg.delta import DeltaModel
from dmg.gradient import add_gradient
from dmg.handler import ModelHandler
from dmg.losses import RmseComb

LINKS = {  # GB/s in one direction, and latency of one message [s]
    "NVLink, one node": (200.0, 5e-6),
    "InfiniBand, 200 Gb/s": (25.0, 1e-5),
    "Ethernet, 10 Gb/s": (1.25, 5e-5),
}
WARMUP, DAYS = 365, 730


def message(num_bytes: float, n: int, bandwidth: float, latency: float) -> float:
    """Seconds of a ring all-reduce over `n` processes."""
    return 2 * (n - 1) / n * num_bytes / bandwidth + 2 * (n - 1) * latency


def efficiency(step: float, num_bytes: float, n: int, bandwidth: float, latency: float) -> float:
    """Share of the time of a step that is spent on computing; `step` seconds are computed."""
    sent = message(num_bytes, n, bandwidth, latency) + message(0, n, bandwidth, latency)
    return step / (step + sent)


def own_batch(num_basins: int) -> Batch:
    batch = make_batch(num_basins, DAYS, WARMUP)
    return replace(batch, basin=torch.arange(num_basins), target=batch.forcing["pet"])


def train(model: DeltaModel, batch: Batch, repeats: int) -> list[float]:
    """Seconds of each step."""
    handler, loss = ModelHandler(model).train(), RmseComb()
    weights = list(handler.parameters())
    optimizer = torch.optim.Adadelta(weights)
    times = []
    for _ in range(repeats + 1):
        distributed.barrier()
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        add_gradient(handler, loss, [batch], "streamflow", distributed.reduce_sums)
        distributed.sum_gradients(weights)
        optimizer.step()
        times.append(time.perf_counter() - start)
    return times[1:]


def messages(num_weights: int, dtype: torch.dtype, repeats: int) -> float:
    """Seconds of a sum of gradients alone, the processes in step."""
    flat = torch.ones(num_weights, dtype=dtype)
    times = []
    for _ in range(repeats + 1):
        distributed.barrier()
        start = time.perf_counter()
        distributed.sum_tensor(flat)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def work(rank: int, n: int, apart: bool, folder: Path, options: argparse.Namespace) -> None:
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)
    group = (0, 1) if apart else (rank, n)
    with distributed.process_group(*group, rendezvous=folder / f"address{n}"):
        model = make_model(options.hidden, 16)
        num_weights = sum(p.numel() for p in model.parameters())
        times = train(model, own_batch(options.basins), options.repeats)
        alone = [messages(num_weights, t, 20) for t in (torch.float32, torch.bfloat16)]
    if rank == 0:
        torch.save((num_weights, times, alone), folder / f"{n}{apart}.pt")


def measured(options: argparse.Namespace) -> tuple[int, dict[str, tuple[list[float], list[float]]]]:
    """Number of weights, and for each kind of run the times of steps and of messages alone."""
    found, num_weights = {}, 0
    with tempfile.TemporaryDirectory() as name:
        for n in options.processes:
            for apart in (True, False) if n > 1 else (True,):
                arguments = (n, apart, Path(name), options)
                mp.start_processes(work, arguments, n, start_method="spawn")
                num_weights, times, alone = torch.load(Path(name) / f"{n}{apart}.pt")
                kind = f"{n} apart, without messages" if apart and n > 1 else str(n)
                found[kind] = (times, alone if not apart else [])
    return num_weights, found


def measured_table(found: dict[str, tuple[list[float], list[float]]]) -> str:
    first = statistics.median(next(iter(found.values()))[0])
    rows = []
    for kind, (steps, alone) in found.items():
        step = statistics.median(steps)
        sent = [f"{1e3 * t:.2f}" for t in alone] or ["-", "-"]
        spread = f"{1e3 * min(steps):.0f} – {1e3 * max(steps):.0f}"
        rows.append((kind, f"{1e3 * step:.0f}", spread, *sent, f"{first / step:.2f}"))
    head = ("processes", "step [ms]", "min – max", "message [ms]", "bfloat16 [ms]", "efficiency")
    return table(head, rows)


def paper_table(num_bytes: int, step: float) -> str:
    rows = []
    for name, (bandwidth, latency) in LINKS.items():
        for size, kind in ((num_bytes, "float32"), (num_bytes // 2, "bfloat16")):
            shares = [efficiency(step, size, n, 1e9 * bandwidth, latency) for n in (1, 2, 4, 8)]
            rows.append((f"{name}, {kind}", *(f"{share:.3f}" for share in shares)))
    return table((f"step of {1e3 * step:g} ms", "1", "2", "4", "8"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--basins", type=int, default=25, help="windows of each process")
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--gpu-steps-ms", type=float, nargs="+", default=[20.0, 100.0])
    options = parser.parse_args()
    num_weights, found = measured(options)
    print(f"{environment()}\n\n{num_weights} weights, {4 * num_weights / 1e6:.2f} MB a step;")
    print(f"{options.basins} windows of {DAYS} days a process\n\n{measured_table(found)}")
    for milliseconds in options.gpu_steps_ms:
        print(f"\n{paper_table(4 * num_weights, milliseconds / 1e3)}")


if __name__ == "__main__":
    main()
