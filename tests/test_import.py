"""Importing is silent and light; the public names are there."""

import subprocess
import sys

import pytest

import dmg

HEAVY = ("torch", "numpy", "pandas", "xarray", "dask", "matplotlib")


def loaded_after(code: str) -> tuple[set[str], str]:
    """Heavy modules loaded by `code` in a fresh interpreter, and what it printed."""
    report = f"; import sys; print('LOADED', *(m for m in {HEAVY} if m in sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code + report], capture_output=True, text=True, check=True
    )
    printed, _, loaded = result.stdout.partition("LOADED")
    return set(loaded.split()), printed + result.stderr


@pytest.mark.parametrize("module", ["dmg", "dmg.config", "dmg.cli", "dmg.describe", "dmg.verbs"])
def test_light_modules_load_nothing_heavy(module: str) -> None:
    assert loaded_after(f"import {module}") == (set(), "")


@pytest.mark.parametrize("name", dmg.__all__)
def test_public_names_resolve(name: str) -> None:
    assert getattr(dmg, name) is not None
    assert name in dir(dmg)


def test_version_is_the_package_version() -> None:
    assert dmg.__version__.count(".") == 2


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'dmg' has no attribute 'DeltaModle'"):
        _ = dmg.DeltaModle
