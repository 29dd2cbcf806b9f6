"""From a program to Triton: the whole time loop in one kernel, states in registers.

Names in a kernel: `p` inputs in memory, `x` values of inputs of the graph, `u` and `v` values of
the step and of its adjoint, `f` fluxes, `l` last states, `d` and `h` given gradients of last
states and fluxes, `q` and `g` gradients of first states and other inputs, `w` their sums in time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from dmg.scan.gpu.expressions import constants, statements, used
from dmg.scan.gpu.source import Source, kept, load, store, summed
from dmg.scan.ir import Graph
from dmg.scan.trace import Program


class Plan(NamedTuple):
    """What a kernel is asked for."""

    axes: tuple[str, ...]  # of all inputs, states first: "be", "tbe", "tb" or "b"
    fluxes: tuple[int, ...]  # results of the loop; in the adjoint those that carry a gradient
    mean: bool  # over components
    inputs: tuple[int, ...] = ()  # whose gradient is needed, by their position, without states

    @property
    def flux_axes(self) -> str:
        """Axes of the fluxes."""
        return "tb" if self.mean else "tbe"

    @property
    def sums(self) -> list[int]:
        """Inputs whose gradient is a sum in time."""
        return [i for i in self.inputs if "t" not in self.axes[i]]


def forward_source(program: Program, plan: Plan, interpreted: bool) -> str:
    """Return the module of the time loop, for a GPU or for Triton's interpreter."""
    num_states, graph = program.signature.num_states, program.forward(plan.fluxes)
    num_kept, num_results = program.num_kept, num_states + len(plan.fluxes)
    states, read = range(num_states), _read([graph], plan.axes, num_states)
    source = Source("forward", "KEEP")
    source.series("p", plan.axes)
    source.contiguous(*(f"f{k}" for k in range(len(plan.fluxes))), *(f"l{k}" for k in states))
    source.contiguous("checkpoints")
    source.add(0, [*constants(graph, "u"), *_load(states, plan.axes), *read[False]])
    source.add(0, "for t in range(0, steps):\n    if KEEP:\n        if t % every == 0:")
    source.add(3, ["pass", *_keep("checkpoints", "(t // every)", num_kept, _names(num_states))])
    source.add(1, [*read[True], *statements(graph, "u")])
    flows, tape = graph.outputs[num_states:num_results], graph.outputs[num_results:]
    source.add(1, (_flux(k, f"u{v}", plan) for k, v in enumerate(flows)))
    if tape:
        source.add(1, "if KEEP:\n    if t % every == 0:")
        source.add(3, _tape("checkpoints", "(t // every)", program, tape))
    source.add(1, (f"x{k} = u{graph.outputs[k]}" for k in states))
    source.add(0, (store(f"l{k}", f"x{k}", "be") for k in states))
    return source.text(program.signature.dtype, interpreted)


def backward_source(program: Program, plan: Plan, interpreted: bool) -> str:
    """Return the module of the adjoint: from the last segment to the first, recompute, walk back.

    Where every state was stored, there is one segment, and `scratch` are those states.
    """
    num_states, num_inputs = program.signature.num_states, program.signature.num_inputs
    states, given = range(num_states), range(num_inputs, num_inputs + num_states)
    advance, adjoin = program.forward(()), program.adjoint(plan.fluxes, [*states, *plan.inputs])
    source = Source("backward", "RECOMPUTE")
    source.series("p", plan.axes)
    source.series("d", ["be"] * num_states)
    source.series("h", [plan.flux_axes] * len(plan.fluxes))
    source.contiguous(*(f"q{k}" for k in states), *(f"g{i}" for i in plan.inputs))
    source.contiguous("checkpoints", "scratch")
    fixed = _read([advance, adjoin], plan.axes, num_states)[False]
    source.add(0, [*constants(advance, "u"), *constants(adjoin, "v"), *fixed])
    source.add(0, (f"x{i} = {load(f'd{k}', 'be')}" for k, i in enumerate(given)))
    source.add(0, (f"w{i} = tl.zeros((ROWS, COLUMNS), DTYPE)" for i in plan.sums))
    source.add(0, "for s in range(0, (steps + every - 1) // every):")
    source.add(1, "start = ((steps + every - 1) // every - 1 - s) * every")
    source.add(1, ["stop = tl.minimum(start + every, steps)", "if RECOMPUTE:"])
    _recompute(source, advance, plan.axes, program)
    source.add(1, "for back in range(0, stop - start):")
    _step_back(source, program, adjoin, plan)
    source.add(0, (store(f"q{k}", f"x{i}", "be") for k, i in enumerate(given)))
    source.add(0, (_gradient(i, f"w{i}", plan) for i in plan.sums))
    return source.text(program.signature.dtype, interpreted)


