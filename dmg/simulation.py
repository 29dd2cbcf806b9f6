"""Simulation of a whole river network: from file names to files.

What is begun, shared among processes and finished are stages of one simulation in one folder.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from dmg.build_units import unit_climate, unit_loader
from dmg.checkpoint import load_model
from dmg.config import Experiment, Simulate
from dmg.data.loader import DataLoader
from dmg.data.network import Network
from dmg.delta import DeltaModel
from dmg.denormals import flush_denormals
from dmg.distributed import device
from dmg.files import atomic
from dmg.handler import ModelHandler
from dmg.routing import Paths, Rivers
from dmg.runs import PROVENANCE, flux_names, restore
from dmg.simulate import Plan, initialise, simulate_rivers, simulate_units

CLIMATE = "climate.csv"


class Simulation:
    """A simulation with a trained model.

    Parameters
    ----------
    experiment
        Settings; the model and what it reads are those of `model`.
    model
        Trained model.
    store
        Store of all units.
    preprocessed
        Folder that `preprocess` wrote.
    out
        Folder of the simulation.
    """

    def __init__(
        self, experiment: Experiment, model: Path, store: Path, preprocessed: Path, out: Path
    ) -> None:
        content = load_model(model)
        handler, self.trained = restore(content, str(model))
        self.handler = handler.to(device())
        self.statistics = content["statistics"]
        self.model = _reaching_rivers(handler)
        self.settings: Simulate = experiment.simulate
        self.model.outputs = flux_names(self.trained, self.settings.outputs)
        self.reference = experiment.evaluate.reference or self.trained.data.split.train
        self.store, self.preprocessed, self.out = store, preprocessed, out
        self.attrs: dict[str, Any] = {n: content[n] for n in PROVENANCE if content[n] is not None}
        self.weights = hashlib.sha256(model.read_bytes()).hexdigest()[:16]

    def begin(self, replace: bool = False) -> None:
        """Write the empty store of the units, and their climate; nothing if that is done.

        A simulation with other settings that is in the folder is removed if `replace` says so.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        table = self.out / CLIMATE
        if not table.exists():
            found = unit_climate(self.trained, self.store, self.preprocessed)
            with atomic(table) as temporary:
                found.to_csv(temporary, index_label="unit_id")
        loader = self._loader()
        plan = self._plan(loader)
        plan.begin(self.out, replace)
        initialise(self.model, loader, plan, self.out, self.attrs)

    @flush_denormals()
    def units(self, part: int = 1, parts: int = 1) -> None:
        """Simulate the units of a part, from where it stopped."""
        loader = self._loader()
        plan = self._plan(loader)
        reference = (self.reference.start, self.reference.end)
        blocks = plan.blocks(part, parts)
        simulate_units(self.handler, loader, plan, self.out, blocks, reference)

    @flush_denormals()
    def rivers(self, network: Path) -> None:
        """Bring the runoff of all units to reaches and gauges, from where it stopped.

        Gauges are those of the experiment, or of the network if it has none.
        """
        found = self.model.aggregate
        routing = found if isinstance(found, Rivers) else None
        whole, chosen = Network.read(network), self.preprocessed / "network.zarr"
        if chosen.exists():
            whole = _with_gauges(whole, Network.read(chosen))
        simulate_rivers(routing, whole, self._plan(self._loader()), self.out, self.attrs)

    def _loader(self) -> DataLoader:
        table = self.out / CLIMATE
        if not table.exists():
            raise ValueError(
                f"{table}: expected a simulation that was begun; run with --init first"
            )
        climate = pd.read_csv(table, index_col="unit_id", dtype={"unit_id": str})
        block = self.settings.block_units, self.settings.chunk_days
        return unit_loader(self.trained, self.store, self.statistics, climate, block)

    def _plan(self, loader: DataLoader) -> Plan:
        settings = self.settings
        last = loader.index(settings.end) if settings.end else len(loader.times) - 1
        units = hashlib.sha256("\n".join(loader.basin_ids).encode()).hexdigest()[:16]
        return Plan(
            num_units=len(loader.basin_ids),
            num_days=last + 1,
            start=str(loader.times[0]),
            outputs=settings.outputs,
            block_units=settings.block_units,
            chunk_days=settings.chunk_days,
            river_days=settings.river_days,
            identity={"model": self.weights, "units": units},
        )


def _with_gauges(whole: Network, part: Network) -> Network:
    """Give a network the gauges of a part of it."""
    return replace(
        whole,
        gauge_id=part.gauge_id,
        gauge_reach=whole.positions(part.reach_id[part.gauge_reach]),
        gauge_area=part.gauge_area,
    )


def _reaching_rivers(handler: ModelHandler) -> DeltaModel:
    """Refuse models that give no flow of reaches."""
    if not isinstance(handler.model, DeltaModel):
        raise ValueError(
            "simulate: expected one process model, found several side by side; choose one of them"
        )
    if isinstance(handler.model.aggregate, Paths):
        raise ValueError(
            "simulate: expected routing gamma or muskingum_cunge, found gamma_paths, which gives"
            " flow at gauges and none of reaches; use `dmg predict`"
        )
    return handler.model
