"""HYMOD against independent numbers and closed forms."""

import pytest
import torch
from torch import Tensor

from dmg.phy import Trajectory
from dmg.phy.hymod import Hymod
from tests.golden import CASES, forcing_f12

CASE = CASES["hymod_discrete"]


def ones(values: dict[str, float]) -> dict[str, Tensor]:
    return {name: torch.full((1, 1), float(value)) for name, value in values.items()}


def run(forcing: dict[str, Tensor] | None = None, **changes: float) -> Trajectory:
    start = Hymod.State(*(torch.full((1, 1), float(s)) for s in CASE["initial"]))
    return Hymod()(forcing or forcing_f12(), ones(CASE["params"] | changes), state=start)


def dry(num_steps: int) -> dict[str, Tensor]:
    return {"precipitation": torch.zeros(num_steps, 1), "pet": torch.zeros(num_steps, 1)}


def rain(depth: float) -> dict[str, Tensor]:
    return {"precipitation": torch.full((1, 1), depth), "pet": torch.zeros(1, 1)}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("Q", "streamflow"), ("Qq", "quickflow"), ("Qs", "baseflow"), ("ET", "aet")],
)
def test_fluxes_agree_with_an_independent_evaluation(theirs: str, ours: str) -> None:
    expected = torch.tensor(CASE["outputs"][theirs])
    found = run().fluxes[ours][:, 0, 0]
    torch.testing.assert_close(found, expected, rtol=0, atol=CASE["atol"])


def test_soil_agrees_with_an_independent_evaluation() -> None:
    for day, expected in enumerate(CASE["outputs"]["S"]):
        forcing = {n: f[: day + 1] for n, f in forcing_f12().items()}
        assert run(forcing).state.S.item() == pytest.approx(expected, abs=CASE["atol"])


def test_slow_store_decays_as_a_power() -> None:
    out = run(dry(50))
    torch.testing.assert_close(out.state.XS, torch.full((1, 1), 20 * 0.95**50), rtol=1e-12, atol=0)


def test_equal_capacities_fill_before_anything_runs_off() -> None:
    """With B = 0 the soil is a bucket of Cmax."""
    below, above = (run(rain(p), B=0.0).fluxes for p in (199.0, 230.0))
    assert below["infiltration_excess"] + below["saturation_excess"] == 0
    total = above["infiltration_excess"] + above["saturation_excess"]
    torch.testing.assert_close(total, torch.full((1, 1, 1), 30.0))


def test_a_full_soil_rejects_all_rain() -> None:
    full = run(rain(1000.0))
    again = Hymod()(rain(7.0), ones(CASE["params"]), state=full.state)
    rejected = again.fluxes["saturation_excess"] + again.fluxes["infiltration_excess"]
    torch.testing.assert_close(rejected, torch.full((1, 1, 1), 7.0), rtol=1e-6, atol=0)


@pytest.mark.parametrize(("alpha", "dead"), [(0.0, "quickflow"), (1.0, "baseflow")])
def test_share_of_the_quick_stores(alpha: float, dead: str) -> None:
    start = Hymod.State(*(torch.full((1, 1), s) for s in (100.0, 0.0, 0.0, 0.0, 0.0)))
    out = Hymod()(forcing_f12(), ones(CASE["params"] | {"alpha": alpha}), state=start)
    assert (out.fluxes[dead] == 0).all()
    assert (out.fluxes["streamflow"] > 0).any()
