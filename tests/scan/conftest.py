"""Tests of the scan: double precision unless said otherwise."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

# compiled programs are kept from one run of the tests to the next, away from the user's
CACHE = Path(__file__).resolve().parents[2] / ".pytest_cache" / "dmg"
os.environ.setdefault("DMG_CACHE_DIR", str(CACHE))


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
