"""Published scores of each basin, as their authors left them, in the data root."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

FOLDER = "published"
"""Folder of these files within the data root."""


def read_published(data_root: Path, file: str, column: str) -> pd.Series[float]:
    """Read one column of published scores by basin id.

    Raises
    ------
    FileNotFoundError
        If the file is not there.
    ValueError
        If it has no such column, a value that is no number, or a basin twice.
    """
    path = data_root / FOLDER / file
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of published scores; put it there")
    table = pd.read_csv(path, dtype={"basin": str})
    missing = [name for name in ("basin", column) if name not in table]
    if missing:
        raise ValueError(f"{path}: expected columns basin and {column}, but {missing} are missing")
    text = table.set_index("basin")[column]
    scores: pd.Series[float] = pd.to_numeric(text, errors="coerce").astype(float)
    wrong = text[scores.isna() & text.notna()]
    if len(wrong):
        raise ValueError(
            f"{path}: expected numbers in column {column}, found {wrong.iloc[0]!r} at basin"
            f" {wrong.index[0]}; leave unknown scores empty"
        )
    if scores.index.has_duplicates:
        twice = scores.index[scores.index.duplicated()][0]
        raise ValueError(f"{path}: basin {twice} occurs twice; keep one of them")
    return scores
