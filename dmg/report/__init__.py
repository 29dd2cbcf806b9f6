"""One self-contained page about an experiment: what was done, how well, and where it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from dmg import plots
from dmg.files import atomic
from dmg.metrics import METRICS
from dmg.report import tables
from dmg.report.evidence import (
    EFFICIENCIES,
    HELD_OUT,
    by_group,
    chosen_basins,
    coordinates_of,
    grouped_scores,
    hydrograph_of,
    period_of,
    precipitation_of,
    read_baselines,
    read_log,
)
from dmg.report.render import Picture, duration, picture, render
from dmg.report.twin import recovered_flow, recovered_parameters
from dmg.score.files import FlowFile, Run, open_runs, read_splits, rows_of


class Section(NamedTuple):
    """A part of the page that shows figures."""

    id: str
    title: str
    text: str
    figures: list[Picture]


class Evidence(NamedTuple):
    """Everything that was read, for the sections to draw."""

    table: pd.DataFrame  # headline scores with their group
    efficiencies: list[str]  # metrics whose perfect value is 1
    splits: pd.DataFrame
    runs: list[Run]
    logs: dict[str, pd.DataFrame]  # by run
    observed: FlowFile
    store: Path
    baselines: dict[str, pd.DataFrame]  # scores by name


def report(
    out: Path,
    *,
    name: str,
    settings: Mapping[str, Any],
    digest: str,
    store: Path,
    preprocess: Path,
    scores: Path,
    runs: Sequence[Path],
    truth: Path | None = None,
    baselines: Path | None = None,
) -> None:
    """Write the report of an experiment as one HTML file without links to other files.

    Parameters
    ----------
    out
        Page to write.
    name
        Name of the experiment.
    settings
        Its resolved configuration, plain values by section.
    digest
        Digest of the configuration.
    store
        Store of the dataset: coordinates, precipitation, provenance.
    preprocess
        Folder with `splits.csv` and `derived.zarr`.
    scores
        Table written by `dmg.score`.
    runs
        Folders `<fold>/<seed>` with `predictions.zarr` and `metrics.jsonl`.
    truth
        Folder with `parameters.csv` and `streamflow.csv` of a synthetic dataset.
    baselines
        Scores written by `dmg.baselines`, to be shown beside those of the model.
    """
    splits = read_splits(preprocess / "splits.csv")
    table = grouped_scores(scores, splits)
    opened = open_runs([run / "predictions.zarr" for run in runs])
    evidence = Evidence(
        table,
        [m for m in EFFICIENCIES if m in table],
        splits,
        opened,
        {f"{r.fold}, {r.seed}": read_log(r.flow.path.parent / "metrics.jsonl") for r in opened},
        FlowFile(preprocess / "derived.zarr"),
        store,
        read_baselines(baselines) if baselines else {},
    )
    content = _contents(evidence, settings, digest)
    sections = [_skill(evidence), _hydrographs(evidence)]
    sections += [_twin(evidence, truth)] if truth is not None else []
    sections += [_training(evidence)]
    sections = [s for s in sections if s.figures]
    page = render("page.html", name=name, kind="report", sections=sections, **content)
    with atomic(out) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _contents(evidence: Evidence, settings: Mapping[str, Any], digest: str) -> dict[str, Any]:
    """Everything on the page that is not a figure."""
    table, runs = evidence.table, evidence.runs
    metrics = [m for m in table.columns if m in METRICS]
    test, train = (period_of(evidence.splits, role) for role in ("test", "train"))
    groups = list(by_group(table, metrics[0]))
    groups = groups if len(groups) > 1 else []
    columns, basins = tables.basin_rows(table, metrics)
    headline = [*evidence.efficiencies, *metrics]
    return {
        "kicker": "Experiment report",
        "lead": tables.lead_of(table, headline[0], test, train),
        "tiles": tables.tiles_of(table, evidence.efficiencies or metrics, runs),
        "groups": groups,
        "metrics": tables.metric_rows(table, groups, evidence.baselines),
        "baselines": list(evidence.baselines),
        "columns": columns,
        "basins": basins,
        "settings": tables.setting_rows(settings),
        "provenance": tables.provenance_of(
            evidence.store, runs, digest, f"training {train}; test {test}"
        ),
    }


def _skill(e: Evidence) -> Section:
    names = [name for name in e.efficiencies if name in ("nse", "kge")] or e.efficiencies[:2]
    figures = []
    if names:
        panels = {
            METRICS[n].label: by_group(e.table, n)
            | {b: scores[n].to_numpy(float) for b, scores in e.baselines.items()}
            for n in names
        }
        labels = " and ".join(panels)
        known = " and ".join(e.baselines)
        note = f" No model: {known}, explained under Metrics." if known else ""
        figures.append(
            picture(
                plots.distributions(panels),
                f"Cumulative distribution of {labels} over the test basins",
                f"Distribution of {labels} over the test basins; the dot is the median. The further"
                " right a curve, the better; basins below the axis make it start above zero."
                + note,
            )
        )
        figures += _map(e, names[0])
    return Section("skill", "Skill", "", figures)


def _map(e: Evidence, metric: str) -> list[Picture]:
    where = coordinates_of(e.store, list(e.table["basin_id"]))
    if where is None:
        return []
    label = METRICS[metric].label
    figure = plots.basin_map(*where, e.table[metric].to_numpy(float), label)
    alt = f"Map of the test basins coloured by {label}"
    return [picture(figure, alt, f"{label} at the gauges of the test basins, worst on top.")]


def _hydrographs(e: Evidence) -> Section:
    rain = precipitation_of(e.store)
    figures = []
    metric = e.efficiencies[0] if e.efficiencies else ""
    for place, index in (chosen_basins(e.table, metric) if metric else {}).items():
        row = e.table.loc[index]
        runs = [run for run in e.runs if run.fold == row["fold"]]
        tested = rows_of(e.splits, str(row["fold"]), "test")
        data = hydrograph_of(str(row["basin_id"]), runs, e.observed, rain, tested)
        skill = f"{METRICS[metric].label} {tables.shown(float(e.table[metric].iloc[index]))}"
        heading = f"{place}: {row['basin_id']}, {skill}, {row['group']}"
        days = f"{data.days[0]:%Y-%m-%d} to {data.days[-1]:%Y-%m-%d}"
        alt = f"Observed and simulated streamflow of basin {row['basin_id']}, {days}"
        figures.append(picture(plots.hydrograph(data), alt, days, heading))
    text = "Observed and simulated streamflow on the test days with the most observed variation"
    text += ", precipitation from above." if rain else "."
    return Section("hydrographs", "Hydrographs", text, figures)


def _twin(e: Evidence, truth: Path) -> Section:
    test = e.splits[e.splits["role"] == "test"]
    flow = recovered_flow(truth, e.table, e.runs, e.observed, test)
    panels = {"NSE, observed flow": flow.against_observed, "NSE, true flow": flow.against_truth}
    figures = [
        picture(
            plots.distributions(panels, lowest=0.0),
            "Distribution of NSE against the observed and against the true flow",
            "Skill against the observed flow, which has errors, and against the true flow, which"
            f" the model has never seen. The true flow itself has a median NSE of"
            f" {tables.shown(flow.ceiling)} against the observed: no model can be expected to do"
            " better.",
        )
    ]
    parameters = recovered_parameters(truth, e.table, e.runs)
    if parameters:
        figures.append(
            picture(
                plots.parameter_recovery(parameters),
                "Learned over true value of each parameter, a panel for each",
                "Learned over true parameters of the test basins, within their bounds; learned ones"
                " are means over components and seeds, r is the correlation. Parameters that flow"
                " hardly depends on cannot be recovered from it.",
            )
        )
    seen = "held-out basins and other days" if HELD_OUT in set(e.table["group"]) else "other days"
    text = f"The dataset was generated by a known model, so that recovery can be judged on {seen}."
    return Section("twin", "Recovery of the truth", text, figures)


def _training(e: Evidence) -> Section:
    seconds = [float(log["seconds"].sum()) for log in e.logs.values()]
    epochs = max(int(log["epoch"].max()) for log in e.logs.values())
    text = f"Training took {duration(float(np.mean(seconds)))} a run for {epochs} epochs."
    caption = (
        "Training (full) and validation (dashed) loss, in the unit of the configured loss; the dot"
        " is the best validation."
    )
    figure = picture(plots.loss_curves(e.logs), "Loss and learning rate over epochs", caption)
    return Section("training", "Training", text, [figure])
