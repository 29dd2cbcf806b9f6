"""Reading configuration files; every mistake is one line that names file and key."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from dmg.config.base import Section
from dmg.config.files import Experiment

S = TypeVar("S", bound=Section)

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Safe loading, by the C library where PyYAML was built with it: ten times as quick."""
CHOICES = ("one", "several", "text")
"""Parts of a place that a user does not write: which form a setting has."""


def load_experiment(path: str | Path) -> Experiment:
    """Read and validate one experiment file; `ValueError` names file and key."""
    return parse(Experiment, read_yaml(path), str(path))


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML mapping; `ValueError` names file and line of a mistake."""
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise ValueError(
            f"{path}{line}: not valid YAML: {getattr(error, 'problem', error)}"
        ) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a mapping of sections, found {type(content).__name__}")
    return content


def parse(schema: type[S], content: dict[str, Any], origin: str) -> S:
    """Validate `content` against `schema`; the error is one line that names `origin` and key."""
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(_problem(schema, e) for e in error.errors()[:3])
        raise ValueError(f"{origin}: {problems}") from None


def _problem(schema: type[Section], error: Any) -> str:
    """One pydantic error as `key: what is wrong`, with the nearest name of a misspelt key."""
    loc = [str(part) for part in error["loc"] if part not in CHOICES]
    key = ".".join(loc)
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(loc[-1], _known_keys(schema), n=1, cutoff=0.5)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        return f"{key}: unknown key{hint}"
    message = error["msg"].removeprefix("Value error, ")
    found = error.get("input")
    shown = f" (found {found!r})" if isinstance(found, str | int | float | bool) else ""
    return f"{key}: {message}{shown}" if key else f"{message}{shown}"


def _known_keys(schema: type[Section]) -> list[str]:
    """Every key that occurs anywhere in the schema."""
    definitions = [
        schema.model_json_schema(),
        *schema.model_json_schema().get("$defs", {}).values(),
    ]
    return sorted({key for d in definitions for key in d.get("properties", {})})


def resolved(section: Section) -> dict[str, Any]:
    """All settings of a section, defaults included, as plain JSON values."""
    return section.model_dump(mode="json", by_alias=True)


def flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Give nested settings as pairs of a key with dots, `train.epochs`, and its value."""
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def digest(*sections: Section) -> str:
    """Sixteen hexadecimal digits that change when, and only when, a setting changes."""
    text = json.dumps([resolved(s) for s in sections], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
