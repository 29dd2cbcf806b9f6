"""Where a training is, and what it tells: one line of `metrics.jsonl` and of the log an epoch."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

from dmg.files import atomic

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


def write_metrics(path: Path, history: list[Line]) -> None:
    """Write all lines anew, so that a resumed run leaves exactly one line an epoch."""
    with atomic(path) as temporary:
        text = "".join(json.dumps(line) + "\n" for line in history)
        temporary.write_text(text, encoding="utf-8")


def describe(line: Line, epochs: int) -> str:
    """One epoch as a line of the log."""
    validation = "" if line["validation"] is None else f", validation {line['validation']:.5g}"
    return (
        f"epoch {line['epoch']}/{epochs}: loss {line['loss']:.5g}{validation},"
        f" {line['seconds']:.1f} s, {line['samples_per_second']:.3g} windows/s"
    )


def bar(steps: Iterable[int], title: str) -> Iterable[int]:
    """Show a bar while stepping, where standard error is a terminal."""
    if not sys.stderr.isatty():
        return steps
    return track(steps, title, console=Console(stderr=True), transient=True)


def peak_memory_mb(device: torch.device) -> float:
    """Largest memory of this process so far: of the GPU if it is on one, else resident [MB]."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
