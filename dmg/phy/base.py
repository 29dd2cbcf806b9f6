"""What a process model is: stores, fluxes, parameters and a pure step.

Shape legend: T time, B basins, E components.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from dmg.nn.step import StepNetwork
from dmg.parameters import Parameter
from dmg.phy.boundary import check_state, check_values
from dmg.phy.scored import ScoredStep
from dmg.scan import BACKENDS, scan


class Trajectory(NamedTuple):
    """Result of running a process model."""

    fluxes: dict[str, Tensor]  # [T, B, E] by name; [T, B] where averaged
    state: Any  # the model's State after the last step, [B, E] each


class ProcessModel(nn.Module):
    """A process model: stores that a pure `step` moves forward in time.

    A subclass names its tables and implements `step`; it knows nothing of networks,
    configuration, routing or averaging over components.
    """

    forcings: ClassVar[tuple[str, ...]]
    """Forcings by canonical name; each `[T, B]`, or `[B]` where constant in time."""
    PARAMETERS: ClassVar[Mapping[str, Parameter]]
    """Parameters by symbol, in the order of the paper's table."""
    SOURCE: ClassVar[str] = ""
    """Publication of the bounds of `PARAMETERS`, for those that name none of their own."""
    State: ClassVar[Any]
    """Named tuple of the storages."""
    Flux: ClassVar[Any]
    """Named tuple of what a step returns."""
    step: ClassVar[Callable[..., tuple[Any, Any]]]
    """Pure `step(state, forcing, parameters) -> (State, Flux)` of one time step, `[B, E]`."""
    BALANCE: ClassVar[Mapping[str, int]]
    """Sign with which each forcing or flux enters the change of total storage."""
    SIGNED: ClassVar[tuple[str, ...]] = ()
    """Fluxes and stores that may be negative."""
    RUNOFF: ClassVar[tuple[str, ...]] = ("streamflow",)
    """Fluxes that leave over land or channel, so that routing delays them."""
    RECOMMENDED_DYNAMIC: ClassVar[tuple[str, ...]] = ()
    """Parameters that publications let change in time."""
    INITIAL_STORAGE: ClassVar[float] = 0.0
    """What every store holds before the first step [mm]."""
    TIMESTEPS: ClassVar[tuple[float, ...]] = (1.0,)
    """Lengths of the time step that the equations hold for [d]."""

    def __init__(self, dt: float = 1.0) -> None:
        super().__init__()
        if dt not in self.TIMESTEPS:
            raise ValueError(
                f"{type(self).__name__} runs with a time step of {self.TIMESTEPS} d, found {dt}"
            )
        self.dt = dt
        self._scored: dict[tuple[str, ...], ScoredStep] = {}

    def initial_state(self, num_basins: int, num_components: int, like: Tensor) -> Any:
        """State before the first step, `[B, E]` each, with the type and device of `like`."""
        full = like.new_full((num_basins, num_components), self.INITIAL_STORAGE)
        return self.State(*(full.clone() for _ in self.State._fields))

    def storage(self, state: Any, parameters: Mapping[str, Tensor]) -> Tensor:
        """Water that a state holds, `[B, E]` [mm]: the sum of the stores.

        A model overrides it if a state is not plain water per unit area, such as a heat deficit
        or a store on a part of the area, which `parameters` give.
        """
        return torch.stack(tuple(state)).sum(0)

    def forward(
        self,
        forcing: Mapping[str, Tensor],
        parameters: Mapping[str, Tensor],
        state: Any = None,
        backend: str = "auto",
        outputs: Sequence[str] | None = None,
        mean: bool = False,
        weights: Tensor | None = None,
        check: bool = True,
        scores: Collection[str] = (),
    ) -> Trajectory:
        """Run the model over a period.

        Parameters
        ----------
        forcing
            `[T, B]` by name (`[B]` where constant), in the units of `dmg.data.variables`.
        parameters
            Physical values by symbol, `[B, E]` or `[T, B, E]`; those left out take their
            default.
        state
            State to start from; none: `initial_state`.
        backend
            How the loop over time runs, see `dmg.scan.scan`: "eager", "fused", or "auto" for the
            fastest one at hand.
        outputs
            Fluxes to return; none: all.
        mean
            Average the fluxes over components, `[T, B]`; the fused loop then never writes
            `[T, B, E]`.
        weights
            Weights of the components in that average, `[B, E]`; none: equal ones.
        check
            Whether to read all values for NaN, forcing that cannot be, and parameters outside
            their bounds; a few percent of a run. Names and shapes are always checked.
        scores
            Parameters that are given as raw scores of a network instead of values: sigmoid and
            bounds become part of the loop, and no tensor of values is made.

        Raises
        ------
        ValueError
            If a forcing or parameter is missing, unknown, of a wrong shape or outside what it can
            be, or the state is that of another model, or of other basins or components.
        """
        forcing = self._checked_forcing(forcing)
        parameters = self._checked_parameters(parameters, forcing)
        _check_names("output", outputs or (), self.Flux._fields)
        _check_names("backend", [backend], BACKENDS)
        if check:
            values = {n: p for n, p in parameters.items() if n not in scores}
            check_values(forcing, values, self.PARAMETERS)
        like = max(parameters.values(), key=lambda p: p.shape[-1])
        state = self._start(state, like)
        parameters |= self._step_weights(like)
        run = partial(scan, self._step_from(scores), state, forcing, parameters, outputs, backend)
        return Trajectory(*run(mean=mean, weights=weights))

    def _start(self, state: Any, like: Tensor) -> Any:
        """State to start from: the given one, checked, or the initial one."""
        size = (like.shape[-2], like.shape[-1])
        if state is None:
            state = self.initial_state(*size, like)
        check_state(state, self.State._fields, size)
        return state

    def _step_from(self, scores: Collection[str]) -> Callable[..., tuple[Any, Any]]:
        """Step that takes some parameters as scores, the same object each time: it is compiled."""
        if not scores:
            return self.step
        _check_names("parameter", scores, self.PARAMETERS)
        names = tuple(name for name in self.PARAMETERS if name in scores)
        if names not in self._scored:
            table = {name: self.PARAMETERS[name] for name in names}
            self._scored[names] = ScoredStep(self.step, table)
        return self._scored[names]

    def _step_weights(self, like: Tensor) -> dict[str, Tensor]:
        """Weights of the networks inside the step, `[B, E]` each like a parameter."""
        networks = [m for m in self.modules() if isinstance(m, StepNetwork)]
        size = like.shape[-2:]
        return {n: w.to(like).expand(size) for m in networks for n, w in m.weights().items()}

    def _checked_forcing(self, forcing: Mapping[str, Tensor]) -> dict[str, Tensor]:
        missing = [name for name in self.forcings if name not in forcing]
        if missing:
            raise ValueError(
                f"{type(self).__name__} needs the forcings {list(self.forcings)};"
                f" {missing} are missing, found {sorted(forcing)}"
            )
        shapes = {name: tuple(forcing[name].shape) for name in self.forcings}
        full = max(shapes.values(), key=len)
        if any(shape not in (full, full[1:]) for shape in shapes.values()):
            raise ValueError(f"forcings must be [T, B] or [B] with one T and B, found {shapes}")
        return {name: forcing[name] for name in self.forcings}

    def _checked_parameters(
        self, parameters: Mapping[str, Tensor], forcing: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        _check_names("parameter", parameters, self.PARAMETERS)
        missing = [
            n for n, p in self.PARAMETERS.items() if n not in parameters and p.default is None
        ]
        if missing:
            raise ValueError(f"{type(self).__name__} needs the parameters {missing}")
        num_steps, num_basins = max((f.shape for f in forcing.values()), key=len)
        wrong = {n: tuple(p.shape) for n, p in parameters.items()
                 if p.shape[:-1] not in ((num_basins,), (num_steps, num_basins))}  # fmt: skip
        if wrong:
            raise ValueError(
                f"parameters must be [B, E] or [T, B, E] with T={num_steps}, B={num_basins},"
                f" found {wrong}"
            )
        return dict(parameters) | self._defaults(parameters)

    def _defaults(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        like = next(iter(given.values()))
        return {
            name: torch.full_like(like[0] if like.ndim == 3 else like, parameter.default)
            for name, parameter in self.PARAMETERS.items()
            if name not in given and parameter.default is not None
        }


def _check_names(kind: str, names: Any, known: Any) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"unknown {kind} {unknown}; choose from {list(known)}")