def _recompute(source: Source, advance: Graph, axes: Sequence[str], program: Program) -> None:
    """States before each step of a segment and its tape, from its checkpoint, into scratch."""
    num_states, num_kept = program.signature.num_states, program.num_kept
    states, tape = range(num_states), advance.outputs[num_states:]
    end = "stop" if tape else "stop - 1"
    source.add(2, "tl.debug_barrier()")  # all threads are done with the last segment
    source.add(2, _recall("checkpoints", "(start // every)", num_kept, _names(num_states)))
    source.add(2, _keep("scratch", "0", num_kept, _names(num_states)))
    source.add(2, f"for t in range(start, {end}):")
    source.add(3, [*_read([advance], axes, num_states)[True], *statements(advance, "u")])
    source.add(3, _tape("scratch", "(t - start)", program, tape))
    source.add(3, (f"x{k} = u{advance.outputs[k]}" for k in states))
    source.add(3, ["pass", *_keep("scratch", "(t + 1 - start)", num_kept, _names(num_states))])
    source.add(2, "tl.debug_barrier()")  # one thread may read what another has written


def _step_back(source: Source, program: Program, adjoin: Graph, plan: Plan) -> None:
    """Gradients before a step, from those after it."""
    num_states, num_inputs = program.signature.num_states, program.signature.num_inputs
    last = num_inputs + program.num_results
    kept = [*_names(num_states), *_names(program.num_kept - num_states, last)]
    source.add(2, ["t = stop - 1 - back", *_recall("scratch", "(t - start)", len(kept), kept)])
    source.add(2, _read([adjoin], plan.axes, num_states)[True])
    for k, flux in enumerate(plan.fluxes):
        position = num_inputs + num_states + flux
        source.add(2, [f"x{position} = {load(f'h{k}', plan.flux_axes)}"])
    source.add(2, statements(adjoin, "v"))
    for i, value in zip(plan.inputs, adjoin.outputs[num_states:], strict=True):
        adds = i in plan.sums
        source.add(2, [f"w{i} += v{value}" if adds else _gradient(i, f"v{value}", plan)])
    source.add(2, (f"x{num_inputs + k} = v{adjoin.outputs[k]}" for k in range(num_states)))


def _flux(k: int, value: str, plan: Plan) -> str:
    if plan.mean:
        value = f"m.div_rn({summed(value)}, components.to(DTYPE))"
    return store(f"f{k}", value, plan.flux_axes)


def _gradient(i: int, value: str, plan: Plan) -> str:
    whole = "e" in plan.axes[i]
    return store(f"g{i}", value if whole else summed(value), plan.axes[i])


def _read(graphs: Sequence[Graph], axes: Sequence[str], num_states: int) -> dict[bool, list[str]]:
    """Statements that load what steps need beside their states, by whether it changes in time."""
    inputs = [i for i in sorted(used(graphs)) if num_states <= i < len(axes)]
    return {
        changes: [*_load((i for i in inputs if ("t" in axes[i]) == changes), axes)]
        for changes in (False, True)
    }


def _load(inputs: Iterable[int], axes: Sequence[str]) -> Iterator[str]:
    for i in inputs:
        yield f"x{i} = {load(f'p{i}', axes[i])}"


def _names(number: int, first: int = 0) -> list[str]:
    return [f"x{first + k}" for k in range(number)]


def _tape(buffer: str, index: str, program: Program, values: Sequence[int]) -> list[str]:
    """Store what a step leaves to its adjoint, behind its states."""
    names = [f"u{v}" for v in values]
    return _keep(buffer, index, program.num_kept, names, program.signature.num_states)


def _keep(
    buffer: str, index: str, num_kept: int, names: Sequence[str], first: int = 0
) -> list[str]:
    addresses = [kept(buffer, index, num_kept, first + k) for k in range(len(names))]
    return [f"tl.store({a}, {n}, mask=inside)" for a, n in zip(addresses, names, strict=True)]


def _recall(buffer: str, index: str, num_kept: int, names: Sequence[str]) -> list[str]:
    addresses = [kept(buffer, index, num_kept, k) for k in range(len(names))]
    return [f"{n} = tl.load({a})" for a, n in zip(addresses, names, strict=True)]
