"""Runoff of units: network and physics, block by block, in chunks of time with carried state.

Shape legend: T time, B units of a block, E components.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dmg.data.loader import DataLoader
from dmg.delta import DeltaModel, State
from dmg.distributed import device_of
from dmg.files import only_writer
from dmg.handler import ModelHandler
from dmg.predict import parameter_attrs
from dmg.simulate.files import create, write
from dmg.simulate.plan import Plan
from dmg.simulate.progress import Progress, rebuilt

log = logging.getLogger(__name__)

RUNOFF = "runoff.zarr"
STEP = 73
"""Days that the model computes at once: what a block needs of them fits the cache better."""
STORAGE = "storage_"
"""Prefix of the storages at the end."""


def initialise(
    model: DeltaModel, loader: DataLoader, plan: Plan, out: Path, attrs: Mapping[str, Any]
) -> None:
    """Write the empty store of a simulation's units; nothing if it is there."""
    variables: dict[str, tuple[tuple[str, ...], Mapping[str, Any]]] = {
        name: (("basin", "time"), {"units": "mm d-1"}) for name in plan.outputs
    }
    for name, (parameter, size) in model.constants.items():
        dims = ("basin",) if size is None else ("basin", "component")
        variables[name] = dims, parameter_attrs(parameter)
    storages = model.phy_model.State._fields if model.phy_model else ()
    for name in storages:
        about = {"units": "mm", "kind": "storage", "long_name": f"{name} after the last day"}
        variables[STORAGE + name] = ("basin", "component"), about
    components = {"component": model.parameter_map.num_components}
    days, shard = loader.times[: plan.num_days], (plan.block_units, plan.chunk_days)
    create(out / RUNOFF, "basin", loader.basin_ids, days, variables, components, shard, attrs)


def simulate_units(
    handler: ModelHandler,
    loader: DataLoader,
    plan: Plan,
    out: Path,
    blocks: Iterable[int],
    reference: tuple[Any, Any],
) -> None:
    """Simulate some blocks of units; those that are done are left.

    Parameters
    ----------
    handler
        The trained model.
    loader
        Forcings and attributes of all units.
    plan
        Of the simulation that was begun in `out`.
    out
        Folder of the simulation.
    blocks
        Blocks of the plan.
    reference
        First and last day of the period after which static parameters are read.

    Raises
    ------
    ValueError
        If `out` holds no simulation, or another one, or another process is at work on a block.
    """
    plan.check(out)
    handler.eval()
    for block in blocks:
        with only_writer(progress_of(out, block).path):
            _simulate_block(handler, loader, plan, out, block, reference)


@torch.no_grad()
def _simulate_block(
    handler: ModelHandler,
    loader: DataLoader,
    plan: Plan,
    out: Path,
    block: int,
    reference: tuple[Any, Any],
) -> None:
    units, chunks = plan.units(block), plan.days(plan.chunk_days)
    rows = np.arange(units.start, units.stop)
    progress = progress_of(out, block)
    done, tensors = progress.read()
    if done == len(chunks):
        return
    if done:
        state = rebuilt(_example(handler, loader, rows), tensors)
    else:
        state = _resolved(handler, loader, rows, reference, plan.chunk_days)
        write(out / RUNOFF, units, None, dict(state.static or {}))
    for number, days in enumerate(chunks[done:], done + 1):
        batch = loader.batch(rows, np.full(len(rows), days.start), len(days))
        parts = [batch.slice(first, first + STEP) for first in range(0, len(days), STEP)]
        outputs = list(handler.stream(parts, state))
        state = outputs[-1].state
        fluxes = {n: torch.cat([output.fluxes[n] for output in outputs]) for n in plan.outputs}
        write(out / RUNOFF, units, days, fluxes)
        if number == len(chunks):
            write(out / RUNOFF, units, None, _storages(state))
        progress.write(number, state)
    log.info("block %d of %d: done", block + 1, plan.num_blocks)


def progress_of(out: Path, block: int) -> Progress:
    """How far a block of units has come."""
    return Progress(out / "progress" / f"units{block:06d}.pt")


def _resolved(
    handler: ModelHandler, loader: DataLoader, rows: Any, reference: tuple[Any, Any], days: int
) -> State:
    """State before the first day, with the static parameters of the reference period."""
    assert isinstance(handler.model, DeltaModel)
    if not handler.model.constants:
        return State()
    first, last = (loader.index(day) for day in reference)
    if not handler.model.nn.static_needs_forcing:
        first = last
    return handler.resolve(loader.chunks(rows, first, last + 1, days))


def _example(handler: ModelHandler, loader: DataLoader, rows: Any) -> State:
    """Give some state of the structure that a stream of these units has."""
    batch = loader.batch(rows, np.zeros(len(rows), np.int64), 1)
    state: State = handler(batch.to(device_of(handler))).state
    return state


def _storages(state: State) -> dict[str, torch.Tensor]:
    if state.phy is None:
        return {}
    return {STORAGE + name: value for name, value in state.phy._asdict().items()}
