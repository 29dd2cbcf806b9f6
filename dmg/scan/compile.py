"""Generated C++ to a loaded library: the machine's compiler, and a cache by content."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from dmg.files import atomic
from dmg.scan.aten import UnsupportedError
from dmg.scan.cache import cache_folder, sealed, unsealed

# No -ffast-math: NaN must propagate, and linking with it changes rounding for the whole process.
# Contraction is off so that results follow PyTorch's: ties stay ties, with their subgradients.
FLAGS = (
    "-std=c++17", "-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno",
    "-fno-trapping-math", "-fPIC", "-shared", "-w",
)  # fmt: skip
TIMEOUT = 600  # seconds that a compiler may take


def load(source: str) -> ctypes.CDLL:
    """Return the library of a program, compiled unless the cache has it.

    Raises
    ------
    UnsupportedError
        If there is no compiler, or it fails; at once for a program that failed before.
    """
    found = _attempt(source, _command(os.environ.get("CXX", "")), str(cache_folder()))
    if isinstance(found, str):
        raise UnsupportedError(found)
    return found


@cache
def _attempt(source: str, command: tuple[str, ...], folder: str) -> ctypes.CDLL | str:
    if not command:
        return "no C++ compiler found (looked for $CXX, g++, clang++); install one for fused scans"
    try:
        path = Path(folder) / f"{_key(source, command)}.so"
        return _cached(path) or _stored(source, command, path)
    except (subprocess.SubprocessError, OSError) as error:
        return f"the C++ compiler {shlex.join(command)} failed: {_reason(error)}"


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = [line for line in str(error.stderr).splitlines() if "error" in line.lower()]
        return f"exit status {error.returncode}" + (f", {lines[0]}" if lines else "")
    return " ".join(str(error).split())


@cache
def _command(named: str) -> tuple[str, ...]:
    """Return the compiler's command: $CXX, g++ or clang++, the first that is there."""
    for command in (shlex.split(named), ["g++"], ["clang++"]):
        if command and shutil.which(command[0]):
            return tuple(command)
    return ()


def _key(source: str, command: tuple[str, ...]) -> str:
    parts = (source, *command, *FLAGS, _version(command), _instruction_set())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@cache
def _version(command: tuple[str, ...]) -> str:
    return _run([*command, "--version"])


@cache
def _instruction_set() -> str:
    """Return what `-march=native` depends on: a home folder may serve several kinds of machine."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return f"{platform.machine()} {platform.processor()}"
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
    keys = ("vendor_id", "cpu family", "model", "flags", "Features", "CPU part")
    first = {line.split(":")[0].strip(): line for line in reversed(lines) if ":" in line}
    return platform.machine() + "".join(first.get(k, "") for k in keys)


def _cached(path: Path) -> ctypes.CDLL | None:
    """Return the library if its file is whole."""
    return None if unsealed(path) is None else ctypes.CDLL(str(path))


def _stored(source: str, command: tuple[str, ...], path: Path) -> ctypes.CDLL:
    """Compile into the cache, or where the cache cannot be written into a folder that vanishes."""
    with tempfile.TemporaryDirectory(prefix="dmg-") as folder:
        built = Path(folder) / path.name
        _compile(source, command, built)
        try:
            with atomic(path) as temporary:
                shutil.copyfile(built, temporary)
        except OSError:
            return ctypes.CDLL(str(built))
    return ctypes.CDLL(str(path))


def _compile(source: str, command: tuple[str, ...], path: Path) -> None:
    text = path.with_suffix(".cpp")
    text.write_text(source, encoding="utf-8")
    arguments = [*command, *FLAGS, "-o", str(path), str(text)]
    try:
        _run([*arguments, "-fopenmp"])
    except subprocess.CalledProcessError:
        _run(arguments)  # a compiler without OpenMP: one thread
    path.write_bytes(sealed(path.read_bytes()))


def _run(arguments: list[str]) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=TIMEOUT)
    return done.stdout
