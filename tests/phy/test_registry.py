"""Process models by name: ours, and those of installed packages."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint

import pytest

from dmg.config import registry
from dmg.phy import MODELS


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Entry points of installed packages, to be filled by a test."""
    found: dict[str, str] = {}
    monkeypatch.setattr(
        registry,
        "entry_points",
        lambda group: [EntryPoint(name, value, group) for name, value in found.items()],
    )
    registry.process_models.cache_clear()
    yield found
    registry.process_models.cache_clear()


def test_a_package_adds_a_model(outside: dict[str, str]) -> None:
    outside["bucket"] = "dmg.phy.hbv_1_0:Hbv10"
    assert MODELS["bucket"] is MODELS["hbv_1_0"]
    assert "bucket" in list(MODELS)
    assert len(MODELS) == len(list(MODELS))


def test_a_name_that_is_taken(outside: dict[str, str]) -> None:
    outside["hbv_1_0"] = "elsewhere:Hbv"
    with pytest.raises(ValueError, match=r"two process models are named 'hbv_1_0': .* rename"):
        MODELS["hbv_1_0"]


def test_something_else_than_a_model(outside: dict[str, str]) -> None:
    outside["bucket"] = "json:loads"
    with pytest.raises(ValueError, match=r"'bucket': expected a subclass of dmg.phy.ProcessModel"):
        MODELS["bucket"]
