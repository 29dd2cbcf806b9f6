"""What every process model must satisfy, as a class of tests that a model's tests inherit."""

from __future__ import annotations

from dmg.testing.gradients import Gradients
from dmg.testing.runs import Runs
from dmg.testing.water import Water


class ProcessModelContract(Water, Runs, Gradients):
    """Tests of one process model; override the fixture `model`.

    All runs are in double precision, by the fused loop where the model has one. Tests that a
    model has nothing to say to are skipped: conservation without a `BALANCE`, rain without
    precipitation.
    """
