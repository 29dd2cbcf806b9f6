"""Two published models that are not registered, written as a user would, against independent runs.

SHM (Acuña Espinoza et al. 2024, doi:10.5194/hess-28-2705-2024) as a step, and SAC-SMA as
differential equations (Knoben et al. 2019, doi:10.5194/gmd-12-2463-2019), whose stores act on
those above them, so that all are solved as one system.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import pytest
import torch
from torch import Tensor

from dmg.parameters import Parameter
from dmg.phy import ProcessModel
from dmg.phy.ode import OdeModel
from dmg.phy.sac_sma_daily import PARAMETERS as SAC_SMA
from dmg.phy.sac_sma_daily import State as SacSmaState
from dmg.phy.sac_sma_daily import capacities
from tests.golden import CASES, forcing_f12
from tests.scan.compare import assert_equal, model_case

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


class SacSmaFlux(NamedTuple):
    streamflow: Tensor
    aet: Tensor
    percolation: Tensor
    residual: Tensor


def below(S: Any, capacity: Any) -> Any:
    """Smooth switch: 1 for a store below its capacity, 0 for a full one."""
    return torch.sigmoid((0.95 * capacity - S) / (0.01 * capacity))


class SacSmaOde(OdeModel):
    """SAC-SMA without snow; nothing goes from free to tension water of the lower zone."""

    forcings = ("precipitation", "pet")
    PARAMETERS = SAC_SMA
    State = SacSmaState
    Flux = SacSmaFlux
    BALANCE: ClassVar = {"precipitation": +1, "streamflow": -1, "aet": -1}

    @staticmethod
    def rhs(t: Any, state: Any, forcing: Values, parameters: Values) -> Any:
        S1, S2, S3, S4, S5 = state
        P, E = forcing["precipitation"], forcing["pet"]
        UZTWM, UZFWM, LZTWM, LZFPM, LZFSM = capacities(parameters)
        pctim, kuz, rexp, pfree, klzp, klzs = (
            parameters[n] for n in ("pctim", "kuz", "rexp", "pfree", "klzp", "klzs")
        )
        # Upper zone
        qdir = pctim * P
        full = below(S1 / UZTWM, S2 / UZFWM)
        ru = (S2 * UZTWM - S1 * UZFWM) / (UZTWM + UZFWM) * full
        euztw = torch.minimum(S1, S1 / UZTWM * E)
        twexu = (P - qdir) * (1 - below(S1, UZTWM))
        qsur = twexu * (1 - below(S2, UZFWM))
        euzfw = torch.minimum(S2, (E - euztw).clamp(min=0))
        qint = kuz * S2

        # Percolation grows with the deficit of all lower stores
        pbase = LZFPM * klzp + LZFSM * klzs
        lower = LZTWM + LZFPM + LZFSM
        zperc = (lower - pbase) / pbase
        d3, d4, d5 = (LZTWM - S3).clamp(min=0), (LZFPM - S4).clamp(min=0), (LZFSM - S5).clamp(min=0)
        demand = pbase * (1 + zperc * ((d3 + d4 + d5) / lower) ** (1 + rexp))
        pc = torch.minimum(S2, demand * (S2 / UZFWM))

        # Lower zone
        elztw = torch.minimum(S3, S3 / LZTWM * (E - euztw - euzfw).clamp(min=0))
        pctw = pc * (1 - pfree)
        twexl = pctw * (1 - below(S3, LZTWM))
        free = twexl + pc * pfree
        primary = free * (d4 / LZFPM / (d4 / LZFPM + d5 / LZFSM))
        qbf = S4 * klzp, S5 * klzs
        return (
            P - qdir + ru - euztw - twexu,
            twexu - euzfw - qsur - qint - ru - pc,
            pctw - elztw - twexl,
            primary - qbf[0],
            free - primary - qbf[1],
        ), (qsur + qdir + qint + qbf[0] + qbf[1], euztw + euzfw + elztw, pc)


def ones(values: Mapping[str, float]) -> dict[str, Tensor]:
    return {name: torch.full((1, 1), float(value)) for name, value in values.items()}


def first_days(model: ProcessModel, parameters: Values, stores: Any, days: int) -> Any:
    forcing = {n: f[:days] for n, f in forcing_f12().items()}
    state = model.State(*(torch.full((1, 1), float(s)) for s in stores))
    return model(forcing, parameters, state=state, backend="eager")


class TestShm:
    CASE = CASES["shm"]

    @pytest.mark.parametrize("day", [1, 5, 8, 12])
    def test_stores_agree_with_an_independent_run(self, day: int) -> None:
        parameters, start = ones(self.CASE["params"]), self.CASE["initial"].values()
        out = first_days(Shm(), parameters, start, day)
        flow = out.fluxes["streamflow"][:, 0, 0]
        expected = torch.tensor(self.CASE["outputs"]["SHM Q"][:day])
        torch.testing.assert_close(flow, expected, rtol=0, atol=self.CASE["atol"])
        for name, store in out.state._asdict().items():
            theirs = self.CASE["outputs"][name][day - 1]
            assert store.item() == pytest.approx(theirs, abs=self.CASE["atol"])

    def test_fused_equals_eager(self) -> None:
        assert_equal(model_case(Shm(), (20, 2, 3), dynamic=True))


class TestSacSmaAsOneSystem:
    CASE = CASES["sacsma_m33_implicit"]

    @pytest.mark.parametrize("day", [1, 5, 10, 12])
    def test_stores_agree_with_an_independent_solution(self, day: int) -> None:
        given = CASES["sacsma_mhpi"]["params"]  # as the case says, without those of snow
        parameters = ones({n: given[n] for n in SAC_SMA})
        out = first_days(SacSmaOde(passes=20), parameters, self.CASE["initial"], day)
        assert out.fluxes["residual"].max() < 1e-12
        for name, store in zip(("S1", "S2", "S3", "S4", "S5"), out.state, strict=True):
            theirs = self.CASE["outputs"][name][day - 1]
            assert store.item() == pytest.approx(theirs, abs=self.CASE["atol"])
