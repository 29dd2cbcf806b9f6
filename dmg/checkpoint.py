"""Checkpoints and trained models as files that are either whole or absent.

They hold tensors and plain values only and are read with `weights_only=True`: a file from elsewhere
cannot run code.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import pickle
import subprocess
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dmg.files import atomic, remove

log = logging.getLogger(__name__)

FORMAT_VERSION = 1
KEEP = 3

_DAMAGE = (
    RuntimeError,
    EOFError,
    OSError,
    KeyError,
    ValueError,
    zlib.error,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)

State = dict[str, Any]


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Write tensors and plain values; on return they are on the disk under their final name."""
    with atomic(path) as temporary, temporary.open("wb") as file:
        torch.save(dict(state), file)
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(path.parent)


def load(path: Path) -> State:
    """Read what `save` wrote, on the CPU; `ValueError` if the file is torn or is something else."""
    try:
        _check_zip(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except _DAMAGE as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(
            f"{path}: expected a checkpoint, found a damaged file ({reason})"
        ) from None
    if not isinstance(state, dict):
        raise ValueError(f"{path}: expected a checkpoint, found {type(state).__name__}")
    return state


class Checkpoints:
    """The checkpoints of one run: the last three by epoch and step, and the best.

    Only one process may write. Checkpoints of another `digest` (configuration) are ignored when
    reading and removed by the first writing.
    """

    def __init__(self, folder: Path, digest: str = "") -> None:
        self.folder = folder
        self.digest = digest

    def save(self, epoch: int, step: int, state: State) -> None:
        """Add the checkpoint of a moment and remove all but the last three."""
        path = self.folder / f"{epoch:06d}-{step:08d}.pt"
        save(path, {**state, "digest": self.digest})
        older = [p for p in self._files() if p != path]
        for stale in older[KEEP - 1 :]:
            remove(stale)

    def newest(self) -> State | None:
        """Newest checkpoint that can be read; damaged ones are named in a warning and skipped."""
        for path in self._files():
            state = self._read(path)
            if state is not None:
                return state
        return None

    def save_best(self, state: State) -> None:
        """Replace the best checkpoint."""
        save(self.folder / "best.pt", {**state, "digest": self.digest})

    def best(self) -> State | None:
        """Best checkpoint, if there is one."""
        path = self.folder / "best.pt"
        return self._read(path) if path.exists() else None

    def clean(self) -> None:
        """Remove what a killed writer or another configuration has left."""
        for path in self.folder.glob(".*.tmp"):
            remove(path)
        for path in [*self._files(), *self.folder.glob("best.pt")]:
            if self._foreign(path):
                log.warning("%s belongs to another configuration: removed", path)
                remove(path)

    def _files(self) -> list[Path]:
        """Existing checkpoints, newest first."""
        return sorted(self.folder.glob("[0-9]*-[0-9]*.pt"), reverse=True)

    def _read(self, path: Path) -> State | None:
        try:
            state = load(path)
        except ValueError as error:
            log.warning("%s; skipped", error)
            return None
        return state if state.get("digest") == self.digest else None

    def _foreign(self, path: Path) -> bool:
        """Whether a readable checkpoint has another digest."""
        try:
            return bool(load(path).get("digest") != self.digest)
        except ValueError:
            return False


def save_model(
    path: Path, model: torch.nn.Module, *, config: Mapping[str, Any], digest: str, **extra: Any
) -> None:
    """Write a trained model with all that is needed to build it again.

    Parameters
    ----------
    path
        File to write, e.g. `model.pt`.
    model
        Module whose weights and buffers are saved.
    config
        Resolved configuration as plain values.
    digest
        Digest of the configuration.
    extra
        More plain values or tensors.
    """
    state = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    about = {"version": importlib.metadata.version("dmg-hpc"), "commit": git_commit()}
    content = {"config": dict(config), "digest": digest, "state": state, **about, **extra}
    save(path, {"format_version": FORMAT_VERSION, **content})


def load_model(path: Path) -> State:
    """Read `save_model`'s file: `state`, `config`, `digest`, `version`, `commit` and extras."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a trained model, found no file; run train first")
    content = load(path)
    found = content.get("format_version")
    if found != FORMAT_VERSION:
        raise ValueError(
            f"{path}: expected a model of format {FORMAT_VERSION}, found {found}; train it again"
        )
    return content


def git_commit() -> str | None:
    """Commit of the source tree this package runs from, if it is one."""
    folder = Path(__file__).parent
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    if not (folder.parent / ".git").exists():
        return None
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _check_zip(path: Path) -> None:
    """Compare the checksum of every record, which `torch.load` does not do."""
    with zipfile.ZipFile(path) as archive:
        broken = archive.testzip()
    if broken is not None:
        raise zipfile.BadZipFile(f"wrong checksum of {broken}")


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
