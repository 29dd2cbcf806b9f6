"""The fused scan against the loops of `baselines.py`: one row, one table.

Physics from scores to loss (see `physics.py`), how it grows, threads, memory, start, inference
against the limits of the machine, whole training steps and their losses (see `coupled.py`). What
is compared runs in turn, after one run that is not counted; times are medians with
minimum-maximum, ratios those of the medians.

Every row is kept in `--folder`; rows that are there are not run again, and all of them are
printed together.

    python benchmarks/scan.py --repeats 5
    python benchmarks/scan.py --only threads memory
    python benchmarks/scan.py --quick --folder DIR     # does it work?
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from coupled import steps
from limits import NAMES, arithmetic, limits
from measure import alternate, environment, own_process, resident, table, times_table
from physics import LOOPS, Case, Passes

from dmg.phy import MODELS
from dmg.phy.hbv_1_0 import Hbv10
from dmg.phy.hbv_implicit import Flux, HbvImplicit, guess, tendency
from dmg.scan.implicit import implicit_euler
from dmg.scan.programs import kernels_of
from dmg.scan.trace import Signature

HERE = Path(__file__)
TITLES = {"forward": "forward", "both": "forward + backward"}


class Plan:
    """Sizes and repeats: those of the tables, or tiny ones that only show that all works."""

    def __init__(self, repeats: int, quick: bool) -> None:
        self.quick, self.repeats = quick, 1 if quick else repeats

    def size(self, *full: int) -> tuple[int, ...]:
        return tuple(min(n, 12 - 2 * i) if self.quick else n for i, n in enumerate(full))

    def case(self, name: str, *full: int, warmup_gradient: bool = False) -> Case:
        return Case(MODELS[name](), *self.size(*full), warmup_gradient)


def physics(plan: Plan, case: Case) -> str:
    passes = {name: Passes(case, name) for name in LOOPS}
    return "\n\n".join(
        times_table(
            f"{case.label()}, {title}",
            alternate({n: getattr(p, kind) for n, p in passes.items()}, plan.repeats), 2,
        )
        for kind, title in TITLES.items()
    )  # fmt: skip


def fused(plan: Plan, title: str, cases: dict[str, Case]) -> str:
    """Forward and backward of the compiled loop, against the first of the cases."""
    works = {name: Passes(case, "fused").both for name, case in cases.items()}
    return times_table(title, alternate(works, plan.repeats))


def models(plan: Plan) -> str:
    """Forward and backward of every model, warm-up without gradient; by component and step."""
    basins, days, warmup, components = plan.size(100, 365, 365, 16)
    cases = {n: Case(m(), basins, days, warmup, components, False) for n, m in MODELS.items()}
    passes = {name: Passes(case, "fused") for name, case in cases.items()}
    per_step = 1e6 / (basins * (days + warmup) * components)
    columns: list[list[str]] = [[*passes]]
    for kind in TITLES:
        times = alternate({n: getattr(p, kind) for n, p in passes.items()}, plan.repeats)
        middles = {n: per_step * statistics.median(values) for n, values in times.items()}
        columns.append([f"{m:.1f}" for m in middles.values()])
        columns.append([f"{per_step * min(v):.1f}-{per_step * max(v):.1f}" for v in times.values()])
        columns.append([f"{m / middles['hbv_1_1p']:.2f}" for m in middles.values()])
    heads = (h for title in TITLES.values() for h in (f"{title} [ns]", "min-max", "/ hbv_1_1p"))
    return table(["model", *heads], list(zip(*columns, strict=True)))


def growth(plan: Plan) -> str:
    sizes = {"100 x 730 x 16": (100, 730, 16), "730 -> 1,460 days": (100, 1460, 16),
             "100 -> 200 basins": (200, 730, 16), "16 -> 32 components": (100, 730, 32),
             }  # fmt: skip
    cases = {n: plan.case("hbv_1_0", b, t, 0, e) for n, (b, t, e) in sizes.items()}
    return fused(plan, "growth, hbv_1_0, forward + backward", cases)


def threads(plan: Plan) -> str:
    case = plan.case("hbv_1_0", 1000, 365, 0, 4)
    work = Passes(case, "fused").both

    def with_threads(number: int) -> Callable[[], None]:
        def run() -> None:
            torch.set_num_threads(number)
            work()

        return run

    times = alternate({f"{n} threads": with_threads(n) for n in (1, 2)}, plan.repeats)
    torch.set_num_threads(1)
    return times_table(case.label(), times)


def implicit(plan: Plan) -> str:
    """Implicit HBV, as it comes and with three passes at most, against the explicit one."""

    class ThreePasses(HbvImplicit):
        step = staticmethod(implicit_euler(tendency, Flux, guess, passes=3))

    size = plan.size(100, 365, 365, 16)
    models = {"explicit": Hbv10(), "implicit": HbvImplicit(), "implicit, 3 passes": ThreePasses()}
    passes = {n: Passes(Case(m, *size, False), "fused") for n, m in models.items()}
    return "\n\n".join(
        times_table(
            f"implicit and explicit, {title}",
            alternate({n: getattr(p, kind) for n, p in passes.items()}, plan.repeats),
        )
        for kind, title in TITLES.items()
    )


def peak(loop: str, kind: str, basins: int, days: int) -> None:
    """Print the peak memory of a pass and what it adds to the process, in MiB."""
    getattr(Passes(Case(Hbv10(), 2, 3, 0, 4, False), loop), kind)()  # imports and compilation
    passes = Passes(Case(Hbv10(), basins, days, 0, 4, False), loop)
    before = resident("VmRSS")
    getattr(passes, kind)()
    print(resident("VmHWM"), resident("VmHWM") - before)


def memory(plan: Plan, basins: int) -> str:
    """The field's backward pass takes many minutes: its graph alone is a lower bound."""
    basins, days = plan.size(basins, 365)
    rows = []
    for loop, kind in (("field", "graph"), ("eager", "both"), ("fused", "both")):
        whole, added = own_process(str(HERE), "--peak", loop, kind, basins, days)
        rows.append((f"{loop}{' (at least: without backward)' * (kind == 'graph')}",
                     f"{whole:.0f}", f"{added:.0f}"))  # fmt: skip
    title = f"{basins} basins, {days} days, 4 components"
    return table([title, "peak [MiB]", "added by the pass [MiB]"], rows)


