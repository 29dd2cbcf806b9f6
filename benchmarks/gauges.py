"""One training step at gauges of a river network: units a second, seconds of reading, peak memory.

    python benchmarks/gauges.py --config config/experiments/nhm.yaml --store STORE.zarr \
        --preprocess results/nhm/preprocess [--threads 1] [--steps 3] [--recompute-days 73]

Every variant runs in a process of its own, so that peaks of memory do not mix.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from dmg.build import build_loader, build_trainer
from dmg.config import Experiment, load_experiment, parse, resolved
from dmg.data.statistics import read_statistics
from dmg.denormals import flush_denormals


def measure(arguments: argparse.Namespace, change: dict[str, Any]) -> None:
    """Print one line for some settings of `train`."""
    content = resolved(load_experiment(arguments.config))
    content["train"] |= change
    experiment = parse(Experiment, content, str(arguments.config))
    statistics = read_statistics(arguments.preprocess / "statistics.json")["all"]
    loader = build_loader(experiment, arguments.store, arguments.preprocess, statistics)
    with flush_denormals(), tempfile.TemporaryDirectory() as run:
        torch.set_num_threads(arguments.threads)
        trainer = build_trainer(
            experiment, loader, statistics, arguments.preprocess, "all", 0, Path(run)
        )
        trainer.handler.train()
        trainer._train_step(trainer._batch(1, 0))  # compiles, fills caches
        units, reading, training = 0, 0.0, 0.0
        for step in range(1, arguments.steps + 1):
            started = time.perf_counter()
            pieces = trainer._batch(1, step)
            read = time.perf_counter()
            trainer._train_step(pieces)
            training += time.perf_counter() - read
            reading += read - started
            units += sum(len(piece.basin) for piece in pieces)
    days = experiment.train.window + experiment.train.warmup
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(
        f"| {change or 'as configured'} | {units / arguments.steps:.0f} | {units / training:.0f}"
        f" | {units * days / training:.3g} | {reading / (reading + training):.0%} | {peak:.0f} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--config", "--store", "--preprocess"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--recompute-days", type=int, default=73)
    arguments = parser.parse_args()
    print("| train | units a step | units/s | unit-days/s | reading, of all | peak MB |")
    print("|---|---|---|---|---|---|")
    less = {"recompute_days": arguments.recompute_days}
    for change in ({}, less, {"accumulate": 4}, {"warmup_gradient": "none"}):
        process = multiprocessing.get_context("spawn").Process(
            target=measure, args=(arguments, change)
        )
        process.start()
        process.join()


if __name__ == "__main__":
    main()
