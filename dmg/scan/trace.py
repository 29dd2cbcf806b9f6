"""From a step in PyTorch to a program: values and their vector-Jacobian product, traced once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._decomp import core_aten_decompositions, get_decompositions
from torch.func import functionalize, vjp
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from dmg.scan.aten import Reader, UnsupportedError
from dmg.scan.ir import Graph, specialise
from dmg.scan.shapes import rebuilt

aten = torch.ops.aten
CURVES = [aten.elu, aten.gelu, aten.hardtanh, aten.leaky_relu, aten.hardswish,
          aten.asinh, aten.acosh, aten.atanh]  # fmt: skip
"""Operations that PyTorch counts as elementary, taken apart all the same."""
SHAPE = (2, 3)  # of the samples: two sizes, so that mixing elements shows in a shape


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
    of the fluxes. Outputs: new states, fluxes, then the gradients of states, forcings and
    parameters.
    """

    signature: Signature
    fluxes: tuple[str, ...]
    graph: Graph

    def forward(self, fluxes: Sequence[int]) -> Graph:
        """Return new states and the given fluxes of a step."""
        num_states = self.signature.num_states
        wanted = [*range(num_states), *(num_states + f for f in fluxes)]
        return specialise(self.graph, frozenset(), wanted)

    def adjoint(self, fluxes: Sequence[int], inputs: Sequence[int]) -> Graph:
        """Return gradients of the given inputs from those of all states and the given fluxes."""
        first = self.signature.num_inputs + self.signature.num_states
        absent = {first + f for f in range(len(self.fluxes)) if f not in fluxes}
        results = self.signature.num_states + len(self.fluxes)
        return specialise(self.graph, frozenset(absent), [results + i for i in inputs])


def trace(step: Callable[..., Any], state: tuple[Tensor, ...], signature: Signature) -> Program:
    """Trace a step into a program.

    Raises
    ------
    UnsupportedError
        If the step has an operation, type or data-dependent branch that cannot be fused.
    """
    inputs = [torch.full(SHAPE, 0.5, dtype=signature.dtype) for _ in range(signature.num_inputs)]
    fluxes: list[str] = []

    def values(*leaves: Tensor) -> tuple[Tensor, ...]:
        new, flux = step(*_arguments(leaves, state, signature))
        fluxes[:] = getattr(flux, "_fields", ())
        return tuple(_sized(v, signature.dtype) for v in (*new, *(flux if fluxes else ())))

    with _plain(), torch.no_grad():
        gradients = [torch.full_like(v, 0.5) for v in values(*inputs)]
    reader = Reader(_joint(values, inputs, gradients), SHAPE)
    outputs = reader.read(len(inputs) + len(gradients))
    return Program(signature, tuple(fluxes), reader.builder.graph(outputs))


def _joint(
    values: Callable[..., Any], inputs: list[Tensor], gradients: list[Tensor]
) -> GraphModule:
    """Trace values and gradients together, in core operations without mutation."""

    def joint(inputs: list[Tensor], gradients: list[Tensor]) -> tuple[Tensor, ...]:
        results, pull, *_ = vjp(values, *inputs)
        return (*results, *pull(tuple(gradients)))

    pure = functionalize(joint, remove="mutations_and_views")
    table = dict(core_aten_decompositions().items())  # type: ignore[no-untyped-call]
    table.update(get_decompositions(CURVES))
    tracer = make_fx(pure, decomposition_table=table, tracing_mode="real")
    with _plain():
        try:
            traced = tracer(inputs, gradients)
        except RuntimeError as error:  # a branch on values, an operation without derivative
            raise UnsupportedError(
                f"the step cannot be traced: {str(error).splitlines()[0]}"
            ) from error
    assert isinstance(traced, GraphModule)
    return traced


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


@contextmanager
def _plain() -> Iterator[None]:
    """Trace as if nothing surrounded the call: no autocast, no inference mode, no warnings."""
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast("cpu", enabled=False),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield
