"""Configuration -> plain arguments, for the stages without a model; `build` has the others.

Each stage imports what it needs inside: a job that extracts never waits for torch or matplotlib.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dmg.config import Ensemble, Experiment, digest, resolved

if TYPE_CHECKING:
    from dmg.data.workers import Workers
    from dmg.score import Details


def synthetic(experiment: Experiment, out: Path) -> None:
    """Generate the raw data of a twin experiment, and its truth, into the folder `out`."""
    twin, river = experiment.data.synthetic, experiment.data.synthetic_network
    if twin:
        from dmg.synthetic import generate

        generate(out, **twin.model_dump())
    elif river:
        from dmg.synthetic.river import generate as generate_river

        generate_river(out, **river.model_dump())
    else:
        raise ValueError(
            "data.synthetic: expected settings of a generated dataset, found none, nor any of"
            " data.synthetic_network"
        )


def extract(
    experiment: Experiment,
    data_root: Path,
    store: Path,
    *,
    part: str | None = None,
    shard: int | None = None,
    memory_mb: float | None = None,
) -> None:
    """Begin a store, extract one part `i-of-n` of it, or repair a shard of a finished one.

    An archive is unpacked into `raw/` beside the folder of stores.
    """
    from dmg.data import store as stores
    from dmg.data.archive import find_tree
    from dmg.readers import open_reader

    data, numbers = experiment.data, part_numbers(part) if part else None
    tree = find_tree(data_root, data.dataset, store.parent.parent / "raw")
    reader = open_reader(data, tree, store.parent)
    if shard is not None:
        stores.repair(reader, store, shard)
    elif numbers is not None:
        stores.extract(reader, store, *numbers, memory_mb)
    else:
        stores.initialise(
            reader,
            store,
            source=data.source,
            dataset=data.dataset,
            basins=named_basins(experiment),
            memory_mb=memory_mb,
            **data.store_layout.model_dump(),
        )


def network_data(experiment: Experiment, data_root: Path, out: Path) -> tuple[str, Path]:
    """Layout and place of the river network of an experiment.

    An archive is unpacked into `raw/` beside the folder of `out`.
    """
    from dmg.data.archive import find_tree

    data = experiment.data
    if data.source == "camels_us":
        raise ValueError("data.source: expected one with a river network, found camels_us")
    return data.source, find_tree(data_root, data.dataset, out.parent.parent / "raw")


def part_numbers(part: str) -> tuple[int, int]:
    """Read `3-of-8` as (3, 8)."""
    match = re.fullmatch(r"(\d+)-of-(\d+)", part)
    if not match:
        raise ValueError(f"--part: expected I-of-N, for example 3-of-8, found {part!r}")
    return int(match[1]), int(match[2])


def named_basins(experiment: Experiment) -> list[str] | None:
    """Basin ids that the experiment names, in its file or in another; none: all there are."""
    return named_ids(experiment.data.basins)


def named_ids(listed: Sequence[str] | Path | None) -> list[str] | None:
    """Ids that are listed in the configuration or in a file; none: all there are."""
    from dmg.data.basins import read_basins

    if listed is None:
        return None
    return read_basins(listed) if isinstance(listed, Path) else list(listed)


def preprocess(
    experiment: Experiment,
    store: Path,
    out: Path,
    slurm: Sequence[str] | None = None,
    memory_mb: float | None = None,
) -> None:
    """Write splits, statistics and derived series of an experiment into the folder `out`.

    `slurm` (`KEY=VALUE` of `SlurmWorkers`): by jobs of Slurm; none: by processes of this machine,
    of `memory_mb` each.
    """
    from dmg.build_split import build_split
    from dmg.data.basins import match_basins
    from dmg.data.preprocess import preprocess as process
    from dmg.data.store import open_store
    from dmg.data.workers import LocalWorkers, SlurmWorkers

    data = experiment.data
    local = LocalWorkers(mem_mb=memory_mb)
    workers = local if slurm is None else SlurmWorkers.parse(slurm)
    if data.gauges is not None:
        _preprocess_gauges(experiment, store, out, workers)
        return
    dataset = open_store(store)
    available = [str(basin) for basin in dataset["basin"].values]
    named = named_basins(experiment)
    basins = available if named is None else match_basins(named, available, "data.basins")
    process(
        store,
        out,
        basins=basins,
        splits=build_split(experiment, basins, dataset),
        forcings=data.forcings,
        attributes=data.attributes,
        log_forcings=data.log_forcings,
        target=data.target,
        pet=data.pet,
        workers=workers,
    )


def _preprocess_gauges(experiment: Experiment, store: Path, out: Path, workers: Workers) -> None:
    """Preprocess gauges and their units; network and gauges' store lie beside that of the units."""
    from dmg.build_split import build_split
    from dmg.data.network import Network
    from dmg.data.preprocess_gauges import network_of_gauges, preprocess_gauges
    from dmg.data.splits.nested import river_groups
    from dmg.data.store import open_store

    data, how = experiment.data, experiment.data.gauges
    assert how is not None
    flow = store.parent / f"{how.store}.zarr"
    network = network_of_gauges(
        Network.read(store.parent / f"{data.dataset}_network.zarr"),
        flow,
        named_ids(how.ids),
        tolerance=how.area_tolerance,
        max_area=how.max_area,
    )
    gauges = network.gauge_id.tolist()
    preprocess_gauges(
        store,
        flow,
        network,
        out,
        splits=build_split(experiment, gauges, open_store(flow), groups=river_groups(network)),
        forcings=data.forcings,
        attributes=data.attributes,
        log_forcings=data.log_forcings,
        pet=data.pet,
        workers=workers,
    )


