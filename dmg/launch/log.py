"""The log of a training, shown where it was started."""

from __future__ import annotations

import sys
from pathlib import Path


class Log:
    """Copies what is added to a file to standard error."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = path.stat().st_size if path.exists() else 0

    def copy(self) -> None:
        """Show what is new."""
        if not self._path.exists():
            return
        with self._path.open(encoding="utf-8", errors="replace") as file:
            file.seek(self._position)
            sys.stderr.write(file.read())
            self._position = file.tell()
        sys.stderr.flush()


def say(message: str) -> None:
    """Tell the user, beside the log."""
    print(message, file=sys.stderr, flush=True)
