"""What a run lacks of the published protocol, found in the settings that it was trained with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dmg.config import RESOURCES, flat

PLACES = ("data.source", "data.dataset", "data.store", "data.basins", "data.synthetic")
"""Where data lie; what is missing of them shows in the basins that were scored."""
IGNORED = (*PLACES, "data.split.only", *(f"train.{key}" for key in RESOURCES))
"""Folds, seeds and basins that lack are counted in the scores."""
LONGEST = 3
"""Longer lists are counted, not written."""


def differences(protocol: Mapping[str, Any], run: Mapping[str, Any]) -> list[str]:
    """List the settings of a run that are not those of the protocol.

    Both are resolved settings of an experiment. What only one of them knows, as after a change of
    the schema, is not compared.
    """
    return list(_differences(dict(flat(protocol)), dict(flat(run))))


def _differences(protocol: Mapping[str, Any], run: Mapping[str, Any]) -> Iterator[str]:
    for key, expected in protocol.items():
        if key.startswith("evaluate.") and key != "evaluate.memory":
            continue
        if any(key == name or key.startswith(f"{name}.") for name in IGNORED):
            continue
        if key in run and run[key] != expected:
            yield f"{key} {_printed(run[key], expected)} instead of {_printed(expected, run[key])}"


def _printed(value: Any, other: Any) -> str:
    if isinstance(value, list) and len(value) > LONGEST:
        more = " others" if isinstance(other, list) and len(other) == len(value) else ""
        return f"{len(value)}{more}"
    if isinstance(value, list):
        return "[" + ", ".join(map(str, value)) + "]"
    return "none" if value is None else str(value)
