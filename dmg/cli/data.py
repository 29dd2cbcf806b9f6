"""Commands `dmg data`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dmg.cli.apps import data_app
from dmg.cli.options import RAW, AnyRoot, Config, Out
from dmg.cli.tables import print_table


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
    print_table(f"Datasets in {data_root}", ("name", "can be downloaded", "there"), rows)


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


@data_app.command("network")
def data_network(
    out: Out,
    config: Annotated[Path | None, typer.Option(help="Experiment file (YAML).")] = None,
    data_root: AnyRoot = RAW,
    source: Annotated[str | None, typer.Option(help="Layout, without --config.")] = None,
    path: Annotated[Path | None, typer.Option(help="File or folder, without --config.")] = None,
) -> None:
    """Check a river network, order it and write it; status 1 if it cannot be one."""
    from dmg.config import load_experiment
    from dmg.data.network import convert, describe
    from dmg.verbs import network_data

    if config is not None:
        source, path = network_data(load_experiment(config), data_root, out)
    if source is None or path is None:
        raise ValueError("network: expected --config, or --source and --path")
    problems, network = convert(source, path, out)
    for note in problems.notes:
        print(f"note: {note}")
    for error in problems.errors:
        print(f"problem: {error}")
    if network is None:
        raise typer.Exit(1)
    print(f"{out}: {describe(network)}")


@data_app.command("map")
def data_map(
    network: Annotated[Path, typer.Option(help="What `dmg data network` wrote.")],
    out: Out,
    flow: Annotated[Path | None, typer.Option(help="Simulated discharge (Zarr).")] = None,
    scores: Annotated[Path | None, typer.Option(help="Scores of each basin (CSV).")] = None,
    metric: Annotated[str, typer.Option(help="Which of the scores.")] = "nse",
) -> None:
    """Draw a river network: its drainage area, its flow, or scores at its gauges."""
    from dmg.report.rivers import draw_rivers

    draw_rivers(network, out, flow=flow, scores=scores, metric=metric)


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
