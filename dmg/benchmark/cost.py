"""Time of trainings and predictions here, read from their files, and what a GPU would take."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dmg.benchmark.outcomes import Outcome
from dmg.run_files import METRICS

NAN = float("nan")
# A GPU works through the days of a batch one by one, whatever its size: 25 min for 58,200 steps of
# 730 days on an A100 (HydroDL's notebook example_lstm, hidden size 256); the time loop of the
# physics with its adjoint is an estimate of 8 ms.
GPU_DAYS = 730
GPU_NETWORK, GPU_PHYSICS = 25.8e-3, 8e-3
RECURRENT = ("lstm", "plain_lstm", "lstm_mlp", "ea_lstm", "mc_lstm")


class Cost(NamedTuple):
    """What an experiment took; NaN where its files do not say."""

    experiment: str
    models: int  # trained: folds x seeds
    epochs: int  # of one model
    train: float  # all models [s]
    predict: float  # all models [s]
    windows: float  # trained on per second
    basin_days: float  # simulated per second of training, warm-up included
    gpu: float  # projected training of all models on one GPU [s]


def cost_of(outcome: Outcome) -> Cost:
    """Add up the times of all runs of an experiment."""
    lines = [_epochs(run / METRICS) for run in outcome.runs]
    train = sum((line["seconds"] for log in lines for line in log), 0.0)
    samples = [s for log in lines for line in log if (s := line.get("samples_per_second"))]
    windows = float(np.median(samples)) if samples else NAN
    steps = sum(line.get("steps") or 0 for log in lines for line in log)
    days = sum(outcome.settings["train"][key] for key in ("window", "warmup")) if lines else 0
    return Cost(
        outcome.name,
        len(lines),
        max((len(log) for log in lines), default=0),
        train or NAN,
        sum(_job_seconds(run / "predict.tsv") for run in outcome.runs) if lines else NAN,
        windows,
        windows * days,
        steps * gpu_step(outcome.settings, days) if steps else NAN,
    )


def gpu_step(settings: Mapping[str, Any], days: int) -> float:
    """Projected seconds of one training step on a GPU; see the numbers above."""
    model = settings["model"]
    networks = model["nn"] or {}
    named = [networks] if "name" in networks else [*networks.values()]
    recurrent = any(network["name"] in RECURRENT for network in named)
    return days / GPU_DAYS * (recurrent * GPU_NETWORK + (model["phy"] is not None) * GPU_PHYSICS)


def _epochs(path: Path) -> list[dict[str, Any]]:
    """Lines of a training log; an epoch that was repeated counts once."""
    if not path.is_file():
        return []
    lines = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return [*{line["epoch"]: line for line in lines}.values()]


def _job_seconds(path: Path) -> float:
    """Wall time that Snakemake wrote about a job; NaN if another way was taken to run it."""
    if not path.is_file():
        return NAN
    with path.open(encoding="utf-8") as file:
        return float(next(csv.DictReader(file, delimiter="\t"))["s"])
