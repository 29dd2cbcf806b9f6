"""Gamma-shaped unit hydrograph: the delay of runoff on its way to the gauge.

The unit hydrograph is the gamma density at the middle of each step, normalised to one over its
`length` ordinates (Feng et al. 2022, doi:10.1029/2022WR032404):
`w[j] ~ t[j]**(alpha - 1) * exp(-t[j] / theta)`, `t[j] = (j + 1/2) * dt`, `alpha = route_a + 0.1`,
`theta = route_b + dt / 2`.

Shape legend: T time, B basins, K ordinates of the unit hydrograph.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dmg.parameters import Parameter

PARAMETERS = {
    "route_a": Parameter(0.0, 2.9, "1", "shape of the unit hydrograph, less 0.1"),
    "route_b": Parameter(0.0, 6.5, "d", "time scale of the unit hydrograph, less 0.5 d"),
}
HOURLY = {
    "route_a": Parameter(0.0, 5.0, "1", "shape of the unit hydrograph, less 0.1"),
    "route_b": Parameter(0.0, 0.5, "d", "time scale of the unit hydrograph, less half a step"),
}
"""For steps shorter than a day."""


class Convolution(torch.autograd.Function):
    """`out[t] = sum_j w[j] * padded[t + K - 1 - j]`, by shifted multiply-adds in place.

    A sum of differentiable products would keep K series for its gradient.
    """

    @staticmethod
    def forward(ctx: Any, padded: Tensor, weights: Tensor) -> Tensor:
        """Convolve `[K-1+T, B]` with `[K, B]` to `[T, B]`."""
        ctx.save_for_backward(padded, weights)
        shifted = _shifted(padded, len(weights))
        out = weights[0] * shifted[0]
        for weight, series in zip(weights[1:], shifted[1:], strict=True):
            out.addcmul_(weight, series)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Gradients of both; they can be differentiated again."""
        padded, weights = ctx.saved_tensors
        of_padded = of_weights = None
        if ctx.needs_input_grad[0]:
            lags = len(weights) - 1
            around = torch.nn.functional.pad(gradient, (0, 0, lags, lags))
            of_padded = Convolution.apply(around, weights.flip(0))  # type: ignore[no-untyped-call]
        if ctx.needs_input_grad[1]:
            shifted = _shifted(padded, len(weights))
            of_weights = torch.stack([torch.linalg.vecdot(gradient, s, dim=0) for s in shifted])
        return of_padded, of_weights


def _shifted(padded: Tensor, length: int) -> list[Tensor]:
    """Return views of the series as it was 0, 1, ... steps ago, `[T, B]` each."""
    lags = length - 1
    return [padded.narrow(0, lags - lag, len(padded) - lags) for lag in range(length)]


class UnitHydrograph(nn.Module):
    """Delays runoff by a gamma unit hydrograph per basin, keeping the water in transit.

    Parameters
    ----------
    length
        K, number of ordinates [steps]; fixed, so that a stream does not depend on its length.
    dt
        Length of a step [d]. Below a day `PARAMETERS` has the bounds of hourly models.
    max_lag
        Bound of a further parameter [d], `route_lag`, the time before the unit hydrograph begins;
        0: there is none.
    """

    PARAMETERS = PARAMETERS

    def __init__(self, length: int = 15, dt: float = 1.0, max_lag: float = 0.0) -> None:
        super().__init__()
        self.length, self.dt = length, dt
        if dt < 1:
            self.PARAMETERS = HOURLY
        if max_lag:
            lag = Parameter(0.0, max_lag, "d", "time before the unit hydrograph begins")
            self.PARAMETERS = self.PARAMETERS | {"route_lag": lag}
            self.length += math.ceil(max_lag / dt) + 1  # no water is lost at the end
        self._shape = length

    def ordinates(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """Weights `[K, B]` that sum to one over K, from `route_a`, `route_b` `[B]`.

        Computed in log space: the factors that depend only on the parameters cancel. A lag of
        whole and a part of steps takes the mean of two neighbours, by that part.
        """
        alpha, theta = parameters["route_a"] + 0.1, parameters["route_b"] + self.dt / 2
        step = torch.arange(self._shape, dtype=alpha.dtype, device=alpha.device).unsqueeze(-1)
        t = (step + 0.5) * self.dt
        weights = torch.softmax((alpha - 1) * t.log() - t / theta, dim=0)
        if "route_lag" not in self.PARAMETERS:
            return weights
        return self._later(weights, parameters["route_lag"] / self.dt)

    def _later(self, weights: Tensor, lag: Tensor) -> Tensor:
        """Weights `lag` steps later, `[K, B]`."""
        whole = lag.detach().floor()
        part = lag - whole
        padded = torch.nn.functional.pad(weights, (0, 0, 1, self.length - self._shape))
        rows = torch.arange(self.length, device=lag.device).unsqueeze(-1) - whole.long()
        earlier = padded.gather(0, rows.clamp(min=0).expand(-1, weights.shape[1]))
        now = padded.gather(0, (rows + 1).clamp(min=0).expand(-1, weights.shape[1]))
        return (1 - part) * now + part * earlier

    def forward(
        self, runoff: Tensor, parameters: Mapping[str, Tensor], state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Route runoff `[T, B]` [mm d-1].

        Parameters
        ----------
        runoff
            Runoff before routing.
        parameters
            `route_a` [1] and `route_b` [d], `[B]` each.
        state
            Runoff of the last K-1 steps, `[K-1, B]`; none: no water in transit.

        Returns
        -------
        routed, state
            Routed runoff `[T, B]`, and the state to route the following steps with.
        """
        num_steps, lags = len(runoff), self.length - 1
        if state is None:
            state = runoff.new_zeros((lags, *runoff.shape[1:]))
        padded = torch.cat([state, runoff])
        routed: Tensor = Convolution.apply(  # type: ignore[no-untyped-call]
            padded, self.ordinates(parameters)
        )
        return routed, padded[num_steps:]

    def in_transit(self, parameters: Mapping[str, Tensor], state: Tensor) -> Tensor:
        """Water on its way to the gauge, `[B]` [mm]: what routing dry steps would still give."""
        later = self.ordinates(parameters).flip(0).cumsum(0)[:-1]  # weight not yet delivered
        return (later * state).sum(0) * self.dt
