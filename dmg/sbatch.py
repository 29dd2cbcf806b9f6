"""What all that is submitted to Slurm shares: options by name, and a clean environment."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager


def parse_items(items: Sequence[str], types: Mapping[str, str]) -> dict[str, int | str]:
    """Read `key=value` items of a command line; later ones win.

    Parameters
    ----------
    items
        What follows each `--slurm`.
    types
        Type of each key, as a dataclass writes it; "int" is read as a number.

    Raises
    ------
    ValueError
        If a key is unknown or a value is no number where one belongs.
    """
    values: dict[str, int | str] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals or key not in types:
            raise ValueError(
                f"--slurm: expected KEY=VALUE with a key of {sorted(types)}, found '{item}'"
            )
        values[key] = _number(key, value) if types[key] == "int" else value
    return values


def _number(key: str, text: str) -> int:
    if not text.isdigit():
        raise ValueError(f"--slurm {key}: expected a whole number, found '{text}'")
    return int(text)


@contextmanager
def without_slurm_variables() -> Iterator[None]:
    """Hide the variables of a job in which this process runs: they would change the new one."""
    hidden = {n: v for n, v in os.environ.items() if n.startswith(("SLURM_", "SBATCH_"))}
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)
