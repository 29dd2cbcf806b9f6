"""Rows of a benchmark: our value beside each published one, and what stands in the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from dmg.benchmark.differences import differences
from dmg.benchmark.outcomes import NOTHING, Outcome, Value, read_outcome, statistic, value_of
from dmg.benchmark.published import read_published
from dmg.config import Benchmark, Catalogue, Data, Published, Series, resolved

COLUMNS = (
    "id", "metric", "ours", "published", "difference", "basins", "expected_basins", "complete",
    "seeds", "source", "model", "statistic", "of", "group", "state", "missing", "spread",
    "tolerance", "tag", "experiment", "command",
)  # fmt: skip
FULL, REDUCED, RECOMPUTED, NOT_RUN = "full", "reduced", "recomputed", "not run"


class Sources(NamedTuple):
    """Where everything lies."""

    catalogue: Catalogue
    results: Path
    data_root: Path


class Finding(NamedTuple):
    """Our side of a row."""

    value: Value
    state: str
    missing: list[str]
    experiment: str = ""


def rows_of(id_: str, sources: Sources) -> pd.DataFrame:
    """Compare every published value of a benchmark with what has been run."""
    benchmark = sources.catalogue.benchmarks[id_]
    rows = [
        _row(id_, benchmark, published, finding)
        for published in benchmark.published
        for finding in _findings(id_, published, sources)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def outcomes_of(id_: str, key: str, sources: Sources) -> Iterator[tuple[str, Outcome]]:
    """Give what was run of a series: the full protocol, the reduced one."""
    benchmark = sources.catalogue.benchmarks[id_]
    basins = _read_ids(benchmark.basins) if benchmark.basins else None
    variants = sources.catalogue.variants(id_, key)
    for state, name in zip((FULL, REDUCED), variants, strict=True):
        outcome = read_outcome(sources.results, name, basins) if name else None
        if outcome is not None:
            yield state, outcome


def missing_of(id_: str, key: str, outcome: Outcome, seeds: int, sources: Sources) -> list[str]:
    """Say what a run lacks of the published protocol: settings, folds, seeds, basins."""
    catalogue, results = sources.catalogue, sources.results
    benchmark = catalogue.benchmarks[id_]
    lacks = _of_run(id_, key, outcome, seeds, catalogue)
    if outcome.name in catalogue.ensembles:
        names = catalogue.ensembles[outcome.name].members
        keys = benchmark.series[key].ensemble or ()
        for member, name in zip(keys, names, strict=True):
            run = read_outcome(results, name)
            lacks += _of_run(id_, member, run, run.num_seeds, catalogue) if run else []
    basins, expected = outcome.num_basins, benchmark.expected_basins
    lacks += [f"{basins} basins instead of {expected}"] if basins != expected else []
    return list(dict.fromkeys(lacks))


def _of_run(id_: str, key: str, outcome: Outcome, seeds: int, catalogue: Catalogue) -> list[str]:
    """Say what a trained experiment lacks; nothing of what has no settings."""
    full = catalogue.variants(id_, key).full
    if full is None or not outcome.settings:
        return []
    protocol = catalogue.experiment(full)
    folds, expected = outcome.scores["fold"].nunique(), protocol.data.split.fold_names
    return [
        *differences(resolved(protocol), outcome.settings),
        *_fewer(seeds, len(protocol.train.seeds), "seeds"),
        *_fewer(folds, len(expected), "folds"),
    ]


def _read_ids(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _fewer(have: int, expected: int, noun: str) -> list[str]:
    return [f"{have} of {expected} {noun}"] if have < expected else []


def _findings(id_: str, published: Published, sources: Sources) -> Iterator[Finding]:
    key = published.series
    series = sources.catalogue.benchmarks[id_].series[key]
    if series.impossible is not None:
        yield Finding(NOTHING, NOT_RUN, [series.impossible])
        return
    if series.file is not None:
        yield _recomputed(id_, series, published, sources)
        return
    found = False
    for _, outcome in outcomes_of(id_, key, sources):
        found = True
        yield _trained(id_, published, outcome, sources)
    if not found:
        yield Finding(NOTHING, NOT_RUN, [_reason(id_, key, sources)])


def _trained(id_: str, published: Published, outcome: Outcome, sources: Sources) -> Finding:
    value = value_of(outcome, published)
    if value is NOTHING:
        metric = f"{published.metric}{f' of {published.group}' if published.group else ''}"
        return Finding(value, NOT_RUN, [f"{outcome.name} has no scores of {metric}"], outcome.name)
    missing = missing_of(id_, published.series, outcome, value.seeds, sources)
    return Finding(value, REDUCED if missing else FULL, missing, outcome.name)


def _recomputed(id_: str, series: Series, published: Published, sources: Sources) -> Finding:
    assert series.file is not None
    try:
        scores = read_published(sources.data_root, series.file, series.column)
    except FileNotFoundError as error:
        return Finding(NOTHING, NOT_RUN, [str(error)])
    number = statistic(scores.dropna(), published.statistic)
    value = Value(number, float("nan"), int(scores.notna().sum()), 0)
    expected = sources.catalogue.benchmarks[id_].expected_basins
    lacks = _fewer(value.basins, expected, "basins")
    return Finding(value, REDUCED if lacks else RECOMPUTED, lacks)


def _reason(id_: str, key: str, sources: Sources) -> str:
    """Say why there is nothing: no data, or not run yet."""
    series, catalogue = sources.catalogue.benchmarks[id_].series[key], sources.catalogue
    full, reduced = catalogue.variants(id_, key)
    if series.ensemble is not None or full is None:
        return "its members have not all been run"
    absent = _absent(catalogue.experiment(full).data, sources)
    if absent is None:
        return f"experiment {full} has not been run"
    if reduced is None or _absent(catalogue.experiment(reduced).data, sources):
        return absent
    return f"{absent}, but that of the reduced form is: --config reduced=true"


def _absent(data: Data, sources: Sources) -> str | None:
    """Say that a dataset is not at hand, neither raw nor extracted."""
    raw = [sources.data_root / f"{data.dataset}{end}" for end in ("", ".zip", ".tar.xz")]
    store = sources.results / "stores" / f"{data.store_name}.zarr"
    if data.is_generated or any(path.exists() for path in (*raw, store)):
        return None
    return f"dataset {data.dataset} with forcing {data.product} is not in the data root"


def _row(id_: str, benchmark: Benchmark, published: Published, finding: Finding) -> dict[str, Any]:
    value, number = finding.value, published.value
    series = benchmark.series[published.series]
    target = float("nan") if number is None else number
    return {
        "id": id_,
        "metric": published.metric,
        "ours": value.value,
        "published": target,
        "difference": value.value - target,
        "basins": value.basins,
        "expected_basins": benchmark.expected_basins,
        "complete": finding.state in (FULL, RECOMPUTED),
        "seeds": value.seeds,
        "source": published.source or "nothing published",
        "model": series.label,
        "statistic": published.statistic,
        "of": published.of,
        "group": published.group or "",
        "state": finding.state,
        "missing": "; ".join(finding.missing),
        "spread": value.spread,
        "tolerance": published.tolerance,
        "tag": published.tag or "",
        "experiment": finding.experiment,
        "command": "" if series.impossible else command(id_, finding.state),
    }


def command(id_: str, state: str) -> str:
    """Command that makes a row."""
    text = f"snakemake --profile profiles/local {id_}"
    return f"{text} --config reduced=true" if state == REDUCED else text