def first_pass(name: str) -> None:
    """Print the seconds of the first pass and of the second (in a process of its own)."""
    passes = Passes(Case(MODELS[name](), 3, 5, 0, 2, False), "fused")
    for _ in range(2):
        begin = time.perf_counter()
        passes.both()
        print(time.perf_counter() - begin)


def starts(plan: Plan) -> str:
    rows = []
    for name in MODELS:
        with tempfile.TemporaryDirectory() as folder:
            runs = [own_process(str(HERE), "--first", name, cache=folder)
                    for _ in range(1 + plan.repeats)]  # fmt: skip
        for title, found in (("compiled", runs[:1]), ("from the cache", runs[1:])):
            first = [f[0] for f in found]
            rows.append((f"{name}, {title}", f"{statistics.median(first):.3f}",
                         f"{min(first):.3f}-{max(first):.3f}"))  # fmt: skip
    return table(["start", "first pass [s]", "min-max"], rows)


def infer(basins: int, days: int, components: int, repeats: int) -> None:
    """Print the seconds of forward passes and the peak memory [MiB] (in its own process)."""
    passes = Passes(Case(Hbv10(), basins, days, 0, components, False), "fused")
    print(*alternate({"": passes.forward}, repeats)[""])
    print(resident("VmHWM"))


