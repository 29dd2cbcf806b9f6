"""A process model given by its right-hand side, and the solvers that turn it into steps.

Forcings and parameters are constant within a step of the model; a solver moves the stores from
its start to its end, in one step of Euler's, in several, or in as many as a tolerance asks for.
Whichever it is, the result is a `step` like that of any other process model: fluxes are means
over the step, what changed in the stores is what the fluxes say, and a run in pieces equals one
run, because no solver remembers anything from one step to the next.

Shape legend: B basins, E components.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from dmg.phy.base import ProcessModel
from dmg.scan.adaptive import PACKAGES, adaptive
from dmg.scan.eager import Step
from dmg.scan.explicit import explicit_euler, in_turn
from dmg.scan.implicit import implicit_euler

SOLVERS = ("explicit", "implicit", *PACKAGES)


class OdeModel(ProcessModel):
    """A process model whose subclasses implement `rhs` instead of `step`.

    Parameters
    ----------
    dt
        Length of the time step, through which forcings are constant [d].
    solver
        "explicit": Euler's method; "implicit": the backward one (`dmg.scan.implicit`); or a
        package of adaptive Runge-Kutta methods of order 5, "torchode" (each basin and component
        with steps of its own) or "torchdiffeq" (steps in common), run by the plain loop.
    substeps
        Steps of Euler's in a time step.
    passes
        Newton iterations of the implicit solver.
    rtol, atol
        Relative and absolute [mm] tolerance of an adaptive solver in each of its steps.
    adjoint
        Gradients of an adaptive solver from the adjoint equation, solved backwards in time, in
        memory that does not grow with the number of its steps; else through its operations.

    Raises
    ------
    ValueError
        If the solver is unknown, or its package missing; if there is no sub-step, or the last
        flux is not `residual`.
    """

    rhs: ClassVar[Callable[..., tuple[tuple[Any, ...], tuple[Any, ...]]]]
    """Pure `rhs(t, state, forcing, parameters) -> (rates, fluxes)`, all `[B, E]`, at one state.

    `t` is the time since the start of the step [d]; rates of change of the stores [mm d-1] stand
    in the order of `State`, fluxes in that of `Flux` without its last, the `residual`. What it
    may use is what `dmg.scan.dual` knows, if it is to be solved implicitly.
    """

    def __init__(
        self,
        dt: float = 1.0,
        solver: str = "implicit",
        substeps: int = 1,
        passes: int = 6,
        rtol: float = 1e-6,
        atol: float = 1e-6,
        adjoint: bool = True,
    ) -> None:
        super().__init__(dt)
        if solver not in SOLVERS:
            raise ValueError(f"unknown solver '{solver}'; choose from {list(SOLVERS)}")
        if substeps < 1:
            raise ValueError(f"substeps must be at least 1, found {substeps}")
        if self.Flux._fields[-1] != "residual":
            raise ValueError(
                f"the last flux of {type(self).__name__} must be 'residual', which the solver"
                f" fills, found {list(self.Flux._fields)}; add it to Flux, not to what rhs returns"
            )
        self.solver = solver
        if solver in PACKAGES:
            chosen = adaptive(self.rhs, self.Flux, solver, dt, rtol, atol, adjoint)
        else:
            chosen = self._euler(solver, dt / substeps, substeps, passes)
        self.step = chosen  # type: ignore[misc,method-assign]  # of this instance

    def _euler(self, solver: str, dt: float, substeps: int, passes: int) -> Step:
        """Return the step of several of Euler's, each at its time within the step."""
        steps: list[Step] = []
        for i in range(substeps):
            if solver == "implicit":
                tendency = partial(self.rhs, (i + 1) * dt)
                steps.append(implicit_euler(tendency, self.Flux, dt=dt, passes=passes))
            else:
                steps.append(explicit_euler(partial(self.rhs, i * dt), self.Flux, dt=dt))
        return in_turn(steps)
