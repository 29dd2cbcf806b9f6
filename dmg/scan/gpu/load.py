"""Generated Triton to a kernel: a module in the cache of compiled programs, imported."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from dmg.files import atomic
from dmg.scan.aten import UnsupportedError
from dmg.scan.cache import cache_folder


def interpreted() -> bool:
    """Whether Triton runs its kernels in Python; decided before its first import."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def load(source: str, kernel: str) -> Any:
    """Return a kernel of a generated module; Triton compiles it when it is first run.

    Raises
    ------
    UnsupportedError
        If Triton is not installed.
    """
    if importlib.util.find_spec("triton") is None:
        raise UnsupportedError(
            "fused scans on a GPU need Triton, which is not installed: pip install 'dmg-hpc[gpu]'"
        )
    return getattr(_module(source, str(cache_folder())), kernel)


@cache
def _module(source: str, folder: str) -> ModuleType:
    name = f"dmg_scan_{hashlib.sha256(source.encode()).hexdigest()}"
    path = Path(folder) / f"{name}.py"
    try:
        _write(source, path)
    except OSError:
        path = Path(_own_folder().name) / path.name
        _write(source, path)
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None
    assert specification.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def _write(source: str, path: Path) -> None:
    """Write the file unless it is there and whole: Triton reads kernels from their source."""
    try:
        if path.read_text(encoding="utf-8") == source:
            return
    except (OSError, UnicodeDecodeError):
        pass
    with atomic(path) as temporary:
        temporary.write_text(source, encoding="utf-8")


@cache
def _own_folder() -> tempfile.TemporaryDirectory[str]:
    """Folder for a process that cannot write into the cache; it vanishes with the process."""
    return tempfile.TemporaryDirectory(prefix="dmg-")
