"""From a step in PyTorch to a program: values and their vector-Jacobian product, traced once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dmg.scan.aten import UnsupportedError
from dmg.scan.ir import Graph, specialise
from dmg.scan.joint import SHAPE, joint_graph
from dmg.scan.shapes import rebuilt
from dmg.scan.tape import taped
from dmg.scan.weights import weighted


class Signature(NamedTuple):
    """What a step takes: how many storages, which forcings and parameters, of which type."""

    num_states: int
    forcing: tuple[str, ...]
    parameters: tuple[str, ...]
    dtype: torch.dtype

    @property
    def num_inputs(self) -> int:
        """Number of values that a step reads."""
        return self.num_states + len(self.forcing) + len(self.parameters)


class Program(NamedTuple):
    """One step with its adjoint.

    Inputs of the graph: states, forcings, parameters, then the gradients of the new states and
    of the fluxes, then what the step left on its tape. Outputs: new states, fluxes, then the
    gradients of states, forcings and parameters, then the tape (see `taped`).
    """

    signature: Signature
    fluxes: tuple[str, ...]
    graph: Graph

    @property
    def num_results(self) -> int:
        """Number of new states and fluxes."""
        return self.signature.num_states + len(self.fluxes)

    @property
    def num_kept(self) -> int:
        """Number of values of a step that its adjoint starts from: states and tape."""
        num_tape = len(self.graph.outputs) - self.num_results - self.signature.num_inputs
        return self.signature.num_states + num_tape

    def forward(self, fluxes: Sequence[int]) -> Graph:
        """Return new states, the given fluxes and the tape of a step."""
        num_states = self.signature.num_states
        tape = range(self.num_results + self.signature.num_inputs, len(self.graph.outputs))
        wanted = [*range(num_states), *(num_states + f for f in fluxes), *tape]
        return specialise(self.graph, frozenset(), wanted)

    def adjoint(self, fluxes: Sequence[int], inputs: Sequence[int]) -> Graph:
        """Return gradients of the given inputs from those of all states and the given fluxes."""
        first = self.signature.num_inputs + self.signature.num_states
        absent = {first + f for f in range(len(self.fluxes)) if f not in fluxes}
        wanted = [self.num_results + i for i in inputs]
        return specialise(self.graph, frozenset(absent), wanted)


def trace(step: Callable[..., Any], state: tuple[Tensor, ...], signature: Signature) -> Program:
    """Trace a step into a program.

    Raises
    ------
    UnsupportedError
        If the step has an operation, type or data-dependent branch that cannot be fused.
    """
    fluxes: list[str] = []

    def values(*leaves: Tensor) -> tuple[Tensor, ...]:
        new, flux = weighted(step)(*_arguments(leaves, state, signature))
        fluxes[:] = getattr(flux, "_fields", ())
        return tuple(_sized(v, signature.dtype) for v in (*new, *(flux if fluxes else ())))

    graph = joint_graph(values, signature.num_inputs, signature.dtype)
    num_results = signature.num_states + len(fluxes)
    graph = taped(graph, num_results, signature.num_inputs + num_results)
    return Program(signature, tuple(fluxes), graph)


def _arguments(
    leaves: Sequence[Tensor], state: tuple[Tensor, ...], signature: Signature
) -> tuple[tuple[Tensor, ...], dict[str, Tensor], dict[str, Tensor]]:
    first, second = signature.num_states, signature.num_states + len(signature.forcing)
    forcing = dict(zip(signature.forcing, leaves[first:second], strict=True))
    parameters = dict(zip(signature.parameters, leaves[second:], strict=True))
    return rebuilt(state, leaves[:first]), forcing, parameters


def _sized(value: Any, dtype: torch.dtype) -> Tensor:
    if not isinstance(value, Tensor):
        raise UnsupportedError(
            f"a step must return tensors in its state and fluxes, found {value!r}"
        )
    return value.to(dtype).expand(SHAPE) if value.ndim == 0 else value
