"""Tests that every process model passes, to be run on a model of your own.

    import pytest
    from dmg.testing import ProcessModelContract
    from my_package import Bucket

    class TestBucket(ProcessModelContract):
        @pytest.fixture
        def model(self):
            return Bucket()

It needs pytest, as the tests of a package have it.
"""

import pytest

pytest.register_assert_rewrite(
    *(f"dmg.testing.{name}" for name in ("compare", "gradients", "runs", "water"))
)

from dmg.testing.contract import ProcessModelContract as ProcessModelContract  # noqa: E402
from dmg.testing.samples import corners as corners  # noqa: E402
from dmg.testing.samples import random_parameters as random_parameters  # noqa: E402
from dmg.testing.samples import weather as weather  # noqa: E402

__all__ = ["ProcessModelContract", "corners", "random_parameters", "weather"]
