"""The command `dmg`: one sub-command per verb, each parses its options and calls one function.

Commands import what they need inside, so that `dmg config check` never waits for torch.
"""

from __future__ import annotations

import logging
import os
import sys
import textwrap
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from dmg.errors import one_line

PLAIN: dict[str, Any] = {
    "add_completion": False,
    "no_args_is_help": True,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,
}
app = typer.Typer(help="Differentiable process-based models, from raw data to scores.", **PLAIN)
config_app = typer.Typer(help="Check and show configuration files.", **PLAIN)
models_app = typer.Typer(help="List process models and their parameters.", **PLAIN)
data_app = typer.Typer(help="List, download, check and generate datasets.", **PLAIN)
app.add_typer(config_app, name="config")
app.add_typer(models_app, name="models")
app.add_typer(data_app, name="data")


class Launcher(StrEnum):
    """Where a training runs."""

    local = "local"
    inline = "inline"
    slurm = "slurm"


class Dask(StrEnum):
    """Where the workers of Dask run."""

    local = "local"
    slurm = "slurm"


class OnInterrupt(StrEnum):
    """What becomes of a Slurm job when its launcher is asked to stop."""

    cancel = "cancel"
    detach = "detach"


Config = Annotated[Path, typer.Option("--config", help="Experiment file (YAML).")]
Store = Annotated[Path, typer.Option("--store", help="Extracted store (Zarr).")]
Preprocessed = Annotated[Path, typer.Option("--preprocess", help="Folder that preprocess wrote.")]
Out = Annotated[Path, typer.Option("--out", help="File or folder to write.")]
SlurmItems = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="What a Slurm job asks for.")
]
File = Annotated[Path, typer.Argument(metavar="FILE", help="Configuration file (YAML).")]
Root = Annotated[Path, typer.Option("--data-root", help="Folder of raw datasets.")]
AnyRoot = Annotated[Path, typer.Option(envvar="DMG_DATA_ROOT", help="Folder of raw datasets.")]
RAW = Path("data/raw")
WIDE = 200  # characters of a table that does not go to a terminal


def main() -> None:
    """Run the command; a user's mistake ends in one line and exit status 1."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("dmg").setLevel(logging.INFO)
    try:
        app()
    except (ValueError, OSError) as error:
        if os.environ.get("DMG_DEBUG") == "1":
            raise
        print(f"dmg: error: {one_line(error)}", file=sys.stderr)
        sys.exit(1)


# ------------------------------------------------------------------------------ verbs of the rules


@app.command()
def extract(
    config: Config,
    data_root: Root,
    store: Store,
    init: Annotated[bool, typer.Option("--init", help="Write the empty store first.")] = False,
    part: Annotated[str | None, typer.Option(help="Part to extract, for example 3-of-8.")] = None,
) -> None:
    """Read raw files into one part of a store; start with --init, end with merge."""
    from dmg.config import load_experiment
    from dmg.verbs import extract

    if init == (part is not None):
        raise ValueError("extract: expected either --init or --part I-of-N")
    extract(load_experiment(config), data_root, store, part)


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
) -> None:
    """Derive PET and runoff depth, split, and compute statistics of the training data."""
    from dmg.config import load_experiment
    from dmg.verbs import preprocess

    if slurm and dask is Dask.local:
        raise ValueError("--slurm: expected only with --dask slurm; add it or leave --slurm out")
    jobs = (slurm or []) if dask is Dask.slurm else None
    preprocess(load_experiment(config), store, out, jobs)


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
def score(
    config: Config,
    preprocess: Preprocessed,
    out: Out,
    summary: Annotated[Path, typer.Option(help="File of medians and quartiles (CSV).")],
    predictions: Annotated[list[Path], typer.Argument(help="Predictions of each fold and seed.")],
) -> None:
    """Score predictions basin by basin."""
    from dmg.config import load_experiment
    from dmg.verbs import score

    score(load_experiment(config), preprocess, predictions, out, summary)


@app.command()
def report(
    config: Config,
    store: Store,
    preprocess: Preprocessed,
    scores: Annotated[Path, typer.Option(help="Scores of each basin (CSV).")],
    summary: Annotated[Path, typer.Option(help="Medians and quartiles (CSV).")],
    out: Out,
    runs: Annotated[list[Path], typer.Argument(help="Run folders of each fold and seed.")],
    truth: Annotated[Path | None, typer.Option(help="Known truth of a twin experiment.")] = None,
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
        summary=summary,
        runs=runs,
        truth=truth,
    )


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


# ---------------------------------------------------------------------------------- configuration


@config_app.command("check")
def config_check(file: File) -> None:
    """Validate an experiment file, or config/config.yaml."""
    from dmg.config import digest
    from dmg.describe import load

    section = load(file)
    print(f"{file}: valid {type(section).__name__.lower()}, digest {digest(section)}")


@config_app.command("show")
def config_show(file: File) -> None:
    """Print all settings of a file, defaults included."""
    import yaml

    from dmg.config import resolved
    from dmg.describe import load

    print(yaml.safe_dump(resolved(load(file)), sort_keys=False), end="")


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON schema of an experiment file."""
    from dmg.describe import schema_json

    print(schema_json(), end="")


