"""From a program to C++: one statement per node, inside the tiled time loop of `cpp/`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import torch

from dmg.scan.ir import Graph, Node
from dmg.scan.trace import Program

_INFIX = {
    "add": "+", "sub": "-", "mul": "*", "div": "/",
    "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!=",
}  # fmt: skip
_NAMES = {"where_bool": "choose_", "and": "and_", "or": "or_", "not": "not_"}


def forward_source(program: Program, fluxes: Sequence[int]) -> str:
    """Return the program of the time loop with the given fluxes as results."""
    signature = program.signature
    sizes = {
        "NUM_STATES": signature.num_states,
        "NUM_INPUTS": signature.num_inputs - signature.num_states,
        "NUM_FLUXES": len(fluxes),
    }
    slots = {i: i for i in range(signature.num_inputs)}
    body = _function("advance", program.forward(fluxes), slots)
    return _file(signature.dtype, sizes, body, "forward.h")


def backward_source(
    program: Program, fluxes: Sequence[int], inputs: Sequence[int], series: Sequence[bool]
) -> str:
    """Return the program of the adjoint.

    Parameters
    ----------
    program
        The traced step.
    fluxes
        Those that carry a gradient.
    inputs
        Forcings and parameters that need one, by their position among all inputs.
    series
        Whether each of `inputs` changes in time, so that its gradient does.
    """
    signature = program.signature
    num_states, num_inputs = signature.num_states, signature.num_inputs
    sizes = {
        "NUM_STATES": num_states,
        "NUM_INPUTS": num_inputs - num_states,
        "NUM_FLUXES": len(fluxes),
        "NUM_GRADIENTS": len(inputs),
    }
    slots = {i: i for i in range(num_inputs + num_states)}
    first = num_inputs + num_states
    slots |= {first + f: first + k for k, f in enumerate(fluxes)}
    adjoint = program.adjoint(fluxes, [*range(num_states), *inputs])
    summed = {num_states + k for k, changes in enumerate(series) if not changes}
    flags = "".join(f"{str(s).lower()}, " for s in series)
    body = (
        f"constexpr bool SERIES[] = {{{flags}false}};\n"
        + _function("advance", program.forward(()), slots)
        + _function("adjoin", adjoint, slots, summed)
    )
    return _file(signature.dtype, sizes, body, "backward.h")


def _file(dtype: torch.dtype, sizes: Mapping[str, int], body: str, driver: str) -> str:
    head = "#define SINGLE\n" if dtype == torch.float32 else ""
    constants = "".join(f"constexpr int {name} = {value};\n" for name, value in sizes.items())
    return head + part("lanes.h") + part("tiles.h") + constants + body + part(driver)


@cache
def part(name: str) -> str:
    """Text of a hand-written part of every program."""
    return (Path(__file__).parent / "cpp" / name).read_text(encoding="utf-8")


def _function(
    name: str,
    graph: Graph,
    slots: Mapping[int, int],
    summed: set[int] | frozenset[int] = frozenset(),
) -> str:
    """Return one step for all lanes of a tile; outputs in `summed` add to what is there."""
    used = {i: slots[int(n.text)] for i, n in enumerate(graph.nodes) if n.op == "input"}
    lines = [f"static void {name}(const T* const* in, T* const* out, int64_t width) {{"]
    lines += [f"  const T* p{i} = in[{slot}];" for i, slot in used.items()]
    lines += [f"  T* q{k} = out[{k}];" for k in range(len(graph.outputs))]
    lines += [f"  {s}" for i, n in enumerate(graph.nodes) for s in _constant(i, n)]
    lines += ["  for (int64_t i = 0; i < width; i += LANES) {"]
    lines += [f"    {s}" for s in _statements(graph)]
    for k, value in enumerate(graph.outputs):
        old = f"load(q{k} + i) + " if k in summed else ""
        lines.append(f"    store(q{k} + i, {old}v{value});")
    return "\n".join([*lines, "  }", "}\n"])


def _constant(i: int, node: Node) -> Iterator[str]:
    if node.op in ("const", "zero"):
        yield f"const V v{i} = splat(T({_literal(float(node.text or 0))}));"


def _literal(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "NAN" if math.isnan(value) else "INFINITY" if value > 0 else "-INFINITY"


def _statements(graph: Graph) -> Iterator[str]:
    logarithms: set[int] = set()
    for i, node in enumerate(graph.nodes):
        if node.op == "input":
            yield f"const V v{i} = load(p{i} + i);"
        elif node.args:
            base = node.args[0]
            if node.op in ("log", "pow") and base not in logarithms:
                logarithms.add(base)
                yield f"const Log l{base} = log_parts(v{base});"
            yield f"const {'M' if node.is_bool else 'V'} v{i} = {_expression(graph, node)};"


def _expression(graph: Graph, node: Node) -> str:
    args = [f"v{a}" for a in node.args]
    if node.op in _INFIX:
        return f"{args[0]} {_INFIX[node.op]} {args[1]}"
    if node.op == "neg":
        return f"-{args[0]}"
    if node.op in ("log", "pow"):
        return f"{node.op}_of(l{node.args[0]}, {', '.join(args)})"
    if node.op in ("min", "max"):
        return _extreme(graph, node)
    return f"{_NAMES.get(node.op, node.op + '_')}({', '.join(args)})"


def _extreme(graph: Graph, node: Node) -> str:
    """Return min or max; one comparison is enough where one side is a constant."""
    constant = [a for a in node.args if graph.nodes[a].op == "const"]
    others = [a for a in node.args if a not in constant]
    if len(constant) == 1 and "nan" not in graph.nodes[constant[0]].text:
        return f"{node.op}_bounded(v{others[0]}, v{constant[0]})"
    return f"{node.op}_(v{node.args[0]}, v{node.args[1]})"
