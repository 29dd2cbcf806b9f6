"""What the files of a run folder say; none of them needs to be there, or whole."""

from __future__ import annotations

import fcntl
import json
import math
import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from dmg.run_files import CHECKPOINTS, CONFIG, DONE, FAILURE, JOBS, METRICS

LAST_EPOCHS = 5
TAIL_BYTES = 8192


class Checkpoint(NamedTuple):
    """Newest checkpoint: an epoch, the steps done in it, and when it was written [s]."""

    epoch: int
    step: int
    time: float


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; empty if there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def read_train_settings(run: Path) -> dict[str, Any]:
    """Section `train` of the run's settings; empty before it has started."""
    try:
        content = yaml.load((run / CONFIG).read_text(encoding="utf-8"), _YAML)
        settings = content["train"]
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return {}
    return settings if isinstance(settings, dict) else {}


_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster, where it was compiled


def last_epochs(run: Path) -> list[dict[str, Any]]:
    """Last lines of metrics; a torn one is left out, numbers that are not finite are none."""
    try:
        lines = (run / METRICS).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    epochs = []
    for line in lines[-LAST_EPOCHS:]:
        try:
            content = json.loads(line)
        except ValueError:
            continue
        if isinstance(content, dict) and isinstance(content.get("epoch"), int):
            epochs.append({name: _finite(value) for name, value in content.items()})
    return epochs


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def newest_checkpoint(run: Path) -> Checkpoint | None:
    """Newest checkpoint by epoch and step, or none."""
    for path in sorted((run / CHECKPOINTS).glob("[0-9]*-[0-9]*.pt"), reverse=True):
        numbers = re.fullmatch(r"(\d+)-(\d+)", path.stem)
        try:
            written = path.stat().st_mtime
        except FileNotFoundError:  # the trainer has just removed it
            continue
        if numbers:
            return Checkpoint(int(numbers[1]), int(numbers[2]), written)
    return None


def is_done(run: Path) -> bool:
    """Whether a training came to its end and its model is there."""
    return bool(read_json(run / DONE)) and any(run.glob("*.pt"))


def is_locked(path: Path) -> bool:
    """Whether a living process, on any machine that shares the file, holds a lock."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def failure(run: Path) -> str | None:
    """Why the last job failed: what its launcher noted, else its processes; none if it did not.

    Processes that have lost their launcher leave their notes for good: those that are older than
    the newest checkpoint tell of a job before the last.
    """
    noted = read_json(run / FAILURE)
    if "error" in noted:
        return str(noted["error"])
    checkpoint = newest_checkpoint(run)
    since = checkpoint.time if checkpoint else 0.0
    ends = [read_json(path) for path in (run / JOBS).glob("*/end-*.json")]
    failed = [end for end in ends if "error" in end and end["time"] >= since]
    return min(failed, key=lambda end: float(end["time"]))["error"] if failed else None


def last_words(run: Path) -> str | None:
    """Last line with an error that Slurm, or Python, wrote about the last job."""
    logs = [path for path in (run / JOBS).glob("*/*.err") if path.is_file()]
    if not logs:
        return None
    with max(logs, key=lambda path: path.stat().st_mtime).open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    errors = [line.strip() for line in lines if re.search(r"error|killed", line, re.I)]
    return errors[-1] if errors else None
