"""Commands of the stages: the verbs of the workflow's rules, and `status`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dmg.cli.apps import app
from dmg.cli.options import (
    RAW,
    AnyRoot,
    Config,
    ConfigFolder,
    Dask,
    Launcher,
    OnInterrupt,
    Out,
    Preprocessed,
    Root,
    SlurmItems,
    Store,
)


@app.command()
def extract(
    config: Config,
    data_root: Root,
    store: Store,
    init: Annotated[bool, typer.Option("--init", help="Write the empty store first.")] = False,
    part: Annotated[str | None, typer.Option(help="Part to extract, for example 3-of-8.")] = None,
    shard: Annotated[int | None, typer.Option(help="Shard to repair, of a merged store.")] = None,
    memory_mb: Annotated[float | None, typer.Option(help="Memory of this process [MB].")] = None,
) -> None:
    """Read raw files into one part of a store; start with --init, end with merge."""
    from dmg.config import load_experiment
    from dmg.verbs import extract

    if init + (part is not None) + (shard is not None) != 1:
        raise ValueError("extract: expected one of --init, --part I-of-N and --shard N")
    experiment = load_experiment(config)
    extract(experiment, data_root, store, part=part, shard=shard, memory_mb=memory_mb)


@app.command()
def merge(store: Store) -> None:
    """Verify all parts of a store and finish it."""
    from dmg.data.store import merge

    merge(store)


@app.command()
def preprocess(
    config: Config,
    store: Store,
    out: Out,
    dask: Annotated[Dask, typer.Option(help="Where Dask's workers run.")] = Dask.local,
    slurm: SlurmItems = None,
    memory_mb: Annotated[float | None, typer.Option(help="Memory of each process [MB].")] = None,
) -> None:
    """Derive PET and runoff depth, split, and compute statistics of the training data."""
    from dmg.config import load_experiment
    from dmg.verbs import preprocess

    if slurm and dask is Dask.local:
        raise ValueError("--slurm: expected only with --dask slurm; add it or leave --slurm out")
    jobs = (slurm or []) if dask is Dask.slurm else None
    preprocess(load_experiment(config), store, out, jobs, memory_mb)


@app.command()
def train(
    config: Config,
    store: Store,
    preprocess: Preprocessed,
    out: Out,
    fold: Annotated[str, typer.Option(help="Fold of the split.")] = "all",
    seed: Annotated[str, typer.Option(help="Seed, for example seed0.")] = "seed0",
    launcher: Annotated[Launcher, typer.Option(help="Where to run.")] = Launcher.local,
    processes: Annotated[int | None, typer.Option(min=1, help="Processes (ranks).")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of each process.")] = None,
    slurm: SlurmItems = None,
    on_interrupt: Annotated[
        OnInterrupt, typer.Option(help="What becomes of a Slurm job when this command stops.")
    ] = OnInterrupt.cancel,
) -> None:
    """Train one model, or go on where an interrupted training stopped."""
    from dmg.launch import SlurmOptions, train

    options = SlurmOptions.parse([f"on_interrupt={on_interrupt.value}", *(slurm or [])])
    train(
        config,
        store,
        preprocess,
        out,
        fold=fold,
        seed=seed,
        launcher=launcher.value,
        processes=processes,
        threads=threads,
        slurm=options,
    )


@app.command()
def predict(
    config: Config,
    model: Annotated[Path, typer.Option(help="Trained model (model.pt).")],
    store: Store,
    preprocess: Preprocessed,
    out: Out,
) -> None:
    """Simulate all basins and days with a trained model."""
    from dmg.config import load_experiment
    from dmg.runs import predict

    predict(load_experiment(config), model, store, preprocess, out)


@app.command()
def simulate(
    config: Config,
    model: Annotated[Path, typer.Option(help="Trained model (model.pt).")],
    store: Store,
    preprocess: Preprocessed,
    out: Out,
    network: Annotated[Path | None, typer.Option(help="River network (Zarr).")] = None,
    init: Annotated[bool, typer.Option("--init", help="Only begin, and replace.")] = False,
    part: Annotated[str | None, typer.Option(help="Only the units of a part, as 3-of-8.")] = None,
    rivers: Annotated[bool, typer.Option("--rivers", help="Only the rivers.")] = False,
) -> None:
    """Simulate all units of a store, and the rivers they drain to, with a trained model."""
    from dmg.config import load_experiment
    from dmg.simulation import Simulation
    from dmg.verbs import part_numbers

    if init + (part is not None) + rivers > 1:
        raise ValueError("simulate: expected one of --init, --part I-of-N and --rivers, or none")
    if rivers and network is None:
        raise ValueError("--rivers: expected --network, found none")
    simulation = Simulation(load_experiment(config), model, store, preprocess, out)
    everything = not (init or part or rivers)
    if init or everything:
        simulation.begin(replace=init)
    if part or everything:
        simulation.units(*part_numbers(part or "1-of-1"))
    if network and (rivers or everything):
        simulation.rivers(network)


@app.command()
def score(
    config: Config,
    preprocess: Preprocessed,
    out: Out,
    summary: Annotated[Path, typer.Option(help="File of medians and quartiles (CSV).")],
    predictions: Annotated[list[Path], typer.Argument(help="Predictions of each fold and seed.")],
    store: Annotated[
        Path | None,
        typer.Option(help="Store: adds peaks.csv, signatures.csv and groups.csv beside --out."),
    ] = None,
) -> None:
    """Score predictions basin by basin."""
    from dmg.config import load_experiment
    from dmg.verbs import score

    score(load_experiment(config), preprocess, predictions, out, summary, store=store)


@app.command()
def baselines(
    config: Config,
    preprocess: Preprocessed,
    folder: Annotated[Path, typer.Option(help="Folder of the baselines' predictions.")],
    out: Out,
) -> None:
    """Predict from observed flow alone (climatology, persistence), and score it."""
    from dmg.config import load_experiment
    from dmg.verbs import baselines

    baselines(load_experiment(config), preprocess, folder, out)


@app.command()
def ensemble(
    config: Annotated[Path, typer.Option(help="Ensemble file (YAML).")],
    out: Out,
    summary: Annotated[Path, typer.Option(help="File of medians and quartiles (CSV).")],
    predictions: Annotated[list[Path], typer.Argument(help="Predictions of all members.")],
) -> None:
    """Score several experiments and the mean of their flows."""
    from dmg.config import Ensemble, parse, read_yaml
    from dmg.verbs import ensemble

    ensemble(parse(Ensemble, read_yaml(config), str(config)), predictions, out, summary)


@app.command()
def report(
    config: Config,
    store: Store,
    preprocess: Preprocessed,
    scores: Annotated[Path, typer.Option(help="Scores of each basin (CSV).")],
    out: Out,
    runs: Annotated[list[Path], typer.Argument(help="Run folders of each fold and seed.")],
    truth: Annotated[Path | None, typer.Option(help="Known truth of a twin experiment.")] = None,
    baselines: Annotated[Path | None, typer.Option(help="Scores of baselines (CSV).")] = None,
) -> None:
    """Write one self-contained page about an experiment."""
    from dmg.config import load_experiment
    from dmg.verbs import report

    report(
        load_experiment(config),
        config.stem,
        out,
        store=store,
        preprocess=preprocess,
        scores=scores,
        runs=runs,
        truth=truth,
        baselines=baselines,
    )


@app.command()
def benchmark(
    out: Out,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="B12, for example; none: all.")
    ] = None,
    results: Annotated[Path, typer.Option(help="Folder of scored experiments.")] = Path("results"),
    data_root: AnyRoot = RAW,
    config: ConfigFolder = Path("config"),
    page: Annotated[Path | None, typer.Option(help="Page to write (HTML).")] = None,
) -> None:
    """Compare scores of experiments, wherever they were trained, with published values."""
    from dmg.benchmark import benchmark

    benchmark(ids or [], out, config=config, results=results, data_root=data_root, page=page)


@app.command()
def status(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run or results folders.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Say how trainings stand: state, epoch, loss, speed, time left, job, checkpoint, error."""
    from rich.console import Console

    from dmg import status

    statuses = status.read_statuses(status.find_runs(runs))
    console = Console()
    if as_json:
        print(status.as_json(statuses))
    elif console.is_terminal:
        console.print(status.as_table(statuses))
    else:
        print(status.as_lines(statuses))
