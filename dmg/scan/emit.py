"""From a program to C++: one statement per node, inside the tiled time loop of `cpp/`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch

from dmg.scan.ir import Graph, Loop, Node, loop_of, loops_of, pulled
from dmg.scan.pairs import num_vectors, paired
from dmg.scan.trace import Program

_INFIX = {
    "add": "+", "sub": "-", "mul": "*", "div": "/",
    "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!=",
}  # fmt: skip
_NAMES = {"where_bool": "choose_", "and": "and_", "or": "or_", "not": "not_"}


class _Form(NamedTuple):
    """How the functions of one program are written."""

    loops: Sequence[Loop]  # within a step, by their number
    vectors: int  # computed in turn


def forward_source(program: Program, fluxes: Sequence[int]) -> str:
    """Return the program of the time loop with the given fluxes as results."""
    signature = program.signature
    sizes = {
        "NUM_STATES": signature.num_states,
        "NUM_TAPE": program.num_kept - signature.num_states,
        "NUM_INPUTS": signature.num_inputs - signature.num_states,
        "NUM_FLUXES": len(fluxes),
    }
    slots = {i: i for i in range(signature.num_inputs)}
    graph = program.forward(fluxes)
    form = _Form(loops_of([graph]), num_vectors(program.graph, signature.dtype))
    sizes["VECTORS"] = form.vectors
    body = _loops(form.loops) + _function("advance", graph, slots, form)
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
        "NUM_TAPE": program.num_kept - num_states,
        "NUM_INPUTS": num_inputs - num_states,
        "NUM_FLUXES": len(fluxes),
        "NUM_GRADIENTS": len(inputs),
    }
    slots = {i: i for i in range(num_inputs + num_states)}
    first = num_inputs + num_states
    slots |= {first + f: first + k for k, f in enumerate(fluxes)}
    last = first + len(program.fluxes)
    slots |= {last + k: first + len(fluxes) + k for k in range(sizes["NUM_TAPE"])}
    advance, adjoint = program.forward(()), program.adjoint(fluxes, [*range(num_states), *inputs])
    form = _Form(loops_of([advance, adjoint]), num_vectors(program.graph, signature.dtype))
    sizes["VECTORS"] = form.vectors
    summed = {num_states + k for k, changes in enumerate(series) if not changes}
    flags = "".join(f"{str(s).lower()}, " for s in series)
    body = (
        f"constexpr bool SERIES[] = {{{flags}false}};\n"
        + _loops(form.loops)
        + _function("advance", advance, slots, form)
        + _function("adjoin", adjoint, slots, form, summed)
    )
    return _file(signature.dtype, sizes, body, "backward.h")


def _file(dtype: torch.dtype, sizes: Mapping[str, int], body: str, driver: str) -> str:
    head = "#define SINGLE\n" if dtype == torch.float32 else ""
    constants = "".join(f"constexpr int {name} = {value};\n" for name, value in sizes.items())
    vectors = part("lanes.h") + part("functions.h")
    return head + vectors + constants + part("threads.h") + part("tiles.h") + body + part(driver)


@cache
def part(name: str) -> str:
    """Text of a hand-written part of every program."""
    return (Path(__file__).parent / "cpp" / name).read_text(encoding="utf-8")


def _function(
    name: str,
    graph: Graph,
    slots: Mapping[int, int],
    form: _Form,
    summed: set[int] | frozenset[int] = frozenset(),
) -> str:
    """Return one step for all lanes of a tile; outputs in `summed` add to what is there."""
    used = {i: slots[int(n.text)] for i, n in enumerate(graph.nodes) if n.op == "input"}
    lines = [f"static void {name}(const T* const* in, T* const* out, int64_t width) {{"]
    lines += [f"  const T* p{i} = in[{slot}];" for i, slot in used.items()]
    lines += [f"  T* q{k} = out[{k}];" for k in range(len(graph.outputs))]
    lines += [f"  {s}" for s in _constants(graph)]
    lines += ["  for (int64_t i = 0; i < width; i += VECTORS * LANES) {"]
    statements = [*_statements(graph, form.loops, lambda i, _: f"load(p{i} + i)")]
    for k, value in enumerate(graph.outputs):
        old = f"load(q{k} + i) + " if k in summed else ""
        statements.append(f"store(q{k} + i, {old}v{value});")
    lines += [f"    {s}" for s in (paired(statements, graph) if form.vectors > 1 else statements)]
    return "\n".join([*lines, "  }", "}\n"])


def _loops(loops: Sequence[Loop]) -> str:
    """Return the functions of loops: condition, body and adjoint of a pass."""
    text = part("loops.h") if loops else ""
    for k, loop in enumerate(loops):
        text += _values(f"M condition{k}(const V* x)", loop.condition, loop, loops)
        text += _values(f"void body{k}(const V* x, V* y)", loop.body, loop, loops)
        text += _values(f"void adjoint{k}(const V* x, const V* g, V* y)", loop.adjoint, loop, loops)
    return text


def _values(head: str, graph: Graph, loop: Loop, loops: Sequence[Loop]) -> str:
    """Return a function from inputs in x, then in g, to a truth value or to y."""

    def read(node: Node) -> str:
        position = int(node.text) - loop.num_inputs
        return f"x[{node.text}]" if position < 0 else f"g[{position}]"

    lines = [f"static inline {head} {{", *_constants(graph)]
    lines += _statements(graph, loops, lambda _, node: read(node))
    if head.startswith("M"):
        lines.append(f"return v{graph.outputs[0]};")
    else:
        lines += [f"y[{k}] = v{value};" for k, value in enumerate(graph.outputs)]
    return "\n  ".join(lines) + "\n}\n"


def _constants(graph: Graph) -> Iterator[str]:
    """Declare what holds for all lanes: numbers, and memory for the passes of loops."""
    for i, node in enumerate(graph.nodes):
        if node.op in ("const", "zero"):
            yield f"const V v{i} = splat(T({_literal(float(node.text or 0))}));"
    for i in pulled(graph):
        loop = loop_of(graph, i)
        yield f"Passes<{loop.num_carried}> passes{i}({loop.limit});"


def _literal(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "NAN" if math.isnan(value) else "INFINITY" if value > 0 else "-INFINITY"


def _statements(
    graph: Graph, loops: Sequence[Loop], read: Callable[[int, Node], str]
) -> Iterator[str]:
    logarithms: set[int] = set()
    for i, node in enumerate(graph.nodes):
        if node.op == "input":
            yield f"const V v{i} = {read(i, node)};"
        elif node.op == "item":
            yield f"const V v{i} = x{node.args[0]}[{node.text}];"
        elif node.op in ("loop", "pull"):
            yield from _loop(graph, i, loops)
        elif node.args:
            base = node.args[0]
            if node.op in ("log", "pow") and base not in logarithms:
                logarithms.add(base)
                yield f"const Log l{base} = log_parts(v{base});"
            yield f"const {'M' if node.is_bool else 'V'} v{i} = {_expression(graph, node)};"


def _loop(graph: Graph, i: int, loops: Sequence[Loop]) -> Iterator[str]:
    """Run a loop, or its adjoint, on an array of its values."""
    node = graph.nodes[i]
    first, args = (i, node.args) if node.loop else (node.args[0], node.args[1:])
    loop = loop_of(graph, i)
    k, num_carried = loops.index(loop), loop.num_carried
    yield f"V x{i}[{loop.num_inputs}] = {{{', '.join(f'v{a}' for a in args)}}};"
    if first != i:
        sizes = f"{num_carried}, {loop.num_inputs - num_carried}"
        yield f"walk_back<{sizes}, condition{k}, adjoint{k}>(passes{first}, x{first}, x{i});"
        return
    name, keep = (f"passes{i}.count = ", f", passes{i}") if i in pulled(graph) else ("", "")
    call = f"repeat<{num_carried}, condition{k}, body{k}>({loop.limit}, x{i}{keep})"
    yield f"{name}{call};"


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
