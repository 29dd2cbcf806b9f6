"""Rows of a benchmark as a reader wants to see them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import pandas as pd

from dmg.benchmark.conclusions import Checked
from dmg.benchmark.cost import Cost
from dmg.benchmark.rows import FULL, NOT_RUN, RECOMPUTED, REDUCED
from dmg.metrics import METRICS
from dmg.plots import unit_text
from dmg.report.render import duration
from dmg.report.tables import Tile, shown

STATISTICS = {
    "median": "median {}", "mean": "mean {}", "median_abs": "median of |{}|",
    "q25": "lower quartile of {}", "q75": "upper quartile of {}",
    "below_zero": "basins with {} < 0",
}  # fmt: skip
DASH = "–"


class Line(NamedTuple):
    """A row of the table of a benchmark."""

    model: str
    metric: str
    ours: str
    published: str
    difference: str
    verdict: str
    basins: str
    seeds: str
    state: str
    source: str  # its number


class Lack(NamedTuple):
    """What is missing, why, and the command for it."""

    models: str
    state: str
    missing: str
    command: str


class Judged(NamedTuple):
    """A row of the table of conclusions."""

    id: str
    claim: str
    note: str  # what is compared, and who concludes it
    pair: str
    difference: str
    interval: str
    published: str
    basins: str
    verdict: str
    reduced: bool


def lines(table: pd.DataFrame) -> list[Line]:
    """Rows of a benchmark as text, with the numbers of their sources."""
    numbers = {source: number for number, source in sources(table).items()}
    return [_line(row, numbers[_source(row)]) for row in records(table)]


def sources(table: pd.DataFrame) -> dict[str, str]:
    """Give the sources of a benchmark by number, in the order of its rows."""
    each = dict.fromkeys(_source(row) for row in records(table))
    return {f"S{number}": source for number, source in enumerate(each, 1)}


def _source(row: dict[str, Any]) -> str:
    return f"{row['source']} ({row['tag']})" if row["tag"] else str(row["source"])


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Give the rows of a table as mappings."""
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def _line(row: dict[str, Any], source: str) -> Line:
    ours = _number(row, "ours")
    if not math.isnan(row["spread"]):
        ours += f" ± {_number(row, 'spread')}"
    return Line(
        row["model"],
        _name(row),
        ours,
        _number(row, "published"),
        _number(row, "difference"),
        verdict(row),
        f"{row['basins']} of {row['expected_basins']}",
        str(row["seeds"]) if row["seeds"] else DASH,
        row["state"],
        source,
    )


def _name(row: dict[str, Any]) -> str:
    """Say what a row is about: statistic, metric, group, unit."""
    label, unit = _metric(row)
    text = STATISTICS[row["statistic"]].format(label)
    text += " of the ensemble" if row["of"] == "ensemble" else ""
    group = f"{row['group']} years" if row["metric"] == "peak_error" else row["group"]
    text += f", {group}" if row["group"] else ""
    return text if row["statistic"] == "below_zero" else f"{text} [{unit_text(unit)}]"


def _number(row: dict[str, Any], key: str) -> str:
    """Write a value with the digits that its unit, and its tolerance, deserve."""
    value, (_, unit) = row[key], _metric(row)
    if math.isnan(value):
        return DASH
    if row["statistic"] == "below_zero":
        return f"{value:.3g}"
    if 0 < row["tolerance"] < 1e-3:
        return f"{value:.4f}".replace("-0.0000", "0.0000").replace("-", "−")
    return shown(value, unit)


def _metric(row: dict[str, Any]) -> tuple[str, str]:
    metric = METRICS.get(row["metric"])
    return (metric.label, metric.unit) if metric else ("error of annual peaks", "1")


def verdict(row: dict[str, Any]) -> str:
    """Say if a difference is within the tolerance; only of a complete run."""
    if not row["complete"] or math.isnan(row["difference"]):
        return ""
    within = abs(row["difference"]) <= row["tolerance"]
    limit = f"{row['tolerance']:.5f}".rstrip("0").rstrip(".")
    return f"within {limit}" if within else f"beyond {limit}"


def lacks(table: pd.DataFrame) -> list[Lack]:
    """Say what is missing, once for all models that lack the same."""
    groups = table.groupby(["state", "missing", "command"], sort=False)["model"]
    return [
        Lack("; ".join(dict.fromkeys(models)), str(state), str(missing), str(command))
        for (state, missing, command), models in groups
    ]


def tiles(table: pd.DataFrame) -> list[Tile]:
    """Headline numbers."""
    states = table["state"].value_counts()
    notes = {
        FULL: "by the published protocol",
        REDUCED: "less data, other forcing, fewer epochs or seeds",
        RECOMPUTED: "from published scores of each basin",
        NOT_RUN: "reasons stand with each benchmark",
    }
    return [
        Tile("benchmarks", str(table["id"].nunique()), f"{len(table)} values"),
        *(Tile(state, str(states.get(state, 0)), note) for state, note in notes.items()),
    ]


def lead(table: pd.DataFrame) -> str:
    """One paragraph that says what the page shows."""
    complete = table[table["complete"]]
    within = sum(verdict(row).startswith("within") for row in records(complete))
    return (
        f"Published results of differentiable hydrology beside ours: {len(table)} values of"
        f" {table['id'].nunique()} benchmarks. {len(complete)} are complete, {within} of them"
        " within their tolerance. What lacks a part of the published protocol is called reduced,"
        " and says which; what could not be run says why."
    )


def headlines(table: pd.DataFrame) -> pd.DataFrame:
    """First row of each model and state that was run: what the overview shows."""
    run = table[table["state"] != NOT_RUN]
    return run.drop_duplicates(["id", "model", "state"], keep="first")


def judged(checked: Iterable[Checked]) -> list[Judged]:
    """Rows of the table of conclusions."""
    return [_judged(each) for each in checked]


def _judged(each: Checked) -> Judged:
    better, other, found = each.better, each.other, each.comparison
    metric = each.conclusion.metric
    label, unit = _metric({"metric": metric})
    groups = " and ".join(each.conclusion.groups)
    what = f"median {label}{f', {groups} years' if groups else ''} [{unit_text(unit)}]"
    noun = "peaks" if metric == "peak_error" else "basins"
    return Judged(
        each.id,
        each.conclusion.claim,
        f"{what}; {each.conclusion.source}",
        f"{better.label} against {other.label}",
        DASH if found is None else shown(found.difference, unit),
        "" if found is None else f"{shown(found.low, unit)} to {shown(found.high, unit)}",
        shown(better.published - other.published, unit),
        DASH if found is None else f"{found.basins:,} {noun}",
        each.verdict,
        better.reduced or other.reduced,
    )


def cost_rows(costs: Iterable[Cost]) -> list[list[str]]:
    """Cells of the table of times."""
    return [
        [
            cost.experiment,
            str(cost.models),
            str(cost.epochs),
            _time(cost.train),
            _time(cost.predict),
            _count(cost.windows),
            _count(cost.basin_days),
            _time(cost.gpu),
        ]
        for cost in costs
    ]


def _time(seconds: float) -> str:
    return DASH if math.isnan(seconds) else duration(seconds)


def _count(value: float) -> str:
    return DASH if math.isnan(value) else f"{value:,.0f}"
