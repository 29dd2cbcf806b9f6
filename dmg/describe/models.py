"""Process models as text, from the tables and comments in their files."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from dmg.describe.settings import Row

Table = tuple[Row, list[Row]]

MODELS_HEAD = ("name", "parameters", "states", "forcings", "time step", "what it is")
PARAMETER_HEAD = ("symbol", "lower", "upper", "unit", "default", "meaning")
SOURCE_HEAD = (*PARAMETER_HEAD, "source")
FIELD_HEAD = ("name", "unit", "meaning")


class Description(NamedTuple):
    """All that a process model tells about itself."""

    summary: str
    facts: dict[str, str]  # time step, balance and the like
    tables: dict[str, Table]  # head and rows by title
    references: list[str]
    differences: str  # from the publications, and why


def models() -> Table:
    """Head and rows of the table of process models."""
    from dmg.phy import MODELS

    return MODELS_HEAD, [
        (
            name,
            str(len(m.PARAMETERS)),
            str(len(m.State._fields)),
            ", ".join(m.forcings),
            _time_step(m.TIMESTEPS),
            _first_line(m),
        )
        for name, m in MODELS.items()
    ]


def model(name: str) -> Description:
    """All about one process model, or one with a snow module (`gr4j+degree_day`).

    Raises
    ------
    ValueError
        If there is no such model.
    """
    from dmg.phy import MODELS

    if name not in MODELS:
        raise ValueError(f"no process model '{name}'; there are: {', '.join(MODELS)}")
    chosen = MODELS[name]
    texts = [inspect.getdoc(inspect.getmodule(MODELS[part])) or "" for part in name.split("+")]
    return Description(
        summary=_first_line(chosen),
        facts=_facts(chosen),
        tables={
            "Forcings": (FIELD_HEAD, _forcings(chosen.forcings)),
            "Parameters": (SOURCE_HEAD, _sourced(chosen)),
            "States": (FIELD_HEAD, _fields(chosen.State)),
            "Fluxes": (FIELD_HEAD, _fields(chosen.Flux)),
        },
        references=[reference for text in texts for reference in _references(text)],
        differences="\n".join(_paragraph(text, "Differences from") for text in texts),
    )


def parameters(table: Mapping[str, Any]) -> list[Row]:
    """Rows of a `PARAMETERS` table, of a process model or of routing."""

    def default(value: float | None) -> str:
        return "learned" if value is None else f"{value:g}"

    return [
        (s, f"{p.lower:g}", f"{p.upper:g}", p.unit, default(p.default), p.meaning)
        for s, p in table.items()
    ]


def _sourced(chosen: Any) -> list[Row]:
    table = chosen.PARAMETERS
    rows = zip(parameters(table), table.values(), strict=True)
    return [(*row, p.source or chosen.SOURCE) for row, p in rows]


def _facts(chosen: Any) -> dict[str, str]:
    terms = (f"{'+-'[sign < 0]} {name}" for name, sign in chosen.BALANCE.items())
    facts = {
        "time step": _time_step(chosen.TIMESTEPS),
        "change of storage": " ".join(terms).removeprefix("+ "),
        "runoff, which routing delays": ", ".join(chosen.RUNOFF),
        "may be negative": ", ".join(chosen.SIGNED),
        "recommended dynamic parameters": ", ".join(chosen.RECOMMENDED_DYNAMIC),
    }
    return {fact: text for fact, text in facts.items() if text}


def _time_step(days: tuple[float, ...]) -> str:
    return ", ".join(f"{Fraction(dt).limit_denominator(86400)} d" for dt in days)


def _forcings(names: tuple[str, ...]) -> list[Row]:
    from dmg.data.variables import CALENDAR, DERIVED, DYNAMIC, STATIC

    known = DYNAMIC | DERIVED | STATIC | CALENDAR
    return [(n, known[n].unit, known[n].long_name) if n in known else (n, "", "") for n in names]


def _fields(named_tuple: Any) -> list[Row]:
    """Name, unit and meaning of fields, from the comment at the right of each in the source.

    A tuple that is put together names those that it comes from in `parts`.
    """
    if parts := getattr(named_tuple, "parts", None):
        return [row for part in parts for row in _fields(part)]
    common = re.search(r"each \[([^]]+)\]", inspect.getdoc(named_tuple) or "")
    comments = re.findall(r"^    (\w+): [^#\n]+  # (.+)$", _source(named_tuple), re.MULTILINE)
    unit = common[1] if common else ""
    rows: list[Row] = [(name, *_split(text, unit)) for name, text in comments]
    return rows or [(name, "", "") for name in named_tuple._fields]


def _source(described: Any) -> str:
    try:
        return inspect.getsource(described)
    except (OSError, TypeError):  # made at run time
        return ""


def _split(comment: str, unit: str) -> tuple[str, str]:
    """Give unit and meaning of a comment such as `soil moisture [mm]`."""
    found = re.fullmatch(r"(.*?) ?\[([^]]+)\]", comment)
    return (found[2], found[1]) if found else (unit, comment)


def _references(text: str) -> list[str]:
    found = re.search(r"^References\n-+\n(.*?)(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    lines = found[1].splitlines() if found else []
    joined = "\n".join(lines).replace("\n ", " ")  # an indented line goes on
    return [" ".join(line.split()) for line in joined.splitlines() if "doi" in line or "," in line]


def _paragraph(text: str, start: str) -> str:
    found = re.search(rf"^{start}.*?(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    return " ".join(found[0].split()) if found else ""


def _first_line(described: Any) -> str:
    return (inspect.getdoc(described) or "").partition("\n")[0]
