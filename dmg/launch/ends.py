"""How the processes of a job ended, from the notes that they leave in its folder."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from dmg.errors import described
from dmg.files import atomic, remove
from dmg.interrupt import INTERRUPTED

Ends = dict[int, dict[str, Any] | None]
"""Note of each process; none for one that has not ended, or was killed."""


def read_ends(folder: Path, processes: int) -> Ends:
    """Read the notes of all processes."""
    paths = {rank: folder / f"end-{rank}.json" for rank in range(processes)}
    return {rank: json.loads(p.read_text()) if p.exists() else None for rank, p in paths.items()}


def failures(ends: Ends) -> list[dict[str, Any]]:
    """Errors, those that explain most first: a user's before a program's, early before late."""
    errors = [end for end in ends.values() if end is not None and end["status"] == 1]
    return sorted(errors, key=lambda end: (not end["expected"], end["time"]))


def lost(ends: Ends) -> list[int]:
    """Give the processes that left no note."""
    return [rank for rank, end in ends.items() if end is None]


def raise_failure(ends: Ends, folder: Path) -> None:
    """Raise the error that explains most, if a process ended with one.

    Raises
    ------
    ChildProcessError
        The message is the error in one line.
    """
    errors = failures(ends)
    if not errors:
        return
    if errors[0]["expected"]:
        remove(folder)  # the message says all
        raise ChildProcessError(errors[0]["error"])
    raise ChildProcessError(f"{errors[0]['error']}; see {folder}")


def exit_status(folder: Path, processes: int, stopped: bool) -> int:
    """Exit status of a job that is over: 0, or 75 if it was asked to stop and can be resumed.

    Raises
    ------
    ChildProcessError
        If the job failed; the message is its error in one line.
    """
    ends = read_ends(folder, processes)
    errors, missing = failures(ends), lost(ends)
    if stopped and (missing or (errors and not errors[0]["expected"])):
        return INTERRUPTED
    if missing and not (errors and errors[0]["expected"]):
        raise ChildProcessError(
            f"process {missing[0]} of the training ended without a result (killed, or out of"
            f" memory?); run again to resume; see {folder}"
        )
    raise_failure(ends, folder)
    return max(int(end["status"]) for end in ends.values() if end is not None)


class FailureNote:
    """Leaves a file that says why a launch failed, for whoever asks later; the next removes it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        self._path.unlink(missing_ok=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception):  # neither ctrl-C nor an exit
            with atomic(self._path) as temporary:
                note = {"error": described(error), "time": time.time()}
                temporary.write_text(json.dumps(note), encoding="utf-8")


def kill_leftovers(folder: Path, processes: int) -> None:
    """Kill the processes of a job that run on this machine and have not ended."""
    for rank, end in read_ends(folder, processes).items():
        path = folder / f"pid-{rank}"
        if end is None and path.exists():
            with suppress(ProcessLookupError):
                os.kill(int(path.read_text()), signal.SIGKILL)
