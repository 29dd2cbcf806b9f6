"""Curves of a training in TensorBoard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from dmg.files import remove
from dmg.progress import Line
from dmg.trackers.base import curves, require


class TensorBoard:
    """Scalars in `<run_dir>/tensorboard`; what an earlier start left there is written anew.

    Raises
    ------
    ValueError
        If TensorBoard is not installed.
    """

    def __init__(self, run_dir: Path) -> None:
        self._package = require("tensorboard", "tensorboard.summary")
        self._folder = run_dir / "tensorboard"
        self._writer: Any = None
        self._written = 0

    def __enter__(self) -> TensorBoard:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer, self._written = None, 0

    def write(self, history: Sequence[Line]) -> None:
        """Add the epochs that are new."""
        if self._writer is None:
            for old in self._folder.glob("events.*"):
                remove(old)
            self._writer = self._package.Writer(str(self._folder))
        for line in history[self._written :]:
            for name, value in curves(line).items():
                self._writer.add_scalar(name, value, line["epoch"], wall_time=line["time"])
        self._written = len(history)
        self._writer.flush()
