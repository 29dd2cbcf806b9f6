"""One page about all benchmarks: the values, the figures, the times, the commands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dmg import plots
from dmg.benchmark import tables
from dmg.benchmark.conclusions import check
from dmg.benchmark.cost import GPU_DAYS, GPU_NETWORK, GPU_PHYSICS, Cost, cost_of
from dmg.benchmark.figures import pictures
from dmg.benchmark.models import Model, models_of
from dmg.benchmark.rows import Sources
from dmg.files import atomic
from dmg.report.render import Picture, picture, render
from dmg.report.tables import version_text
from dmg.status.evidence import read_json

GPU_NOTE = (
    f"{GPU_NETWORK * 1e3:.1f} ms for the {GPU_DAYS} days of a step of a recurrent network, as"
    f" published for an A100, and {GPU_PHYSICS * 1e3:.0f} ms for the time loop of the physics, an"
    " estimate."
)


def write_page(out: Path, table: pd.DataFrame, sources: Sources) -> None:
    """Write the page of the benchmarks whose rows are in `table`, without links to other files."""
    ids = list(dict.fromkeys(table["id"]))
    models = {id_: _models(id_, table, sources) for id_ in ids}
    shown = tables.headlines(table)
    costs = _costs([model for each in models.values() for model in each])
    page = render(
        "page.html",
        "dmg.benchmark",
        name="Benchmarks",
        kind="dmg",
        kicker="Replication of published results",
        lead=tables.lead(table),
        tiles=tables.tiles(table),
        overview=_overview(table),
        headlines=list(zip(shown["id"], tables.lines(shown), strict=True)),
        conclusions=tables.judged(check(ids, sources)),
        benchmarks=[_section(id_, table, models[id_], sources) for id_ in ids],
        costs=tables.cost_rows(costs),
        gpu_note=GPU_NOTE,
        provenance=_provenance(table, sources),
    )
    with atomic(out) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _models(id_: str, table: pd.DataFrame, sources: Sources) -> list[Model]:
    rows = table[table["id"] == id_]
    return models_of(id_, sources.catalogue.benchmarks[id_], sources, rows)


def _section(
    id_: str, table: pd.DataFrame, models: Sequence[Model], sources: Sources
) -> dict[str, Any]:
    benchmark = sources.catalogue.benchmarks[id_]
    rows = table[table["id"] == id_]
    return {
        "id": id_,
        "title": benchmark.title,
        "reference": benchmark.reference,
        "protocol": benchmark.protocol,
        "caveats": benchmark.caveats,
        "lines": tables.lines(rows),
        "sources": tables.sources(rows),
        "lacks": tables.lacks(rows),
        "figures": pictures(benchmark, models, sources),
    }


def _overview(table: pd.DataFrame) -> list[Picture]:
    """Draw published and own medians of NSE, where there are both."""
    rows = table[(table["metric"] == "nse") & (table["statistic"] == "median")]
    rows = tables.headlines(rows[rows["difference"].notna()])
    if rows.empty:
        return []
    pairs = [
        plots.Pair(f"{r['id']} {r['model']}", r["published"], r["ours"], r["state"])
        for r in rows.to_dict("records")
    ]
    caption = "Median NSE over basins: published, and ours where it was run. Open circles lack a"
    caption += " part of the published protocol and are no replication."
    alt = "Published and own median NSE of each benchmark"
    return [picture(plots.agreement(pairs, "NSE"), alt, caption)]


def _costs(models: Sequence[Model]) -> list[Cost]:
    """Add up the times of every experiment, once."""
    outcomes = {m.outcome.name: m.outcome for m in models if m.outcome.runs}
    return [cost_of(outcome) for outcome in outcomes.values()]


def _provenance(table: pd.DataFrame, sources: Sources) -> dict[str, str]:
    digests = {}
    for name in sorted({str(name) for name in table["experiment"]} - {""}):
        done = [read_json(path) for path in (sources.results / name).glob("*/seed*/done.json")]
        known = sorted({str(each["digest"]) for each in done if "digest" in each})
        digests[f"experiment {name}"] = f"models trained: {len(done)}; digest {', '.join(known)}"
    tags = "T text or table, F read off a figure, A abstract, C computed from published files"
    return {"tags": tags, **digests, "page written by": f"dmg {version_text()}"}
