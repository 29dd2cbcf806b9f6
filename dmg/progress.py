"""Where a training is, and what it tells: one line of `metrics.jsonl` and of the log an epoch."""

from __future__ import annotations

import math
import resource
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

Line = dict[str, Any]


@dataclass
class Progress:
    """All that a checkpoint holds besides weights, optimiser and schedule."""

    epoch: int = 1  # the epoch that is running, from 1
    step: int = 0  # steps done in it
    sums: dict[str, float] = field(default_factory=dict)  # of the loss, over these steps
    seconds: float = 0.0  # spent in this epoch
    best: float | None = None  # lowest validation loss
    waited: int = 0  # validations since then
    history: list[Line] = field(default_factory=list)  # a line of metrics an epoch

    def add(self, sums: dict[str, torch.Tensor]) -> None:
        """Count a step and add its sums to the epoch's."""
        self.step += 1
        for name, value in sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.item()

    def next_epoch(self, line: Line) -> Progress:
        """Give the progress at the start of the next epoch."""
        history = [*self.history, line]
        return Progress(self.epoch + 1, best=self.best, waited=self.waited, history=history)


def describe(line: Line, epochs: int) -> str:
    """One epoch as a line of the log."""
    validation = "" if line["validation"] is None else f", validation {line['validation']:.5g}"
    return (
        f"epoch {line['epoch']}/{epochs}: loss {line['loss']:.5g}{validation},"
        f" {line['seconds']:.1f} s, {line['samples_per_second']:.3g} windows/s"
    )


def not_finite(epoch: int, step: int, loss: float, norm: float, basins: Sequence[str]) -> str:
    """Say that a loss, or the norm of its gradient, is not finite, and where to look."""
    what = f"loss is {loss}" if not math.isfinite(loss) else f"norm of its gradient is {norm}"
    shown = ", ".join(basins[:20]) + (f" and {len(basins) - 20} more" if basins[20:] else "")
    return (
        f"epoch {epoch}, step {step}: expected a finite loss, but the {what}; basins of"
        f" the batch: {shown}; lower train.optimizer.learning_rate, set train.clip_norm or"
        " look at the data of these basins"
    )


def bar(steps: Iterable[int], title: str) -> Iterable[int]:
    """Show a bar while stepping, where standard error is a terminal."""
    if not sys.stderr.isatty():
        return steps
    return track(steps, title, console=Console(stderr=True), transient=True)


def peak_memory(device: torch.device) -> dict[str, float | None]:
    """Largest memory of this process so far: resident, and on its GPU if it has one [MB]."""
    unit = 1 if sys.platform == "darwin" else 1024
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    on_gpu = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return {
        "peak_memory_mb": round(resident / 1e6, 1),
        "peak_gpu_memory_mb": None if on_gpu is None else round(on_gpu / 1e6, 1),
    }
