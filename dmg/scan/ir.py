"""A small typed program of pointwise operations: what a traced step becomes.

A program is a list of nodes in the order of their computation; a node is an operation on
earlier nodes. Every value is one number of one element of the batch: a float, or a bool for the
result of a comparison. `Builder` makes equal nodes one and leaves out what has no effect.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeGuard

FLOAT_OPS = {
    "add": 2, "sub": 2, "mul": 2, "div": 2, "neg": 1, "abs": 1, "sign": 1, "min": 2, "max": 2,
    "pow": 2, "sqrt": 1, "exp": 1, "log": 1, "sigmoid": 1, "tanh": 1,
    "expm1": 1, "log1p": 1, "exp2": 1, "log2": 1, "log10": 1, "erf": 1,
    "sin": 1, "cos": 1, "tan": 1, "asin": 1, "acos": 1, "atan": 1, "atan2": 2, "sinh": 1, "cosh": 1,
    "floor": 1, "ceil": 1, "trunc": 1, "round": 1, "fmod": 2, "where": 3, "from_bool": 1,
}  # fmt: skip
BOOL_OPS = {
    "lt": 2, "le": 2, "gt": 2, "ge": 2, "eq": 2, "ne": 2, "and": 2, "or": 2, "not": 1,
    "where_bool": 3,
}  # fmt: skip
OPERATIONS: Mapping[str, int] = FLOAT_OPS | BOOL_OPS
"""Number of arguments by operation."""


class Node(NamedTuple):
    """One value. Leaves are `input` (text: its position) and `const` (text: its number).

    `zero` is the gradient of what nothing depends on: unlike the constant 0 it vanishes in
    products even with NaN, as an undefined gradient does in PyTorch.

    A `loop` takes what it carries and its constants, a `pull` that loop and the gradients of its
    results, of which it makes those of its arguments. Both have several values: each is an
    `item` (text: its position).
    """

    op: str
    args: tuple[int, ...] = ()
    text: str = ""
    loop: Loop | None = None

    @property
    def is_bool(self) -> bool:
        """Whether the value is a truth value, not a number."""
        return self.op in BOOL_OPS


class Graph(NamedTuple):
    """Nodes in the order of their computation, and which of them are the results."""

    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]


class Loop(NamedTuple):
    """A loop that each element leaves on its own, after `limit` passes at the latest.

    Inputs of its graphs are what it carries, then its constants. The adjoint of a pass also takes
    the gradients of what is carried after it, and gives those of all inputs before it.
    """

    condition: Graph
    body: Graph
    adjoint: Graph
    limit: int

    @property
    def num_carried(self) -> int:
        """How many values change from pass to pass."""
        return len(self.body.outputs)

    @property
    def num_inputs(self) -> int:
        """How many values it takes: what it carries and its constants."""
        return len(self.adjoint.outputs)


class Builder:
    """Grows a graph, with common subexpressions merged and neutral operations left out."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._position: dict[Node, int] = {}

    def input(self, position: int) -> int:
        """Value given from outside."""
        return self._place(Node("input", (), str(position)))

    def const(self, value: float) -> int:
        """Return the node of a number."""
        return self._place(Node("const", (), repr(float(value))))

    def zero(self) -> int:
        """Gradient of what nothing depends on."""
        return self._place(Node("zero"))

    def apply(self, op: str, *args: int) -> int:
        """Return the value of an operation on earlier values."""
        assert len(args) == OPERATIONS[op], (op, args)
        simplify = _SIMPLIFY.get(op)
        known = simplify(self, args) if simplify else None
        return self._place(Node(op, args)) if known is None else known

    def loop(self, loop: Loop, args: Sequence[int]) -> tuple[int, list[int]]:
        """Return the node of a loop and those of its results."""
        node = self._place(Node("loop", tuple(args), loop=loop))
        return node, [self._item(node, k) for k in range(loop.num_carried)]

    def pull(self, node: int, gradients: Sequence[int]) -> list[int]:
        """Return gradients of the arguments of a loop from those of its results."""
        pull = self.copy(Node("pull"), (node, *gradients))
        return [self._item(pull, k) for k in range(len(self.nodes[node].args))]

    def copy(self, node: Node, args: Sequence[int]) -> int:
        """Return a node of another graph, on values of this one."""
        if node.op in OPERATIONS:
            return self.apply(node.op, *args)
        if node.op == "item":
            return self._item(args[0], int(node.text))
        if node.op == "pull" and all(map(self.is_zero, args[1:])):
            return self.zero()
        return self._place(node._replace(args=tuple(args)))

    def _item(self, node: int, position: int) -> int:
        """Return one of several values; constants that a body never reads have no gradient."""
        several = self.nodes[node]
        if several.op == "pull":
            adjoint = loop_of(self, node).adjoint
            source = adjoint.nodes[adjoint.outputs[position]]
            carried = position < len(several.args) - 1
            if not carried and source.op in ("const", "zero") and not float(source.text or 0):
                return self.zero()
        return node if several.op == "zero" else self._place(Node("item", (node,), str(position)))

    def number(self, node: int) -> float | None:
        """Value of a constant; none for what is known only at run time."""
        found = self.nodes[node]
        return float(found.text) if found.op == "const" else None

    def is_zero(self, node: int) -> bool:
        """Whether a value is the gradient of what nothing depends on."""
        return self.nodes[node].op == "zero"

    def is_neg(self, node: int) -> bool:
        """Whether a value is another one with its sign changed."""
        return self.nodes[node].op == "neg"

    def graph(self, outputs: Sequence[int]) -> Graph:
        """Return what the outputs need, and nothing else."""
        return prune(Graph(tuple(self.nodes), tuple(outputs)))

    def _place(self, node: Node) -> int:
        position = self._position.setdefault(node, len(self.nodes))
        if position == len(self.nodes):
            self.nodes.append(node)
        return position


