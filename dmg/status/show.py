"""How runs stand, for a terminal, for a pipe and for a program."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from dmg.status.state import RunStatus

STYLES = {"running": "cyan", "done": "green", "failed": "red", "stopped": "yellow", "waiting": ""}
HEAD = ("run", "state", "epoch", "loss", "validation", "windows/s", "left", "checkpoint", "job")


def as_json(statuses: Sequence[RunStatus]) -> str:
    """Give a list of objects with the attributes of `RunStatus`."""
    return json.dumps([asdict(status) for status in statuses], indent=2, allow_nan=False)


def as_lines(statuses: Sequence[RunStatus]) -> str:
    """One line a run, with what is known of it."""
    return "\n".join(map(_line, statuses))


def as_table(statuses: Sequence[RunStatus]) -> Table:
    """Give a table with a row for each run, and below it their errors and reasons of waiting."""
    title, names = _short_names([status.run for status in statuses])
    table = Table(box=None, pad_edge=False, title=title, title_justify="left")
    for name in HEAD:
        table.add_column(name, overflow="fold", no_wrap=name in ("run", "state"))
    for run, status in zip(names, statuses, strict=True):
        cells = [
            run, status.state, _epoch(status), _number(status.loss),
            _number(status.validation), _number(status.samples_per_second),
            _duration(status.eta_seconds), _checkpoint(status), _job(status),
        ]  # fmt: skip
        table.add_row(*map(escape, cells), style=STYLES[status.state])
    told = zip(names, statuses, strict=True)
    notes = [f"{run}: {note}" for run, s in told if (note := s.error or s.reason)]
    table.caption, table.caption_justify = escape("\n".join(notes)) or None, "left"
    return table


def _short_names(runs: Sequence[str]) -> tuple[str | None, list[str]]:
    """Folder that several runs share, and their names within it."""
    if len(runs) < 2:
        return None, list(runs)
    folder = os.path.commonpath([Path(run).absolute() for run in runs])
    return escape(folder), [os.path.relpath(run, folder) for run in runs]


def _line(status: RunStatus) -> str:
    parts = {
        "epoch": _epoch(status),
        "loss": _number(status.loss),
        "validation": _number(status.validation),
        "windows/s": _number(status.samples_per_second),
        "left": _duration(status.eta_seconds),
        "checkpoint": _checkpoint(status),
        "job": _job(status),
        "reason:": status.reason or "",
        "error:": status.error or "",
    }
    told = [f"{name} {text}" for name, text in parts.items() if text]
    return f"{status.run}: " + ", ".join([status.state, *told])


def _epoch(status: RunStatus) -> str:
    if status.epochs is None and not status.epoch:
        return ""
    return f"{status.epoch}/{status.epochs or '?'}"


def _checkpoint(status: RunStatus) -> str:
    if status.checkpoint is None:
        return ""
    return f"{_duration(status.checkpoint_age_seconds)} ago ({status.checkpoint})"


def _job(status: RunStatus) -> str:
    if status.job_id is None:
        return ""
    state = f" {status.job_state.lower()}" if status.job_state else ""
    return f"{status.job_id}{state}" + (f" on {status.nodes}" if status.nodes else "")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24} h"
