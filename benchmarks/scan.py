"""The fused scan against the loops of `baselines.py`.

Physics from scores to loss (see `physics.py`), its growth with days, threads, memory and start,
and whole training steps (see `coupled.py`). What is compared runs in turn, after one run that is
not counted; times are medians with minimum-maximum, ratios those of the medians. Denormal numbers
are flushed throughout, as in a training.

    python benchmarks/scan.py --repeats 5
    python benchmarks/scan.py --quick     # does it work?
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

torch.set_flush_denormal(True)  # before PyTorch starts its threads

from coupled import steps  # noqa: E402
from physics import LOOPS, Case, Passes  # noqa: E402

from dmg.phy import MODELS  # noqa: E402
from dmg.phy.hbv_1_0 import Hbv10  # noqa: E402
from dmg.phy.hbv_1_1p import Hbv11p  # noqa: E402
from dmg.phy.hbv_implicit import Flux, HbvImplicit, guess, tendency  # noqa: E402
from dmg.scan.implicit import implicit_euler  # noqa: E402


def alternate(works: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Milliseconds of each, run in turn."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for i in range(repeats + 1):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            if i:
                times[name].append(1e3 * (time.perf_counter() - start))
    return times


def show(title: str, times: Mapping[str, list[float]], against: int = 1) -> None:
    """Print a table; the ratios are those of the first rows to each."""
    bases = [*times][:against]
    middles = {name: statistics.median(values) for name, values in times.items()}
    columns = [title, "time [ms]", "min-max", *(f"{base} / this" for base in bases)]
    print(f"\n| {' | '.join(columns)} |\n|---|{'---:|' * (len(columns) - 1)}")
    for name, values in times.items():
        ratios = " | ".join(f"{middles[base] / middles[name]:.2f}" for base in bases)
        spread = f"{min(values):.1f}-{max(values):.1f}"
        print(f"| {name} | {middles[name]:.1f} | {spread} | {ratios} |", flush=True)


def physics_table(case: Case, repeats: int) -> None:
    passes = {name: Passes(case, name) for name in LOOPS}
    for kind in ("forward", "both"):
        title = f"{case.label()}, {'forward' if kind == 'forward' else 'forward + backward'}"
        show(title, alternate({n: getattr(p, kind) for n, p in passes.items()}, repeats), 2)


def growth(basins: int, days: int, repeats: int) -> None:
    cases = [Case(Hbv10(), basins, d, 0, 16, False) for d in (days, 2 * days)]
    passes = {f"{c.days} days": Passes(c, "fused").both for c in cases}
    show("growth with days", alternate(passes, repeats))


def implicit(size: tuple[int, int, int, int], repeats: int) -> None:
    """Implicit HBV, as it comes and with three passes at most, against the explicit one."""

    class ThreePasses(HbvImplicit):
        step = staticmethod(implicit_euler(tendency, Flux, guess, passes=3))

    models = {"explicit": Hbv10(), "implicit": HbvImplicit(), "implicit, 3 passes": ThreePasses()}
    passes = {n: Passes(Case(m, *size, False), "fused") for n, m in models.items()}
    for kind in ("forward", "both"):
        title = f"implicit / explicit, {'forward' if kind == 'forward' else 'forward + backward'}"
        show(title, alternate({n: getattr(p, kind) for n, p in passes.items()}, repeats))


def threads(case: Case, repeats: int) -> None:
    work = Passes(case, "fused").both

    def with_threads(number: int) -> Callable[[], None]:
        def run() -> None:
            torch.set_num_threads(number)
            work()

        return run

    show(f"threads, {case.label()}", alternate({str(n): with_threads(n) for n in (1, 2)}, repeats))
    torch.set_num_threads(1)


def peak(loop: str, basins: int, days: int) -> None:
    """Print the peak memory of a pass and what it adds to the process, in MiB."""
    Passes(Case(Hbv10(), 2, 3, 0, 4, False), loop).both()  # imports and compilation
    passes = Passes(Case(Hbv10(), basins, days, 0, 4, False), loop)
    before = resident("VmRSS")
    passes.both()
    print(resident("VmHWM"), resident("VmHWM") - before)


def resident(key: str) -> float:
    """MiB of this process; unlike getrusage, without those of its parent."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def memory(basins: int, days: int) -> None:
    title = f"{basins} basins, {days} days, 4 components"
    print(f"\n| {title} | peak [MiB] | added by the passes [MiB] |\n|---|---:|---:|")
    for loop in LOOPS:
        whole, added = own_process("--peak", loop, basins, days)
        print(f"| {loop} | {whole:.0f} | {added:.0f} |", flush=True)


