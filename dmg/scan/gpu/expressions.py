"""What each operation of a program is in Triton: one statement per node."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from dmg.scan.ir import Graph, Node

# Division and roots are rounded as in PyTorch: Triton's own are approximations in float32, and so
# are its exp, log, sin and cos. `m` is libdevice, or its stand-in in Triton's interpreter.
_INFIX = {
    "add": "+", "sub": "-", "mul": "*", "and": "&", "or": "|",
    "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!=",
}  # fmt: skip
_LIBDEVICE = {
    name: name
    for name in ("exp", "log", "tanh", "expm1", "log1p", "exp2", "log2", "log10", "erf", "sin",
                 "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "pow", "fmod",
                 "trunc", "floor", "ceil")
} | {"div": "div_rn", "sqrt": "sqrt_rn", "round": "rint"}  # fmt: skip
_FORMS = {
    "neg": "-{0}",
    "not": "~{0}",
    "abs": "tl.abs({0})",
    "sign": "({0} > 0).to(DTYPE) - ({0} < 0).to(DTYPE)",
    "min": "tl.minimum({0}, {1}, propagate_nan=tl.PropagateNan.ALL)",
    "max": "tl.maximum({0}, {1}, propagate_nan=tl.PropagateNan.ALL)",
    "sigmoid": "m.div_rn(ONE, ONE + m.exp(-{0}))",
    "where": "tl.where({0}, {1}, {2})",
    "where_bool": "({0} & {1}) | (~{0} & {2})",
    "from_bool": "{0}.to(DTYPE)",
}
FORMS: Mapping[str, str] = (
    {op: f"{{0}} {sign} {{1}}" for op, sign in _INFIX.items()}
    | {op: f"m.{name}({{0}}, {{1}})" for op, name in _LIBDEVICE.items()
       if op in ("div", "pow", "fmod", "atan2")}
    | {op: f"m.{name}({{0}})" for op, name in _LIBDEVICE.items()
       if op not in ("div", "pow", "fmod", "atan2")}
    | _FORMS
)  # fmt: skip
"""Triton's text of every operation of `dmg.scan.ir`."""


def constants(graph: Graph, prefix: str) -> Iterator[str]:
    """Statements that hold before the loop."""
    for i, node in enumerate(graph.nodes):
        if node.op in ("const", "zero"):
            value = _literal(float(node.text or 0))
            yield f"{prefix}{i} = tl.full((ROWS, COLUMNS), {value}, DTYPE)"


def statements(graph: Graph, prefix: str) -> Iterator[str]:
    """Statements of one step, from inputs `x`."""
    for i, node in enumerate(graph.nodes):
        if node.op == "input":
            yield f"{prefix}{i} = x{node.text}"
        elif node.args:
            yield f"{prefix}{i} = {_expression(node, prefix)}"


def used(graphs: Sequence[Graph]) -> set[int]:
    """Positions of the inputs that a step reads."""
    return {int(n.text) for graph in graphs for n in graph.nodes if n.op == "input"}


def _expression(node: Node, prefix: str) -> str:
    return FORMS[node.op].format(*(f"{prefix}{a}" for a in node.args))


def _literal(value: float) -> str:
    return repr(value) if math.isfinite(value) else f'float("{value}")'
