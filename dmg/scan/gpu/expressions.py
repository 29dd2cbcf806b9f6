"""What each operation of a program is in Triton: one statement per node."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from dmg.scan.ir import Graph, Loop, loop_of

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
    """Statements that hold before the loop over time."""
    for i, node in enumerate(graph.nodes):
        if node.op in ("const", "zero"):
            value = _literal(float(node.text or 0))
            yield f"{prefix}{i} = tl.full((ROWS, COLUMNS), {value}, DTYPE)"
        elif node.op in ("loop", "pull"):
            loop = loop_of(graph, i)
            again = "r" if node.op == "pull" else ""
            yield from constants(loop.condition, f"{prefix}{i}{again}c")
            yield from constants(loop.body, f"{prefix}{i}{again}b")
            if again:
                yield from constants(loop.adjoint, f"{prefix}{i}a")


def statements(graph: Graph, prefix: str, inputs: Sequence[str] | None = None) -> Iterator[str]:
    """Statements of one step, from inputs `x` or those named."""
    for i, node in enumerate(graph.nodes):
        name, args = f"{prefix}{i}", [f"{prefix}{a}" for a in node.args]
        if node.op == "input":
            yield f"{name} = {inputs[int(node.text)] if inputs else f'x{node.text}'}"
        elif node.op == "item":
            yield f"{name} = {args[0]}_{node.text}"
        elif node.op == "loop":
            loop = loop_of(graph, i)
            more = f"(tl.max({name}_m.to(tl.int32)) > 0) & ({name}_n < {loop.limit})"
            yield from _repeat(loop, name, args, f"while {more}:")
        elif node.op == "pull":
            given = [f"{prefix}{a}" for a in graph.nodes[node.args[0]].args]
            yield from _walk_back(loop_of(graph, i), name, [*given, *args])
        elif args:
            yield f"{name} = {FORMS[node.op].format(*args)}"


def _repeat(loop: Loop, name: str, args: Sequence[str], rounds: str) -> list[str]:
    """Run a loop; `name_0`, ... become what is carried, `name_m` where it is not done."""
    count = loop.num_carried
    carried = [f"{name}_{k}" for k in range(count)]
    inputs = [*carried, *args[count:]]
    mask = [*statements(loop.condition, f"{name}c", inputs)]
    mask.append(f"{name}_m = {name}c{loop.condition.outputs[0]}")
    new = [f"tl.where({name}_m, {name}b{v}, {c})"
           for v, c in zip(loop.body.outputs, carried, strict=True)]  # fmt: skip
    body = [*statements(loop.body, f"{name}b", inputs), *_assigned(carried, new)]
    return [*_assigned(carried, args[:count]), f"{name}_n = 0", *mask, rounds,
            *_indented([*body, *mask, f"{name}_n += 1"])]  # fmt: skip


def _walk_back(loop: Loop, name: str, args: Sequence[str]) -> list[str]:
    """Gradients before each pass, from the last one: the loop is run again up to there.

    `name_0`, ... become the gradients of all that the loop was given. The arguments: those of
    the loop, its node, the gradients of its results.
    """
    count, total = loop.num_carried, loop.num_inputs
    given, first, gradients = args[:total], args[total], args[total + 1 :]
    found = [f"{name}_{k}" for k in range(total)]
    start = [*gradients, *["tl.zeros((ROWS, COLUMNS), DTYPE)"] * (total - count)]
    inputs = [*(f"{name}r_{k}" for k in range(count)), *given[count:], *found[:count]]
    adjoint = [*statements(loop.adjoint, f"{name}a", inputs)]
    values = [f"{name}a{v}" for v in loop.adjoint.outputs]
    new = values[:count] + [f"{f} + {v}" for f, v in zip(found, values, strict=True)][count:]
    new = [f"tl.where({name}r_m, {n}, {f})" for n, f in zip(new, found, strict=True)]
    again = _repeat(loop, f"{name}r", given, f"for {name}_i in range(0, {first}_n - 1 - {name}_b):")
    return [*_assigned(found, start), f"for {name}_b in range(0, {first}_n):",
            *_indented([*again, *adjoint, *_assigned(found, new)])]  # fmt: skip


def _assigned(names: Sequence[str], values: Sequence[str]) -> list[str]:
    """Assign after all values are known: one may be the old value of another."""
    kept = [f"{n}_new = {v}" for n, v in zip(names, values, strict=True)]
    return [*kept, *(f"{n} = {n}_new" for n in names)]


def _indented(lines: Iterable[str]) -> list[str]:
    return ["    " + line for line in lines]


def used(graphs: Sequence[Graph]) -> set[int]:
    """Positions of the inputs that a step reads."""
    return {int(n.text) for graph in graphs for n in graph.nodes if n.op == "input"}


def _literal(value: float) -> str:
    return repr(value) if math.isfinite(value) else f'float("{value}")'
