"""One writer a store: a second workflow on the same files is refused before it touches them.

The kernel drops a lock when its process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from dmg.data.parts import record_path


@contextmanager
def sole_writer(store: Path) -> Iterator[None]:
    """Begin, finish or repair a store: nobody else may write any of it meanwhile."""
    with ExitStack() as stack:
        _lock(stack, _path(store), fcntl.LOCK_EX, f"{store}")
        yield


@contextmanager
def shard_writer(store: Path, shards: Iterable[int]) -> Iterator[None]:
    """Write some shards of a store, beside others who write other ones."""
    with ExitStack() as stack:
        _lock(stack, _path(store), fcntl.LOCK_SH, f"{store}")
        for shard in shards:
            path = record_path(store, shard).with_suffix(".lock")
            _lock(stack, path, fcntl.LOCK_EX, f"{store}: shard {shard}")
        yield


def _path(store: Path) -> Path:
    return store.parent / f".{store.stem}.lock"


def _lock(stack: ExitStack, path: Path, how: int, what: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    file: IO[str] = stack.enter_context(path.open("a+", encoding="utf-8"))
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "another process"
        raise ValueError(
            f"{what}: expected to be its only writer, found {holder} at work on it; wait for that"
            " workflow or stop it"
        ) from None
    if how == fcntl.LOCK_EX:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
