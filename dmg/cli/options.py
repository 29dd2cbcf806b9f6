"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Launcher(StrEnum):
    """Where a training runs."""

    local = "local"
    inline = "inline"
    slurm = "slurm"


class Dask(StrEnum):
    """Where the workers of Dask run."""

    local = "local"
    slurm = "slurm"


class OnInterrupt(StrEnum):
    """What becomes of a Slurm job when its launcher is asked to stop."""

    cancel = "cancel"
    detach = "detach"


Config = Annotated[Path, typer.Option("--config", help="Experiment file (YAML).")]
ConfigFolder = Annotated[
    Path, typer.Option("--config", help="Folder with benchmarks/ and experiments/.")
]
Store = Annotated[Path, typer.Option("--store", help="Extracted store (Zarr).")]
Preprocessed = Annotated[Path, typer.Option("--preprocess", help="Folder that preprocess wrote.")]
Out = Annotated[Path, typer.Option("--out", help="File or folder to write.")]
SlurmItems = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="What a Slurm job asks for.")
]
File = Annotated[Path, typer.Argument(metavar="FILE", help="Configuration file (YAML).")]
Root = Annotated[Path, typer.Option("--data-root", help="Folder of raw datasets.")]
AnyRoot = Annotated[Path, typer.Option(envvar="DMG_DATA_ROOT", help="Folder of raw datasets.")]
RAW = Path("data/raw")
