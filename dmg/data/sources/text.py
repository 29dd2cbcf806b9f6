"""Daily text tables separated by runs of blanks and tabs, checked line by line without a loop."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

DATE = ("year", "month", "day")


@dataclass(frozen=True)
class TextTable:
    """The bytes of one text file; names file and line of whatever is wrong in it.

    `header` is the number of lines before the first row; rows are counted from zero.
    """

    path: Path
    content: bytes
    header: int

    @classmethod
    def read(cls, path: Path, header: int) -> TextTable:
        """Read a file; `ValueError` if it is empty or cut off."""
        content = path.read_bytes()
        table = cls(path, content, header)
        lines = len(content.splitlines())
        if lines <= header:
            raise ValueError(
                f"{path}:{lines + 1}: expected daily rows after {header} header lines,"
                f" found {'none' if content.strip() else 'an empty file'}; fetch the file again"
            )
        if not content.endswith(b"\n"):
            table._require_whole_end(lines)
        return table

    def _require_whole_end(self, lines: int) -> None:
        """Tell a cut number by its decimals: some official files lack the last line end."""
        above, last = (line.split() for line in self.content.splitlines()[-2:])
        decimals = [len(row[-1].partition(b".")[2]) for row in (above, last) if row]
        if lines > self.header + 1 and (len(above) != len(last) or len(set(decimals)) > 1):
            raise ValueError(
                f"{self.path}:{lines}: expected a whole line, found"
                f" '{b' '.join(last).decode('utf-8', 'replace')}' at the end of the file: it looks"
                " truncated; fetch it again, or end that line if it is right"
            )

    def line(self, number: int) -> str:
        """Line `number`, counted from zero."""
        return self.content.split(b"\n", number + 1)[number].decode("utf-8", "replace")

    def ends(self) -> tuple[list[str], list[str]]:
        """Give the words of the first and of the last row."""
        first = self.line(self.header)
        last = self.content.rstrip().rsplit(b"\n", 1)[-1].decode("utf-8", "replace")
        return first.split(), last.split()

    def error(self, row: int, message: str) -> ValueError:
        """One-line error that names the file and the line of a row."""
        lines = self.content.splitlines()
        filled = [i for i in range(self.header, len(lines)) if lines[i].strip()]
        return ValueError(f"{self.path}:{filled[row] + 1}: {message}")

    def fields(self, row: int) -> list[str]:
        """Split a row into its words."""
        lines = [line for line in self.content.splitlines()[self.header :] if line.strip()]
        return lines[row].decode("utf-8", "replace").split()

    def frame(
        self, names: Sequence[str], numeric: Sequence[str], text: Sequence[str] = ()
    ) -> pd.DataFrame:
        """Parse the wanted columns; every row must have all its `names`."""
        frame = pd.read_csv(
            io.BytesIO(self.content),
            sep=r"\s+",
            header=None,
            skiprows=self.header,
            names=list(names),
            usecols=[*numeric, *text],
            dtype=dict.fromkeys(text, "str"),
            index_col=False,
            engine="c",
            low_memory=False,
        )
        if frame.empty:
            raise ValueError(
                f"{self.path}:{self.header + 1}: expected daily rows, found blank lines;"
                " fetch the file again"
            )
        for name in numeric:
            if not pd.api.types.is_numeric_dtype(frame[name]):
                raise self._not_a_number(frame[name])
        self._check_width(frame, len(names))
        return frame

    def _not_a_number(self, column: pd.Series[str]) -> ValueError:
        bad = pd.to_numeric(column, errors="coerce").isna() & column.notna()
        row = int(bad.to_numpy().argmax())
        return self.error(row, f"expected a number for {column.name}, found '{column.iloc[row]}'")

    def _check_width(self, frame: pd.DataFrame, width: int) -> None:
        """Tell a short row from a written NaN: both parse as missing."""
        for row in np.flatnonzero(frame.isna().any(axis=1).to_numpy()):
            found = len(self.fields(int(row)))
            if found < width:
                raise self.error(int(row), f"expected {width} values, found {found}: truncated?")

    def days(self, frame: pd.DataFrame, *, gaps: bool) -> NDArray[np.datetime64]:
        """Dates of the rows, which must rise, by one day each unless `gaps` are allowed."""
        year, month, day = (frame[name].to_numpy(np.float64) for name in DATE)
        whole = np.isfinite(year + month + day)
        months = np.where(whole, (year - 1970) * 12 + month - 1, 0).astype(np.int64)
        start = months.astype("datetime64[M]").astype("datetime64[D]")
        days = start + np.where(whole, day - 1, -1).astype(np.int64)
        right = (days.astype("datetime64[M]").astype(np.int64) == months) & (month <= 12)
        right &= month >= 1
        if not right.all():
            row = int((~right).argmax())
            raise self.error(row, f"expected a date, found '{self._date(frame, row)}'")
        self._check_order(frame, days, gaps=gaps)
        return days

    def _check_order(
        self, frame: pd.DataFrame, days: NDArray[np.datetime64], *, gaps: bool
    ) -> None:
        steps = np.diff(days).astype(np.int64)
        bad = steps < 1 if gaps else steps != 1
        if not bad.any():
            return
        row = int(bad.argmax()) + 1
        step, found = steps[row - 1], f"{days[row]} after {days[row - 1]}"
        what = "a date that repeats" if step == 0 else "a gap" if step > 1 else "dates out of order"
        raise self.error(row, f"expected the day after {days[row - 1]}, found {what}: {found}")

    def _date(self, frame: pd.DataFrame, row: int) -> str:
        return " ".join(f"{frame[name].iloc[row]:g}" for name in DATE)
