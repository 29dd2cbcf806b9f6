"""Results of loops that a step leaves to its adjoint, so that no loop is run a second time."""

from __future__ import annotations

from collections.abc import Sequence

from dmg.scan.ir import Builder, Graph, pulled


def taped(graph: Graph, num_results: int, first: int) -> Graph:
    """Let the adjoint read the results of loops without gradient, such as Newton's iterations.

    Parameters
    ----------
    graph
        Outputs: the results of a step, then gradients.
    num_results
        How many of its outputs are results.
    first
        Position of the first input of the new graph that is read from the tape.

    Returns
    -------
    graph
        Outputs: the same, then what is to be put on the tape.
    """
    tape = _needed(graph, graph.outputs[num_results:])
    builder = Builder()
    results: list[int] = []
    gradients: list[int] = []
    for position, node in enumerate(graph.nodes):
        results.append(builder.copy(node, [results[a] for a in node.args]))
        if position in tape:
            gradients.append(builder.input(first + tape.index(position)))
        else:
            gradients.append(builder.copy(node, [gradients[a] for a in node.args]))
    return builder.graph([
        *(results[o] for o in graph.outputs[:num_results]),
        *(gradients[o] for o in graph.outputs[num_results:]),
        *(results[o] for o in tape),
    ])  # fmt: skip


def _needed(graph: Graph, outputs: Sequence[int]) -> list[int]:
    """Results of loops that the outputs need and that are not differentiated."""
    adjoint = pulled(graph)
    found, met, todo = set(), set(outputs), [*outputs]
    while todo:
        node = graph.nodes[position := todo.pop()]
        if node.op == "item" and graph.nodes[node.args[0]].loop and node.args[0] not in adjoint:
            found.add(position)
        else:
            todo += set(node.args) - met
            met.update(node.args)
    return sorted(found)