# ----------------------------------------------------------------------------------------- models


@models_app.command("list")
def models_list() -> None:
    """List the process models."""
    from dmg.describe import models

    _print_table("Process models", *models())


@models_app.command("show")
def models_show(
    name: Annotated[str, typer.Argument(help="Name of a process model, or gr4j+degree_day.")],
) -> None:
    """Print all about a process model: its tables, balance, references, differences from them."""
    from dmg.describe import model

    about = model(name)
    print(f"{name}: {about.summary}")
    _print_table("In short", ("", ""), [*about.facts.items()], show_header=False)
    for title, (head, rows) in about.tables.items():
        _print_table(title, head, rows)
    print("References", *(f"- {reference}" for reference in about.references), sep="\n")
    for paragraph in about.differences.splitlines():
        print("", *textwrap.wrap(paragraph, 100), sep="\n")


def _print_table(
    title: str, head: Sequence[str], rows: Sequence[Sequence[str]], show_header: bool = True
) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=show_header)
    for place, name in enumerate(head):
        table.add_column(escape(name), overflow="fold", no_wrap=place == 0)
    for row in rows:
        table.add_row(*map(escape, row))
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)


# ------------------------------------------------------------------------------------------- data


@data_app.command("synthetic")
def data_synthetic(config: Config, out: Out) -> None:
    """Generate the dataset of a twin experiment: a CAMELS-US text tree and its truth."""
    from dmg.config import load_experiment
    from dmg.verbs import synthetic

    synthetic(load_experiment(config), out)


@data_app.command("list")
def data_list(data_root: AnyRoot = RAW) -> None:
    """List the datasets that can be downloaded, and those that are there."""
    from dmg.data.download import list_datasets

    rows = [
        (each.name, "yes" if each.known else "no", str(each.path or "-"))
        for each in list_datasets(data_root)
    ]
    _print_table(f"Datasets in {data_root}", ("name", "can be downloaded", "there"), rows)


@data_app.command("download")
def data_download(
    dataset: Annotated[str, typer.Argument(help="Name of a dataset, see `dmg data list`.")],
    data_root: AnyRoot = RAW,
    mirror: Annotated[str | None, typer.Option(help="Address of a folder with its files.")] = None,
) -> None:
    """Fetch, verify and unpack a dataset; go on where an earlier download stopped."""
    from dmg.data.download import download, progress_bar

    with progress_bar() as progress:
        print(download(dataset, data_root, mirror=mirror, progress=progress))


@data_app.command("check")
def data_check(
    path: Annotated[Path, typer.Argument(help="Store (X.zarr) or folder of raw data.")],
    product: Annotated[str | None, typer.Option(help="Forcing product of raw data.")] = None,
) -> None:
    """Look through raw data or a store and say what is wrong; status 1 if anything is."""
    from dmg.data.check import check

    outcome = check(path, product)
    print(outcome.table.to_string(float_format="%.4f"))
    for note in outcome.notes:
        print(f"note: {note}")
    for problem in outcome.problems:
        print(f"problem: {problem}")
    raise typer.Exit(1 if outcome.problems else 0)
