"""Files that are either whole or absent: write to a temporary name, then rename."""

from __future__ import annotations

import fcntl
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import IO


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it into place when the block succeeds.

    The temporary name may become a file or a folder. If the block fails, it is removed and
    `path` stays as it was. A rename within one folder is atomic on POSIX file systems.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        _replace(temporary, path)
    finally:
        remove(temporary)


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """Yield a path in `<path>.parts/`, for work that a later run may go on with.

    When the block succeeds, what lies there is renamed into place and the folder removed; if it
    fails, all stays. One process at a time.
    """
    work = path.with_suffix(".parts")
    work.mkdir(parents=True, exist_ok=True)
    with only_writer(path):
        yield work / path.name
        _replace(work / path.name, path)
        remove(work)


@contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Refuse to work on `path` beside another process that does so in this block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (path.parent / f".{path.stem}.lock").open("w") as file:
        if not try_lock(file):
            raise ValueError(
                f"{path}: expected to be its only writer, found another process at work on it; wait"
                " for that workflow or stop it"
            )
        yield


@contextmanager
def one_line_if_full(folder: Path) -> Iterator[None]:
    """Say in one line that a disk is full; finished shards are kept."""
    try:
        yield
    except OSError as error:
        if error.errno not in (ENOSPC, EDQUOT):
            raise
        raise OSError(
            f"{folder}: no space left on the disk; free some and run again, finished shards are"
            " kept"
        ) from None


def remove(path: Path) -> None:
    """Remove a file or folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def try_lock(file: IO[str]) -> bool:
    """Lock an open file for this process alone; false if another holds the lock."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _replace(temporary: Path, path: Path) -> None:
    if path.is_dir():  # replace cannot replace a folder that is not empty
        old = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.old")
        path.rename(old)
        temporary.rename(path)
        shutil.rmtree(old)
    else:
        temporary.replace(path)
