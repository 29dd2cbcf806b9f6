"""What the tests of a process model share: the model, its precision and its weather.

Shape legend: T time, B basins, E components.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from dmg.phy.base import ProcessModel
from dmg.testing import samples
from dmg.testing.checks import Named


class ModelTests:
    """Base of the tests of one process model."""

    @pytest.fixture
    def model(self) -> ProcessModel:
        """Model to be tested."""
        raise NotImplementedError("override the fixture `model`: return the model to be tested")

    @pytest.fixture(autouse=True)
    def _double_precision(self) -> Iterator[None]:
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        yield
        torch.set_default_dtype(before)

    def weather(
        self, model: ProcessModel, num_steps: int, num_basins: int, wild: bool = False
    ) -> Named:
        """Make the forcing of the runs, `[T, B]` or `[B]`; override it for words of your own.

        Parameters
        ----------
        model
            Model to be tested.
        num_steps, num_basins
            T and B.
        wild
            Anything that is possible anywhere, in any order.
        """
        return samples.weather(num_steps, num_basins, 0, model.forcings, dt=model.dt, wild=wild)

    def year(self, model: ProcessModel) -> int:
        """Count the steps of a year."""
        return round(365 / model.dt)
