"""The continuous form of the daily SAC-SMA, solved implicitly, against independent numbers.

Its five stores depend on each other in a circle: a test of `dmg.scan.implicit` on a system, with
the parameters and the percolation of `dmg.phy.sac_sma_daily`.

References
----------
Knoben et al. 2019, GMD 12, 2463, doi:10.5194/gmd-12-2463-2019.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from dmg.phy.sac_sma_daily import PARAMETERS, State, capacities, demand, share
from dmg.scan import scan
from dmg.scan.implicit import implicit_euler
from tests.golden import CASES, forcing_f12

CASE = CASES["sacsma_m33_implicit"]
GIVEN = CASES["sacsma_mhpi"]["params"]
FULL, SMOOTHING = 0.95, 0.01
"""Relative content at which a smooth threshold is half passed, and its width."""


class Flux(NamedTuple):
    streamflow: Tensor
    aet: Tensor
    residual: Tensor


def room(content: Any) -> Any:
    """Smooth step from 1 to 0 where a store fills up, by its relative content."""
    return torch.sigmoid((FULL - content) / SMOOTHING)


def tendency(
    state: Any, forcing: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Rates of change of the stores and fluxes [mm d-1]; names as in `dmg.phy.sac_sma_daily`."""
    UZTW, UZFW, LZTW, LZFP, LZFS = state
    P, E = forcing["precipitation"], forcing["pet"]
    pctim, _, _, _, kuz, _, _, _, pfree, klzp, klzs = (parameters[name] for name in PARAMETERS)
    UZTWM, UZFWM, LZTWM, LZFPM, LZFSM = capacities(parameters)
    qdir, peff = pctim * P, (1 - pctim) * P
    tension, free = UZTW / UZTWM, UZFW / UZFWM
    ru = UZTWM * UZFWM / (UZTWM + UZFWM) * (free - tension) * room(tension / free)
    euztw = torch.minimum(UZTW, E * tension)
    twexu = peff * (1 - room(tension))
    qsur, qint = twexu * (1 - room(free)), kuz * UZFW
    euzfw = torch.minimum(UZFW, (E - euztw).clamp(min=0))
    lack = ((LZTWM - LZTW).clamp(min=0), (LZFPM - LZFP).clamp(min=0), (LZFSM - LZFS).clamp(min=0))
    dry = (lack[0] + lack[1] + lack[2]) / (LZTWM + LZFPM + LZFSM)
    pc = torch.minimum(UZFW, free * demand(dry, parameters))
    pctw = (1 - pfree) * pc
    most = LZFPM + LZFSM
    move = (LZTWM * (LZFP + LZFS) - LZTW * most).clamp(min=0) / (most * (LZTWM + most))
    rlp, rls = LZFPM * move, LZFSM * move
    elztw = torch.minimum(LZTW, (E - euztw - euzfw).clamp(min=0) * LZTW / (UZTWM + LZTWM))
    twexl = pctw * (1 - room(LZTW / LZTWM))
    tofree = pfree * pc + twexl
    toprimary = tofree * share(LZFP / LZFPM, LZFS / LZFSM)
    qbfp, qbfs = klzp * LZFP, klzs * LZFS
    return (
        peff + ru - euztw - twexu,
        twexu - euzfw - qsur - qint - ru - pc,
        pctw + rlp + rls - elztw - twexl,
        toprimary - rlp - qbfp,
        tofree - toprimary - rls - qbfs,
    ), (qdir + qsur + qint + qbfp + qbfs, euztw + euzfw + elztw)


def guess(
    state: State, forcing: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> tuple[Tensor, ...]:
    """Upper stores with the day's water, up to where they are half shut: see `room`."""
    UZTWM, UZFWM, *_ = (FULL * c for c in capacities(parameters))
    wet = state.UZTW + (1 - parameters["pctim"]) * forcing["precipitation"]
    UZFW = torch.minimum(state.UZFW + (wet - UZTWM).clamp(min=0), UZFWM)
    return state._replace(UZTW=torch.minimum(wet, UZTWM), UZFW=UZFW)


def test_stores_of_every_day() -> None:
    step = implicit_euler(tendency, Flux, guess, passes=16)
    parameters = {name: torch.full((1, 1), float(GIVEN[name])) for name in PARAMETERS}
    state = State(*(torch.full((1, 1), float(store)) for store in CASE["initial"]))
    forcing = {n: f for n, f in forcing_f12().items() if n != "temperature"}
    for day in range(12):
        today = {n: f[day : day + 1] for n, f in forcing.items()}
        before = torch.cat(state).sum()
        fluxes, state = scan(step, state, today, parameters, backend="eager")
        found = [store.item() for store in state]
        expected = [CASE["outputs"][f"S{i + 1}"][day] for i in range(5)]
        assert found == pytest.approx(expected, rel=0, abs=CASE["atol"]), day
        assert fluxes["residual"].item() < 1e-9
        given = today["precipitation"] - fluxes["streamflow"].squeeze(0) - fluxes["aet"].squeeze(0)
        assert torch.cat(state).sum().item() == pytest.approx((before + given).item(), rel=1e-13)
