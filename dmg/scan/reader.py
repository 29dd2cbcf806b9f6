"""From a traced function to a program, with its loops in place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from torch import Tensor, fx

from dmg.scan.aten import HANDLERS, UnsupportedError
from dmg.scan.ir import Builder, Loop


class Opening(NamedTuple):
    """Where a loop stands in a trace that was cut open there.

    Its results are inputs of the trace, and so are the gradients of its arguments; its arguments
    are outputs, and so are the gradients of its results.
    """

    loop: Loop
    results: range
    argument_gradients: range
    arguments: range
    result_gradients: range


class Reader:
    """Turns the nodes of a traced function into those of a program, with its loops in place."""

    def __init__(
        self, traced: fx.GraphModule, shape: tuple[int, ...], openings: Sequence[Opening] = ()
    ) -> None:
        self.builder = Builder()
        self._traced = traced
        self._shape = shape
        self._openings = openings
        self._values: dict[fx.Node, int] = {}
        *self._nodes, last = traced.graph.nodes
        self._inputs = [n for n in self._nodes if n.op == "placeholder"]
        self._outputs: Sequence[Any] = last.args[0]
        self.dtype = self._inputs[0].meta["val"].dtype if self._inputs else None

    def read(self) -> list[int]:
        """Convert every node; return the outputs."""
        cut = {i for o in self._openings for i in (*o.results, *o.argument_gradients)}
        leaves = (n for i, n in enumerate(self._inputs) if i not in cut)
        self._values = {n: self.builder.input(i) for i, n in enumerate(leaves)}
        todo = [n for n in self._nodes if n.op != "placeholder"]
        closed = self._closed()
        while True:
            todo = [n for n in todo if not self._convert(n)]
            if next(closed, None) is None:
                return [self.value(a) for a in self._outputs]

    def _closed(self) -> Iterator[bool]:
        """Put in the loops as their arguments become known, then their adjoints likewise."""
        nodes = []
        for opening in self._openings:  # in the order in which they run
            arguments = [self.number(self._outputs[i]) for i in opening.arguments]
            node, results = self.builder.loop(opening.loop, arguments)
            nodes.append(node)
            self._give(opening.results, results)
            yield True
        for opening, node in zip(reversed(self._openings), reversed(nodes), strict=True):
            known = [self.value(self._outputs[i]) for i in opening.result_gradients]
            gradients = [self.builder.zero() if self.builder.number(g) == 0 else g for g in known]
            self._give(opening.argument_gradients, self.builder.pull(node, gradients))
            yield True

    def _give(self, inputs: range, values: Sequence[int]) -> None:
        self._values |= {self._inputs[i]: v for i, v in zip(inputs, values, strict=True)}

    def _convert(self, node: fx.Node) -> bool:
        """Convert a node if all that it reads is known."""
        if not all(n in self._values for n in node.all_input_nodes):
            return False
        self._values[node] = self._constant(node) if node.op == "get_attr" else self._call(node)
        return True

    def value(self, arg: Any) -> int:
        """Node of an argument, itself a node or a number."""
        return self._values[arg] if isinstance(arg, fx.Node) else self.builder.const(arg)

    def number(self, arg: Any) -> int:
        """Like `value`; truth values become 0 and 1."""
        value = self.value(arg)
        return self.builder.apply("from_bool", value) if self._is_bool(value) else value

    def truth(self, arg: Any) -> int:
        """Like `value`; numbers become whether they differ from 0."""
        value = self.value(arg)
        if self._is_bool(value):
            return value
        return self.builder.apply("ne", value, self.builder.const(0))

    def _is_bool(self, value: int) -> bool:
        return self.builder.nodes[value].is_bool

    def _constant(self, node: fx.Node) -> int:
        tensor = getattr(self._traced, str(node.target))
        if not isinstance(tensor, Tensor) or tensor.numel() != 1:
            raise UnsupportedError(
                "the step holds a tensor of several values; give it as a parameter or forcing, and"
                " to a loop as one of its constants"
            )
        return self.builder.const(tensor.item())

    def _call(self, node: fx.Node) -> int:
        name = str(getattr(node.target, "overloadpacket", node.target)).replace("::", ".")
        result = node.meta.get("val")
        handler = HANDLERS.get(name)
        if handler is None or not isinstance(result, Tensor):
            raise UnsupportedError(f"{node.target} is not a pointwise operation that can be fused")
        if tuple(result.shape) not in ((), self._shape):
            raise UnsupportedError(
                f"{node.target} mixes elements of the batch: every value of a step must be"
                " a number or have the shape of the state"
            )
        value = handler(self, *node.args, **node.kwargs)
        is_bool = str(result.dtype) == "torch.bool"
        fits = result.dtype == self.dtype or result.ndim == 0
        if is_bool != self._is_bool(value) if is_bool else not fits:
            raise UnsupportedError(
                f"{node.target} gives {result.dtype}; a step may hold {self.dtype} and comparisons"
            )
        return value
