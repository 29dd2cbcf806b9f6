"""SHM, written as a user would write a model, against an independent run.

Acuña Espinoza et al. 2024, HESS 28, 2705, doi:10.5194/hess-28-2705-2024.
"""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import pytest
import torch
from torch import Tensor

from dmg.parameters import Parameter
from dmg.phy import ProcessModel
from tests.golden import CASES, forcing_f12
from tests.scan.compare import assert_equal, model_case

CASE = CASES["shm"]

Values = Mapping[str, Tensor]


class ShmState(NamedTuple):
    ss: Tensor
    sf: Tensor
    su: Tensor
    si: Tensor
    sb: Tensor


class ShmFlux(NamedTuple):
    streamflow: Tensor
    aet: Tensor


class Shm(ProcessModel):
    """Snow, a fast store, a soil, interflow and baseflow."""

    forcings = ("precipitation", "temperature", "pet")
    PARAMETERS: ClassVar = {
        "dd": Parameter(0.0, 10.0, "mm degC-1 d-1", "degree-day factor"),
        "f_thr": Parameter(10.0, 60.0, "mm d-1", "water beyond which flow is fast"),
        "sumax": Parameter(20.0, 700.0, "mm", "capacity of the soil"),
        "beta": Parameter(1.0, 6.0, "1", "shape of the runoff of the soil"),
        "perc": Parameter(0.0, 1.0, "1", "share of that runoff to interflow"),
        "kf": Parameter(1.0, 20.0, "d", "residence time of the fast store"),
        "ki": Parameter(1.0, 100.0, "d", "residence time of interflow"),
        "kb": Parameter(10.0, 1000.0, "d", "residence time of baseflow"),
    }
    State = ShmState
    Flux = ShmFlux
    BALANCE: ClassVar = {"precipitation": +1, "streamflow": -1, "aet": -1}

    @staticmethod
    def step(state: ShmState, forcing: Values, parameters: Values) -> tuple[ShmState, ShmFlux]:
        ss, sf, su, si, sb = state
        P, T, PET = forcing["precipitation"], forcing["temperature"], forcing["pet"]
        dd, f_thr, sumax, beta, perc, kf, ki, kb = (parameters[n] for n in Shm.PARAMETERS)
        rain = torch.where(T >= 0, P, 0.0)
        melt = torch.minimum(ss, dd * T.clamp(min=0))
        fast = (rain + melt - f_thr).clamp(min=0)
        slow = rain + melt - fast
        qf = (sf + fast) / kf
        runoff = slow * (su / sumax) ** beta
        wet = su + slow - runoff
        spill = (wet - sumax).clamp(min=0)
        su = wet - spill
        aet = torch.minimum(su, 0.9 * PET * torch.where(su <= 0.8 * sumax, su / sumax, 1.0))
        runoff = runoff + spill
        qi, qb = (si + perc * runoff) / ki, (sb + (1 - perc) * runoff) / kb
        new = ShmState(
            ss + (P - rain) - melt, sf + fast - qf, su - aet,
            si + perc * runoff - qi, sb + (1 - perc) * runoff - qb,
        )  # fmt: skip
        return new, ShmFlux(qf + qi + qb, aet)


def ones(values: Mapping[str, float]) -> dict[str, Tensor]:
    return {name: torch.full((1, 1), float(value)) for name, value in values.items()}


@pytest.mark.parametrize("day", [1, 5, 8, 12])
def test_stores_and_flow_agree_with_an_independent_run(day: int) -> None:
    forcing = {n: f[:day] for n, f in forcing_f12().items()}
    start = ShmState(**ones(CASE["initial"]))
    out = Shm()(forcing, ones(CASE["params"]), state=start, backend="eager")
    expected = torch.tensor(CASE["outputs"]["SHM Q"][:day])
    flow = out.fluxes["streamflow"][:, 0, 0]
    torch.testing.assert_close(flow, expected, rtol=0, atol=CASE["atol"])
    for name, store in out.state._asdict().items():
        theirs = CASE["outputs"][name][day - 1]
        assert store.item() == pytest.approx(theirs, rel=0, abs=CASE["atol"])


def test_fused_equals_eager() -> None:
    assert_equal(model_case(Shm(), (20, 2, 3), dynamic=True))