def inference(plan: Plan) -> str:
    """Dynamic parameters, sigmoid and bounds included; the floor is the step's arithmetic."""
    model, costs = Hbv10(), limits()
    state = model.initial_state(2, 3, torch.zeros(()))
    signature = Signature(len(state), model.forcings, tuple(model.PARAMETERS), torch.float32)
    program = kernels_of(model.step, state, signature).program
    floor = arithmetic(program.forward([program.fluxes.index("streamflow")]), costs)
    rows = []
    for full in ((671, 3650, 16), (10_000, 3650, 4)):
        basins, days, components = plan.size(*full)
        *times, peak_mib = own_process(str(HERE), "--infer", basins, days, components, plan.repeats)
        each = 1e6 * statistics.median(times) / (basins * days * components)
        rows.append((f"{basins} x {days} x {components}", f"{statistics.median(times):.0f}",
                     f"{min(times):.0f}-{max(times):.0f}", f"{1e3 / each:.0f}", f"{each:.2f}",
                     f"{floor:.2f}", f"{floor / each:.2f}", f"{peak_mib:.0f}"))  # fmt: skip
    found = table(["basins x days x components", "time [ms]", "min-max", "million element-steps/s",
                   "ns each", "floor [ns]", "fraction", "peak [MiB]"], rows)  # fmt: skip
    machine = table(["limit", *NAMES], [("ns", *(f"{costs[n]:.3f}" for n in NAMES))])
    return f"{found}\n\n{machine}"


def training(plan: Plan, name: str, learns: str) -> str:
    works = steps(MODELS[name](), learns, plan.size(100, 730, 365, 16, 256))
    return times_table(f"training step, {name}, LSTM of 256", alternate(works, plan.repeats))


def curves(plan: Plan) -> str:
    """Losses of a twin experiment: float32 against all options, from the same weights."""
    from curves import losses

    return table(*losses(*plan.size(50, 300, 150, 4, 64), num_steps=2 if plan.quick else 150))


ROWS: dict[str, Callable[[Plan], str]] = {
    "hbv_1_0": lambda p: physics(p, p.case("hbv_1_0", 100, 365, 365, 16)),
    "hbv_1_1p": lambda p: physics(p, p.case("hbv_1_1p", 100, 365, 365, 16, warmup_gradient=True)),
    "hbv_1_0_wide": lambda p: physics(p, p.case("hbv_1_0", 1000, 365, 0, 4)),
    "hbv_1_1p_wide": lambda p: physics(p, p.case("hbv_1_1p", 1000, 365, 0, 4)),
    "models": models,
    "growth": growth,
    "threads": threads,
    "implicit": implicit,
    "memory": lambda p: memory(p, 10_000),
    "memory_1000": lambda p: memory(p, 1000),
    "starts": starts,
    "inference": inference,
    "training_hbv_1_0": lambda p: training(p, "hbv_1_0", "network"),
    "training_hbv_1_1p": lambda p: training(p, "hbv_1_1p", "all"),
    "curves": curves,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--folder", type=Path, default=Path("results/benchmarks/scan"))
    parser.add_argument("--again", action="store_true", help="run rows that are there, too")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it work?")
    parser.add_argument("--peak", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--first", help=argparse.SUPPRESS)
    parser.add_argument("--infer", nargs=4, type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.peak:
        return peak(args.peak[0], args.peak[1], *map(int, args.peak[2:]))
    if args.first:
        return first_pass(args.first)
    if args.infer:
        return infer(*args.infer)
    plan = Plan(args.repeats, args.quick)
    args.folder.mkdir(parents=True, exist_ok=True)
    print(f"{environment()}; one thread, {plan.repeats} repeats\n")
    for name in args.only:
        path = args.folder / f"{name}.md"
        if args.again or not path.exists():
            path.write_text(f"### {name}\n\n{ROWS[name](plan)}\n", encoding="utf-8")
        print(path.read_text(encoding="utf-8"), flush=True)
    return None


if __name__ == "__main__":
    main()
