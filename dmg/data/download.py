"""Fetch public datasets: one table of addresses and checksums; resumed, verified, unpacked.

The work goes on in `<dataset>.download/` and is renamed to `<dataset>/` when all of it is there.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bars

from dmg.data.archive import FORMS, unpack
from dmg.data.fetch import Progress, fetch
from dmg.data.sources.camels_us import find_root
from dmg.files import atomic, remove

logger = logging.getLogger(__name__)

ZENODO = "https://zenodo.org/records/15529996/files"
HYDROSHARE = "https://www.hydroshare.org/resource/17c896843cf940339c3c3496d0c1c077/data/contents"


@dataclass(frozen=True)
class Remote:
    """One file to fetch.

    Attributes
    ----------
    name
        Name of the file, at its source and at a mirror.
    base
        Address without the name.
    checksum
        `md5:...` or `sha256:...` as published; None where none is known.
    folder
        Where it belongs: `.` the top, a folder of the top, or `basin_mean_forcing`.
    """

    name: str
    base: str
    checksum: str | None
    folder: str = "."


def _attributes(name: str, md5: str) -> Remote:
    return Remote(f"camels_{name}.txt", ZENODO, f"md5:{md5}", "camels_attributes_v2.0")


# CAMELS v1.2 (doi:10.5065/D6MW2F4D) and attributes v2.0 (doi:10.5065/D6G73C3Q) as NCAR publishes
# them on Zenodo; Maurer-extended (Kratzert), doi:10.4211/hs.17c896843cf940339c3c3496d0c1c077.
DATASETS: dict[str, tuple[Remote, ...]] = {
    "camels_us": (
        _attributes("topo", "0f6267838c40b1507b64582433bc0b8e"),
        _attributes("clim", "67f22592f3fb72c57df81358ce68458b"),
        _attributes("hydro", "55ebdeb36c42ee7acdb998229c3edb3a"),
        _attributes("vege", "f40e843defc1e654a800be9fe5fd5090"),
        _attributes("soil", "8edb46a363a20b466a4b7105ba633767"),
        _attributes("geol", "f5ce5de53eb1ea2532cda7e3b4813993"),
        _attributes("name", "c96491b32c4df55a31bead7ceca7d64b"),
        Remote(
            "basin_timeseries_v1p2_metForcing_obsFlow.zip",
            ZENODO,
            "md5:8e9a466710e8270b58f01d332a87184f",
        ),
        Remote("maurer_extended.zip", HYDROSHARE, None, "basin_mean_forcing"),
    )
}


@dataclass(frozen=True)
class Listed:
    """A dataset by name: whether it can be downloaded, and where it is already."""

    name: str
    known: bool
    path: Path | None


def list_datasets(data_root: Path) -> list[Listed]:
    """List the datasets that can be downloaded, and those that lie in the data root."""
    names = set(DATASETS)
    if data_root.is_dir():
        entries = [p for p in data_root.iterdir() if not p.name.startswith(".")]
        names |= {p.name.removesuffix(f) for p in entries for f in FORMS[1:] if p.name.endswith(f)}
        names |= {p.name for p in entries if p.is_dir() and p.suffix != ".download"}
    return [Listed(name, name in DATASETS, present(data_root, name)) for name in sorted(names)]


def present(data_root: Path, dataset: str) -> Path | None:
    """Find the folder or archive of a dataset, in the order in which it is looked for."""
    paths = (data_root / f"{dataset}{form}" for form in FORMS)
    return next((path for path in paths if path.exists()), None)


def download(
    dataset: str,
    data_root: Path,
    *,
    mirror: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fetch, verify and unpack a dataset into `data_root/<dataset>/`; go on where it stopped.

    Parameters
    ----------
    dataset
        A name in `DATASETS`.
    data_root
        Folder of raw datasets.
    mirror
        Address (http, https or file) of a folder with the same files; none: their publishers.
    progress
        Called with file name, bytes so far and bytes in all; `progress_bar` makes one.

    Returns
    -------
    Path
        The dataset's folder, or the archive that is there already.
    """
    if dataset not in DATASETS:
        raise ValueError(f"dataset '{dataset}': expected one of {', '.join(DATASETS)}")
    there = present(data_root, dataset)
    if there is not None:
        logger.info("%s is there: %s", dataset, there)
        return there
    work = data_root / f"{dataset}.download"
    for remote in DATASETS[dataset]:
        try:
            _add(remote, work, mirror or remote.base, progress)
        except ConnectionError as error:
            raise ConnectionError(f"{error}; {_advice(dataset, data_root)}") from None
    work.rename(data_root / dataset)
    return data_root / dataset


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show a bar per file on a terminal, and nothing but the log where there is none."""
    columns = ("[progress.description]{task.description}", BarColumn(), DownloadColumn(),
               TransferSpeedColumn(), TimeRemainingColumn())  # fmt: skip
    console = Console(stderr=True)
    with Bars(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def show(name: str, received: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=received, total=total)

        yield show


def _advice(dataset: str, data_root: Path) -> str:
    bases = sorted({remote.base.removesuffix("/files") for remote in DATASETS[dataset]})
    return (
        f"is there internet here? Run again to go on, use --mirror, or fetch {' and '.join(bases)}"
        f" elsewhere and put the unpacked files in {data_root / dataset}/"
    )


def _add(
    remote: Remote,
    work: Path,
    base: str,
    progress: Progress | None,
) -> None:
    """Fetch one file and put it, or what it holds, in its place; once."""
    log = work / ".downloaded.json"
    done = json.loads(log.read_text(encoding="utf-8")) if log.is_file() else {}
    if remote.name in done:
        return
    work.mkdir(parents=True, exist_ok=True)
    part = work / f"{remote.name}.part"
    logger.info("fetching %s", remote.name)
    fetch(f"{base.rstrip('/')}/{remote.name}", part, progress)
    done[remote.name] = _verify(part, remote)
    _place(part, remote, work)
    with atomic(log) as temporary:
        temporary.write_text(json.dumps(done, indent=1), encoding="utf-8")


def _verify(part: Path, remote: Remote) -> str:
    """Compare with the published checksum; say so where there is none."""
    kind, _, expected = (remote.checksum or "sha256:").partition(":")
    with part.open("rb") as file:
        found = hashlib.file_digest(file, kind).hexdigest()
    if remote.checksum is None:
        logger.warning(
            "%s: not verified, no checksum is published; its sha256 is %s", remote.name, found
        )
    elif found != expected:
        remove(part)
        raise ValueError(
            f"{remote.name}: expected {kind} {expected}, found {found}; the file is removed,"
            " run again or use another mirror"
        )
    return f"{kind}:{found}"


def _place(part: Path, remote: Remote, work: Path) -> None:
    if remote.folder == "basin_mean_forcing":
        folder = find_root(work) / "basin_mean_forcing"
    else:
        folder = work / remote.folder
    folder.mkdir(parents=True, exist_ok=True)
    if not remote.name.endswith(".zip"):
        part.replace(folder / remote.name)
        return
    archive = part.replace(part.with_suffix(""))  # the unpacker goes by the ending
    temporary = work / ".unpacking"
    remove(temporary)
    unpack(archive, temporary)
    for path in temporary.iterdir():
        remove(folder / path.name)
        path.rename(folder / path.name)
    remove(temporary)
    remove(archive)
