"""How the benchmarks measure: in turn, by medians with minimum and maximum, in tables.

Importing this flushes denormal numbers, before PyTorch starts its threads, as trainings do.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

torch.set_flush_denormal(True)

Times = dict[str, list[float]]


def alternate(
    works: Mapping[str, Callable[[], object]],
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Times:
    """Milliseconds of each, run in turn; the first run of each is not counted."""
    times: Times = {name: [] for name in works}
    for i in range(repeats + 1):
        for name, work in works.items():
            start = clock()
            work()
            if i:
                times[name].append(1e3 * (clock() - start))
    return times


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [columns, ["---"] + ["---:"] * (len(columns) - 1), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def times_table(title: str, times: Times, against: int = 1) -> str:
    """Table of times; the ratios are those of the first ones to each."""
    middles = {name: statistics.median(values) for name, values in times.items()}
    bases = [*times][:against]
    rows = [
        (name, f"{middles[name]:.1f}", f"{min(values):.1f}-{max(values):.1f}",
         *(f"{middles[base] / middles[name]:.2f}" for base in bases))
        for name, values in times.items()
    ]  # fmt: skip
    return table([title, "time [ms]", "min-max", *(f"{b} / this" for b in bases)], rows)


def environment() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    compiler = subprocess.run(["c++", "--version"], capture_output=True, text=True, check=False)
    return (
        f"{models[0] if models else platform.processor()}, {os.cpu_count()} cores,"
        f" {platform.platform()}, {compiler.stdout.splitlines()[0]},"
        f" Python {platform.python_version()}, torch {torch.__version__}, denormal numbers flushed"
    )


def resident(key: str) -> float:
    """MiB of this process; unlike getrusage, without those of its parent."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def own_process(script: str, *arguments: Any, cache: str | None = None) -> list[float]:
    """Run a script in a fresh process; return the numbers that it prints."""
    command = [sys.executable, script, *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    environment |= {"DMG_CACHE_DIR": cache} if cache else {}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return [float(line) for line in done.stdout.split()]