def score(
    experiment: Experiment,
    preprocess: Path,
    predictions: Sequence[Path],
    out: Path,
    summary: Path,
    *,
    store: Path | None = None,
) -> None:
    """Score predictions basin by basin (`out`), and over all basins (`summary`).

    With the store, `peaks.csv`, `signatures.csv` and `groups.csv` are written beside `out`.
    """
    from dmg import score as scores

    evaluate = experiment.evaluate
    scores.score(
        predictions,
        preprocess,
        out,
        metrics=evaluate.metrics,
        model=experiment.model.label,
        min_days=evaluate.min_days,
        details=None if store is None else _details(experiment, store, preprocess, out.parent),
    )
    scores.summarise(out, summary)
    if store is not None:
        scores.write_groups(out, store, out.parent / "groups.csv", evaluate.groups)


def _details(experiment: Experiment, store: Path, preprocess: Path, folder: Path) -> Details:
    """Tables beside the scores, with the return periods of the basins that the split tests."""
    from dmg.build_split import build_return_periods
    from dmg.data.store import open_store
    from dmg.score import Details
    from dmg.score.files import FlowFile, read_splits

    dataset, splits = open_store(store), read_splits(preprocess / "splits.csv")
    basins = list(dict.fromkeys(splits.loc[splits["role"] == "test", "basin_id"]))
    return Details(
        peaks=folder / "peaks.csv",
        signatures=folder / "signatures.csv",
        return_periods=build_return_periods(experiment, basins, dataset),
        precipitation=FlowFile(store, "precipitation") if "precipitation" in dataset else None,
    )


def baselines(experiment: Experiment, preprocess: Path, folder: Path, out: Path) -> None:
    """Write the experiment's baselines into `folder` and their scores to `out`."""
    from dmg.baselines import score_baselines

    settings = experiment.evaluate
    if not settings.baselines:
        raise ValueError("evaluate.baselines: expected one baseline at least, found none")
    score_baselines(
        settings.baselines,
        preprocess,
        folder,
        out,
        metrics=settings.metrics,
        min_days=settings.min_days,
    )


def ensemble(settings: Ensemble, predictions: Sequence[Path], out: Path, summary: Path) -> None:
    """Score the members of an ensemble and the mean of their flows."""
    from dmg.data.basins import read_basins
    from dmg.score.ensemble import score_ensemble

    found = list(dict.fromkeys(path.parents[2].name for path in predictions))
    if sorted(found) != sorted(settings.members):
        raise ValueError(
            f"ensemble: expected predictions of {list(settings.members)}, found those of {found}"
        )
    basins = read_basins(settings.basins) if settings.basins else None
    score_ensemble(predictions, out, summary, metrics=settings.metrics, basins=basins)


def report(
    experiment: Experiment,
    name: str,
    out: Path,
    *,
    store: Path,
    preprocess: Path,
    scores: Path,
    runs: Sequence[Path],
    truth: Path | None,
    baselines: Path | None,
) -> None:
    """Write the page of an experiment."""
    from dmg.report import report as write_report

    write_report(
        out,
        name=name,
        settings=resolved(experiment),
        digest=digest(experiment),
        store=store,
        preprocess=preprocess,
        scores=scores,
        runs=runs,
        truth=truth,
        baselines=baselines,
    )