def first_pass(name: str) -> None:
    """Print the seconds of the first pass and of the second (in a process of its own)."""
    passes = Passes(Case(MODELS[name](), 3, 5, 0, 2, False), "fused")
    for _ in range(2):
        begin = time.perf_counter()
        passes.both()
        print(time.perf_counter() - begin)


def starts(repeats: int) -> None:
    print("\n| start | first pass [s] | min-max | second pass [s] |\n|---|---:|---:|---:|")
    for name in MODELS:
        with tempfile.TemporaryDirectory() as folder:
            empty = [own_process("--first", name, cache=folder)]
            cached = [own_process("--first", name, cache=folder) for _ in range(repeats)]
        for title, found in (("compiled", empty), ("from the cache", cached)):
            first, second = (
                [f[0] for f in found], statistics.median(f[1] for f in found)
            )  # fmt: skip
            print(f"| {name}, {title} | {statistics.median(first):.3f} |"
                  f" {min(first):.3f}-{max(first):.3f} | {second:.4f} |", flush=True)  # fmt: skip


def own_process(*arguments: Any, cache: str | None = None) -> list[float]:
    """Run this script in a fresh process; return the numbers that it prints."""
    command = [sys.executable, __file__, *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    environment |= {"DMG_CACHE_DIR": cache} if cache else {}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return [float(line) for line in done.stdout.split()]


def logs(work: Callable[[], float], values: list[float]) -> Callable[[], None]:
    return lambda: values.append(work())


def training(quick: bool, repeats: int) -> None:
    size = (5, 20, 10, 2, 8) if quick else (100, 730, 365, 16, 256)
    for phy, learns in ((Hbv10(), "network"), (Hbv11p(), "all")):
        works = steps(phy, learns, size)
        losses: dict[str, list[float]] = {name: [] for name in works}
        logged = {n: logs(w, losses[n]) for n, w in works.items()}
        label = f"training step, {type(phy).__name__}, LSTM {size[-1]}"
        show(label, alternate(logged, repeats))
        print()
        for name, values in losses.items():
            print(f"loss, {name}: {' '.join(f'{v:.6g}' for v in values)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it work?")
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--first", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.peak:
        return peak(args.peak[0], int(args.peak[1]), int(args.peak[2]))
    if args.first:
        return first_pass(args.first)
    repeats = 1 if args.quick else args.repeats
    print(f"torch {torch.__version__}, one thread, {repeats} repeats")
    size = (5, 10, 10, 2) if args.quick else (100, 365, 365, 16)
    wide = (10, 10, 0, 4) if args.quick else (1000, 365, 0, 4)
    for case in (Case(Hbv10(), *size, False), Case(Hbv11p(), *size, True),
                 Case(Hbv10(), *wide, False), Case(Hbv11p(), *wide, False)):  # fmt: skip
        physics_table(case, repeats)
    implicit(size, repeats)
    growth(size[0], 2 * size[1], repeats)
    threads(Case(Hbv10(), *wide, False), repeats)
    memory(*((20, 10) if args.quick else (10_000, 365)))
    starts(repeats)
    training(args.quick, repeats)
    return None


if __name__ == "__main__":
    main()
