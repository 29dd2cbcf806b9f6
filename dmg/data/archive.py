"""Find a raw dataset: a folder, or an archive that is unpacked once."""

from __future__ import annotations

import fcntl
import json
import logging
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dmg.files import atomic

logger = logging.getLogger(__name__)

FORMS = ("", ".zip", ".tar.xz")
STAMP = ".unpacked.json"  # inside an unpacked folder: which archive it came from


def find_tree(data_root: Path, dataset: str, scratch: Path) -> Path:
    """Find the folder of a raw dataset; unpack its archive if that is what there is.

    Parameters
    ----------
    data_root
        Folder that holds `<dataset>/`, `<dataset>.zip` or `<dataset>.tar.xz`, tried in that order.
    dataset
        Name of the dataset.
    scratch
        Where an archive is unpacked, into `<dataset>/`; once, whoever comes first.

    Returns
    -------
    Path
        The folder as it is, or the unpacked one.
    """
    paths = [data_root / f"{dataset}{form}" for form in FORMS]
    folder, *archives = paths
    if folder.is_dir():
        return folder
    for archive in archives:
        if archive.is_file():
            return _unpacked(archive, scratch / dataset)
    raise FileNotFoundError(
        f"dataset '{dataset}': expected one of {', '.join(map(str, paths))}, found none; put the"
        " data there, set DMG_DATA_ROOT to their folder, or run `dmg data download`"
    )


def _unpacked(archive: Path, folder: Path) -> Path:
    stamp = _stamp(archive)
    with _lock(folder):
        if _read_stamp(folder) != stamp:
            logger.info("unpacking %s", archive)
            with atomic(folder) as temporary:
                unpack(archive, temporary)
                (temporary / STAMP).write_text(stamp, encoding="utf-8")
    return folder


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a `.zip` or a `.tar.xz` into a folder; a broken archive is a one-line error."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as file:
                file.extractall(folder)
        else:
            _unpack_tar(archive, folder)
    except (zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, EOFError) as error:
        found = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"{archive}: expected a whole archive, found a broken one ({found}); fetch it again"
        ) from None


def _unpack_tar(archive: Path, folder: Path) -> None:
    with lzma.open(archive) as stream:
        with tarfile.open(fileobj=stream, mode="r|") as file:
            file.extractall(folder, filter="data")
        while stream.read(1 << 20):  # to the end, where xz finds out whether all of it came
            pass


def _stamp(archive: Path) -> str:
    stat = archive.stat()
    return json.dumps({"archive": archive.name, "size": stat.st_size, "mtime": stat.st_mtime_ns})


def _read_stamp(folder: Path) -> str | None:
    path = folder / STAMP
    return path.read_text(encoding="utf-8") if path.is_file() else None


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Let one process at a time unpack; the kernel drops the lock of a killed one."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
