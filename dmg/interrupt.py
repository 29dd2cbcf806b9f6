"""Requests to stop: SIGTERM, and SIGUSR2 before a time limit."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

INTERRUPTED = 75
"""Exit status of work that was asked to stop and can be resumed (EX_TEMPFAIL)."""

SIGNALS = (signal.SIGTERM, signal.SIGUSR2)
WITH_CTRL_C = (signal.SIGINT, *SIGNALS)
"""What a launcher listens to; its processes leave ctrl-C to it."""


class Interrupted(SystemExit):
    """The work was asked to stop, and can be resumed."""

    def __init__(self) -> None:
        super().__init__(INTERRUPTED)


@contextmanager
def leave_on_signal() -> Iterator[None]:
    """Within a block, a signal raises `Interrupted` at once: for work that loses nothing by it."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise Interrupted

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, leave) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class StopRequest:
    """Within a `with` block, signals are only counted: the work ends where it is safe."""

    def __init__(self, signals: Sequence[signal.Signals] = SIGNALS) -> None:
        self.asked = 0
        self._signals = tuple(signals)
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in self._signals}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked += 1
