"""What `dmg models` and the docs tell about a process model is complete."""

from collections import namedtuple
from typing import NamedTuple

import pytest
from torch import Tensor

from dmg.config.registry import process_models
from dmg.describe import Description, model, models
from dmg.describe.models import _fields, _references
from dmg.phy import MODELS

OURS = [name for name, place in process_models().items() if place.startswith("dmg.")]


@pytest.fixture(params=OURS)
def about(request: pytest.FixtureRequest) -> Description:
    return model(request.param)


def test_every_cell_is_filled(about: Description) -> None:
    """A forcing has a unit, a parameter a source, a store and a flux a comment."""
    for head, rows in about.tables.values():
        assert rows
        for row in rows:
            assert len(row) == len(head)
            assert all(row), f"{row}: empty in one of {head}"


def test_references_and_differences_are_given(about: Description) -> None:
    assert about.references
    assert any("doi:" in reference for reference in about.references)
    assert about.differences.startswith("Differences from")
    assert about.facts["time step"]
    assert "precipitation" in about.facts["change of storage"]


def test_a_model_with_a_snow_module_tells_of_both() -> None:
    about = model("gr4j+degree_day")
    assert about.summary == "Gr4j fed by DegreeDay."
    assert {"x1", "TT"} <= {row[0] for row in about.tables["Parameters"][1]}
    assert {reference.split()[0].rstrip(",") for reference in about.references} >= {
        "Perrin", "Bergström",
    }  # fmt: skip
    assert len(about.differences.splitlines()) == 2


def test_all_models_are_listed() -> None:
    head, rows = models()
    assert [row[0] for row in rows] == list(process_models())
    assert {len(row) for row in rows} == {len(head)}


def test_every_state_counts_also_where_a_line_tells_about_several() -> None:
    _, rows = models()
    states = {row[0]: int(row[2]) for row in rows}
    assert states == {name: len(MODELS[name].State._fields) for name in states}
    assert states["gr4j"] > len(_fields(MODELS["gr4j"].State))


class Store(NamedTuple):
    """Storages, `[B, E]` each [mm]."""

    S: Tensor  # soil moisture
    HEAT: Tensor  # heat deficit [J]


class Flow(NamedTuple):
    """Fluxes."""

    Q: Tensor


class Many(namedtuple("Many", ["U_1", "U_2"])):
    """Storages."""

    U_k: Tensor  # water that leaves in k days [mm]


def test_fields_are_told_by_their_comments() -> None:
    assert _fields(Store) == [("S", "mm", "soil moisture"), ("HEAT", "J", "heat deficit")]
    assert _fields(Flow) == [("Q", "", "")]
    assert _fields(Many) == [("U_k", "mm", "water that leaves in k days")]


def test_fields_made_at_run_time_are_those_of_their_parts() -> None:
    both = namedtuple("both", "S HEAT Q")
    assert _fields(both) == [("S", "", ""), ("HEAT", "", ""), ("Q", "", "")]
    both.parts = Store, Flow
    assert _fields(both) == [*_fields(Store), *_fields(Flow)]


def test_a_reference_may_go_on_in_the_next_line() -> None:
    text = "A model.\n\nReferences\n----------\nA 2000, J. 1, 2,\n    doi:1/2.\nB 2001, C.\n\nMore."
    assert _references(text) == ["A 2000, J. 1, 2, doi:1/2.", "B 2001, C."]
