"""What is wrong with a network is said with ids, one line each."""

import pandas as pd
import pytest

from dmg.data.network import Tables, assemble, find_problems


def tables() -> Tables:
    """A river of three reaches."""
    reaches = pd.DataFrame(
        {"reach_id": list("abc"), "downstream_id": ["b", "c", ""], "length": 1e3, "slope": 0.01}
    )
    units = pd.DataFrame({"unit_id": ["1", "2", "3"], "reach_id": list("abc"), "area": 5.0})
    gauges = pd.DataFrame({"gauge_id": ["9"], "reach_id": ["c"]})
    return Tables(reaches, units, gauges)


def problems(of: Tables) -> tuple[list[str], list[str]]:
    found = find_problems(of.reaches, of.units, of.gauges)
    return found.errors, found.notes


def test_a_good_network_has_none() -> None:
    assert problems(tables()) == ([], [])


@pytest.mark.parametrize(
    ("table", "column", "value", "expected"),
    [
        ("reaches", "downstream_id", "a", "3 reaches that flow in a circle: a, b, c; let one"),
        ("reaches", "downstream_id", "z", "1 reaches whose reach downstream is not in the table: c"
         " -> z; add that reach, or name none"),
        ("reaches", "reach_id", "a", "1 reach ids that occur twice: a; give each its own"),
        ("units", "unit_id", "1", "1 unit ids that occur twice: 1; give each its own"),
        ("units", "reach_id", "z", "1 units whose reach is not in the table: 3"),
        ("reaches", "length", -1.0, "1 reaches of negative length: c; mend"),
        ("units", "area", -5.0, "1 units of negative or unknown area: 3; mend"),
    ],
)  # fmt: skip
def test_errors(table: str, column: str, value: object, expected: str) -> None:
    broken = tables()
    getattr(broken, table).loc[2, column] = value
    errors, _ = problems(broken)
    assert any(error.startswith(expected) for error in errors), errors
    with pytest.raises(ValueError, match=r"^\d+ (reach|unit)"):
        assemble(broken)


def test_duplicated_gauges_are_an_error() -> None:
    broken = tables()
    broken.gauges = pd.concat([broken.gauges, broken.gauges])
    assert problems(broken)[0] == ["1 gauge ids that occur twice: 9; give each its own"]


@pytest.mark.parametrize(
    ("table", "column", "value", "expected"),
    [
        ("units", "area", 0.0, "1 units of zero area: 3; they are left out"),
        ("units", "reach_id", "", "1 units off the network: 3; their runoff reaches no gauge"),
        ("reaches", "length", 0.0, "1 reaches of zero length: c; they delay nothing"),
        ("reaches", "slope", 0.0, "1 reaches that do not fall: c; routing takes its least slope"),
        (
            "reaches",
            "slope",
            float("nan"),
            "1 reaches of unknown length or slope: c; no channel routing on them",
        ),
        ("gauges", "reach_id", "z", "1 gauges off the network: 9; they are left out"),
    ],
)
def test_notes(table: str, column: str, value: object, expected: str) -> None:
    odd = tables()
    getattr(odd, table).loc[len(getattr(odd, table)) - 1, column] = value
    errors, notes = problems(odd)
    assert errors == []
    assert expected in notes
    assert assemble(odd).num_reaches == 3


def test_reaches_without_units_are_noted() -> None:
    odd = tables()
    odd.units = odd.units.iloc[:2]
    assert problems(odd)[1] == [
        "1 reaches without a unit of their own: c; they only carry what comes from upstream"
    ]


def test_many_ids_are_cut_and_further_errors_counted() -> None:
    broken = tables()
    broken.reaches = pd.concat([broken.reaches] * 8, ignore_index=True).assign(
        reach_id=[str(i // 2) for i in range(24)], downstream_id="", length=-1.0
    )
    broken.units["reach_id"] = ""
    errors, _ = problems(broken)
    assert errors[0] == "12 reach ids that occur twice: 0, 1, 2, 3, 4, ...; give each its own"
    with pytest.raises(ValueError, match=r"twice: .* \(1 more: see `dmg data network`\)$"):
        assemble(broken)
