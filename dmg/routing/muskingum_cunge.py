"""Muskingum-Cunge routing of runoff through a river network, differentiable.

Each reach passes on what flows into it, delayed and spread by weights that follow from its
channel and its discharge (Cunge 1969, doi:10.1080/00221686909500264; Bindas et al. 2024,
doi:10.1029/2023WR035337). With N(Q) the sum of the reaches directly upstream of each, q' the
lateral inflow and C1 to C4 those weights at the discharge of time t:
`Q(t+1) = C1 N(Q(t+1)) + C2 N(Q(t)) + C3 Q(t) + C4 q'(t)`.

On a CPU with a compiler all steps run as one operation with its own adjoint, else in PyTorch,
level by level.

Shape legend: T steps of the inflow, N reaches.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dmg.parameters import Parameter
from dmg.routing.channel import Minima, muskingum_weights, section
from dmg.routing.reaches import Reaches
from dmg.routing.sweep import Accumulate, Sweep, Timing, plan_of
from dmg.scan import BACKENDS, UnsupportedError
from dmg.scan.report import report_once

PARAMETERS = {
    "n": Parameter(0.015, 0.25, "s m-1/3", "Manning's roughness of the channel"),
    "q_spatial": Parameter(0.0, 1.0, "1", "shape of the cross section: 0 rectangle, 1 triangle"),
    "p_spatial": Parameter(
        1.0, 200.0, "m", "top width of a flow 1 m deep", default=21.0, scale="log"
    ),
}


class ChannelState(NamedTuple):
    """What routing remembers between two chunks of a stream."""

    discharge: Tensor  # [N] m3 s-1, after the last step
    inflow: Tensor  # [N] m3 s-1, lateral, of the last step of the inflow
    partial: Tensor  # [N] m3 s-1, sum of discharges that the next mean already has
    floored: Tensor  # [N] m3, float64: what floors have added since the stream began


class MuskingumCunge(nn.Module):
    """Routes lateral inflow through a network, with learnable roughness and cross sections.

    Parameters
    ----------
    substeps
        Steps of routing in a step of the inflow: 24 for daily runoff, 1 for hourly runoff.
    timestep
        Length of a step of the inflow [s].
    shift
        Substeps by which each mean begins before its step of the inflow; 8 where gauges report
        days of US local time and forcing has days of UTC.
    minima
        Least discharge, slope, velocity, depth and bottom width.
    missing
        Lateral inflow where it is NaN [m3 s-1].
    backend
        "fused": compiled, on a CPU; "eager": PyTorch, level by level; "auto": fused where it can
        be, else eager with one line in the log.

    Raises
    ------
    ValueError
        If `substeps` or `shift` is out of range, or the backend is unknown.
    """

    PARAMETERS = PARAMETERS

    def __init__(
        self,
        substeps: int = 24,
        timestep: float = 86400.0,
        shift: int = 0,
        minima: Minima = Minima(),  # noqa: B008 - immutable
        missing: float = 1e-3,
        backend: Literal["auto", "fused", "eager"] = "auto",
    ) -> None:
        super().__init__()
        if substeps < 1 or not 0 <= shift < substeps:
            raise ValueError(
                "expected substeps of at least 1 and a shift of 0 to substeps - 1, found"
                f" substeps={substeps} and shift={shift}"
            )
        if backend not in BACKENDS:
            raise ValueError(f"unknown backend {backend!r}; choose from {list(BACKENDS)}")
        self.timing = Timing(substeps, shift, timestep / substeps, missing)
        self.minima, self.backend = minima, backend

    def forward(
        self,
        inflow: Tensor,
        parameters: Mapping[str, Tensor],
        reaches: Reaches,
        state: ChannelState | None = None,
    ) -> tuple[Tensor, ChannelState]:
        """Route lateral inflow `[T, N]` [m3 s-1].

        Parameters
        ----------
        inflow
            Lateral inflow of each reach; the runoff of its units, as a flow.
        parameters
            `n` [s m-1/3], `q_spatial` [1] and `p_spatial` [m], `[N]` each; those with a default
            may be left out.
        reaches
            The network.
        state
            State to go on from; none: a steady flow of the first step's inflow.

        Returns
        -------
        discharge, state
            Mean discharge of each step of the inflow, `[T, N]` [m3 s-1], and the state to route
            the following steps with: chunks give the same numbers as the whole.

        Raises
        ------
        ValueError
            If a size does not fit the network, a parameter is missing, or the network has a cycle.
        """
        values = self.values(inflow, parameters, reaches)
        if state is None:
            state = self.initial_state(inflow[0], reaches)
        run = self._fused if self._compiled(inflow, reaches) else self._eager
        sums, end, floored = run(inflow, values, reaches, state)
        num_steps, substeps = len(inflow), self.timing.substeps
        first = (sums[:1] + state.partial) / substeps
        discharge = torch.cat([first, sums[1:num_steps] / substeps])
        partial = sums[-1] if self.timing.shift else torch.zeros_like(end)
        return discharge, ChannelState(end, inflow[-1], partial, state.floored + floored)

    def initial_state(self, inflow: Tensor, reaches: Reaches) -> ChannelState:
        """Steady flow of a lateral inflow `[N]` [m3 s-1], to start a stream from."""
        flow = accumulate(self.floored(inflow), reaches, self.backend)
        lost = torch.zeros_like(flow, dtype=torch.float64)
        return ChannelState(flow, inflow, self.timing.shift * flow, lost)

    def floored(self, inflow: Tensor) -> Tensor:
        """Lateral inflow as it is routed: NaN filled, and at least the least discharge."""
        filled = torch.where(inflow.isnan(), self.timing.missing, inflow)
        least = self.minima.discharge
        return torch.where(filled > least, filled, least)

    def values(
        self, inflow: Tensor, parameters: Mapping[str, Tensor], reaches: Reaches
    ) -> dict[str, Tensor]:
        """Parameters of each reach, defaults filled in, after a check of all sizes."""
        if inflow.ndim != 2 or inflow.shape[1] != reaches.num_reaches or not len(inflow):
            raise ValueError(
                f"inflow: expected [T, {reaches.num_reaches}] with T of at least 1, found"
                f" {list(inflow.shape)}; sum runoff of units to reaches before routing"
            )
        values = {}
        for name, known in self.PARAMETERS.items():
            value = parameters.get(name)
            if value is None and known.default is None:
                raise ValueError(
                    f"parameter '{name}' of routing is missing; give it for each reach"
                )
            value = inflow.new_tensor(known.default) if value is None else value.to(inflow.dtype)
            if value.ndim and value.shape != inflow.shape[1:]:
                raise ValueError(
                    f"parameter '{name}': expected [{reaches.num_reaches}], found"
                    f" {list(value.shape)}"
                )
            values[name] = value.expand(reaches.num_reaches)
        return values

    def _compiled(self, inflow: Tensor, reaches: Reaches) -> bool:
        if self.backend == "eager":
            return False
        return compiled(inflow, reaches, required=self.backend == "fused")

    def _fused(
        self,
        inflow: Tensor,
        parameters: Mapping[str, Tensor],
        reaches: Reaches,
        state: ChannelState,
    ) -> tuple[Tensor, Tensor, Tensor]:
        plan = plan_of(reaches, inflow.dtype)
        channels = [t.to(inflow) for t in (reaches.length, reaches.slope, reaches.weight)]
        results: tuple[Tensor, Tensor, Tensor] = Sweep.apply(  # type: ignore[no-untyped-call]
            plan, self.timing, self.minima, channels, inflow, state.inflow, state.discharge,
            *(parameters[name] for name in self.PARAMETERS),
        )  # fmt: skip
        return results

    def _eager(
        self,
        inflow: Tensor,
        parameters: Mapping[str, Tensor],
        reaches: Reaches,
        state: ChannelState,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run one step of the inflow after another, each computed again on the way back."""
        flow, before, floored = state.discharge, state.inflow, torch.zeros_like(state.floored)
        late = torch.zeros_like(flow)
        sums = []
        for lateral in inflow:
            flow, early, next_late, lost = checkpoint(
                self._step, flow, before, lateral, parameters, reaches, use_reentrant=False
            )
            sums.append(late + early)
            before, late, floored = lateral, next_late, floored + lost
        if self.timing.shift:
            sums.append(late)
        return torch.stack(sums), flow, floored

    def _step(
        self,
        flow: Tensor,
        before: Tensor,
        lateral: Tensor,
        parameters: Mapping[str, Tensor],
        reaches: Reaches,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One step of the inflow: last discharge, sums for its own and the next mean, floors."""
        substeps, shift = self.timing.substeps, self.timing.shift
        own = torch.zeros_like(flow)
        later, lost = own, torch.zeros_like(flow, dtype=torch.float64)
        for i in range(substeps):
            source = self.floored(lateral if i else before)
            flow, added = self._substep(flow, source, parameters, reaches)
            lost = lost + added.detach()
            if i < substeps - shift:
                own = own + flow
            else:
                later = later + flow
        return flow, own, later, lost

    def _substep(
        self, flow: Tensor, lateral: Tensor, parameters: Mapping[str, Tensor], reaches: Reaches
    ) -> tuple[Tensor, Tensor]:
        """Discharge after one substep, and the volume that its floor adds [m3]."""
        celerity = section(flow, parameters, reaches, self.minima).celerity
        x, outlet = reaches.weight, reaches.downstream < 0
        weights = muskingum_weights(celerity, reaches, self.timing.dt)
        levels, least = reaches.levels, self.minima.discharge
        right = weights.inflow * levels.upper(flow) + weights.discharge * flow
        right = right + weights.lateral * lateral
        solved = levels.solve(weights.inflow_next, right)
        after = solved.clamp(min=least)
        raised = (after - solved).detach()
        stored = reaches.length / celerity * ((1 - x) * raised + x * levels.upper(raised))
        return after, stored + outlet * raised * self.timing.dt / 2


def compiled(values: Tensor, reaches: Reaches, required: bool = False) -> bool:
    """Whether the compiled operations can take these values; else one line in the log.

    Raises
    ------
    ValueError
        If they cannot, and are required.
    """
    try:
        if values.device.type != "cpu" or values.dtype not in (torch.float32, torch.float64):
            raise UnsupportedError(
                f"it expects float32 or float64 on a CPU, found {values.dtype} on"
                f" {values.device.type}"
            )
        plan_of(reaches, values.dtype)
    except UnsupportedError as error:
        if required:
            raise
        report_once(f"routing runs eagerly, many times slower: {error}")
        return False
    return True


def accumulate(
    values: Tensor, reaches: Reaches, backend: Literal["auto", "fused", "eager"] = "auto"
) -> Tensor:
    """Sum values `[..., N]` over everything upstream of each reach, itself included.

    Raises
    ------
    ValueError
        If the network has a cycle.
    """
    if backend != "eager" and compiled(values, reaches, required=backend == "fused"):
        total: Tensor = Accumulate.apply(  # type: ignore[no-untyped-call]
            values, plan_of(reaches, values.dtype)
        )
        return total
    rows = values.reshape(-1, reaches.num_reaches)
    one = torch.ones_like(rows[0])
    sums = [reaches.levels.solve(one, row) for row in rows]
    return torch.stack(sums).reshape(values.shape)
