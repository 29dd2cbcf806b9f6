"""What a tracker is, and the record that a training keeps."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from dmg.files import atomic, remove
from dmg.progress import Line

NOT_CURVES = ("epoch", "time", "steps")


class Tracker(Protocol):
    """Keeps a record of a training while its `with` block lasts."""

    def __enter__(self) -> Tracker: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def write(self, history: Sequence[Line]) -> None:
        """Bring the record up to date with the lines of all epochs so far.

        Each epoch is there once, also where a training was killed and goes on from a checkpoint.
        """


class Record:
    """`metrics.jsonl` and the trackers of a training; one process writes.

    Parameters
    ----------
    path
        File with a line of JSON an epoch.
    trackers
        Others that are told the same.
    """

    def __init__(self, path: Path, trackers: Sequence[Tracker] = ()) -> None:
        self._path, self._trackers = path, trackers
        self._stack = ExitStack()

    def __enter__(self) -> Record:
        for tracker in self._trackers:
            self._stack.enter_context(tracker)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def begin(self, history: Sequence[Line]) -> None:
        """Take up the record where the checkpoint is; without any, an earlier training's goes."""
        if history:
            self._write_lines(history)
        else:
            remove(self._path)
        self._tell(history)

    def write(self, history: Sequence[Line]) -> None:
        """Bring the record up to date with the lines of all epochs so far."""
        self._write_lines(history)
        self._tell(history)

    def _write_lines(self, history: Sequence[Line]) -> None:
        """Write all lines anew, so that a resumed run leaves exactly one line an epoch."""
        with atomic(self._path) as temporary:
            text = "".join(json.dumps(line) + "\n" for line in history)
            temporary.write_text(text, encoding="utf-8")

    def _tell(self, history: Sequence[Line]) -> None:
        for tracker in self._trackers:
            tracker.write(history)


def curves(line: Line) -> dict[str, float]:
    """Numbers of an epoch; without those that it does not have."""
    given = {n: v for n, v in line.items() if n not in NOT_CURVES and v is not None}
    return {name: float(value) for name, value in given.items()}


def require(extra: str, module: str) -> Any:
    """Import what an extra of this package brings; `ValueError` names the extra."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        raise ValueError(
            f"train.trackers: expected the package of '{extra}', found none; install it with"
            f" pip install 'dmg-hpc[{extra}]' or leave '{extra}' out"
        ) from None