Simplify = Callable[[Builder, tuple[int, ...]], int | None]


def _add(b: Builder, args: tuple[int, ...]) -> int | None:
    x, y = args
    if b.is_zero(x) or b.is_zero(y):
        return y if b.is_zero(x) else x
    if b.is_neg(x) or b.is_neg(y):
        x, y = (x, y) if b.is_neg(y) else (y, x)
        return b.apply("sub", x, b.nodes[y].args[0])
    return _fold(b, args, lambda u, v: u + v)


def _sub(b: Builder, args: tuple[int, ...]) -> int | None:
    x, y = args
    if b.is_zero(y):
        return x
    if b.is_neg(y):
        return b.apply("add", x, b.nodes[y].args[0])
    return b.apply("neg", y) if b.is_zero(x) else _fold(b, args, lambda u, v: u - v)


def _mul(b: Builder, args: tuple[int, ...]) -> int | None:
    x, y = args
    if b.is_zero(x) or b.is_zero(y):
        return b.zero()
    if b.number(x) == 1 or b.number(y) == 1:
        return y if b.number(x) == 1 else x
    if any(map(b.is_neg, args)):
        return _sign_last(b, "mul", args)
    return _fold(b, args, lambda u, v: u * v)


def _div(b: Builder, args: tuple[int, ...]) -> int | None:
    x, y = args
    if b.is_zero(x) or b.number(y) == 1:
        return x
    if _is_power_of_two(divisor := b.number(y)):
        return b.apply("mul", x, b.const(1 / divisor))
    return _sign_last(b, "div", args) if any(map(b.is_neg, args)) else None


def _is_power_of_two(number: float | None) -> TypeGuard[float]:
    """Whether multiplying by the inverse is dividing, to the last bit."""
    return number is not None and 2**-60 < abs(number) < 2**60 and abs(math.frexp(number)[0]) == 0.5


def _sign_last(b: Builder, op: str, args: tuple[int, ...]) -> int:
    """Change the sign of the result instead of an argument's: sums then take it up for nothing."""
    value = b.apply(op, *(b.nodes[a].args[0] if b.is_neg(a) else a for a in args))
    return value if all(map(b.is_neg, args)) else b.apply("neg", value)


def _neg(b: Builder, args: tuple[int, ...]) -> int | None:
    node = b.nodes[args[0]]
    if node.op == "neg":
        return node.args[0]
    return args[0] if node.op == "zero" else _fold(b, args, lambda u: -u)


def _where(b: Builder, args: tuple[int, ...]) -> int | None:
    return args[1] if args[1] == args[2] else None


def _fold(b: Builder, args: tuple[int, ...], of: Callable[..., float]) -> int | None:
    """Compute from constants where double precision adds no digit: whole numbers."""
    numbers = [b.number(a) for a in args]
    whole = [n for n in numbers if n is not None and math.isfinite(n) and n == int(n) != 0]
    small = len(whole) == len(numbers) and all(abs(n) < 1000 for n in whole)
    return b.const(of(*whole)) if small else None


_SIMPLIFY: dict[str, Simplify] = {
    "add": _add, "sub": _sub, "mul": _mul, "div": _div, "neg": _neg, "where": _where,
}  # fmt: skip


def loop_of(graph: Graph | Builder, node: int) -> Loop:
    """Return the loop of a node: itself, or that whose adjoint it is."""
    loop = graph.nodes[node].loop or graph.nodes[graph.nodes[node].args[0]].loop
    assert loop is not None
    return loop


def pulled(graph: Graph) -> set[int]:
    """Return the loops of a graph whose gradients it computes."""
    return {node.args[0] for node in graph.nodes if node.op == "pull"}


def loops_of(graphs: Iterable[Graph]) -> list[Loop]:
    """Return the loops of graphs and those within them, each once, inner ones first."""
    found: dict[Loop, None] = {}
    for loop in (node.loop for graph in graphs for node in graph.nodes if node.loop):
        found |= dict.fromkeys([*loops_of([loop.condition, loop.body, loop.adjoint]), loop])
    return list(found)


def specialise(graph: Graph, absent: frozenset[int], wanted: Sequence[int]) -> Graph:
    """Return the part of a graph that gives the `wanted` outputs when inputs are `absent`."""
    part = prune(Graph(graph.nodes, tuple(graph.outputs[i] for i in wanted)))
    builder = Builder()
    new: list[int] = []
    for node in part.nodes:
        if node.op == "input" and int(node.text) in absent:
            new.append(builder.zero())
        else:
            new.append(builder.copy(node, [new[a] for a in node.args]))
    return builder.graph([new[o] for o in part.outputs])


def prune(graph: Graph) -> Graph:
    """Leave out what no output needs."""
    needed, todo = set(graph.outputs), list(graph.outputs)
    while todo:
        fresh = [a for a in graph.nodes[todo.pop()].args if a not in needed]
        needed.update(fresh)
        todo.extend(fresh)
    kept = sorted(needed)
    position = {old: new for new, old in enumerate(kept)}
    nodes = (graph.nodes[old] for old in kept)
    return Graph(
        tuple(n._replace(args=tuple(position[a] for a in n.args)) for n in nodes),
        tuple(position[o] for o in graph.outputs),
    )
