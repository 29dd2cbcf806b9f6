"""Training and prediction of the LSTM experiments on 531 basins, projected from single steps.

A step is one batch of the experiment, forward, backward and optimiser, on random data; a
prediction is that of the test period, day by day (`evaluate.memory: window`) or carried.

    python benchmarks/lstm.py --threads 2 camels531_lstm_seq2one camels531_lstm:64

A number after the colon replaces the hidden size. With `--processor-time --threads 1` other work on
the machine matters less; two threads take a little more than half of it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from measure import alternate, environment, table

from dmg.batch import Batch
from dmg.build import build_optimizer
from dmg.build_model import build_handler
from dmg.config import Experiment, load_experiment
from dmg.data.day_sampler import DaySampler
from dmg.data.sampler import DataSampler
from dmg.gradient import add_gradient
from dmg.handler import ModelHandler
from dmg.losses import NseBatch

NUM_BASINS = 531
WINDOWS_DAYS = 64  # days of the timed prediction by windows


def load(name: str) -> Experiment:
    name, _, hidden = name.partition(":")
    chosen = load_experiment(Path("config/experiments") / f"{name}.yaml")
    if not hidden:
        return chosen
    (network,) = chosen.model.networks.values()
    network = network.model_copy(update={"hidden_size": int(hidden)})
    return chosen.model_copy(update={"model": chosen.model.model_copy(update={"nn": network})})


def build(chosen: Experiment) -> ModelHandler:
    torch.manual_seed(0)
    moments = {"mean": 1.0, "std": 1.0}
    return build_handler(
        chosen,
        {
            "forcings": dict.fromkeys(chosen.data.forcings, moments),
            "attributes": dict.fromkeys(chosen.data.attributes, moments),
            "target": moments,
        },
    )


def make_batch(chosen: Experiment, num_basins: int, num_days: int, warmup: int) -> Batch:
    generator = torch.Generator().manual_seed(0)

    def random(*size: int) -> torch.Tensor:
        return torch.randn(size, generator=generator)

    return Batch(
        forcing={name: random(num_days, num_basins) for name in chosen.data.forcings},
        attributes=random(num_basins, len(chosen.data.attributes)),
        target=random(num_days, num_basins),
        basin=torch.zeros(num_basins, dtype=torch.int64),
        time=torch.zeros(num_basins, dtype=torch.int64),
        warmup=warmup,
        rows=torch.arange(num_basins),
    )


def training_step(chosen: Experiment) -> Callable[[], object]:
    train, handler = chosen.train, build(chosen).train()
    batch = make_batch(chosen, train.batch_size, train.warmup + train.window, train.warmup)
    optimizer, loss = build_optimizer(chosen, handler), NseBatch(torch.ones(1))

    def step() -> None:
        optimizer.zero_grad()
        add_gradient(handler, loss, [batch], "streamflow")
        optimizer.step()

    return step


def prediction(chosen: Experiment) -> tuple[Callable[[], object], int]:
    """One piece of a prediction, and its number of basin-days."""
    handler, warmup = build(chosen).eval(), chosen.train.warmup
    if chosen.evaluate.memory == "window":
        batch = make_batch(chosen, 8, WINDOWS_DAYS + warmup, warmup)
        return lambda: handler.each_day(batch), 8 * WINDOWS_DAYS
    batch = make_batch(chosen, 128, 365, 0)
    return lambda: list(handler.stream([batch])), 128 * 365


def steps_per_epoch(chosen: Experiment) -> int:
    train, period = chosen.train, chosen.data.split.train
    sampler = DaySampler if train.draw == "each_day" else DataSampler
    return sampler(
        range(NUM_BASINS), 7000, 7000 + (period.end - period.start).days,
        batch_size=train.batch_size, window=train.window, warmup=train.warmup, seed=0,
    ).steps_per_epoch  # fmt: skip


def row(name: str, repeats: int, clock: Callable[[], float]) -> list[str]:
    chosen = load(name)
    predict, size = prediction(chosen)
    times = alternate({"step": training_step(chosen), "piece": predict}, repeats, clock)
    step, piece = (statistics.median(times[key]) / 1e3 for key in ("step", "piece"))
    spread = f"{min(times['step']):.0f}-{max(times['step']):.0f}"
    epoch = step * steps_per_epoch(chosen) / 3600
    test = chosen.data.split.test
    days = (test.end - test.start).days + 1
    return [
        name, f"{1e3 * step:.0f}", spread, f"{chosen.train.batch_size / step:.0f}",
        str(steps_per_epoch(chosen)), f"{epoch:.2f}", f"{epoch * chosen.train.epochs:.1f}",
        f"{piece / size * NUM_BASINS * days / 3600:.2f}",
    ]  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("experiments", nargs="+")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--processor-time", action="store_true")
    arguments = parser.parse_args()
    clock = time.process_time if arguments.processor_time else time.perf_counter
    torch.set_num_threads(arguments.threads)
    print(environment() + f", {arguments.threads} threads\n")
    head = [
        "experiment", "step [ms]", "min-max", "windows/s", "steps an epoch", "epoch [h]",
        "all epochs [h]", "prediction [h]",
    ]  # fmt: skip
    print(table(head, [row(name, arguments.repeats, clock) for name in arguments.experiments]))
