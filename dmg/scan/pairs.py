"""Two vectors of elements in turn: while one waits for a result, the other is computed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import torch

from dmg.scan.ir import Graph, loops_of

LARGEST = 600
"""Nodes of a program with its adjoint up to which pairs are worth the time to compile them."""


def num_vectors(graph: Graph, dtype: torch.dtype) -> int:
    """Return how many vectors a program computes in turn, by its joint graph."""
    plain = len(graph.nodes) <= LARGEST and not loops_of([graph])
    return 2 if plain and dtype == torch.float32 else 1


def paired(statements: Sequence[str], graph: Graph) -> Iterator[str]:
    """Each statement for the vector at `i`, then for the next one; constants are shared."""
    shared = {f"v{i}" for i, node in enumerate(graph.nodes) if node.op in ("const", "zero")}
    for statement in statements:
        yield statement
        other = re.sub(r"\b[vl]\d+\b", lambda m: m[0] if m[0] in shared else f"{m[0]}b", statement)
        yield re.sub(r"\b([pq]\d+ \+ i)\b", r"\1 + LANES", other)
