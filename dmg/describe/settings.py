"""Configuration as text: what `dmg config` prints, and the docs show."""

from __future__ import annotations

import inspect
import json
import types
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from dmg.config import Benchmark, Experiment, Period, Run, Section, parse, read_yaml, resolved

Row = tuple[str, ...]


def load(path: Path) -> Section:
    """Read a file of experiments to run, of one experiment or of a benchmark, whichever it is."""
    content = read_yaml(path)
    schemas: tuple[type[Section], ...] = (Run, Benchmark)
    named = (s for s in schemas if set(content) & set(s.model_fields))
    return parse(next(named, Experiment), content, str(path))


def schema_json(schema: type[Section] = Experiment) -> str:
    """JSON schema of an experiment file, or of another one, for editors."""
    return json.dumps(schema.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def settings(
    schema: type[Section], prefix: str = "", seen: set[type[Section]] | None = None
) -> Iterator[tuple[str, str, list[Row]]]:
    """Key, description and rows (key, type, default, meaning) of a section and those below it.

    What may stand at several places is described at the first.
    """
    seen = {Period} if seen is None else seen  # a period is two days, which the page explains
    text = inspect.getdoc(schema) or ""
    fields = schema.model_fields
    yield prefix, text, [_row(name, field) for name, field in fields.items()]
    for name, field in fields.items():
        for section in _sections(field.annotation):
            if section in seen:
                continue
            seen.add(section)
            label = ".".join(filter(None, (prefix, field.alias or name)))
            choice = section.model_fields.get("name") or section.model_fields.get("kind")
            if choice and isinstance(choice.default, str):
                label = f"{label}: {choice.default}"
            yield from settings(section, label, seen)


def _row(name: str, field: FieldInfo) -> Row:
    return field.alias or name, _type(field.annotation), _default(field), field.description or ""


def _sections(annotation: Any) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [s for a in get_args(annotation) if a is not Ellipsis for s in _sections(a)]


def _type(annotation: Any) -> str:
    """Say what a user writes for a value of this type."""
    origin, options = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(map(str, options))
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(_type, options)))
    if origin is tuple:
        return f"list of {_type(options[0])}"
    if origin is dict:
        return "settings" if options[1] is Any else f"mapping to {_type(options[1])}"
    if origin is not None:  # Annotated
        return _type(options[0])
    if annotation in _sections(annotation):
        return "period" if annotation is Period else "section"
    names = {str: "text", int: "integer", float: "number", bool: "true, false"}
    return names.get(annotation) or {Path: "path", date: "date"}.get(annotation, "none")


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "(required)"
    if isinstance(value, Section):
        value = resolved(value).get("name", "see below")
    if isinstance(value, tuple):
        value = list(value)
    return json.dumps(value, default=str, ensure_ascii=False).replace('"', "")
