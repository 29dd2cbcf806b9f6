"""Tables and sentences of a report: numbers as a reader wants to see them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from dmg.config import flat
from dmg.metrics import METRICS
from dmg.plots import unit_text
from dmg.report.evidence import HELD_OUT, TRAINED, attributes_of, by_group
from dmg.score import summary_of
from dmg.score.files import Run, open_zarr


class Tile(NamedTuple):
    """A headline number."""

    label: str
    value: str
    note: str = ""


class Cell(NamedTuple):
    """A cell of the table of basins; `value` is its sort key ('' goes last), None for text."""

    text: str
    value: float | str | None = None


class Column(NamedTuple):
    """A column of the table of basins."""

    label: str
    numeric: bool


def shown(value: float, unit: str = "1") -> str:
    """Write a value with the decimals that its unit deserves and a real minus sign."""
    if not math.isfinite(value):
        return "–"
    if abs(value) >= 1e5:
        text = f"{value:.2g}"
    elif unit == "%":
        text = f"{value:.1f}"
    else:
        text = f"{value:.3f}"
    return text.replace("-", "−") if float(text) else text.removeprefix("-")


def metric_rows(
    table: pd.DataFrame,
    groups: Sequence[str],
    baselines: Mapping[str, pd.DataFrame],
) -> list[Any]:
    """Rows of the table of metrics, with the median of each group of basins and each baseline."""
    rows = []
    for row in summary_of(table).to_dict("records"):
        metric = METRICS[str(row["metric"])]
        values = by_group(table, str(row["metric"]))
        medians = [float(pd.Series(values[group]).median()) for group in groups]
        known = str(row["metric"])
        others = [float(t[known].median()) if known in t else math.nan for t in baselines.values()]
        numbers = {
            key: shown(float(row[key]), metric.unit) for key in ("median", "mean", "q25", "q75")
        }
        rows.append(
            numbers
            | {
                "label": metric.label,
                "unit": unit_text(metric.unit),
                "perfect": f"{metric.perfect:g}",
                "meaning": metric.meaning,
                "failed": int(row["failed"]),
                "groups": [shown(median, metric.unit) for median in (*medians, *others)],
            }
        )
    return rows


def basin_rows(
    table: pd.DataFrame, metrics: Sequence[str]
) -> tuple[list[Column], list[list[Cell]]]:
    """Columns and rows of the table of basins; folds and reasons only where there are any."""
    texts = ["basin_id", "group"]
    texts += ["fold"] if table["fold"].nunique() > 1 else []
    last = ["reason"] if table["reason"].any() else []
    labels = {"basin_id": "Basin", "group": "Group", "fold": "Fold", "reason": "Remark"}
    columns = [Column(labels[t], False) for t in texts]
    columns += [Column(METRICS[m].label, True) for m in metrics]
    columns += [Column(labels[t], False) for t in last]
    rows = [
        [
            *(Cell(str(row[t])) for t in texts),
            *(_number(float(row[m]), METRICS[m].unit) for m in metrics),
            *(Cell(str(row[t])) for t in last),
        ]
        for row in table.to_dict("records")
    ]
    return columns, rows


def setting_rows(settings: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Arrange settings by section as dotted keys and printed values."""
    return {
        section: [
            (key, _printed(value))
            for key, value in (flat(content) if isinstance(content, Mapping) else [("", content)])
        ]
        for section, content in settings.items()
    }


def lead_of(table: pd.DataFrame, metric: str, test: str, train: str) -> str:
    """One paragraph that says what was tested and how well it went."""
    label, values = METRICS[metric].label, table[metric]
    model, count = table["model"].iloc[0], len(table)
    sizes = {group: len(v) for group, v in by_group(table, metric).items()}
    medians = {g: shown(float(pd.Series(v).median())) for g, v in by_group(table, metric).items()}
    text = f"The model {model} reaches a median {label} of {shown(float(values.median()))}"
    text += f" over {_counted(count, 'test basin')}, on the days {test}"
    text += f" (training: {train}). " if train else ". "
    if len(sizes) == 2:
        text += (
            f"{_counted(sizes[TRAINED], 'of them was', 'of them were')} seen in training, on other"
            f" days (median {medians[TRAINED]}), and {sizes[HELD_OUT]} held out of it (median"
            f" {medians[HELD_OUT]})."
        )
    elif HELD_OUT in sizes:
        text += "Every basin was tested by a model that had not been trained on it."
    else:
        text += "The basins are those of the training, on other days."
    failed = int(values.isna().sum())
    return text + (f" {_counted(failed, 'basin')} could not be scored." if failed else "")


def tiles_of(table: pd.DataFrame, metrics: Sequence[str], runs: Sequence[Run]) -> list[Tile]:
    """Headline numbers."""
    tiles = []
    for name in metrics[:2]:
        groups = by_group(table, name)
        notes = [f"{g} {shown(float(pd.Series(v).median()))}" for g, v in groups.items()]
        note = "\n".join(notes) if len(groups) > 1 else ""
        value = shown(float(table[name].median()))
        tiles.append(Tile(f"median {METRICS[name].label}", value, note))
    sizes = table["group"].value_counts()
    note = "\n".join(f"{sizes[g]} {g}" for g in (TRAINED, HELD_OUT) if g in sizes)
    seeds, folds = len({r.seed for r in runs}), len({r.fold for r in runs})
    tiles.append(Tile("test basins", str(len(table)), note))
    note = f"{_counted(folds, 'fold')}, {_counted(seeds, 'seed')}"
    tiles.append(
        Tile(
            "trained models",
            str(len(runs)),
            note + ("\nscored: their mean flow" if seeds > 1 else ""),
        )
    )
    return tiles


def provenance_of(store: Path, runs: Sequence[Run], digest: str, periods: str) -> dict[str, str]:
    """Where the data and the code came from."""
    facts = {f"store: {k}": _printed(v) for k, v in attributes_of(store).items()}
    facts |= {"store: source files": _source_digest(store)}
    facts |= {f"predictions: {k}": _printed(v) for k, v in attributes_of(runs[0].flow.path).items()}
    facts |= {"configuration digest": digest, "report written by": f"dmg {version_text()}"}
    return {"periods": periods} | {key: value for key, value in facts.items() if value}


def _source_digest(store: Path) -> str:
    """One hash over the hashes of all basins' source files."""
    dataset = open_zarr(store)
    if "source_hash" not in dataset:
        return ""
    basins, hashes = dataset["basin"].values, dataset["source_hash"].values
    lines = sorted(f"{basin} {value}" for basin, value in zip(basins, hashes, strict=True))
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return f"{len(lines)} basins, sha256 {digest}"


def version_text() -> str:
    """Return the version of this package, if it is installed."""
    try:
        return version("dmg-hpc")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "(not installed)"


def _counted(number: int, noun: str, plural: str = "") -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {plural or noun + 's'}"


def _number(value: float, unit: str) -> Cell:
    return Cell(shown(value, unit), f"{value:.6g}" if math.isfinite(value) else "")


def _printed(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list | tuple):
        return ", ".join(str(v) for v in value) or "–"
    if isinstance(value, dict):  # checksums of every shard: as many lines as a store has files
        text = json.dumps(value, sort_keys=True)
        return f"sha256 of all: {hashlib.sha256(text.encode()).hexdigest()}"
    return str(value)
