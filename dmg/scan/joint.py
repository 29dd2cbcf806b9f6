"""A pointwise function in PyTorch as a graph of its values and their vector-Jacobian product.

A loop is cut out of the trace: there its results are given, and its arguments are results. What
it repeats is traced once, on its own, and `Reader` puts the loop between the two.

Shape legend: B basins, E components.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._decomp import core_aten_decompositions, get_decompositions
from torch.func import functionalize, vjp
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from dmg.scan.aten import UnsupportedError
from dmg.scan.ir import Graph, Loop, prune
from dmg.scan.loop import TRACER, checked_body, checked_mask
from dmg.scan.reader import Opening, Reader
from dmg.scan.shapes import rebuilt

aten = torch.ops.aten
CURVES = [aten.elu, aten.gelu, aten.hardtanh, aten.leaky_relu, aten.hardswish,
          aten.asinh, aten.acosh, aten.atanh]  # fmt: skip
"""Operations that PyTorch counts as elementary, taken apart all the same."""
SHAPE = (2, 3)  # of the samples: two sizes, so that mixing elements shows in a shape
Function = Callable[..., tuple[Tensor, ...]]


def joint_graph(values: Function, num_inputs: int, dtype: torch.dtype) -> Graph:
    """Trace a function of tensors `[B, E]`.

    Inputs of the graph: those of the function, then the gradients of its results. Outputs: the
    results, then the gradients of the inputs.

    Raises
    ------
    UnsupportedError
        If the function has an operation, type or data-dependent branch that cannot be fused.
    """
    finder = Finder(dtype)
    with _plain(), _tracing(finder):
        first = values(*_samples(num_inputs, dtype))
    if any(value.requires_grad for value in first):
        raise UnsupportedError(
            "the step reads weights that learn, which would be frozen as constants; hand them to it"
            " as parameters (dmg.nn.StepNetwork)"
        )
    gradients = [torch.full_like(value, 0.5) for value in first]
    loops, num_results = finder.loops, len(gradients)

    def opened(*tensors: Tensor) -> tuple[Tensor, ...]:
        opener = Opener(tensors[num_inputs:])
        with _tracing(opener):
            results = values(*tensors[:num_inputs])
        return (*results, *opener.taken)

    def joint(inputs: list[Tensor], gradients: list[Tensor]) -> tuple[Tensor, ...]:
        results, pull, *_ = vjp(opened, *inputs)
        return (*results, *pull(tuple(gradients)))

    num_given = sum(loop.num_carried for loop in loops)
    num_taken = sum(loop.num_inputs for loop in loops)
    inputs = _samples(num_inputs + num_given, dtype)
    traced = _traced(joint, inputs, [*gradients, *_samples(num_taken, dtype)])
    reader = Reader(traced, SHAPE, _openings(loops, num_inputs, num_results))
    outputs = reader.read()
    start = num_results + num_taken
    return reader.builder.graph([*outputs[:num_results], *outputs[start : start + num_inputs]])


def _openings(loops: Sequence[Loop], num_inputs: int, num_results: int) -> list[Opening]:
    """Where each loop stands among inputs and outputs of the joint trace."""
    counts = [(loop.num_carried, loop.num_inputs) for loop in loops]
    num_given, num_taken = (sum(column) for column in zip((0, 0), *counts, strict=True))
    given, taken, openings = num_inputs, num_results, []
    for loop, (results, arguments) in zip(loops, counts, strict=True):
        gradients, pulled = num_inputs + num_given + taken, num_results + num_taken + given
        openings.append(Opening(
            loop,
            range(given, given + results), range(gradients, gradients + arguments),
            range(taken, taken + arguments), range(pulled, pulled + results),
        ))  # fmt: skip
        given, taken = given + results, taken + arguments
    return openings


class Finder:
    """Traces the loops of a function as it meets them."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.loops: list[Loop] = []
        self._dtype = dtype

    def __call__(
        self, condition: Callable[..., Any], body: Callable[..., Any],
        carried: tuple[Tensor, ...], constants: tuple[Tensor, ...], limit: int,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        """Trace one loop; return what it starts with, which is as good as its results here."""
        count, total = len(carried), len(carried) + len(constants)
        dtypes = {v.dtype for v in (*carried, *constants)}
        if dtypes != {self._dtype}:
            raise UnsupportedError(f"a loop in this step may hold {self._dtype}, found {dtypes}")

        def split(leaves: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
            return rebuilt(carried, leaves[:count]), rebuilt(constants, leaves[count:])

        def new(*leaves: Tensor) -> tuple[Tensor, ...]:
            return checked_body(body(*split(leaves)), leaves[:count])

        def mask(*leaves: Tensor) -> Tensor:
            return checked_mask(condition(*split(leaves)), leaves[:count])

        graph = joint_graph(new, total, self._dtype)
        passes = Graph(graph.nodes, graph.outputs[:count])
        adjoint = Graph(graph.nodes, graph.outputs[count:])
        holds = _condition(mask, total, self._dtype)
        self.loops.append(Loop(holds, prune(passes), prune(adjoint), limit))
        return _sized(carried, carried)


class Opener:
    """Gives the results of loops one after the other, and takes their arguments."""

    def __init__(self, given: Sequence[Tensor]) -> None:
        self.taken: list[Tensor] = []
        self._given = iter(given)

    def __call__(
        self, condition: Any, body: Any, carried: tuple[Tensor, ...],
        constants: tuple[Tensor, ...], limit: int,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        """Pass by one loop."""
        self.taken += _sized((*carried, *constants), ())
        return rebuilt(carried, [next(self._given) for _ in carried])


def _condition(mask: Callable[..., Tensor], num_inputs: int, dtype: torch.dtype) -> Graph:
    def refuse(*_: Any) -> Any:
        raise UnsupportedError("the condition of a loop cannot have a loop of its own")

    with _tracing(refuse):
        traced = _traced(lambda inputs: (mask(*inputs),), _samples(num_inputs, dtype))
    reader = Reader(traced, SHAPE)
    return reader.builder.graph(reader.read())


def _sized(values: tuple[Tensor, ...], like: tuple[Any, ...]) -> tuple[Tensor, ...]:
    return rebuilt(like, [v.expand(SHAPE) for v in values])


def _samples(number: int, dtype: torch.dtype) -> list[Tensor]:
    return [torch.full(SHAPE, 0.5, dtype=dtype) for _ in range(number)]


def _traced(function: Callable[..., Any], *arguments: Any) -> GraphModule:
    """Trace in core operations without mutation."""
    pure = functionalize(function, remove="mutations_and_views")
    table = dict(core_aten_decompositions().items())  # type: ignore[no-untyped-call]
    table.update(get_decompositions(CURVES))
    tracer = make_fx(pure, decomposition_table=table, tracing_mode="real")
    with _plain():
        try:
            traced = tracer(*arguments)
        except RuntimeError as error:  # a branch on values, an operation without derivative
            raise UnsupportedError(
                f"the step cannot be traced: {str(error).splitlines()[0]}"
            ) from error
    assert isinstance(traced, GraphModule)
    return traced


@contextmanager
def _tracing(tracer: Callable[..., Any]) -> Iterator[None]:
    """Let loops be handled by a tracer."""
    token = TRACER.set(tracer)
    try:
        yield
    finally:
        TRACER.reset(token)


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
