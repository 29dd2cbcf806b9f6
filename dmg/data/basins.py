"""Lists of basin ids: read them from a file, match them with what is available."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

logger = logging.getLogger(__name__)


def read_basins(path: str | Path) -> list[str]:
    """Read basin ids from a file: one id a line, or a JSON list of strings or integers.

    Blank lines and text after `#` are ignored. A JSON list of integers has lost the leading
    zeros of its ids; `match_basins` finds them again.
    """
    path = Path(path)
    text = path.read_text(encoding="utf-8")
    ids = _from_json(text, path) if text.lstrip().startswith("[") else _from_lines(text, path)
    if not ids:
        raise ValueError(f"{path}: expected basin ids, one a line, found none")
    return ids


def _from_json(text: str, path: Path) -> list[str]:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{error.lineno}: not a valid JSON list: {error.msg}") from None
    for value in values:
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise ValueError(f"{path}: expected a list of basin ids, found the entry {value!r}")
    return [str(value).strip() for value in values]


def _from_lines(text: str, path: Path) -> list[str]:
    ids = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split("#", 1)[0].split()
        if len(words) > 1:
            raise ValueError(
                f"{path}:{number}: expected one basin id a line, found {line.strip()!r}"
            )
        ids += words
    return ids


def match_basins(
    wanted: Iterable[str], available: Sequence[str], where: str = "basins"
) -> list[str]:
    """Return the ids of `available` that `wanted` names, in the order of `wanted`.

    An id that lost its leading zeros is accepted when exactly one available id fits, and the log
    says so. `where` (a file or a key) opens every error: unknown ids, ambiguous ids, duplicates.
    """
    by_number: dict[str, list[str]] = {}
    for basin in available:
        by_number.setdefault(basin.lstrip("0"), []).append(basin)
    exact, wanted = set(available), list(wanted)
    fits = [[w] if w in exact else by_number.get(w.lstrip("0"), []) for w in wanted]
    _require_known(wanted, fits, where, len(available))
    found = [fit[0] for fit in fits]
    _require_unique(found, where)
    padded = [(w, f) for w, f in zip(wanted, found, strict=True) if w != f]
    if padded:
        logger.warning(
            "%s: %d ids without their leading zeros were matched, such as %s as %s",
            where, len(padded), *padded[0],
        )  # fmt: skip
    return found


def _require_known(
    wanted: list[str], fits: list[list[str]], where: str, num_available: int
) -> None:
    unknown = [w for w, fit in zip(wanted, fits, strict=True) if not fit]
    if unknown:
        raise ValueError(
            f"{where}: expected ids among the {num_available} available basins, found"
            f" {len(unknown)} unknown: {_some(unknown)}; remove them or add their data"
        )
    for w, fit in zip(wanted, fits, strict=True):
        if len(fit) > 1:
            raise ValueError(
                f"{where}: id {w} fits several basins: {_some(fit)}; write it with its zeros"
            )


def _require_unique(found: list[str], where: str) -> None:
    twice = [basin for basin, count in Counter(found).items() if count > 1]
    if twice:
        raise ValueError(
            f"{where}: expected every basin once, found duplicates: {_some(twice)}; remove them"
        )


def _some(ids: Sequence[str], limit: int = 5) -> str:
    return ", ".join(ids[:limit]) + (", ..." if len(ids) > limit else "")
